package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// maxFetchAnswer bounds the memory that a broker's word can make us take for one answer. A batch larger than this can
// not be fetched; brokers refuse to store far smaller ones by default.
const maxFetchAnswer = 256 << 20

// fetchBody is an answer on its way from the socket to the receiver.
type fetchBody struct {
	poll   *fetchPoll
	answer *fetchAnswer
	frame  *Buffer
}

// runPolls is the loop of one slot of one broker.
func (f *Fetcher) runPolls(ctx context.Context, b *fetchBroker, asks <-chan *fetchPoll) {
	defer f.tasks.Done()
	var request []byte
	for {
		select {
		case <-ctx.Done():
			return
		case q := <-asks:
			body, err := f.ask(ctx, q, &request)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				kind := fetchFailureOf(err)
				f.cfg.Logger.Warn("fetch failed", "broker", q.node, "partitions", len(q.parts), "retry", kind != fetchFailedFatal, "err", err)
				f.step(fetchFailed{q, kind, err})
				continue
			}
			f.step(fetchAnswered{q, body.answer})
			select {
			case b.decode <- body:
			case <-ctx.Done():
				return
			}
			f.step(fetchHanded{q})
		}
	}
}

// ask sends one poll and reads its answer.
func (f *Fetcher) ask(ctx context.Context, q *fetchPoll, request *[]byte) (*fetchBody, error) {
	ctx, cancel := context.WithTimeout(ctx, q.wait+f.timeout)
	defer cancel()
	version, err := f.wire.version(ctx, q.node, fetchKey, fetchMaxVersion)
	if err != nil {
		return nil, err
	}
	if version < fetchMinVersion {
		return nil, fmt.Errorf("%w: broker %d offers Fetch up to version %d, %d is needed (Kafka 0.11)", errFetchVersion, q.node, version, fetchMinVersion)
	}
	*request = appendFetchRequest((*request)[:0], version, q, f.cfg.MinBytes, f.maxBytes(q), f.cfg.ReadCommitted)
	var frame *Buffer
	body, err := f.wire.exchangeRaw(ctx, q.node, fetchKey, version, version >= fetchFlexible, [][]byte{*request}, func(size int) ([]byte, error) {
		if size > maxFetchAnswer {
			return nil, fmt.Errorf("%w: the answer takes %d bytes, more than %d", errFetchAnswer, size, maxFetchAnswer)
		}
		frame = NewBuffer(size)
		return frame.Bytes(), nil
	})
	// A failed exchange may still be writing to the frame: it is left to the collector, not to the pool. So is the
	// request.
	if err != nil {
		*request = nil
		return nil, err
	}
	a := &fetchAnswer{}
	if err := parseFetchAnswer(body, version, q, a); err != nil {
		return nil, err
	}
	return &fetchBody{q, a, frame}, nil
}

// maxBytes leaves room for a batch that is larger than the limits.
func (f *Fetcher) maxBytes(q *fetchPoll) int32 {
	limit := f.cfg.BrokerBytes
	for i := range q.parts {
		limit = max(limit, q.parts[i].max)
	}
	return limit
}

var errFetchVersion = errors.New("broker too old")

// fetchFailureOf tells what to do after a poll that failed.
func fetchFailureOf(err error) fetchFailure {
	switch {
	case errors.Is(err, errFetchAnswer):
		return fetchFailedMalformed
	case errors.Is(err, errFetchVersion):
		return fetchFailedFatal
	case Retriable(err), errors.Is(err, context.DeadlineExceeded):
		return fetchFailedNetwork
	default:
		return fetchFailedFatal
	}
}

// runDecoder turns the answers of one broker into batches and delivers them, in their order, while the next poll runs.
func (f *Fetcher) runDecoder(ctx context.Context, b *fetchBroker) {
	defer f.tasks.Done()
	var out []fetchOut
	for {
		select {
		case <-ctx.Done():
			return
		case body := <-b.decode:
			out = f.decode(body, out[:0])
			f.handOver(ctx, out)
			clear(out)
			body.frame.Release()
			f.step(fetchDelivered{body.poll, body.answer})
		}
	}
}

// fetchMarks is what a receiver was last told beside records.
type fetchMarks struct {
	gen                    uint64
	high, stable, logStart int64
}

