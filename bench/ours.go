package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Ours are applications as a user writes them, with the defaults, but for: one worker, so that what a function adds up needs no
// lock; the state in the job's directory; what is written compressed as the input is.

func oursConfig(j *job) stream.Config {
	return stream.Config{
		ApplicationID: j.App, Brokers: j.Brokers, StateDir: j.Dir, Workers: 1, Compression: stream.Codec(j.Codec),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
}

// runOurs runs an application until done says so, and then until it has stopped: that includes the last commit.
func runOurs(ctx context.Context, b *stream.Builder, cfg stream.Config, done func(ctx context.Context, app *stream.App) error) error {
	app, err := stream.New(b, cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- app.Run(ctx)
		cancel() // it may have stopped by itself
	}()
	err = done(ctx, app)
	cancel()
	if stopped := <-ended; stopped != nil {
		return stopped
	}
	return err
}

// tally counts the records that a function of the topology has seen.
type tally struct {
	meter   *meter
	records int64
	sum     uint64
	want    int64
	all     chan struct{} // closed when there are as many as wanted
}

func newTally(j *job, m *meter) *tally {
	return &tally{meter: m, want: j.Records, all: make(chan struct{})}
}

func (t *tally) add(number uint64) {
	if t.records == 0 {
		t.meter.first()
	}
	t.sum += number
	if t.records++; t.records == t.want {
		close(t.all)
	}
}

func (t *tally) wait(ctx context.Context, _ *stream.App) error {
	select {
	case <-t.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func oursConsume(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b, t := stream.NewBuilder(), newTally(j, m)
	stream.From(b, j.Input, serde.BytesView, serde.BytesView).ForEach(func(_, v []byte) { t.add(numberOf(v)) })
	err := runOurs(ctx, b, oursConfig(j), t.wait)
	return t.records, t.sum, err
}

func oursJoin(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b, t := stream.NewBuilder(), newTally(j, m)
	table := stream.TableFrom(b, j.Table, serde.BytesView, serde.BytesView, stream.As("table"))
	left := stream.From(b, j.Input, serde.BytesView, serde.BytesView)
	joined := stream.JoinTable(left, table, func(_, l, r []byte) uint64 { return joinSum(l, r) })
	joined.ForEach(func(_ []byte, sum uint64) { t.add(sum) })
	err := runOurs(ctx, b, oursConfig(j), t.wait)
	return t.records, t.sum, err
}

// The clock of what writes starts when the application runs, just before its first record.
func oursPass(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	stream.From(b, j.Input, serde.BytesView, serde.BytesView).To(j.Output)
	return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
}

// scrapedPass is oursPass with its metrics served, and read more often than anyone would. Reading costs the measured process, too.
func scrapedPass(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	stream.From(b, j.Input, serde.BytesView, serde.BytesView).To(j.Output)
	cfg := oursConfig(j)
	cfg.MetricsAddr = "localhost:0"
	return oursUntilCommitted(ctx, b, cfg, j, m)
}

// scrapes is how often metrics are read where they are.
const scrapes = time.Second

// scrape reads the metrics until ctx ends.
func scrape(ctx context.Context, app *stream.App) {
	tick := time.NewTicker(scrapes)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if res, err := http.Get("http://" + app.MetricsAddr() + "/metrics"); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
}

func oursCount(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	b := stream.NewBuilder()
	counts := stream.From(b, j.Input, serde.BytesView, serde.BytesView).GroupByKey().Count(stream.As("counts"))
	counts.ToStream().To(j.Output)
	return oursUntilCommitted(ctx, b, oursConfig(j), j, m)
}

func oursUntilCommitted(ctx context.Context, b *stream.Builder, cfg stream.Config, j *job, m *meter) (records int64, sum uint64, err error) {
	cfg.Listener = func(_, to stream.State) {
		if to == stream.Running {
			m.first()
		}
	}
	err = runOurs(ctx, b, cfg, func(ctx context.Context, app *stream.App) error {
		if cfg.MetricsAddr != "" {
			go scrape(ctx, app)
		}
		records, err = awaitCommitted(ctx, j)
		return err
	})
	return records, 0, err
}

// commitPoll is how often the committed offsets are looked at. It costs the measured process next to nothing.
const commitPoll = 20 * time.Millisecond

// awaitCommitted returns when the group has committed the whole input.
func awaitCommitted(ctx context.Context, j *job) (int64, error) {
	c, err := admin(j.Brokers)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	tick := time.NewTicker(commitPoll)
	defer tick.Stop()
	for {
		n, err := committed(ctx, c, j)
		if err != nil || n >= j.Records {
			return n, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return n, ctx.Err()
		}
	}
}

// committed is how many records of the input lie before the group's offsets.
func committed(ctx context.Context, c *kgo.Client, j *job) (n int64, err error) {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group = j.App
	t := kmsg.NewOffsetFetchRequestTopic()
	t.Topic = j.Input
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = j.App
	gt := kmsg.NewOffsetFetchRequestGroupTopic()
	gt.Topic = j.Input
	for p := range j.Ends {
		t.Partitions = append(t.Partitions, int32(p))
		gt.Partitions = append(gt.Partitions, int32(p))
	}
	req.Topics, g.Topics = append(req.Topics, t), append(g.Topics, gt)
	req.Groups = append(req.Groups, g)
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return 0, err
	}
	// From version 8 on the answer has groups; franz-go may fill in both forms.
	if len(res.Groups) == 0 {
		for _, t := range res.Topics {
			for _, p := range t.Partitions {
				n += max(p.Offset, 0)
			}
		}
	}
	for _, g := range res.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				n += max(p.Offset, 0)
			}
		}
	}
	return n, nil
}

