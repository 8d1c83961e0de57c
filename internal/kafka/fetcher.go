package kafka

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// FetchConfig configures a Fetcher. The zero value has the documented defaults.
type FetchConfig struct {
	MaxWait        time.Duration // of a poll without data; 500 ms
	MinBytes       int32         // that end a poll; 1
	PartitionBytes int32         // asked per partition and poll; 1 MiB. A larger batch comes all the same
	BrokerBytes    int32         // asked per broker and poll; 16 MiB
	ReadCommitted  bool
	// DecompressLimit bounds one decompressed batch; 128 MiB.
	DecompressLimit int
	Logger          *slog.Logger
}

func (c FetchConfig) withDefaults() FetchConfig {
	c.MaxWait = orElse(c.MaxWait, 500*time.Millisecond)
	c.MinBytes = orElse(c.MinBytes, 1)
	c.PartitionBytes = orElse(c.PartitionBytes, 1<<20)
	c.BrokerBytes = orElse(c.BrokerBytes, 16<<20)
	c.DecompressLimit = orElse(c.DecompressLimit, DefaultDecompressLimit)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Fetched is what one answer held of one partition.
type Fetched struct {
	TP record.TopicPartition
	// Position is the offset that was asked: records below it, which a batch may begin with, have been seen already.
	Position int64
	// Batches hold the records to process, in order. The receiver owns one reference to each and releases it.
	Batches []*Batch
	// Next is the position after this answer. It moves past batches that hold nothing for us (empty ones, markers,
	// aborted transactions), so it can grow while Batches is empty.
	Next int64
	// HighWatermark, LastStable and LogStart are the broker's, -1 if it did not say. A reader is at the end when Next
	// has reached HighWatermark (LastStable if it reads committed records); a short answer says nothing.
	HighWatermark, LastStable, LogStart int64
	// Err, if not nil, stopped the partition after these batches: *OffsetOutOfRangeError, *CorruptError, *FetchError.
	// It is fetched no more until it is added again.
	Err error
}

// fetchWire is what a fetcher needs of a client.
type fetchWire interface {
	version(ctx context.Context, node int32, key, max int16) (int16, error)
	exchangeRaw(ctx context.Context, node int32, key, version int16, flexible bool, body [][]byte, alloc func(size int) ([]byte, error)) ([]byte, error)
	leader(ctx context.Context, tp record.TopicPartition) (Leader, error)
	Refresh(ctx context.Context, topics ...string) error
}

// Fetcher reads partitions, each from a position on: a long poll per broker over all its partitions, and the next one
// while the last answer is decoded. All methods but Run may be called from any goroutine, before and while Run runs.
type Fetcher struct {
	wire    fetchWire
	cfg     FetchConfig
	timeout time.Duration // beyond a poll's wait
	deliver func([]Fetched)

	// delivery is held over each call of deliver, so that Remove can wait for one that runs. Taken before mu.
	delivery sync.Mutex
	told     map[record.TopicPartition]fetchMarks // what the receiver knows beside records

	mu      sync.Mutex
	machine *fetchMachine
	early   []fetchAction // before Run
	brokers map[int32]*fetchBroker
	lookups []fetchLookup
	running bool
	run     context.Context
	tasks   sync.WaitGroup

	kickTimer, kickLookup chan struct{} // capacity 1
}

// fetchBroker is the pair of goroutines' mailboxes of one broker.
type fetchBroker struct {
	asks   [fetchSlots]chan *fetchPoll // capacity 1: a slot has one poll at a time
	decode chan *fetchBody             // unbuffered: one answer is decoded, one may wait, none more
}

// NewFetcher makes a fetcher. deliver is called with what one answer holds, one call at a time; it must not block, and
// must not call Remove or Add of the fetcher (Pause and Resume are fine).
func (c *Client) NewFetcher(cfg FetchConfig, deliver func([]Fetched)) *Fetcher {
	if cfg.Logger == nil {
		cfg.Logger = c.cfg.Logger
	}
	cfg.DecompressLimit = orElse(cfg.DecompressLimit, c.cfg.MaxBatchBytes)
	return newFetcher(c, cfg, c.cfg.RequestTimeout, deliver)
}

func newFetcher(wire fetchWire, cfg FetchConfig, timeout time.Duration, deliver func([]Fetched)) *Fetcher {
	cfg = cfg.withDefaults()
	cfg.MaxWait = min(cfg.MaxWait, timeout/2)
	limits := fetchLimits{
		maxWait: cfg.MaxWait, sideWait: fetchSideWait, holdWait: fetchHoldWait,
		backoff: fetchBackoff, backoffMax: fetchBackoffMax, unknownAfter: fetchUnknownAfter,
		partitionBytes: cfg.PartitionBytes, responseBytes: maxFetchAnswer,
	}
	return &Fetcher{
		wire: wire, cfg: cfg, timeout: timeout, deliver: deliver,
		machine:    newFetchMachine(limits, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))),
		told:       map[record.TopicPartition]fetchMarks{},
		brokers:    map[int32]*fetchBroker{},
		kickTimer:  make(chan struct{}, 1),
		kickLookup: make(chan struct{}, 1),
	}
}

