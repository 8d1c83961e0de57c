package kafka

import (
	"fmt"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// modelTxns is what brokers of Kafka 4.3 keep of one transactional id: its coordinator, the logs that it writes to, and a
// group. Markers are written late, one at a time.
type modelTxns struct {
	v2      bool
	last    identity // before cur: a request by it may be a repetition
	cur     identity
	newest  int64 // producer id
	highest int16 // epoch; after it comes another id

	state   modelTxnState
	commit  bool // decided, or the last decision
	parts   map[record.TopicPartition]bool
	grouped bool
	since   time.Time
	timeout time.Duration
	owner   int64 // producer id of the transaction
	marker  int16 // epoch of the markers being written

	logs  []*txnLog
	group txnGroup
}

type modelTxnState uint8

const (
	modelEmpty modelTxnState = iota
	modelOngoing
	modelPrepared // markers are being written
	modelComplete
)

// txnLog is a partition.
type txnLog struct {
	tp      record.TopicPartition
	leader  int32
	entries []txnEntry
	safe    int // replicated: a success was answered for them, or a marker is behind them
}

type txnEntry struct {
	batch  modelBatch
	marker bool
	commit bool
}

// txnGroup is a group of one partition.
type txnGroup struct {
	generation int32
	epochs     map[int64]int16
	pending    map[int64]txnOffset
	committed  []txnOffset
}

type txnOffset struct {
	at      int64
	attempt string
}

func newModelTxns(v2 bool, highest int16, timeout time.Duration) *modelTxns {
	return &modelTxns{v2: v2, highest: highest, timeout: timeout, last: identity{id: -2}, cur: identity{id: 0, epoch: -1},
		parts: map[record.TopicPartition]bool{}, group: txnGroup{epochs: map[int64]int16{}, pending: map[int64]txnOffset{}}}
}

// bump gives the next identity.
func (b *modelTxns) bump() {
	b.last = b.cur
	if b.cur.epoch++; b.cur.epoch > b.highest {
		b.newest++
		b.cur = identity{id: b.newest}
	}
}

// prepare decides; the markers are still to be written.
func (b *modelTxns) prepare(commit bool) {
	b.state, b.commit = modelPrepared, commit
	b.marker = b.cur.epoch
}

// fence aborts what is open, under a higher epoch.
func (b *modelTxns) fence() {
	b.last = b.cur
	b.cur.epoch++ // one above the highest is kept for this
	b.prepare(false)
}

// writeMarker writes one of the markers; pick chooses.
func (b *modelTxns) writeMarker(pick func(n int) int) bool {
	if b.state != modelPrepared {
		return false
	}
	var left []record.TopicPartition
	for _, l := range b.logs {
		if b.parts[l.tp] {
			left = append(left, l.tp)
		}
	}
	n := len(left)
	if b.grouped {
		n++
	}
	if n > 0 {
		who := b.owner
		if i := pick(n); i < len(left) {
			l := b.log(left[i])
			l.entries = append(l.entries, txnEntry{marker: true, commit: b.commit, batch: modelBatch{producer: who, epoch: b.marker}})
			l.safe = len(l.entries)
			delete(b.parts, left[i])
		} else {
			if o, ok := b.group.pending[who]; ok && b.commit {
				b.group.committed = append(b.group.committed, o)
			}
			delete(b.group.pending, who)
			b.group.epochs[who] = max(b.group.epochs[who], b.marker)
			b.grouped = false
		}
		n--
	}
	if n == 0 {
		b.state = modelComplete
	}
	return true
}

func (b *modelTxns) log(tp record.TopicPartition) *txnLog {
	return b.logs[slices.IndexFunc(b.logs, func(l *txnLog) bool { return l.tp == tp })]
}

// enlist makes something part of the transaction, which begins with that.
func (b *modelTxns) enlist(now time.Time) {
	if b.state != modelOngoing {
		b.state, b.since, b.owner = modelOngoing, now, b.cur.id
	}
}

// init is InitProducerId.
func (b *modelTxns) init(own identity) (identity, int16) {
	own.transactional = false
	any := own.id < 0
	switch {
	case !any && own.id != b.cur.id && own.id != b.last.id:
		return own, int16(codeInvalidProducerIDMapping)
	case b.state == modelPrepared:
		return own, codeConcurrentTransactions
	case b.state == modelOngoing: // whoever asks: an old epoch is looked at only afterwards
		b.fence()
		return own, codeConcurrentTransactions
	case !any && own != b.cur && own != b.last:
		return own, int16(codeProducerFenced)
	case !any && own == b.last: // again
	default:
		b.bump()
		if any {
			b.last = identity{id: -2}
		}
	}
	return b.cur, 0
}

// check is what the coordinator checks first.
func (b *modelTxns) check(who identity) int16 {
	switch {
	case who.id != b.cur.id:
		return int16(codeInvalidProducerIDMapping)
	case who.epoch != b.cur.epoch:
		return int16(codeProducerFenced)
	case b.state == modelPrepared:
		return codeConcurrentTransactions
	}
	return 0
}

// add is AddPartitionsToTxn, or AddOffsetsToTxn without partitions.
func (b *modelTxns) add(now time.Time, who identity, tps []record.TopicPartition) int16 {
	if code := b.check(who); code != 0 {
		return code
	}
	b.enlist(now)
	for _, tp := range tps {
		b.parts[tp] = true
	}
	b.grouped = b.grouped || tps == nil
	return 0
}

// end is EndTxn.
func (b *modelTxns) end(who identity, commit bool) (identity, int16) {
	who.transactional = false
	again := b.v2 && who == b.last && b.state != modelOngoing
	switch {
	case who != b.cur && !again:
		return who, int16(codeProducerFenced)
	case who == b.cur && b.state == modelOngoing:
		if b.v2 {
			b.bump()
		}
		b.prepare(commit)
		if b.v2 && b.cur.id != who.id {
			b.marker = who.epoch + 1
		}
		return b.cur, 0
	case b.v2 && !again: // empty
		if b.state == modelPrepared {
			return who, codeConcurrentTransactions
		}
		if commit {
			return who, int16(codeInvalidTxnState)
		}
		b.bump()
		b.commit = false
		return b.cur, 0
	case b.state == modelEmpty || b.commit != commit:
		return who, int16(codeInvalidTxnState)
	case b.state == modelPrepared:
		return who, codeConcurrentTransactions
	}
	return b.cur, 0
}

// expire aborts a transaction that is open for too long.
func (b *modelTxns) expire(now time.Time) bool {
	if b.state != modelOngoing || now.Sub(b.since) < b.timeout {
		return false
	}
	b.fence()
	return true
}

// open tells whether a producer has an open transaction in the log, and its state: the epoch, and the batches in it.
func (l *txnLog) of(producer int64) (epoch int16, known, open bool, batches []modelBatch) {
	for _, e := range l.entries {
		if e.batch.producer != producer {
			continue
		}
		if !known || e.batch.epoch > epoch {
			epoch, batches = e.batch.epoch, nil
		}
		known, open = true, !e.marker
		if !e.marker {
			batches = append(batches, e.batch)
		}
	}
	return epoch, known, open, batches
}

// verify asks the coordinator whether a batch, or offsets (tp nil), belong to the transaction.
func (b *modelTxns) verify(now time.Time, who identity, tp *record.TopicPartition) int16 {
	code := b.check(who)
	switch {
	case code == codeConcurrentTransactions && !b.v2:
		return int16(codeInvalidTxnState)
	case code == codeConcurrentTransactions:
		return code
	case code != 0:
		return codeInvalidProducerEpoch
	case b.v2 && tp == nil:
		return b.add(now, who, nil)
	case b.v2:
		return b.add(now, who, []record.TopicPartition{*tp})
	case b.state != modelOngoing || tp == nil && !b.grouped || tp != nil && !b.parts[*tp]:
		return int16(codeInvalidTxnState)
	}
	return 0
}

// append is what a leader does with a batch whose records are good.
func (b *modelTxns) append(now time.Time, l *txnLog, m modelBatch) (code int16, base int64) {
	epoch, known, open, batches := l.of(m.producer)
	if known && m.epoch < epoch {
		return codeInvalidProducerEpoch, -1
	}
	if !open || m.epoch != epoch {
		if code := b.verify(now, identity{id: m.producer, epoch: m.epoch}, &l.tp); code != 0 {
			return code, -1
		}
	}
	for i, old := range batches {
		if m.epoch == epoch && old.sequence == m.sequence && old.count == m.count && i >= len(batches)-5 {
			return 0, old.base
		}
	}
	switch {
	case !known:
	case (m.epoch > epoch || len(batches) == 0) && m.sequence != 0:
		return codeOutOfOrderSequence, -1
	case m.epoch == epoch && len(batches) > 0:
		if last := batches[len(batches)-1]; m.sequence != addSequence(last.sequence, last.count) {
			return codeOutOfOrderSequence, -1
		}
	}
	m.base = int64(len(l.entries))
	l.entries = append(l.entries, txnEntry{batch: m})
	return 0, m.base
}

// commitOffset is TxnOffsetCommit.
func (b *modelTxns) commitOffset(now time.Time, who identity, generation int32, o txnOffset) int16 {
	g := &b.group
	switch {
	case generation != g.generation:
		return int16(codeIllegalGeneration)
	case who.epoch < g.epochs[who.id]:
		return codeInvalidProducerEpoch
	}
	if code := b.verify(now, who, nil); code != 0 {
		return code
	}
	g.epochs[who.id] = who.epoch
	g.pending[who.id] = o
	return 0
}

// fail loses what was not replicated.
func (l *txnLog) fail() bool {
	lost := l.safe < len(l.entries)
	l.entries = l.entries[:l.safe]
	return lost
}

// visible returns the values that a read-committed reader sees, in order.
func (l *txnLog) visible() (ids []int64, err error) {
	end := map[int64]int{} // entries of a producer before it are decided
	for i, e := range l.entries {
		if !e.marker {
			continue
		}
		for k := end[e.batch.producer]; k < i; k++ {
			if o := &l.entries[k]; o.batch.producer == e.batch.producer && !o.marker {
				o.commit = e.commit
			}
		}
		end[e.batch.producer] = i
	}
	for i, e := range l.entries {
		if !e.marker && i > end[e.batch.producer] && !slices.ContainsFunc(l.entries[i:], func(o txnEntry) bool {
			return o.marker && o.batch.producer == e.batch.producer
		}) {
			return nil, fmt.Errorf("%s: %v has no end", l.tp, e.batch.ids)
		}
		if !e.marker && e.commit {
			ids = append(ids, e.batch.ids...)
		}
	}
	return ids, nil
}