// oursRestore starts an application whose store is only in its changelog. The clock runs from its start until all
// tasks are restored; then the store is read through.
func oursRestore(ctx context.Context, j *job, m *meter) (int64, uint64, error) {
	j.App = restoreApp(j.Codec) // the changelog's
	b := stream.NewBuilder()
	store := stream.KeyValue(restoreStore, serde.Bytes, serde.Bytes)
	a := &audit{store: store}
	in := stream.From(b, j.Output, serde.Bytes, serde.Bytes) // empty
	stream.Process(in, func() *auditor { return &auditor{audit: a} }, []stream.StoreRef{store})
	if err := commitBeginning(ctx, j); err != nil {
		return 0, 0, err
	}
	m.first()
	err := runOurs(ctx, b, oursConfig(j), func(ctx context.Context, _ *stream.App) error {
		if err := a.wait(ctx, "restored", &a.restored); err != nil {
			return err
		}
		m.end()
		a.begin.Store(true)
		return a.wait(ctx, "read", &a.read)
	})
	return a.records.Load(), a.sum.Load(), err
}

// commitBeginning makes the application one that has run before: a changelog without committed offsets would be a group that
// has lost them, and stop it.
func commitBeginning(ctx context.Context, j *job) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(j.Brokers...), kgo.MaxVersions(kversion.V2_8_0())) // topics by name
	if err != nil {
		return err
	}
	defer c.Close()
	req := kmsg.NewPtrOffsetCommitRequest()
	req.Group, req.Generation = j.App, -1
	topic := kmsg.NewOffsetCommitRequestTopic()
	topic.Topic = j.Output
	for p := range int32(partitions) {
		at := kmsg.NewOffsetCommitRequestTopicPartition()
		at.Partition = p
		topic.Partitions = append(topic.Partitions, at)
	}
	req.Topics = append(req.Topics, topic)
	res, err := req.RequestWith(ctx, c)
	if err != nil {
		return err
	}
	for _, t := range res.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("offset of %s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// audit reads the store of every task once it may.
type audit struct {
	store    stream.KVRef[[]byte, []byte]
	begin    atomic.Bool
	restored atomic.Int32 // tasks
	read     atomic.Int32 // tasks
	records  atomic.Int64
	sum      atomic.Uint64
}

// wait returns when all tasks are counted in n.
func (a *audit) wait(ctx context.Context, what string, n *atomic.Int32) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n.Load() < partitions {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), fmt.Errorf("%d of %d stores %s", n.Load(), partitions, what))
		}
	}
	return nil
}

type auditor struct {
	*audit
	kept        stream.KVStore[[]byte, []byte]
	ready, done bool
}

func (a *auditor) Init(ctx *stream.InitContext[[]byte, []byte]) error {
	a.kept = a.store.Open(ctx)
	ctx.EveryWallClock(10*time.Millisecond, func(*stream.ProcessContext[[]byte, []byte], time.Time) error {
		if !a.ready { // a timer runs only in a task that has been restored
			a.ready = true
			a.restored.Add(1)
		}
		if a.done || !a.begin.Load() {
			return nil
		}
		a.done = true
		for _, v := range a.kept.All() {
			a.records.Add(1)
			a.sum.Add(numberOf(v))
		}
		a.read.Add(1)
		return nil
	})
	return nil
}

func (a *auditor) Process(*stream.ProcessContext[[]byte, []byte], stream.Record[[]byte, []byte]) error {
	return nil
}
