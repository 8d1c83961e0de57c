package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// handName is the loop that one would write by hand, with Go maps.
const handName = "franz-go, map"

// dslCases are the cases of the DSL's operators.
var dslCases = []benchCase{
	{
		name: "chain", records: 5_000_000, input: inputTopic,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursChain}, {"franz-go", franzChain}},
		check: checkAnswer(func(_ context.Context, j *job) (sum uint64, err error) {
			for n := range uint64(j.Records) {
				sum += chainSum(n)
			}
			return sum, nil
		}),
	},
	windowCase("tumbling", 2_000_000, tumblingSize, tumblingSize),
	windowCase("hopping", 2_000_000, time.Second, time.Second/2),
	windowCase("hopping60", 200_000, time.Minute, time.Second),
	{
		name: "session", records: 2_000_000, input: inputTopic, output: true,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursSession}, {handName, franzSession}},
		check:      checkAnswer(sessionAnswer),
	},
	{
		name: "streamjoin", records: 1_000_000, input: wideTopic("left"), second: wideTopic("right"),
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursStreamJoin}, {handName, franzStreamJoin}},
		check:      checkAnswer(streamJoinAnswer),
	},
	{
		name: "tablejoin", records: 2_000_000, input: inputTopic, table: true, output: true,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursTableJoin}, {"franz-go, maps and output", franzTableJoin}},
		check:      checkAnswer(tableJoinAnswer),
	},
	{
		name: "foreign", records: 20_000, input: foreignTopic, table: true,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursForeign}, {handName, franzForeign}},
		check: checkAnswer(func(ctx context.Context, j *job) (uint64, error) {
			last, err := rights(ctx, j)
			return finalSum(last), err
		}),
	},
	{
		name: "suppress", records: 2_000_000, input: inputTopic, output: true,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursSuppress}, {handName, franzSuppress}},
		check:      checkAnswer(suppressAnswer),
	},
	{
		name: "cold", records: coldRecords, input: coldTopic, cold: true, output: true,
		candidates: []candidate{{limitName, limitConsume}, {oursName, oursCold}, {"limit loop, Pebble", limitCold}},
		check:      checkCold,
	},
}

func windowCase(name string, records int64, size, advance time.Duration) benchCase {
	return benchCase{
		name: name, records: records, input: inputTopic, output: true,
		candidates: []candidate{
			{limitName, limitConsume}, {oursName, oursWindows(windowOf(size, advance))}, {handName, franzWindows(size, advance)},
		},
		check: checkAnswer(func(ctx context.Context, j *job) (sum uint64, err error) {
			err = eachInput(ctx, j, func(_ int32, key []byte, _ uint64, ms int64) {
				eachWindow(ms, size, advance, func(start int64) { sum += digest(key, uint64(start)) })
			})
			return sum, err
		}),
	}
}

// wideTopic has so many keys that a record of one side meets little more than its twin on the other.
func wideTopic(side string) func(codec string) dataset {
	return func(codec string) dataset {
		return dataset{topic: "bench-" + side + "-" + codec, codec: codec, keys: 10 * keyCount, first: firstTime}
	}
}

func foreignTopic(codec string) dataset {
	return dataset{topic: "bench-foreign-" + codec, codec: codec, keys: foreignKeys, first: firstTime}
}

// coldTopic has as many keys as records, drawn at random: the runner sets their number.
func coldTopic(codec string) dataset {
	return dataset{topic: "bench-cold-" + codec, codec: codec, first: firstTime}
}

// timeOf is the event time of a record of the input.
func timeOf(number uint64) int64 { return firstTime + int64(number/10) }

// eachInput reads the input of a job.
func eachInput(ctx context.Context, j *job, f func(partition int32, key []byte, number uint64, ms int64)) error {
	return readAll(ctx, j.Brokers, j.Input, j.Ends, func(p int32, key, value []byte) {
		n := numberOf(value)
		f(p, key, n, timeOf(n))
	})
}

// digest is FNV-1a of a key and what follows it in the key of a window or a session.
func digest(key []byte, after ...uint64) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for _, c := range key {
		h = (h ^ uint64(c)) * prime
	}
	for _, x := range after {
		for shift := 56; shift >= 0; shift -= 8 {
			h = (h ^ x>>shift&0xff) * prime
		}
	}
	return h
}

