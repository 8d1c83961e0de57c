package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "app-counts-changelog"

// rig is a cluster with a changelog, a writer, a manager and an engine.
type rig struct {
	t       testing.TB
	cluster *kfake.Cluster
	net     *kafkatest.Network
	client  *kafka.Client
	writer  *kgo.Client
	engine  state.Engine
	manager *Manager
	spec    state.Spec
	now     func() int64
	want    map[int32]map[string]string // by partition
}

const partitions = 4

func newRig(t testing.TB, engine state.Engine, cfg Config, opts ...kgo.Opt) *rig {
	t.Helper()
	r := &rig{t: t, net: &kafkatest.Network{}, engine: engine, want: map[int32]map[string]string{},
		spec: state.KeyValueSpec("counts", serde.String, serde.String)}
	var err error
	if r.cluster, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.ListenFn(r.net.Listen)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.cluster.Close)
	if err = r.cluster.CreateTopic(topic, partitions, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	r.client, err = kafka.Open(kafka.Config{Brokers: r.cluster.ListenAddrs(), Dial: r.net.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.client.Close() })
	r.writer, err = kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(r.cluster.ListenAddrs()...), kgo.Dialer(r.net.Dial), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MaxBufferedRecords(1 << 20),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.writer.Close)
	if cfg.Now == nil {
		cfg.Now = func() int64 { return 100 * hour }
	}
	r.manager = New(r.client, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.manager.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// write appends key=value; "key" alone is a tombstone.
func (r *rig) write(part int32, rows ...string) {
	r.t.Helper()
	if r.want[part] == nil {
		r.want[part] = map[string]string{}
	}
	list := make([]*kgo.Record, len(rows))
	for i, row := range rows {
		k, v, ok := strings.Cut(row, "=")
		list[i] = &kgo.Record{Topic: topic, Partition: part, Key: []byte(k)}
		if delete(r.want[part], k); ok {
			list[i].Value = []byte(v)
			r.want[part][k] = v
		}
	}
	if err := r.writer.ProduceSync(context.Background(), list...).FirstErr(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) store(part int32) Store {
	r.t.Helper()
	space, err := r.engine.Space(record.TaskID{Sub: 1, Partition: part})
	if err != nil {
		r.t.Fatal(err)
	}
	store, err := space.Store("counts", r.spec.Kind)
	if err != nil {
		r.t.Fatal(err)
	}
	return Store{Name: "counts", Spec: &r.spec, Space: space, Engine: store, Changelog: record.TopicPartition{Topic: topic, Partition: part}}
}

// restore restores a partition and compares what the engine holds with what was written.
func (r *rig) restore(part int32) state.StoredOffset {
	r.t.Helper()
	s := r.store(part)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reached, err := r.manager.Restore(ctx, record.TaskID{Sub: 1, Partition: part}, []Store{s})
	if err != nil {
		r.t.Fatal(err)
	}
	if got := rows(r.t, s.Engine); !maps.Equal(got, r.want[part]) {
		r.t.Fatalf("%v holds %d rows, %d were written", s.Changelog, len(got), len(r.want[part]))
	}
	stored, ok, err := s.Space.Offset("counts")
	if err != nil || !ok || stored.Changelog != reached[0].Changelog || stored.BrokerTime != reached[0].BrokerTime {
		r.t.Fatalf("%v: %+v is stored, %+v was reached, %v", s.Changelog, stored, reached[0], err)
	}
	if end := r.cluster.PartitionInfo(topic, part).HighWatermark; stored.Changelog != end {
		r.t.Fatalf("%v: restored up to %d of %d", s.Changelog, stored.Changelog, end)
	}
	return stored
}

func rows(t testing.TB, s state.EngineStore) map[string]string {
	t.Helper()
	it, err := s.Iter(nil, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for it.Next() {
		got[string(it.Key())] = string(it.Value())
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil {
		t.Fatal(err)
	}
	return got
}

// onEngines runs a test on both engines.
func onEngines(t *testing.T, f func(t *testing.T, e state.Engine)) {
	t.Run("memstore", func(t *testing.T) { f(t, memstore.New()) })
	t.Run("pebblestore", func(t *testing.T) { f(t, openPebble(t)) })
}

func openPebble(t testing.TB) state.Engine {
	t.Helper()
	e, err := pebblestore.Open(pebblestore.Options{Dir: t.TempDir(), Name: "app", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func series(prefix string, from, to int) (out []string) {
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%d=%d", prefix, i, i))
	}
	return out
}

func TestRestoreAndResume(t *testing.T) {
	onEngines(t, func(t *testing.T, e state.Engine) {
		r := newRig(t, e, Config{})
		r.want[0] = map[string]string{}
		if o := r.restore(0); o.Changelog != 0 {
			t.Errorf("an empty changelog: %+v", o)
		}
		r.write(0, series("k", 0, 500)...)
		r.write(0, "k1=one", "k2", "k3", "k3=three")
		r.restore(0)
		before := r.manager.Progress().Records
		r.write(0, "k4", "new=1", "k5=five")
		if o := r.restore(0); o.BrokerTime != 100*hour {
			t.Errorf("%+v", o)
		}
		if n := r.manager.Progress().Records - before; n != 3 {
			t.Errorf("%d records were read to resume, 3 were new", n)
		}
		r.restore(0) // nothing is new
		if p := r.manager.Progress(); p.Records != before+3 || p.Wipes != 0 || p.Stores != 0 || p.Remaining != 0 {
			t.Errorf("%+v", p)
		}
	})
}

func TestStoresBesideOneAnother(t *testing.T) {
	onEngines(t, func(t *testing.T, e state.Engine) {
		// So little memory that fetches are paused and rounds are cut.
		r := newRig(t, e, Config{Memory: 64 << 10, Parallel: 2, Fetch: kafka.FetchConfig{PartitionBytes: 8 << 10}})
		for p := range int32(partitions) {
			r.write(p, series("a", 0, 3000)...)
			r.write(p, series("a", 1000, 2000)...)
		}
		var wg sync.WaitGroup
		for p := range int32(partitions) {
			wg.Go(func() { r.restore(p) })
		}
		wg.Wait()
	})
}

// Compaction leaves gaps and empty batches, and takes old tombstones away.
func TestCompactedChangelog(t *testing.T) {
	onEngines(t, func(t *testing.T, e state.Engine) {
		r := newRig(t, e, Config{})
		for range 5 {
			r.write(0, series("k", 0, 200)...)
			r.write(0, "k7", "k8")
		}
		r.cluster.Compact()
		r.write(0, "k9=last")
		r.restore(0)
		if n := r.manager.Progress().Records; n >= 1000 {
			t.Errorf("%d records were read: nothing was compacted", n)
		}
		r.write(0, series("k", 0, 50)...)
		r.cluster.Compact()
		r.restore(0)
	})
}

// With committed records only: markers and aborted transactions take offsets and give nothing.
func TestTransactionalChangelog(t *testing.T) {
	r := newRig(t, memstore.New(), Config{Fetch: kafka.FetchConfig{ReadCommitted: true}}, kgo.TransactionalID("tx"))
	txn := func(commit kgo.TransactionEndTry, rows ...string) {
		t.Helper()
		if err := r.writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		kept := maps.Clone(r.want[0])
		r.write(0, rows...)
		if err := r.writer.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
		if !commit {
			r.want[0] = kept
		}
	}
	txn(kgo.TryCommit, "a=1", "b=2")
	txn(kgo.TryAbort, "a=9", "c=9", "b")
	r.restore(0)
	txn(kgo.TryCommit, "b=3")
	txn(kgo.TryAbort, "b=4")
	if o := r.restore(0); o.Changelog != 11 {
		t.Errorf("%+v", o)
	}
}

func TestLeadersMoveAndConnectionsBreak(t *testing.T) {
	r := newRig(t, memstore.New(), Config{Memory: 32 << 10, Parallel: 4, Fetch: kafka.FetchConfig{PartitionBytes: 2 << 10}})
	for p := range int32(partitions) {
		r.write(p, series("k", 0, 2000)...)
	}
	var wg sync.WaitGroup
	for p := range int32(partitions) {
		wg.Go(func() { r.restore(p) })
	}
	for i := range int32(20) {
		if err := r.cluster.MoveTopicPartition(topic, i%partitions, i%3); err != nil {
			t.Error(err)
		}
		r.net.Cut("")
	}
	wg.Wait()
}

func TestWhatCanNotBeCompletedIsWiped(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, r *rig){
		"truncated": func(t *testing.T, r *rig) {
			r.write(0, series("x", 0, 100)...)
			if err := r.cluster.DeleteRecords(topic, 0, -1); err != nil {
				t.Fatal(err)
			}
			r.want[0] = map[string]string{}
			r.write(0, "y=1")
		},
		"too old": func(t *testing.T, r *rig) {
			r.manager.cfg.Now = func() int64 { return 100*hour + 12*hour + 1 }
			r.write(0, "y=1")
		},
		"made anew": func(t *testing.T, r *rig) {
			if err := r.cluster.DeleteTopic(topic); err != nil {
				t.Fatal(err)
			}
			if err := r.cluster.CreateTopic(topic, partitions, nil); err != nil {
				t.Fatal(err)
			}
			r.writer.PurgeTopicsFromClient(topic)
			r.want[0] = map[string]string{}
			r.write(0, "y=1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onEngines(t, func(t *testing.T, e state.Engine) {
				r := newRig(t, e, Config{})
				r.write(0, series("k", 0, 300)...)
				r.restore(0)
				spoil(t, r)
				r.restore(0)
				if n := r.manager.Progress().Wipes; n != 1 {
					t.Errorf("%d wipes", n)
				}
				r.write(0, "z=1")
				r.restore(0)
				if n := r.manager.Progress().Wipes; n != 1 {
					t.Errorf("%d wipes", n)
				}
			})
		})
	}
}

// The log is truncated while it is read.
func TestTruncatedOnTheWay(t *testing.T) {
	r := newRig(t, memstore.New(), Config{Memory: 8 << 10, Parallel: 1, Fetch: kafka.FetchConfig{PartitionBytes: 1 << 10}})
	for i := range 40 {
		r.write(0, series("k", 100*i, 100*i+100)...)
	}
	r.want[0] = map[string]string{}
	for _, row := range series("k", 3900, 4000) {
		k, v, _ := strings.Cut(row, "=")
		r.want[0][k] = v
	}
	s := r.store(0)
	gate := gateAt(&s, 150)
	done := make(chan error, 1)
	go func() {
		_, err := r.manager.Restore(context.Background(), record.TaskID{Sub: 1}, []Store{s})
		done <- err
	}()
	<-gate.reached // some of it is in the engine, little of the rest can be on its way
	if err := r.cluster.DeleteRecords(topic, 0, 3900); err != nil {
		t.Fatal(err)
	}
	close(gate.goOn)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := rows(t, r.store(0).Engine); !maps.Equal(got, r.want[0]) {
		t.Errorf("%d rows, want %d", len(got), len(r.want[0]))
	}
	if n := r.manager.Progress().Wipes; n != 1 {
		t.Errorf("%d wipes", n)
	}
}

// gate stops a restore at its nth record.
type gate struct{ reached, goOn chan struct{} }

func gateAt(s *Store, n int) gate {
	g := gate{make(chan struct{}), make(chan struct{})}
	at(s, n, func() { close(g.reached); <-g.goOn })
	return g
}

// at calls f before the nth record of a restore.
func at(s *Store, n int, f func()) {
	spec := *s.Spec
	next := spec.FromChangelog
	spec.FromChangelog = func(dst []byte, rec record.Raw) ([]byte, []byte, error) {
		if n--; n == 0 {
			f()
		}
		return next(dst, rec)
	}
	s.Spec = &spec
}

// A restore that is cancelled leaves what has reached the engine, and the next one goes on from there.
func TestCancelAndGoOn(t *testing.T) {
	onEngines(t, func(t *testing.T, e state.Engine) {
		r := newRig(t, e, Config{Memory: 8 << 10, Parallel: 1, Fetch: kafka.FetchConfig{PartitionBytes: 1 << 10}})
		for i := range 20 {
			r.write(0, series("k", 100*i, 100*i+100)...)
		}
		s := r.store(0)
		ctx, cancel := context.WithCancelCause(t.Context())
		revoked := errors.New("the task was revoked")
		at(&s, 950, func() { cancel(revoked) })
		if _, err := r.manager.Restore(ctx, record.TaskID{Sub: 1}, []Store{s}); !errors.Is(err, revoked) {
			t.Fatal(err)
		}
		stored, ok, err := s.Space.Offset("counts")
		if err != nil || !ok || stored.Changelog == 0 || stored.Changelog >= 2000 {
			t.Fatalf("%+v, %v, %v", stored, ok, err)
		}
		if got := rows(t, r.store(0).Engine); int64(len(got)) != stored.Changelog {
			t.Errorf("%d rows at offset %d", len(got), stored.Changelog)
		}
		before := r.manager.Progress().Records
		r.restore(0)
		if n := r.manager.Progress().Records - before; n != 2000-stored.Changelog {
			t.Errorf("%d records were read from %d on", n, stored.Changelog)
		}
	})
}

func TestErrorsHaveCoordinates(t *testing.T) {
	r := newRig(t, memstore.New(), Config{})
	r.write(2, "a=1", "b=2")
	s := r.store(2)
	broken := r.spec
	broken.FromChangelog = func(dst []byte, rec record.Raw) ([]byte, []byte, error) {
		if rec.Offset == 1 {
			return nil, nil, errors.New("not a row")
		}
		return rec.Key, rec.Value, nil
	}
	s.Spec = &broken
	other := r.store(3)
	r.write(3, "c=3")
	_, err := r.manager.Restore(t.Context(), record.TaskID{Sub: 1, Partition: 2}, []Store{other, s})
	var re *Error
	if !errors.As(err, &re) || re.Task != (record.TaskID{Sub: 1, Partition: 2}) || re.Store != "counts" || re.At.TopicPartition != s.Changelog ||
		!strings.HasPrefix(err.Error(), "task 1_2: store counts: app-counts-changelog/2@") || !strings.Contains(err.Error(), "not a row") {
		t.Errorf("%v", err)
	}
	r.restore(2) // it was no fault of the changelog
	missing := r.store(0)
	missing.Changelog.Topic = "gone"
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.manager.Restore(ctx, record.TaskID{}, []Store{missing}); err == nil {
		t.Error("a changelog that does not exist: no error")
	}
}

func TestOneRestorePerChangelog(t *testing.T) {
	r := newRig(t, memstore.New(), Config{})
	r.write(0, "a=1")
	s := r.store(0)
	gate := gateAt(&s, 1)
	done := make(chan error, 1)
	go func() {
		_, err := r.manager.Restore(context.Background(), record.TaskID{Sub: 1}, []Store{s})
		done <- err
	}()
	<-gate.reached
	if p := r.manager.Progress(); p.Stores != 1 || p.Remaining != 1 || p.Records != 0 {
		t.Errorf("%+v", p)
	}
	if _, err := r.manager.Restore(t.Context(), record.TaskID{Sub: 7}, []Store{r.store(0)}); err == nil || !strings.Contains(err.Error(), "by store counts of task 1_0") {
		t.Errorf("%v", err)
	}
	close(gate.goOn)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestStoppedManager(t *testing.T) {
	r := newRig(t, memstore.New(), Config{})
	r.write(0, "a=1")
	m := New(r.client, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Restore(t.Context(), record.TaskID{}, []Store{r.store(0)}); !errors.Is(err, ErrStopped) {
		t.Errorf("%v", err)
	}
}
