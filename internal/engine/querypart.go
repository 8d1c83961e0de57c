package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Position returns the offsets that the part's rows include what lies before, by input. Rows that are read later include at
// least as much.
func (p Part) Position() (map[record.TopicPartition]int64, error) {
	position := maps.Clone(p.start)
	if position == nil {
		position = map[record.TopicPartition]int64{}
	}
	o, ok, err := p.space.Offset(p.store)
	if err != nil || !ok {
		return position, err
	}
	stored, err := decodePosition(o.Position)
	if err != nil {
		return nil, fmt.Errorf("task %s: store %s: %w", p.ID, p.store, err)
	}
	for tp, at := range stored {
		position[tp] = max(position[tp], at)
	}
	return position, nil
}

// Steady calls read until no commit has come between its reads: what it has seen is one state. It may be called several times.
func (p Part) Steady(ctx context.Context, read func() error) error {
	for {
		before, _, err := p.space.Offset(p.store)
		if err != nil {
			return err
		}
		seen := read()
		after, _, err := p.space.Offset(p.store)
		if err != nil {
			return err
		}
		if before.Changelog == after.Changelog && before.BrokerTime == after.BrokerTime && bytes.Equal(before.Position, after.Position) {
			return seen
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
}