// checkAnswer compares with a model in the parent what a loop has added up, or, where it has written to an output topic, the last
// value of each key there, times the digest of the key.
func checkAnswer(model func(context.Context, *job) (uint64, error)) func(context.Context, *job, *outcome) error {
	return func(ctx context.Context, j *job, o *outcome) error {
		if j.Candidate == limitName {
			return checkSum(func(j *job) uint64 { return sumTo(j.Records) })(ctx, j, o)
		}
		id := j.Case + " " + j.Input
		want, known := answers[id]
		if !known {
			var err error
			if want, err = model(ctx, j); err != nil {
				return err
			}
			answers[id] = want
		}
		got := o.Sum
		if j.Output != "" && got == 0 {
			last := map[string]uint64{}
			err := readOutput(ctx, j, func(_ int32, key, value []byte) {
				if value == nil {
					delete(last, string(key))
					return
				}
				last[string(key)] = numberOf(value)
			})
			if err != nil {
				return err
			}
			for k, n := range last {
				got += digest([]byte(k)) * n
			}
		}
		if seen := o.Records; got != want || seen < j.Records {
			return fmt.Errorf("saw %d records with digest %x, want %d with %x", seen, got, j.Records, want)
		}
		return nil
	}
}

var answers = map[string]uint64{} // by case and input topic

func sessionAnswer(ctx context.Context, j *job) (uint64, error) {
	s := sessions{open: map[[keySize]byte]*session{}}
	err := eachInput(ctx, j, func(_ int32, key []byte, _ uint64, ms int64) { s.add(key, ms) })
	return s.all(), err
}

// suppressAnswer is the counts of all windows that have ended by the time of the last record of their partition.
func suppressAnswer(ctx context.Context, j *job) (sum uint64, err error) {
	type window struct {
		partition int32
		start     int64
	}
	sums, latest := map[window]uint64{}, map[int32]int64{}
	size := suppressSize.Milliseconds()
	err = eachInput(ctx, j, func(p int32, key []byte, _ uint64, ms int64) {
		sums[window{p, ms - ms%size}] += digest(key, uint64(ms-ms%size))
		latest[p] = max(latest[p], ms)
	})
	for w, of := range sums {
		if w.start+size <= latest[w.partition] {
			sum += of
		}
	}
	return sum, err
}

// streamJoinAnswer knows that both sides have the same records.
func streamJoinAnswer(ctx context.Context, j *job) (sum uint64, err error) {
	seen := map[string][]uint64{}
	err = eachInput(ctx, j, func(_ int32, key []byte, n uint64, ms int64) {
		for _, other := range seen[string(key)] {
			if joined(ms, timeOf(other)) {
				sum += 2 * (n + other)
			}
		}
		sum += 2 * n
		seen[string(key)] = append(seen[string(key)], n)
	})
	return sum, err
}

// tableJoinAnswer knows that the row of key k has the number k, and every key has a row.
func tableJoinAnswer(ctx context.Context, j *job) (sum uint64, err error) {
	last := map[string]uint64{}
	err = eachInput(ctx, j, func(_ int32, key []byte, n uint64, _ int64) { last[string(key)] = n })
	for key, n := range last {
		k, _ := strconv.ParseUint(key[4:], 10, 64)
		sum += digest([]byte(key)) * (n + k)
	}
	return sum, err
}

// checkCold adds up the last count of each key in the output. It has no map: there are many keys.
func checkCold(ctx context.Context, j *job, o *outcome) error {
	switch j.Candidate {
	case limitName:
		return checkSum(func(j *job) uint64 { return sumTo(j.Records) })(ctx, j, o)
	case oursName:
		last := make([]uint64, j.Keys)
		err := readOutput(ctx, j, func(_ int32, key, value []byte) {
			k, _ := strconv.ParseUint(string(key[4:]), 10, 64)
			last[k] = numberOf(value)
		})
		if err != nil {
			return err
		}
		o.Sum = 0
		for _, n := range last {
			o.Sum += n
		}
	}
	return checkSum(func(j *job) uint64 { return uint64(j.Records) })(ctx, j, o)
}
