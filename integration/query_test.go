package integration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const (
	queryPartitions = 4
	queryKeys       = 20
)

// queried is an instance with a view of its counts.
type queried struct {
	view stream.View[string, int64]
	all  stream.View[string, int64] // stale ones, too
	stop context.CancelFunc
	done chan error
}

// TestQueries reads the counts of two instances from other goroutines while records flow and tasks move. A count that was seen
// once is never seen smaller again (P1: what is read was committed); every other answer is an error that says where to go.
func TestQueries(t *testing.T) {
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		app := fmt.Sprintf("query-%s-%d", c.Lane, time.Now().UnixNano())
		c.CreateTopic(t, app+"-in", queryPartitions)
		r := &readers{t: t, seen: map[string]int64{}}
		a := startQueried(t, c, app, t.TempDir())
		r.begin(a)
		feedCounts(t, c, app, a)
		b := startQueried(t, c, app, t.TempDir())
		r.begin(b)
		feedCounts(t, c, app, a, b)
		a.end(t)
		if _, _, err := a.view.Get(t.Context(), "key-0"); !errors.As(err, new(*stream.NotRunningError)) {
			t.Errorf("after the end: %v", err)
		}
		feedCounts(t, c, app, b)
		b.end(t)
		r.wg.Wait()
		t.Logf("%d answers, %d of them errors: not here %d, restoring %d, not running %d", r.asked.Load(), r.errors(), r.away.Load(),
			r.restoring.Load(), r.ended.Load())
		if r.asked.Load() == 0 || r.away.Load() == 0 || r.asked.Load() == r.errors() {
			t.Error("the readers have met too little")
		}
	})
}

func startQueried(t *testing.T, c *brokers.Cluster, app, dir string) *queried {
	t.Helper()
	b := stream.NewBuilder()
	counts := stream.From(b, app+"-in", serde.String, serde.String).GroupByKey().Count(stream.As("counts"))
	a, err := stream.New(b, stream.Config{ApplicationID: app, Brokers: c.Addrs, StateDir: dir, Workers: 2, CommitInterval: 20 * time.Millisecond,
		FetchWait: 20 * time.Millisecond, Session: 6 * time.Second, Heartbeat: 200 * time.Millisecond,
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	q := &queried{done: make(chan error, 1)}
	if q.view, err = stream.Query(a, counts); err != nil {
		t.Fatal(err)
	}
	if q.all, err = stream.Query(a, counts, stream.Stale()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := q.view.Get(t.Context(), "key-0"); !errors.As(err, new(*stream.NotRunningError)) {
		t.Errorf("before the start: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	go func() { q.done <- a.Run(ctx) }()
	t.Cleanup(cancel)
	return q
}

func (q *queried) end(t *testing.T) {
	t.Helper()
	q.stop()
	if err := <-q.done; err != nil {
		t.Errorf("clean stop while it is queried: %v", err)
	}
}

// feedCounts writes records, and reads each one's effect from the instance that has its partition: what its position says.
func feedCounts(t *testing.T, c *brokers.Cluster, app string, of ...*queried) {
	t.Helper()
	client := c.NewClient(t)
	for i := range 60 {
		rec := &kgo.Record{Topic: app + "-in", Key: fmt.Append(nil, "key-", i%queryKeys), Value: []byte("v")}
		if err := client.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if i%10 != 9 {
			continue
		}
		p := stream.Position{}.With(rec.Topic, rec.Partition, rec.Offset)
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		found := false
		for ctx.Err() == nil && !found {
			for _, q := range of {
				if err := q.view.Await(ctx, p); err != nil {
					if !errors.As(err, new(*stream.StoreNotHereError)) && !errors.As(err, new(*stream.NotRunningError)) {
						t.Errorf("await: %v", err)
					}
					continue
				}
				n, ok, err := q.view.AtLeast(p).Get(ctx, string(rec.Key))
				if found = ok && n > 0; err != nil && !errors.As(err, new(*stream.StoreNotHereError)) {
					t.Errorf("%s: %v", rec.Key, err)
				}
			}
		}
		cancel()
		if !found {
			t.Fatalf("%s of %v was not seen in time", rec.Key, p)
		}
	}
}

// readers ask for counts until their instance ends.
type readers struct {
	t  *testing.T
	wg sync.WaitGroup

	asked, away, restoring, ended atomic.Int64

	mu   sync.Mutex
	seen map[string]int64
}

func (r *readers) errors() int64 { return r.away.Load() + r.restoring.Load() + r.ended.Load() }

func (r *readers) begin(q *queried) {
	r.wg.Go(func() {
		ctx := r.t.Context()
		tick := time.NewTicker(200 * time.Microsecond) // leaves a part of the machine to those who work
		defer tick.Stop()
		for i := 0; ; i++ {
			<-tick.C
			key := fmt.Sprint("key-", i%queryKeys)
			least := r.least(key)
			n, ok, err := q.view.Get(ctx, key)
			if r.judge(err); err == nil && (n < least || !ok && least > 0) {
				r.t.Errorf("%s is %d, and was %d before", key, n, least)
			}
			r.note(key, n)
			var last error
			for row, err := range q.all.All(ctx) {
				if last = err; err == nil && row.Value <= 0 {
					r.t.Errorf("%+v", row)
				}
			}
			if r.judge(last) {
				return
			}
		}
	})
}

func (r *readers) least(key string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[key]
}

func (r *readers) note(key string, n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[key] = max(r.seen[key], n)
}

// judge counts an answer. It returns true when the instance has ended.
func (r *readers) judge(err error) bool {
	r.asked.Add(1)
	switch {
	case err == nil:
	case errors.As(err, new(*stream.StoreNotHereError)):
		r.away.Add(1)
	case errors.As(err, new(*stream.RestoringError)):
		r.restoring.Add(1)
	default:
		e := new(stream.NotRunningError)
		if !errors.As(err, &e) {
			r.t.Errorf("a query: %v", err)
			return true
		}
		r.ended.Add(1)
		return e.Ended
	}
	return false
}
