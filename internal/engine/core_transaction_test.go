package engine

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TestCoreTransactions is the core lane exactly once. The modelled broker knows transactions: what is written in one is visible, and
// its offsets count, when it is committed; it is aborted by the worker, by a timeout, by fencing, or because the group has moved on;
// an answer may be lost, so that nobody knows. Whatever happens, at every commit what the outputs, the dead letters, the changelog
// and the offsets of a partition say is the same prefix of its input (P1).
func TestCoreTransactions(t *testing.T) {
	runCore(t, true, nil, "move", "crash", "disk lost", "lost", "refused", "request", "row retried", "committed", "aborted", "timeout", "fenced",
		"group moved", "unknown, committed", "unknown, aborted", "crash while it ends", "taken away while it ends")
}

type coreTxn struct {
	parts map[record.TopicPartition]bool
	state coreTxnState
}

type coreTxnState uint8

const (
	coreOpen coreTxnState = iota
	coreCommitted
	coreAborted
)

// coreEntry is what stands behind an offset of a log.
type coreEntry struct {
	txn    *coreTxn
	marker bool
}

// coreEnd is a request to end a transaction. begun are the owners that it speaks for.
type coreEnd struct {
	End
	begun [corePartitions]int
}

// coreSeen is what a reader of committed records has seen of a partition.
type coreSeen struct {
	inputs map[int64]int    // by offset: echoes and dead letters
	counts map[string]int64 // echoes by key, what was due
}

// read returns the committed records of a log from an offset on.
func (w *coreWorld) read(tp record.TopicPartition, from int64) []record.Raw {
	of := w.of[tp]
	if of == nil {
		return w.logs[tp][from:]
	}
	var list []record.Raw
	for i := from; i < int64(len(of)); i++ {
		if e := of[i]; !e.marker && e.txn.state == coreCommitted {
			list = append(list, w.logs[tp][i])
		}
	}
	return list
}

// mayHand checks X2.
func (m *coreMember) mayHand(s Send) {
	if len(m.ends) > 0 {
		m.world.fatal("member %d sends to %s while a transaction ends", m.id, s.TP)
	}
}

// written notes that n records of the open transaction were appended.
func (m *coreMember) written(tp record.TopicPartition, n int) {
	w := m.world
	if !w.eos {
		return
	}
	if m.txn == nil {
		m.txn = &coreTxn{parts: map[record.TopicPartition]bool{}}
	}
	m.txn.parts[tp] = true
	w.of[tp] = append(w.of[tp], slices.Repeat([]coreEntry{{txn: m.txn}}, n)...)
}

// decide ends the open transaction of a member at the broker, with a marker in every partition.
func (m *coreMember) decide(to coreTxnState) {
	w, t := m.world, m.txn
	if m.txn = nil; t == nil {
		return
	}
	t.state = to
	var tps []record.TopicPartition
	for _, tp := range sortedKeys(t.parts) {
		w.logs[tp] = append(w.logs[tp], record.Raw{Offset: int64(len(w.logs[tp]))})
		w.of[tp] = append(w.of[tp], coreEntry{t, true})
		tps = append(tps, tp)
	}
	if to == coreCommitted {
		w.see(t, tps)
	}
}

// see takes in what a commit has made visible.
func (w *coreWorld) see(t *coreTxn, tps []record.TopicPartition) {
	for _, tp := range tps {
		for i, e := range w.of[tp] {
			if e.txn != t || e.marker {
				continue
			}
			r := w.logs[tp][i]
			v := string(r.Value)
			if tp.Topic != "echo" && tp.Topic != "late" && tp.Topic != "dlq" {
				continue
			}
			s := &w.seen[partOf(r)]
			if s.inputs == nil {
				s.inputs, s.counts = map[int64]int{}, map[string]int64{}
			}
			switch {
			case tp.Topic != "dlq":
				s.counts[string(r.Key)]++
				fallthrough
			case v[0] != 'e':
				if _, seq, _ := strings.Cut(v, "/"); v[0] != 'e' {
					n, _ := strconv.ParseInt(seq, 10, 64)
					s.inputs[n]++
				}
			}
		}
	}
}

// cut holds what is visible of a partition against its committed offset: P1.
func (w *coreWorld) cut(p int) {
	s, at := &w.seen[p], w.group[inPart(p)].At
	for n := range at {
		if s.inputs[n] != 1 {
			w.fatal("P1: offset %d of partition %d is committed, record %d came out %d times", at, p, n, s.inputs[n])
		}
	}
	if int64(len(s.inputs)) != at {
		w.fatal("P1: offset %d of partition %d is committed, %d records have come out: %v", at, p, len(s.inputs), s.inputs)
	}
	counts := map[string]int64{}
	for _, r := range w.read(logPart(p), 0) {
		k, v, err := countSpec.FromChangelog(nil, r)
		w.check(err)
		n, err := serde.Int64.Decode(v[8:])
		w.check(err)
		counts[string(k)] = n
	}
	for k, n := range s.counts {
		if counts[k] != n {
			w.fatal("P1: %d of key %s have come out of partition %d, its changelog says %d", n, k, p, counts[k])
		}
	}
}

