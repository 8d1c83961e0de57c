package main

import (
	"context"
	"fmt"
	"strconv"
)

// fanOut is how many rows on the left of the foreign-key join share a row on the right.
const fanOut = 100

// foreignKeys are the keys on the right: those that the rows of the table topic name.
const foreignKeys = keyCount / fanOut

// fanned is a result of the foreign-key join.
type fanned struct{ left, right uint64 }

// rights is the number of the last record of each key of the input, and one: 0 where there is none.
func rights(ctx context.Context, j *job) ([]uint64, error) {
	last := make([]uint64, foreignKeys)
	err := readAll(ctx, j.Brokers, j.Input, j.Ends, func(_ int32, key, value []byte) {
		k, _ := strconv.ParseUint(string(key[4:]), 10, 64)
		last[k] = numberOf(value) + 1
	})
	return last, err
}

// finalSum is what the last results of all rows add up to.
func finalSum(last []uint64) (sum uint64) {
	for left := range uint64(keyCount) {
		if right := last[left/fanOut]; right > 0 {
			sum += left + right - 1
		}
	}
	return sum
}

// fanOutTally takes the results of a foreign-key join until each row on the left has met the last row on the right.
type fanOutTally struct {
	last    []uint64 // by foreign key, as rights says it
	met     []uint64 // by left row, the same of the right row it has met last
	open    int
	results int64
	all     chan struct{} // closed when no row is open
}

func newFanOut(ctx context.Context, j *job) (*fanOutTally, error) {
	last, err := rights(ctx, j)
	f := &fanOutTally{last: last, met: make([]uint64, keyCount), all: make(chan struct{})}
	for _, right := range last {
		if right > 0 {
			f.open += fanOut
		}
	}
	return f, err
}

func (f *fanOutTally) add(r fanned) {
	f.results++
	old := &f.met[r.left]
	final := f.last[r.left/fanOut]
	if *old != final && r.right+1 == final {
		if f.open--; f.open == 0 {
			close(f.all)
		}
	}
	*old = r.right + 1
}

func (f *fanOutTally) wait(ctx context.Context) error {
	select {
	case <-f.all:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d rows have not met their last one: %w", f.open, ctx.Err())
	}
}

func (f *fanOutTally) sum() (sum uint64) {
	for left, met := range f.met {
		if met > 0 {
			sum += uint64(left) + met - 1
		}
	}
	return sum
}
