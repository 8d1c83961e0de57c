package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	defaultInFlight        = 5
	defaultRequestBytes    = 1 << 20
	defaultDeliveryTimeout = 5 * time.Minute

	// Requests go over different connections, so two batches of one partition could overtake each other; the second
	// would be refused and sent again. One at a time is faster.
	partitionWindow = 1

	// While a request is on its way to a broker, a smaller one than mergeBytes waits for more batches, but not for
	// longer than mergeWait after the last. It saves requests under load and costs nothing without.
	mergeBytes = 128 << 10
	mergeWait  = 2 * time.Millisecond

	maxProduceAnswer = 16 << 20 // a line for each record of a batch
)

// Producer sends batches to the leaders of their partitions, each exactly once per partition and in order (the rules are
// the sequencer's). It is safe for concurrent use.
type Producer struct {
	c        *Client
	cfg      ProducerConfig
	done     func(Ack)
	wake     chan struct{}
	buffered atomic.Int64

	mu    sync.Mutex
	inbox []any
	ended error // Run has returned

	seq *sequencer     // belongs to Run, as does
	txn *transactor    // of a transactional producer
	wg  sync.WaitGroup // requests and lookups
}

// machine is what Run drives: the sequencer, or the transactor around it.
type machine interface {
	Step(now time.Time, events ...any) *actions
	Wake() time.Time
	idle() bool
}

// NewProducer returns a producer whose Run has to be called. done is called by Run for every batch, in the order of Send
// per partition; it must not block for long, and the batch must not be used after it.
func (c *Client) NewProducer(cfg ProducerConfig, done func(Ack)) *Producer {
	r := c.cfg.Rand
	if r == nil {
		r = rand.Float64
	}
	p := &Producer{c: c, cfg: cfg, done: done, wake: make(chan struct{}, 1), seq: newSequencer(sequencerConfig{
		window:       partitionWindow,
		maxInFlight:  cmp.Or(cfg.MaxInFlight, defaultInFlight),
		requestBytes: cmp.Or(cfg.RequestBytes, defaultRequestBytes),
		mergeBytes:   mergeBytes,
		mergeWait:    mergeWait,
		delivery:     cmp.Or(cfg.DeliveryTimeout, defaultDeliveryTimeout),
		backoff:      c.cfg.RetryBackoff,
		maxBackoff:   c.cfg.MaxRetryBackoff,
		rand:         r,
		codec:        cfg.Codec,

		transactional: cfg.TransactionalID != "",
	})}
	if cfg.TransactionalID != "" {
		p.cfg.TransactionTimeout = cmp.Or(cfg.TransactionTimeout, defaultTxnTimeout)
		alone := map[string]bool{}
		for _, topic := range cfg.AddAlone {
			alone[topic] = true
		}
		p.txn = newTransactor(transactorConfig{id: cfg.TransactionalID, timeout: p.cfg.TransactionTimeout,
			protocol1: cfg.Protocol1, alone: alone}, p.seq)
	}
	return p
}

func (p *Producer) machine() machine {
	if p.txn != nil {
		return p.txn
	}
	return p.seq
}

// Send hands a batch over for its partition. It never blocks: who sends faster than brokers take looks at Buffered.
func (p *Producer) Send(tp record.TopicPartition, b *OutBatch) {
	p.buffered.Add(int64(b.Bytes()))
	if err := p.post(sendEvent{tp, b}); err != nil {
		p.acknowledge(Ack{Batch: b, TP: tp, BaseOffset: -1, Err: &ProduceError{TP: tp, Cause: err}})
	}
}

// Flush sends what waits for company. It does not wait; the acks tell when everything has arrived.
func (p *Producer) Flush() { p.post(flushEvent{}) }

// Buffered returns the bytes of the batches that are not acknowledged.
func (p *Producer) Buffered() int { return int(p.buffered.Load()) }

// post queues an event for Run.
func (p *Producer) post(ev any) error {
	p.mu.Lock()
	if p.ended != nil {
		p.mu.Unlock()
		return p.ended
	}
	p.inbox = append(p.inbox, ev)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
	return nil
}

func (p *Producer) take(into []any) []any {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.inbox
	p.inbox = into[:0]
	return taken
}

var errProducerEnded = errors.New("the producer has ended")

// Run works until ctx ends, then fails what is not acknowledged and returns nil. It returns an error if no broker gives
// a producer id; everything sent fails with it. With a transactional id this may be a *[FencedError], at any time. A
// transaction that is open then stays so until the coordinator finds it too old, or the next producer with the id comes:
// End it before. When Run returns, nothing it started runs, and Send and End call back themselves, with an error.
func (p *Producer) Run(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var events []any
	ended := ctx.Done()
	m := p.machine()
	for {
		now := time.Now()
		p.perform(ctx, m.Step(now, events...))
		clear(events)
		if p.seq.stopped != nil && m.idle() {
			return p.end(ctx)
		}
		if at := m.Wake(); !at.IsZero() {
			timer.Reset(max(at.Sub(now), 0))
		} else {
			timer.Stop()
		}
		events = events[:0]
		select {
		case <-p.wake:
			events = p.take(events)
		case <-timer.C:
		case <-ended:
			ended = nil
			events = append(p.take(events), stopEvent{context.Cause(ctx)})
		}
	}
}

