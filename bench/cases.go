package main

import (
	"context"
	"fmt"
	"strconv"
)

// cases are the rows of the report, in their order.
var cases = []benchCase{
	{
		name: "consume", records: 5_000_000, input: inputTopic,
		candidates: []candidate{
			{limitName, limitConsume}, {oursName, oursConsume}, {"franz-go", franzConsume}, {"kafka-go", segmentioConsume},
			{layerName, layerConsume},
		},
		check: checkSum(func(j *job) uint64 { return sumTo(j.Records) }),
	},
	{
		name: "pass", records: 5_000_000, input: inputTopic, output: true,
		candidates: []candidate{
			{limitName, limitPass}, {oursName, oursPass}, {"franz-go", franzPass}, {"kafka-go", segmentioPass},
			{scrapedName, scrapedPass},
		},
		check: checkPass,
	},
	{
		name: "count", records: 5_000_000, input: inputTopic, output: true,
		candidates: []candidate{
			{limitName, limitConsume}, {oursName, oursCount},
			{"franz-go, map and changelog", franzCount}, {"franz-go, map only", franzMap}, {"kafka-go, map and changelog", segmentioCount},
		},
		check: checkCount,
	},
	{
		name: "join", records: 5_000_000, input: inputTopic, table: true,
		candidates: []candidate{
			{limitName, limitConsume}, {oursName, oursJoin}, {"franz-go, map", franzJoin}, {"kafka-go, map", segmentioJoin},
		},
		check: checkJoin,
	},
	{
		name: "restore", records: 5_000_000, input: changelogTopic, output: true, // which stays empty
		candidates: []candidate{
			{limitName, limitConsume}, {oursName, oursRestore}, {"franz-go, Pebble", franzRestore},
		},
		check: checkSum(func(j *job) uint64 { return sumTo(j.Records) }),
	},
}

func inputTopic(codec string) dataset {
	return dataset{topic: "bench-in-" + codec, codec: codec, keys: keyCount, first: firstTime}
}

// tableTopic is older than the input, so that every row is there when its key comes.
func tableTopic(codec string) dataset {
	return dataset{topic: "bench-table-" + codec, codec: codec, keys: keyCount, distinct: true, first: firstTime - 3_600_000, configs: compacted}
}

// changelogTopic is what the store of a former run would have left: each key once.
func changelogTopic(codec string) dataset {
	return dataset{topic: restoreApp(codec) + "-" + restoreStore + "-changelog", codec: codec, distinct: true, first: firstTime, configs: compacted}
}

func restoreApp(codec string) string { return "bench-restore-" + codec }

const restoreStore = "kept"

var compacted = map[string]string{"cleanup.policy": "compact"}

// checkSum checks what the loop itself has added up.
func checkSum(want func(*job) uint64) func(context.Context, *job, *outcome) error {
	return func(_ context.Context, j *job, o *outcome) error {
		if o.Records != j.Records || o.Sum != want(j) {
			return fmt.Errorf("saw %d records with sum %d, want %d with %d", o.Records, o.Sum, j.Records, want(j))
		}
		return nil
	}
}

// checkPass reads the output back.
func checkPass(ctx context.Context, j *job, o *outcome) error {
	var count int64
	var sum uint64
	err := readOutput(ctx, j, func(_ int32, _, value []byte) {
		count++
		sum += numberOf(value)
	})
	if err == nil && (count != j.Records || sum != sumTo(j.Records)) {
		err = fmt.Errorf("the output has %d records with sum %d, want %d with %d", count, sum, j.Records, sumTo(j.Records))
	}
	return err
}

// checkCount adds up the last count of each key in the output. Loops without an output say their sum themselves.
func checkCount(ctx context.Context, j *job, o *outcome) error {
	switch j.Candidate {
	case limitName:
		return checkSum(func(j *job) uint64 { return sumTo(j.Records) })(ctx, j, o)
	case "franz-go, map only":
		return checkSum(func(j *job) uint64 { return uint64(j.Records) })(ctx, j, o)
	}
	last := map[string]uint64{}
	if err := readOutput(ctx, j, func(_ int32, key, value []byte) { last[string(key)] = numberOf(value) }); err != nil {
		return err
	}
	var total uint64
	for _, n := range last {
		total += n
	}
	if total != uint64(j.Records) || o.Records != j.Records {
		return fmt.Errorf("the output counts %d records of %d keys, want %d", total, len(last), j.Records)
	}
	return nil
}

// joinSum is what a join of a record and a row of the table adds to the sum.
func joinSum(left, right []byte) uint64 { return numberOf(left) + numberOf(right) }

// checkJoin knows that the row of key k has the number k, and every key has a row.
func checkJoin(ctx context.Context, j *job, o *outcome) error {
	if j.Candidate == limitName {
		return checkSum(func(j *job) uint64 { return sumTo(j.Records) })(ctx, j, o)
	}
	want, known := joinSums[j.Input]
	if !known {
		err := readAll(ctx, j.Brokers, j.Input, j.Ends, func(_ int32, key, value []byte) {
			k, _ := strconv.ParseUint(string(key[4:]), 10, 64)
			want += numberOf(value) + k
		})
		if err != nil {
			return err
		}
		joinSums[j.Input] = want
	}
	return checkSum(func(*job) uint64 { return want })(ctx, j, o)
}

var joinSums = map[string]uint64{} // by input topic

func readOutput(ctx context.Context, j *job, f func(partition int32, key, value []byte)) error {
	ends, err := endOffsets(ctx, j.Brokers, j.Output)
	if err != nil {
		return err
	}
	return readAll(ctx, j.Brokers, j.Output, ends, f)
}

// readAll reads a topic to its ends.
func readAll(ctx context.Context, brokers []string, topic string, ends []int64, f func(partition int32, key, value []byte)) error {
	r, err := newLimitReader(ctx, brokers, topic, ends, nil)
	if err != nil {
		return err
	}
	defer r.close()
	var buf []byte
	return r.read(ctx, func(n *limitNode) error {
		return n.eachOf(&buf, func(p *fetchPart, raw, records []byte) {
			if raw[22]&0x20 != 0 { // the end of a transaction
				return
			}
			eachRecord(records, countOf(raw), func(k, v []byte) { f(p.partition, k, v) })
		})
	})
}
