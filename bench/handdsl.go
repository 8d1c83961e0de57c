package main

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// The loops that a programmer would write with franz-go and Go maps for the cases of the DSL. They keep nothing on disk and restore
// nothing, expect records in order, and tell nobody what they have found but its digest.

// franzRun calls f with every record, and then commits.
func franzRun(ctx context.Context, j *job, m *meter, f func(*kgo.Record), more ...kgo.Opt) (int64, error) {
	c, err := franzClient(j, more...)
	if err != nil {
		return 0, err
	}
	defer c.CloseAllowingRebalance()
	count, _, err := franzEach(ctx, c, j, m, f)
	return count, errors.Join(err, c.CommitUncommittedOffsets(ctx))
}

func franzChain(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	var sum uint64
	count, err := franzRun(ctx, j, m, func(r *kgo.Record) { sum += chainSum(numberOf(r.Value)) })
	return count, sum, err
}

// chainSum is what chain makes of a record.
func chainSum(n uint64) (sum uint64) {
	if !chainFirst(n) {
		return 0
	}
	n = chainValue(n)
	last := n
	if chainTwice(n) {
		last++
	}
	for ; n <= last; n++ {
		if chainSecond(n) {
			sum += chainAnswer(n, chainLeft(n))
		}
	}
	return sum
}

// windowKey is a key in a window: all keys of the benchmark have one size.
type windowKey struct {
	key   [keySize]byte
	start int64
}

func (k *windowKey) digest() uint64 { return digest(k.key[:], uint64(k.start)) }

// franzWindows counts per window and key.
func franzWindows(size, advance time.Duration) loop {
	return func(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
		counts := map[windowKey]*int64{}
		records, err := franzRun(ctx, j, m, func(r *kgo.Record) {
			k := windowKey{key: [keySize]byte(r.Key)}
			eachWindow(r.Timestamp.UnixMilli(), size, advance, func(start int64) {
				k.start = start
				n := counts[k]
				if n == nil {
					n = new(int64)
					counts[k] = n
				}
				*n++
			})
		})
		m.end()
		var sum uint64
		for k, n := range counts {
			sum += k.digest() * uint64(*n)
		}
		return records, sum, err
	}
}

// eachWindow calls f with the start of each window that a time lies in, the newest first.
func eachWindow(ms int64, size, advance time.Duration, f func(start int64)) {
	for start := ms - ms%advance.Milliseconds(); start > ms-size.Milliseconds(); start -= advance.Milliseconds() {
		f(start)
	}
}

// session is an open one of a key.
type session struct{ start, end, count int64 }

// sessions finds the sessions of records in order.
type sessions struct {
	open map[[keySize]byte]*session
	sum  uint64 // of those that a later one has followed
}

func (s *sessions) add(key []byte, ms int64) {
	at := s.open[[keySize]byte(key)]
	switch {
	case at == nil:
		at = &session{start: ms}
		s.open[[keySize]byte(key)] = at
	case ms-at.end > sessionGap.Milliseconds():
		s.sum += at.digest(key)
		*at = session{start: ms}
	}
	at.end = ms
	at.count++
}

func (s *session) digest(key []byte) uint64 {
	return digest(key, uint64(s.end), uint64(s.start)) * uint64(s.count)
}

func (s *sessions) all() uint64 {
	sum := s.sum
	for k, at := range s.open {
		sum += at.digest(k[:])
	}
	return sum
}

func franzSession(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	s := sessions{open: map[[keySize]byte]*session{}}
	records, err := franzRun(ctx, j, m, func(r *kgo.Record) { s.add(r.Key, r.Timestamp.UnixMilli()) })
	m.end()
	return records, s.all(), err
}

// franzSuppress keeps the open window of each partition, and counts it out when a record of a later one comes.
func franzSuppress(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	type open struct {
		start  int64
		counts map[[keySize]byte]*int64
	}
	parts := make([]open, len(j.Ends))
	var sum uint64
	records, err := franzRun(ctx, j, m, func(r *kgo.Record) {
		p, ms := &parts[r.Partition], r.Timestamp.UnixMilli()
		if start := ms - ms%suppressSize.Milliseconds(); start != p.start {
			for k, n := range p.counts {
				sum += digest(k[:], uint64(p.start)) * uint64(*n)
			}
			*p = open{start, map[[keySize]byte]*int64{}}
		}
		n := p.counts[[keySize]byte(r.Key)]
		if n == nil {
			n = new(int64)
			p.counts[[keySize]byte(r.Key)] = n
		}
		*n++
	})
	return records, sum, err
}

// sideRow is a record that waits for the other side.
type sideRow struct {
	ms     int64
	number uint64
}

// franzStreamJoin keeps all records of both sides, as they do not come in the order of their times.
func franzStreamJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	sides := map[[keySize]byte]*[2][]sideRow{}
	both := *j
	both.Records *= 2
	var sum uint64
	records, err := franzRun(ctx, &both, m, func(r *kgo.Record) {
		side := 0
		if r.Topic == j.Table {
			side = 1
		}
		rows := sides[[keySize]byte(r.Key)]
		if rows == nil {
			rows = new([2][]sideRow)
			sides[[keySize]byte(r.Key)] = rows
		}
		ms, number := r.Timestamp.UnixMilli(), numberOf(r.Value)
		for _, other := range rows[1-side] {
			if joined(ms, other.ms) {
				sum += number + other.number
			}
		}
		rows[side] = append(rows[side], sideRow{ms, number})
	}, kgo.ConsumeTopics(j.Input, j.Table))
	return records, sum, err
}

// joined tells whether records of two times meet.
func joined(a, b int64) bool { return max(a-b, b-a) <= streamJoinGap.Milliseconds() }

// franzTableJoin keeps both tables and writes each new result to the output.
func franzTableJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	right, err := readTable(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	c, err := franzClient(j)
	if err != nil {
		return 0, 0, err
	}
	defer c.CloseAllowingRebalance()
	failed := make(chan error, 1)
	promise := note(failed)
	left := make(map[string][]byte, j.Keys)
	records, _, err := franzEach(ctx, c, j, m, func(r *kgo.Record) {
		left[string(r.Key)] = r.Value
		if row, ok := right[string(r.Key)]; ok {
			value := binary.BigEndian.AppendUint64(nil, joinSum(r.Value, row))
			c.Produce(ctx, &kgo.Record{Key: r.Key, Value: value, Timestamp: r.Timestamp}, promise)
		}
	})
	return records, 0, errors.Join(err, franzFinish(ctx, c, failed))
}

// franzForeign has the rows of each foreign key in a list.
func franzForeign(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	f, err := newFanOut(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	table, err := readTable(ctx, j)
	if err != nil {
		return 0, 0, err
	}
	rows := map[string][][]byte{}
	for _, row := range table {
		k := string(appendKey(nil, int64(numberOf(row)/fanOut)))
		rows[k] = append(rows[k], row)
	}
	_, err = franzRun(ctx, j, m, func(r *kgo.Record) {
		for _, row := range rows[string(r.Key)] {
			f.add(fanned{numberOf(row), numberOf(r.Value)})
		}
	})
	return f.results, f.sum(), err
}