// decode checks and cuts the batches of an answer and appends them to out.
func (f *Fetcher) decode(body *fetchBody, out []fetchOut) []fetchOut {
	for i := range body.answer.parts {
		a, q := &body.answer.parts[i], &body.poll.parts[i]
		if a.skipped || !a.present {
			continue
		}
		o := fetchOut{gen: q.gen, Fetched: Fetched{
			TP: q.tp, Position: q.offset, Next: q.offset,
			HighWatermark: a.high, LastStable: a.stable, LogStart: a.logStart,
		}}
		if len(a.records) > 0 {
			f.cut(body, a, &o)
		}
		out = append(out, o)
	}
	return out
}

// cut fills in the batches of one part.
func (f *Fetcher) cut(body *fetchBody, a *fetchAnswerPart, o *fetchOut) {
	opts := ParseOptions{ReadCommitted: f.cfg.ReadCommitted, DecompressLimit: f.cfg.DecompressLimit}
	if f.cfg.ReadCommitted && a.aborted.n > 0 {
		opts.Aborted = make([]AbortedTransaction, 0, a.aborted.n)
		a.aborted.all(func(id, first int64) { opts.Aborted = append(opts.Aborted, AbortedTransaction{id, first}) })
	}
	o.Next, o.Err = ParseBatches(o.TP, body.frame, a.records, o.Position, opts, func(b *Batch) {
		o.Batches = append(o.Batches, b)
	})
	if o.Err == nil && o.Next != a.next {
		// The next poll has been made for what the headers said.
		at := record.Coordinates{TopicPartition: o.TP, Offset: o.Next}
		o.Err = &CorruptError{at, fmt.Errorf("batches end at offset %d, their headers say %d", o.Next, a.next)}
	}
}

// fetchOut is a Fetched and the subscription it belongs to.
type fetchOut struct {
	Fetched
	gen uint64
}

// handOver delivers what still has a subscriber and says something new, and drops the rest.
func (f *Fetcher) handOver(ctx context.Context, out []fetchOut) {
	f.delivery.Lock()
	defer f.delivery.Unlock()
	var list []Fetched
	for i := range out {
		o := &out[i]
		if ctx.Err() != nil || !f.wanted(o.TP, o.gen) {
			for _, b := range o.Batches {
				b.Release()
			}
			continue
		}
		marks := fetchMarks{o.gen, o.HighWatermark, o.LastStable, o.LogStart}
		if o.Err == nil && o.Next == o.Position && f.told[o.TP] == marks {
			continue
		}
		f.told[o.TP] = marks
		list = append(list, o.Fetched)
		if o.Err != nil {
			f.step(fetchCorrupt{o.TP, o.gen})
		}
	}
	if len(list) > 0 {
		f.deliver(list)
	}
}

// wanted tells whether a subscription still stands.
func (f *Fetcher) wanted(tp record.TopicPartition, gen uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.machine.live(tp, gen) != nil
}

// runLookups finds leaders, for all who asked since the last time at once.
func (f *Fetcher) runLookups(ctx context.Context) {
	defer f.tasks.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.kickLookup:
		}
		f.mu.Lock()
		asked := f.lookups
		f.lookups = nil
		f.mu.Unlock()
		f.lookUp(ctx, asked)
	}
}

func (f *Fetcher) lookUp(ctx context.Context, asked []fetchLookup) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	var stale []string
	for _, l := range asked {
		if l.refresh && !slices.Contains(stale, l.tp.Topic) {
			stale = append(stale, l.tp.Topic)
		}
	}
	if len(stale) > 0 {
		if err := f.wire.Refresh(ctx, stale...); err != nil {
			f.cfg.Logger.Warn("metadata refresh failed", "topics", stale, "err", err)
		}
	}
	for _, l := range asked {
		ev := fetchLeader{tp: l.tp, gen: l.gen}
		leader, err := f.wire.leader(ctx, l.tp)
		switch {
		case err != nil:
			ev.err = err
			ev.fatal, ev.unknown = leaderErrorOf(err)
		case leader.Node < 0:
			ev.err = errors.New("no leader")
		default:
			ev.node, ev.epoch = leader.Node, leader.Epoch
		}
		f.step(ev)
	}
}

// leaderErrorOf tells whether it is of no use to look again, and whether the topic does not exist.
func leaderErrorOf(err error) (fatal, unknown bool) {
	unknown = errors.Is(err, codeUnknownTopic)
	ended := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	return !unknown && !ended && !Retriable(err), unknown
}
