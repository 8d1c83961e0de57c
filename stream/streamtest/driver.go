package streamtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/topology"
)

// AppID is the application id that a driver gives its program, the beginning of internal topic names.
const AppID = "test"

// DeadLetterTopic is where dead letters go.
const DeadLetterTopic = AppID + "-dlq"

// Driver runs a program. Its methods may be called from any goroutine, one at a time.
type Driver struct {
	mu     sync.Mutex
	opts   options
	topo   *topology.Topology
	worker *engine.Worker
	shop   *engine.Workshop
	now    int64
	err    error
	number int64
	closed bool

	topics map[string]*topic
	queue  []delivery
	most   int // records that a task does before the next commit, and that are delivered at once
	gens   map[record.TopicPartition]int64
	spaces []state.Space // that tasks read global tables in
	group  map[record.TopicPartition]engine.Offset

	queries *engine.Queries
}

// topic is the log of a topic, and how far a test has read it.
type topic struct {
	log  []record.Raw
	read int
}

// delivery is what a task is given at once: records of one partition.
type delivery struct {
	tp   record.TopicPartition
	recs []record.Raw
}

// Option changes a driver.
type Option func(*options)

type options struct {
	start    time.Time
	engine   state.Engine
	caching  bool
	twice    bool
	partial  bool
	policy   *dlq.Policy
	noDLQ    bool
	appID    string
	maxBytes int
	maxIdle  int64 // ms; −1: a task never waits for an input that is empty
}

// StartAt sets the driver's clock. The default is 2000-01-01 UTC.
func StartAt(t time.Time) Option { return func(o *options) { o.start = t } }

// NoCaching switches emission buffers off: every update of a table goes downstream at once.
func NoCaching() Option { return func(o *options) { o.caching = false } }

// Twice runs every unit, undoes it, and runs it again.
func Twice() Option { return func(o *options) { o.twice = true } }

// KeepPartial lets a failing record keep the effects it had, as Kafka Streams does.
func KeepPartial() Option { return func(o *options) { o.partial = true } }

// OnError is the application's policy for what fails.
func OnError(rules ...dlq.Rule) Option {
	return func(o *options) { o.policy = dlq.NewPolicy(rules...) }
}

// MaxTaskIdle lets a task with several inputs wait so long, on the driver's clock, for one that is empty. The default is not to
// wait.
func MaxTaskIdle(d time.Duration) Option { return func(o *options) { o.maxIdle = d.Milliseconds() } }

// MaxRecordBytes is the max.message.bytes of every topic that the program writes to, that of dead letters aside. A larger record
// fails as the broker's refusal would. The default is no limit.
func MaxRecordBytes(n int) Option { return func(o *options) { o.maxBytes = n } }

// Engine keeps the stores in an engine of the caller's, who closes it. The default is one in memory.
func Engine(e state.Engine) Option { return func(o *options) { o.engine = e } }

// New starts the program that b holds and stops it at the end of the test.
func New(t testing.TB, b *stream.Builder, opts ...Option) *Driver {
	t.Helper()
	d, err := Open(b, opts...)
	if err != nil {
		t.Fatalf("streamtest: %v", err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("streamtest: close: %v", err)
		}
	})
	return d
}

// Open is [New] without a test. The caller closes the driver.
func Open(b *stream.Builder, opts ...Option) (*Driver, error) {
	o := options{start: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), caching: true, appID: AppID, maxIdle: -1}
	for _, opt := range opts {
		opt(&o)
	}
	topo, err := b.Build(o.appID)
	if err != nil {
		return nil, err
	}
	if o.engine == nil {
		o.engine = memstore.New()
	}
	topo.Unbuffered = !o.caching
	d := &Driver{opts: o, topo: topo, now: o.start.UnixMilli(), topics: map[string]*topic{},
		group: map[record.TopicPartition]engine.Offset{}}
	d.queries = engine.NewQueries(topo, residents{d}, o.engine, o.engine)
	if err := d.begin(); err != nil {
		return nil, err
	}
	return d, nil
}