// ask takes a request to end the transaction.
func (m *coreMember) ask(e End) {
	w := m.world
	if !e.Commit && len(e.Offsets) > 0 {
		w.fatal("offsets with an abort")
	}
	w.say("member %d ends its transaction: commit %t, %v", m.id, e.Commit, e.Offsets)
	m.ends = append(m.ends, coreEnd{e, w.begun})
}

// end lets the broker answer a request to end a transaction, when everything sent before has come to its end.
func (m *coreMember) end() {
	w := m.world
	if len(m.ends) == 0 || len(m.sends) > 0 {
		return
	}
	e := m.ends[0]
	ev := m.outcome(e)
	m.ends = m.ends[1:]
	if m.lost = false; m.txn != nil {
		w.fatal("a transaction is left open")
	}
	w.say("member %d: %v", m.id, ev)
	if !m.dead {
		m.step(ev)
	}
}

var errGroupMoved = errors.New("illegal generation")

func (m *coreMember) outcome(e coreEnd) Ended {
	w := m.world
	chance := w.rng.IntN(40)
	switch {
	case !w.calm && chance == 0:
		w.faults["fenced"]++
		m.decide(coreAborted)
		return Ended{OutcomeFenced, errCore}
	case !e.Commit || m.lost:
		w.faults["aborted"]++
		m.decide(coreAborted)
		return Ended{Err: errCore}
	case m.stale(e) || !w.calm && chance == 1:
		w.faults["group moved"]++
		m.decide(coreAborted)
		return Ended{Err: errGroupMoved}
	case !w.calm && chance < 4: // before the broker has decided
		w.faults["unknown, aborted"]++
		m.decide(coreAborted)
	default:
		m.commitAll(e)
		if w.calm || chance > 7 {
			w.faults["committed"]++
			return Ended{Outcome: OutcomeCommitted}
		}
		w.faults["unknown, committed"]++
	}
	// No answer. The producer has begun anew, so that nothing is pending: the group's offsets tell.
	if landed(e.Offsets, w.group) {
		return Ended{Outcome: OutcomeCommitted}
	}
	return Ended{Err: errCore}
}

// stale tells whether a request speaks for tasks that have been given away since.
func (m *coreMember) stale(e coreEnd) bool {
	for tp := range e.Offsets {
		if p := tp.Partition; e.begun[p] != m.world.begun[p] {
			return true
		}
	}
	return false
}

func (m *coreMember) commitAll(e coreEnd) {
	w := m.world
	for tp, o := range e.Offsets {
		if o.At < w.group[tp].At {
			w.fatal("%s: offset %d is committed after %d", tp, o.At, w.group[tp].At)
		}
		w.group[tp] = o
	}
	m.decide(coreCommitted)
	for tp := range e.Offsets {
		w.cut(int(tp.Partition))
	}
}

// timeOut lets the broker abort a transaction that is open for too long.
func (m *coreMember) timeOut() {
	if m.txn == nil {
		return
	}
	m.world.faults["timeout"]++
	m.world.say("the transaction of member %d times out", m.id)
	m.decide(coreAborted)
	m.lost = true
}

// die ends the transaction of a member that has crashed: a request on its way may still arrive.
func (m *coreMember) die() {
	w := m.world
	if !w.eos {
		return
	}
	if len(m.ends) > 0 && len(m.sends) == 0 && w.rng.IntN(2) == 0 {
		w.faults["crash while it ends"]++
		if e := m.ends[0]; e.Commit && !m.lost && !m.stale(e) {
			m.commitAll(e)
		}
	}
	m.decide(coreAborted)
	m.ends = nil
}

// rejoin gives tasks again that a member has closed by itself.
func (m *coreMember) rejoin() {
	w := m.world
	for p, o := range w.owner {
		id := record.TaskID{Partition: int32(p)}
		moves := false
		for _, mv := range w.moving {
			moves = moves || mv.task == p
		}
		if o == m.id && !moves && m.worker.find(id) == nil {
			w.give(p, w.rng.IntN(len(w.members)))
		}
	}
}

// loseInTransaction takes a task away. What its member asks for afterwards in the task's name is refused.
func (w *coreWorld) loseInTransaction(m *coreMember, p int) {
	if len(m.ends) > 0 {
		w.faults["taken away while it ends"]++
	}
	m.step(Lose{[]record.TaskID{{Partition: int32(p)}}})
	w.give(p, w.rng.IntN(len(w.members)))
}

// stable waits until nothing is open in what a new owner reads: the broker gives up what has been left behind.
func (w *coreWorld) stable(p int) {
	for _, m := range w.members {
		if m.txn != nil && m.txn.parts[logPart(p)] {
			m.decide(coreAborted)
			m.lost = true
		}
	}
}
