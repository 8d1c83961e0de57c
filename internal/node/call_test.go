package node

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

type ctxKey struct{}

func callTask() *Task {
	base := context.WithValue(context.Background(), ctxKey{}, "of the app")
	t := &Task{ID: record.TaskID{Sub: 1, Partition: 2}, Context: base, CallTimeout: time.Hour}
	t.Input.Coordinates = record.Coordinates{TopicPartition: record.TopicPartition{Topic: "in", Partition: 2}, Offset: 7}
	t.Input.Raw = &record.Raw{Time: 5}
	return t
}

// TestCall: a context tells the record, the application's values and a deadline, and ends with its call.
func TestCall(t *testing.T) {
	task := callTask()
	var kept context.Context
	var asks bool
	f := Try(task, &Info{Name: "n"}, func(ctx context.Context, k, v string) (string, error) {
		if m, ok := MetadataOf(ctx); !ok || m.Topic != "in" || m.Partition != 2 || m.Offset != task.Input.Offset || m.Time != 5 ||
			m.Node != "n" || m.Task != task.ID {
			t.Errorf("metadata %+v", m)
		}
		if ctx.Value(ctxKey{}) != "of the app" || ctx.Err() != nil {
			t.Error("the application's values are not there, or the call is over before it has begun")
		}
		if asks {
			if d, ok := ctx.Deadline(); !ok || time.Until(d) > time.Hour {
				t.Errorf("deadline %v %v", d, ok)
			}
			select {
			case <-ctx.Done():
				t.Error("done before the end")
			default:
			}
		}
		kept = ctx
		return k + v, errors.New("e")
	})
	if r, err := f("a", "b"); r != "ab" || err == nil || err.Error() != "e" {
		t.Errorf("results %q %v", r, err)
	}
	plain := kept
	asks = true
	_, _ = f("a", "b")
	if kept != plain {
		t.Error("a call that asked for nothing made a new context necessary")
	}
	asked := kept
	if !errors.Is(asked.Err(), context.Canceled) {
		t.Errorf("after its call the context says %v", asked.Err())
	}
	task.Input.Offset = 8
	_, _ = f("a", "b")
	if kept == asked {
		t.Error("a context that a goroutine may hold was used again")
	}
	if m, _ := MetadataOf(asked); m.Offset != 7 {
		t.Errorf("a context that is over tells offset %d, want that of its own record", m.Offset)
	}
	if _, ok := MetadataOf(context.Background()); ok {
		t.Error("a context of nowhere has metadata")
	}
}

func TestCallAllocates(t *testing.T) {
	task := callTask()
	f := Try(task, &Info{}, func(ctx context.Context, k, v int64) (int64, error) {
		m, _ := MetadataOf(ctx)
		return k + v + m.Offset, ctx.Err()
	})
	if n := testing.AllocsPerRun(100, func() { _, _ = f(1, 2) }); n != 0 {
		t.Errorf("a call that asks for no deadline allocates %v times", n)
	}
}

func TestCallTimeout(t *testing.T) {
	task := callTask()
	task.CallTimeout = time.Nanosecond
	f := TryDo(task, &Info{}, func(ctx context.Context, _, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if err := f("", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// TestStubborn: a sequence that goes on after false sends nothing more, and what failed is what comes out.
func TestStubborn(t *testing.T) {
	boom := errors.New("boom")
	sent := 0
	next := func(*Rec[string, int]) error { sent++; return boom }
	p := FlatMapValues(&Task{}, &Info{Stats: &Stats{}}, func(string, string) (iter.Seq[int], error) {
		return func(yield func(int) bool) {
			for i := range 5 {
				yield(i)
			}
		}, nil
	}, next)
	if err := p(&Rec[string, string]{}); !errors.Is(err, boom) || sent != 1 {
		t.Errorf("sent %d, error %v", sent, err)
	}
}