// end waits for everything Run started and answers what was sent meanwhile.
func (p *Producer) end(ctx context.Context) error {
	p.wg.Wait() // with ctx done or after a refusal nothing here waits long
	p.mu.Lock()
	p.ended = fmt.Errorf("%w: %w", errProducerEnded, p.seq.stopped)
	p.mu.Unlock()
	p.perform(ctx, p.machine().Step(time.Now(), p.take(nil)...))
	if errors.Is(p.seq.stopped, context.Cause(ctx)) {
		return nil
	}
	return p.seq.stopped
}

func (p *Producer) perform(ctx context.Context, acts *actions) {
	acked := 0
	for _, e := range acts.ends {
		for ; acked < e.acks; acked++ {
			p.acknowledge(acts.acks[acked])
		}
		p.txnEnded(e.TxnEnd)
	}
	for _, a := range acts.acks[acked:] {
		p.acknowledge(a)
	}
	for _, call := range acts.calls {
		p.wg.Go(func() { p.post(p.ask(ctx, call)) })
	}
	for _, r := range acts.requests {
		p.wg.Go(func() { p.exchange(ctx, r) })
	}
	if len(acts.lookups) > 0 {
		byTopic := map[string][]lookup{}
		for _, l := range acts.lookups {
			byTopic[l.tp.Topic] = append(byTopic[l.tp.Topic], l)
		}
		for topic, ls := range byTopic {
			p.wg.Go(func() { p.lookup(ctx, topic, ls) })
		}
	}
	if acts.identify {
		p.wg.Go(func() {
			id, err := p.c.initProducer(ctx)
			p.post(identityEvent{id, err})
		})
	}
}

func (p *Producer) acknowledge(a Ack) {
	size := int64(a.Batch.Bytes())
	p.done(a)
	a.Batch.Release()
	p.buffered.Add(-size)
}

// lookup finds the leaders of partitions of one topic.
func (p *Producer) lookup(ctx context.Context, topic string, ls []lookup) {
	var err error
	for _, l := range ls {
		if l.refresh {
			err = p.c.Refresh(ctx, topic)
			break
		}
	}
	for _, l := range ls {
		ev := leaderEvent{tp: l.tp, err: err}
		if err == nil {
			var leader Leader
			leader, ev.err = p.c.leader(ctx, l.tp)
			ev.node = leader.Node
		}
		p.post(ev)
	}
}

// exchange sends one request and posts how it ended.
func (p *Producer) exchange(ctx context.Context, r *produceRequest) {
	ev := answerEvent{request: r}
	ev.results, ev.unknown, ev.err = p.produce(ctx, r)
	if ev.err != nil {
		// Only a ConnError knows that nothing was sent; a context that ended does not.
		var conn *ConnError
		var version *VersionError
		ev.unknown = ev.unknown || !errors.As(ev.err, &version) && !(errors.As(ev.err, &conn) && !conn.Sent)
	}
	p.post(ev)
}

// produce sends a request. repeated tells that the broker may have seen it before it answered.
func (p *Producer) produce(ctx context.Context, r *produceRequest) (results []produceResult, repeated bool, err error) {
	key := int16(kmsg.Produce)
	highest := int16(produceVersion)
	if r.v2 {
		highest = produceVersionV2
	}
	version, err := p.c.version(ctx, r.node, key, highest)
	if err == nil && r.v2 && version < produceVersionV2 {
		err = &VersionError{API: key, Node: r.node, Min: produceVersionV2, Max: produceVersionV2, BrokerMax: version}
	}
	if err != nil {
		return nil, false, err
	}
	// The broker gives up before we do, so that its answer, which says more than silence, arrives.
	m := &message{node: r.node, key: key, version: version, flexible: version >= produceFlexible}
	m.body = r.encode(version, p.cfg.TransactionalID, p.c.cfg.RequestTimeout*3/4)
	var buf *Buffer
	m.alloc = func(size int) ([]byte, error) {
		if size > maxProduceAnswer {
			return nil, &FrameError{Reason: fmt.Sprintf("answer of %d bytes to %d batches", size, len(r.entries))}
		}
		if buf != nil {
			buf.Release()
		}
		buf = NewBuffer(size)
		return buf.Bytes(), nil
	}
	answer, err := p.c.roundTrip(ctx, m, p.c.cfg.RequestTimeout)
	if buf != nil {
		defer buf.Release()
	}
	if err != nil {
		return nil, m.repeated, err
	}
	results = make([]produceResult, len(r.entries))
	throttle, ok := r.parseProduce(answer, version, results)
	if !ok {
		return nil, true, &ConnError{API: key, Node: r.node, Sent: true, Err: &FrameError{
			Reason: fmt.Sprintf("the answer of %d bytes in version %d does not parse", len(answer), version)}}
	}
	p.c.throttle(r.node, key, throttle)
	return results, m.repeated, nil
}

// initProducer asks for a producer id. Without a transactional id any broker gives one.
func (c *Client) initProducer(ctx context.Context) (id identity, err error) {
	err = c.retry(ctx, func(ctx context.Context) error {
		var err error
		for _, node := range append([]int32{anyBroker}, c.someBrokers(2)...) {
			var res *kmsg.InitProducerIDResponse
			res, err = ask[*kmsg.InitProducerIDResponse](ctx, c, node, kmsg.NewPtrInitProducerIDRequest())
			if err == nil {
				id = identity{id: res.ProducerID, epoch: res.ProducerEpoch}
				return brokerErr(res.Key(), node, res.ErrorCode, nil, "")
			}
			if !Retriable(err) || ctx.Err() != nil {
				break
			}
		}
		return err
	})
	return id, err
}