// Add reads tp from offset on. If it is being read already, it starts anew there: what is on its way is dropped.
func (f *Fetcher) Add(tp record.TopicPartition, offset int64) {
	f.delivery.Lock()
	defer f.delivery.Unlock()
	f.step(fetchAdd{tp, offset})
}

// Remove stops reading tp. Nothing of it is delivered after Remove has returned.
func (f *Fetcher) Remove(tp record.TopicPartition) {
	f.delivery.Lock() // a delivery that runs ends first
	defer f.delivery.Unlock()
	delete(f.told, tp)
	f.step(fetchRemove{tp})
}

// Pause asks for no more of tp until Resume. What was asked already is still delivered: at most one poll's share.
func (f *Fetcher) Pause(tp record.TopicPartition) { f.step(fetchPause{tp}) }

// Resume asks for tp again, at once: it does not wait for a running poll.
func (f *Fetcher) Resume(tp record.TopicPartition) { f.step(fetchResume{tp}) }

// Run fetches until ctx is done, and returns when all it started has ended.
func (f *Fetcher) Run(ctx context.Context) error {
	f.mu.Lock()
	f.run, f.running = ctx, true
	f.dispatch(f.early)
	f.early = nil
	f.mu.Unlock()
	f.tasks.Add(2)
	go f.runTimer(ctx)
	go f.runLookups(ctx)
	<-ctx.Done()
	f.mu.Lock()
	f.running = false // no new brokers
	f.mu.Unlock()
	f.tasks.Wait()
	return nil
}

// step feeds the machine and does what it says. Nothing here blocks: mailboxes have room for what a machine can ask.
func (f *Fetcher) step(ev fetchEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.machine.wake
	f.dispatch(f.machine.step(time.Now(), ev))
	if f.machine.wake != before {
		kick(f.kickTimer)
	}
}

// dispatch is called with mu held.
func (f *Fetcher) dispatch(actions []fetchAction) {
	if !f.running {
		if f.run == nil {
			f.early = append(f.early, actions...)
		}
		return
	}
	for _, a := range actions {
		switch a := a.(type) {
		case fetchAsk:
			f.broker(a.poll.node).asks[a.poll.slot] <- a.poll
		case fetchLookup:
			f.lookups = append(f.lookups, a)
			kick(f.kickLookup)
		case fetchStop:
			f.tasks.Go(func() { f.tellStop(a) })
		}
	}
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// broker returns the goroutines of a broker, which live until Run ends.
func (f *Fetcher) broker(node int32) *fetchBroker {
	b := f.brokers[node]
	if b == nil {
		b = &fetchBroker{decode: make(chan *fetchBody)}
		f.brokers[node] = b
		f.tasks.Add(fetchSlots + 1)
		for i := range b.asks {
			b.asks[i] = make(chan *fetchPoll, 1)
			go f.runPolls(f.run, b, b.asks[i])
		}
		go f.runDecoder(f.run, b)
	}
	return b
}

// tellStop delivers an error that belongs to no answer.
func (f *Fetcher) tellStop(a fetchStop) {
	f.delivery.Lock()
	defer f.delivery.Unlock()
	f.mu.Lock()
	p := f.machine.parts[a.tp]
	current := p != nil && p.gen == a.gen
	f.mu.Unlock()
	if current && f.run.Err() == nil {
		f.deliver([]Fetched{{TP: a.tp, Next: a.next, HighWatermark: -1, LastStable: -1, LogStart: -1, Err: a.err}})
	}
}

// runTimer tells the machine when its next deadline has come.
func (f *Fetcher) runTimer(ctx context.Context) {
	defer f.tasks.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		f.mu.Lock()
		wake := f.machine.wake
		f.mu.Unlock()
		if wake.IsZero() {
			timer.Reset(time.Hour)
		} else {
			timer.Reset(time.Until(wake))
		}
		select {
		case <-ctx.Done():
			return
		case <-f.kickTimer:
		case <-timer.C:
			f.step(fetchTick{})
		}
	}
}
