package engine

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// obey carries out what the worker asks for.
func (m *coreMember) obey() {
	w := m.world
	for acts := m.worker.Actions(); len(acts) > 0; acts = m.worker.Actions() {
		for _, a := range acts {
			switch a := a.(type) {
			case Send:
				m.mayHand(a)
				m.sends[a.TP] = append(m.sends[a.TP], a)
			case Fetch:
				w.say("member %d fetches %s from %d", m.id, a.TP, a.From)
				m.fetches[a.TP] = &coreFetch{at: a.From, generation: a.Generation}
			case Unfetch:
				delete(m.fetches, a.TP)
			case Hold:
				m.fetches[a.TP].held = true
			case Unhold:
				m.fetches[a.TP].held = false
			case End:
				m.ask(a)
			case Rejoin:
				m.rejoin()
			case CommitOffsets:
				if w.eos {
					w.fatal("offsets are committed beside a transaction")
				}
				w.say("member %d commits %v", m.id, a.Offsets)
				m.commits = append(m.commits, a)
			case Released:
				move, ok := w.moving[a.Number]
				if !ok {
					continue
				}
				delete(w.moving, a.Number)
				if a.Err != nil && !w.eos { // the group did not take the last commit
					w.replays[move.task] = append(w.replays[move.task], replay{w.group[inPart(move.task)].At, move.at})
				}
				w.say("member %d released task %d", m.id, move.task)
				w.give(move.task, move.to)
			case Failed:
				w.fatal("member %d failed: %v", m.id, a.Err)
			}
		}
	}
}

// act does one thing, drawn from the seed.
func (w *coreWorld) act() {
	m := w.members[w.rng.IntN(len(w.members))]
	switch n := w.rng.IntN(100); {
	case n < 30:
		m.worker.Work(w.now, 1+w.rng.IntN(8))
		m.obey()
	case n < 50:
		m.fetch()
	case n < 75:
		m.send()
	case n < 82:
		m.commit()
		m.end()
	case n < 95:
		w.now += int64(w.rng.IntN(60))
	case w.calm:
		w.now += 100
	case n < 97:
		w.move()
	case n < 98:
		m.crash()
	case n < 99:
		w.lose()
	case w.eos && w.rng.IntN(2) == 0:
		m.timeOut()
	default:
		w.faults["request"]++
		w.numbers++
		m.step(Request{w.numbers})
	}
}

// deliver brings what was fetched to the worker.
func (m *coreMember) deliver() {
	for len(m.mail) > 0 {
		ev := m.mail[0]
		m.mail = m.mail[1:]
		m.step(ev)
	}
}

func (m *coreMember) fetch() {
	w := m.world
	for _, p := range w.rng.Perm(corePartitions) {
		tp := inPart(p)
		f := m.fetches[tp]
		if f == nil || f.held {
			continue
		}
		log := w.logs[tp]
		n := min(int64(1+w.rng.IntN(6)), int64(len(log))-f.at)
		var batches []Batch
		if n > 0 {
			batches = []Batch{NewRecords(log[f.at:f.at+n], f.at+n)}
			f.at += n
		}
		// A delivery may be on its way while the task is taken back or away.
		m.mail = append(m.mail, Delivered{TP: tp, Generation: f.generation, Batches: batches, Next: f.at, End: int64(len(log))})
		if w.rng.IntN(4) > 0 {
			m.deliver()
		}
		return
	}
}

// send lets the broker append the oldest batch on its way to some partition.
func (m *coreMember) send() {
	tps := sortedKeys(m.sends)
	if len(tps) == 0 {
		return
	}
	m.land(tps[m.world.rng.IntN(len(tps))])
}

func sortedKeys[V any](m map[record.TopicPartition]V) []record.TopicPartition {
	var tps []record.TopicPartition
	for tp := range m {
		tps = append(tps, tp)
	}
	slices.SortFunc(tps, func(a, b record.TopicPartition) int { return strings.Compare(a.String(), b.String()) })
	return tps
}

func (m *coreMember) land(tp record.TopicPartition) {
	w := m.world
	q := m.sends[tp]
	s := q[0]
	if m.sends[tp] = q[1:]; len(q) == 1 {
		delete(m.sends, tp)
	}
	base := int64(len(w.logs[tp]))
	list := s.Batch.(MemBatch)
	w.say("member %d: %s gets %s", m.id, tp, values(list))
	if m.lost {
		m.ack(Acked{Sent: s.Sent, Err: errCore})
		return
	}
	if tp.Topic == "echo" || tp.Topic == "late" {
		var refused []Refusal
		for i, r := range list {
			if w.refuse[string(r.Value)] {
				refused = append(refused, Refusal{i, errCore})
			}
		}
		if refused != nil {
			w.faults["refused"]++
			// Every task with a record in the batch goes back to its last commit.
			for p, o := range w.owner {
				if o == m.id && slices.ContainsFunc(list, func(r record.Raw) bool { return partOf(r) == p }) {
					m.replayable(p)
				}
			}
			w.say("member %d: %s refused %s", m.id, tp, list[refused[0].Index].Value)
			m.lost = w.eos
			m.ack(Acked{Sent: s.Sent, Err: errCore, Refused: refused})
			return
		}
	}
	w.noteLate(s.Sent)
	for i, r := range list {
		r.Offset = base + int64(i)
		w.logs[tp] = append(w.logs[tp], r)
	}
	m.written(tp, len(list))
	m.ack(Acked{Sent: s.Sent, Base: base})
}

// partOf is the partition of the input behind a record of the echo or of what was due.
func partOf(r record.Raw) int {
	at, _, _ := strings.Cut(strings.TrimLeft(string(r.Value), "egtp!"), "/")
	n, _ := strconv.Atoi(at)
	return n
}

func values(list MemBatch) (vs []string) {
	for _, r := range list {
		vs = append(vs, string(r.Value))
	}
	return vs
}

func (m *coreMember) ack(a Acked) {
	if !m.dead {
		m.step(a)
	}
}

func (m *coreMember) commit() {
	if len(m.commits) == 0 {
		return
	}
	w := m.world
	c := m.commits[0]
	m.commits = m.commits[1:]
	if !w.calm && w.rng.IntN(10) == 0 {
		w.faults["commit refused"]++
		m.step(OffsetsDone{errors.New("rebalance in progress")})
		return
	}
	for tp, o := range c.Offsets {
		if o.At < w.group[tp].At {
			w.fatal("%s: offset %d is committed after %d", tp, o.At, w.group[tp].At)
		}
		w.group[tp] = o
	}
	m.step(OffsetsDone{})
}

// noteLate counts a batch for each partition of which it holds something that another task than the one that runs has written.
func (w *coreWorld) noteLate(sent *Sent) {
	late := w.late[sent.TP]
	for _, t := range sent.writers() {
		if p := t.ID.Partition; t != w.running[p] {
			late[p]++
			w.faults["late batch"]++
		}
	}
	w.late[sent.TP] = late
}