// begin makes the tasks and brings them to their committed offsets.
func (d *Driver) begin() error {
	d.gens = map[record.TopicPartition]int64{}
	d.queue, d.most = nil, 1
	d.shop = &engine.Workshop{Topology: d.topo, Engine: d.opts.engine, Memory: d.opts.engine}
	d.worker = engine.NewWorker(engine.WorkerConfig{CommitInterval: 1 << 50, InboxBytes: 1 << 40,
		Out: engine.OutConfig{BatchBytes: 1 << 20, UnitBytes: 64 << 20, Topic: d.info,
			Builder:   func(record.TopicPartition) engine.Builder { return &engine.MemBuilder{} },
			Partition: func([]byte, int32) int32 { return 0 }}}, d.now)
	if err := d.openGlobals(); err != nil {
		return err
	}
	for i, sub := range d.topo.Subs {
		id := record.TaskID{Sub: int32(i)}
		prog, err := d.shop.Assemble(id, d.worker.Out, d.now)
		if err != nil {
			return err
		}
		var inputs []record.TopicPartition
		for _, name := range sub.Topics {
			inputs = append(inputs, record.TopicPartition{Topic: name})
		}
		if sub.Global != nil {
			inputs = append(inputs, record.TopicPartition{Topic: sub.Global.Topic})
		}
		t, err := engine.NewTask(engine.TaskConfig{App: d.opts.appID, ID: id, Program: prog, Out: d.worker.Out,
			DeadLetters: DeadLetterTopic, Policy: d.opts.policy, MaxIdle: d.opts.maxIdle, KeepPartial: d.opts.partial,
			Twice: d.opts.twice}, inputs)
		if err != nil {
			return errors.Join(err, prog.Close())
		}
		for _, tp := range inputs {
			o := d.group[tp]
			if err := t.Seek(tp, o.At, o.Metadata); err != nil {
				return err
			}
		}
		d.step(engine.AddTask{Task: t})
		d.step(engine.Restored{ID: id})
		for _, tp := range inputs { // no input holds more than the task has seen
			at, log := d.group[tp].At, d.topic(tp.Topic).log
			d.step(engine.Delivered{TP: tp, Generation: d.gens[tp], Next: at, End: int64(len(log))})
			for _, r := range log[at:] { // what waited for a retry
				d.deliverLater(tp, r)
			}
		}
	}
	return d.settle()
}

// info answers for every topic: they all exist, with one partition.
func (d *Driver) info(name string) (engine.TopicInfo, error) {
	info := engine.TopicInfo{Partitions: 1}
	if name != DeadLetterTopic {
		info.MaxRecordBytes = d.opts.maxBytes
	}
	return info, nil
}

func (d *Driver) topic(name string) *topic {
	t := d.topics[name]
	if t == nil {
		t = &topic{}
		d.topics[name] = t
	}
	return t
}

// pipe appends a record to a topic and processes all that comes of it.
func (d *Driver) pipe(name string, r record.Raw) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.feed(name, []record.Raw{r})
}

// PipeBatch processes records of one topic that arrive as one batch, and what they send to internal topics in batches too. The
// program commits when all of a batch are done, so that tables whose updates are deduped send one for each key.
func (d *Driver) PipeBatch(topic string, records []RawRecord) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var raw []record.Raw
	for _, r := range records {
		raw = append(raw, record.Raw{Key: r.Key, Value: r.Value, Headers: r.Headers, Time: r.Time.UnixMilli()})
	}
	d.most = max(len(raw), 1)
	defer func() { d.most = 1 }()
	return d.feed(topic, raw)
}

func (d *Driver) feed(name string, records []record.Raw) error {
	if err := d.usable(); err != nil {
		return err
	}
	src := d.topo.Source(name)
	if src == nil {
		return fmt.Errorf("%s: no source of the program reads this topic", name)
	}
	for _, r := range records {
		d.append(record.TopicPartition{Topic: name}, r)
	}
	d.topic(name).read = len(d.topic(name).log) // an input is not an output, unless the program writes to it too
	return d.settle()
}

func (d *Driver) usable() error {
	if d.closed {
		return errors.New("the driver is closed")
	}
	if d.err != nil {
		return fmt.Errorf("the program has stopped: %w", d.err)
	}
	return nil
}

// append writes to the log of a topic, and to the inbox of the task that reads it.
func (d *Driver) append(tp record.TopicPartition, r record.Raw) {
	t := d.topic(tp.Topic)
	r.Offset = int64(len(t.log))
	t.log = append(t.log, r)
	if d.topo.Source(tp.Topic) != nil {
		d.deliverLater(tp, r)
	}
}

