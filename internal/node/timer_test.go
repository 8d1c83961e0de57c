package node

import (
	"math"
	"testing"
)

func TestTimersFollowTheirGrids(t *testing.T) {
	task := &Task{WallTime: 1000, StreamTime: -1}
	stream := task.EveryStreamTime(&Info{}, 10, func(int64) error { return nil })
	wall := task.EveryWallClock(&Info{}, 100, func(int64) error { return nil })
	task.Units.Commit()
	for _, c := range []struct {
		stream, wall int64
		want         *Timer
		time         int64
	}{
		{-1, 1099, nil, 0}, // no record yet
		{3, 1099, stream, 3},
		{9, 1099, nil, 0},
		{35, 1100, stream, 35}, // several points passed: once
		{35, 1100, wall, 1100},
		{39, 1199, nil, 0},
		{40, 1350, stream, 40},
		{40, 1350, wall, 1350},
		{40, 1399, nil, 0},
		{40, 1400, wall, 1400}, // the grid stays
	} {
		got := task.Timers.Due(c.stream, c.wall)
		if got != c.want || got != nil && got.Time() != c.time {
			t.Fatalf("at %d, %d: %v, want %v at %d", c.stream, c.wall, got, c.want, c.time)
		}
	}
	if task.Timers.Due(40, 1400); task.Timers.Stream != 50 || task.Timers.Wall != 1500 {
		t.Errorf("next %d, %d", task.Timers.Stream, task.Timers.Wall)
	}
}

func TestTimersAreUndone(t *testing.T) {
	task := &Task{StreamTime: -1}
	fire := func(int64) error { return nil }
	kept := task.EveryStreamTime(&Info{}, 10, fire)
	task.Units.Commit()
	task.EveryStreamTime(&Info{}, 1, fire)
	p := task.Units.Begin()
	kept.Cancel()
	task.Units.RollbackTo(p)
	if kept.gone || len(task.Timers.list) != 2 {
		t.Fatal("the nested unit was not undone alone")
	}
	kept.Cancel()
	task.Units.Rollback()
	if task.Timers.Due(5, 0) != kept || task.Timers.Due(5, 0) != nil {
		t.Error("the unit was not undone")
	}
	kept.Cancel()
	task.Units.Commit()
	if task.Timers.Due(100, 0) != nil {
		t.Error("a cancelled timer fires")
	}
	if task.Timers.Stream != math.MaxInt64 {
		t.Error("a cancelled timer is waited for")
	}
}