// deliverLater queues a record behind the others, in the batch of the last one if that may hold more.
func (d *Driver) deliverLater(tp record.TopicPartition, r record.Raw) {
	if n := len(d.queue); n > 0 && d.queue[n-1].tp == tp && len(d.queue[n-1].recs) < d.most {
		d.queue[n-1].recs = append(d.queue[n-1].recs, r)
		return
	}
	d.queue = append(d.queue, delivery{tp, []record.Raw{r}})
}

// settle runs the program until nothing is left to do, with a commit after each record or batch.
func (d *Driver) settle() error {
	for d.err == nil {
		if len(d.queue) > 0 {
			next := d.queue[0]
			d.queue = d.queue[1:]
			d.deliver(next)
		}
		for {
			done, _ := d.worker.Work(d.now, d.most)
			d.obey()
			d.number++
			d.step(engine.Request{Number: d.number})
			if done == 0 || d.err != nil {
				break
			}
		}
		if len(d.queue) == 0 {
			break
		}
	}
	return d.err
}

func (d *Driver) deliver(x delivery) {
	d.assign(x.tp)
	next := x.recs[len(x.recs)-1].Offset + 1
	batch := engine.NewRecords(x.recs, next)
	d.step(engine.Delivered{TP: x.tp, Generation: d.gens[x.tp], Batches: []engine.Batch{batch}, Next: next, End: next})
}

// assign gives a topic that a pattern matches to the task that reads it.
func (d *Driver) assign(tp record.TopicPartition) {
	if _, ok := d.gens[tp]; ok {
		return
	}
	sub, at := d.topo.Source(tp.Topic).Sub, d.group[tp]
	d.step(engine.AddInput{ID: record.TaskID{Sub: int32(sub)}, TP: tp, From: at.At, Metadata: at.Metadata})
}

func (d *Driver) step(ev engine.Event) {
	d.worker.Step(d.now, ev)
	d.obey()
}

// obey does what a broker and a group would.
func (d *Driver) obey() {
	for acts := d.worker.Actions(); len(acts) > 0; acts = d.worker.Actions() {
		for _, a := range acts {
			switch a := a.(type) {
			case engine.Send:
				base := int64(len(d.topic(a.TP.Topic).log))
				for _, r := range a.Batch.(engine.MemBatch) {
					d.append(a.TP, r)
				}
				d.worker.Step(d.now, engine.Acked{Sent: a.Sent, Base: base})
			case engine.CommitOffsets:
				for tp, o := range a.Offsets {
					d.group[tp] = o
				}
				d.worker.Step(d.now, engine.OffsetsDone{})
			case engine.Applied:
				d.queries.Changed()
			case engine.Fetch:
				d.gens[a.TP] = a.Generation
			case engine.Committed:
				d.fail(a.Err)
			case engine.Released:
				d.fail(a.Err)
			case engine.Failed:
				d.fail(a.Err)
			}
		}
	}
}

func (d *Driver) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Advance moves the driver's clock and fires the wall-clock punctuations that are due.
func (d *Driver) Advance(by time.Duration) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	d.now += by.Milliseconds()
	return d.settle()
}

// Now is the driver's clock.
func (d *Driver) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.UnixMilli(d.now).UTC()
}

// Restart stops the program cleanly and starts it again on the same stores and offsets.
func (d *Driver) Restart() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(); err != nil {
		return err
	}
	if err := d.stop(); err != nil {
		return err
	}
	return d.begin()
}

func (d *Driver) stop() error {
	defer d.closeGlobals()
	var ids []record.TaskID
	for _, t := range d.worker.Tasks() {
		ids = append(ids, t.ID)
	}
	d.number++
	d.step(engine.Release{Number: d.number, Tasks: ids})
	d.step(engine.Lose{Tasks: ids}) // what a failed worker could not release
	return d.err
}

// Close stops the program. A driver that has failed closes without an error: the call that met the failure has returned it.
func (d *Driver) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	over, cancel := context.WithCancel(context.Background())
	cancel() // the test's loops have ended
	if err := d.queries.Close(over); err != nil {
		return err
	}
	failed := d.err != nil
	if err := d.stop(); err != nil && !failed {
		return err
	}
	return nil
}

// Stats sums what became of the records: consumed = completed + dead-lettered + skipped + retrying.
func (d *Driver) Stats() engine.Counters {
	d.mu.Lock()
	defer d.mu.Unlock()
	var sum engine.Counters
	for _, t := range d.worker.Tasks() {
		sum.Add(t.Counts)
	}
	return sum
}
