package engine

import (
	"slices"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// settle runs without faults until everything has been processed and committed.
func (w *coreWorld) settle() {
	w.calm = true
	for range 20_000 {
		done := len(w.moving) == 0
		for p := range corePartitions {
			done = done && w.group[inPart(p)].At == coreRecords
		}
		for _, m := range w.members {
			done = done && len(m.sends) == 0 && len(m.commits) == 0 && len(m.ends) == 0
		}
		if done {
			return
		}
		w.act()
	}
	w.fatal("it does not come to rest: offsets %v", w.group)
}

// verify holds the end against the promises.
func (w *coreWorld) verify() {
	values, lates, letters := w.tally("echo"), w.tally("late"), w.tally("dlq")
	for p := range corePartitions {
		counts, givenUp := map[string]int{}, map[string]bool{}
		exact := len(w.replays[p]) == 0
		for _, r := range w.logs[inPart(p)] {
			v := string(r.Value)
			poison := v[0] == 'p' || v[0] == '!'
			echoed, set := values[v], letters[v]
			if !poison && set == 0 {
				counts[string(r.Key)]++ // at least: what a retry gave up may have gone through before a replay
			}
			if v[0] == 't' && set > 0 && w.explained(p, r.Offset) {
				givenUp[string(r.Key)] = true
			}
			switch {
			case poison && echoed > 0:
				w.fatal("P5: %s failed, but its first branch sent it %d times", v, echoed)
			case echoed+set == 0:
				w.fatal("P2: %s is nowhere", v)
			case (poison || w.refuse[v]) != (set > 0) && v[0] != 't':
				w.fatal("%s: %d dead letters", v, set)
			case echoed+set > 1 && !w.explained(p, r.Offset):
				w.fatal("P2: %s was processed %d times without a reason: %v", v, echoed+set, w.replays[p])
			}
			if set > 0 && !poison && !w.eos {
				exact = false
			}
		}
		w.order(p, "echo")
		w.order(p, "late")
		w.due(p, lates, letters, w.counts(p, counts, givenUp, exact), exact)
	}
	for _, m := range w.members {
		for _, t := range m.worker.Tasks() {
			if c := t.Counts; c.Consumed != c.Completed+c.DeadLettered+c.Skipped+c.Retrying {
				w.fatal("E7: task %s: %+v", t.ID, c)
			}
		}
	}
}

// tally counts the values of a topic.
func (w *coreWorld) tally(topic string) map[string]int {
	n := map[string]int{}
	for _, r := range w.read(record.TopicPartition{Topic: topic}, 0) {
		n[string(r.Value)]++
	}
	return n
}

func (w *coreWorld) explained(p int, offset int64) bool {
	return slices.ContainsFunc(w.replays[p], func(r replay) bool { return r.from <= offset && offset < r.to })
}

// order checks P3: what became of a partition goes up, and each step back begins again where a task did.
func (w *coreWorld) order(p int, topic string) {
	last, back := -1, 0
	tp := record.TopicPartition{Topic: topic}
	for _, r := range w.read(tp, 0) {
		if partOf(r) != p {
			continue
		}
		_, seq, _ := strings.Cut(string(r.Value), "/")
		n, _ := strconv.Atoi(seq)
		if n <= last {
			back++
			if topic == "echo" && !slices.ContainsFunc(w.replays[p], func(r replay) bool { return r.from <= int64(n) }) {
				w.fatal("P3: %s came after %d", r.Value, last)
			}
		}
		last = n
	}
	// A late batch may go back itself, and so may what comes behind it.
	if again, late := len(w.replays[p]), w.late[tp][p]; back > again+2*late {
		w.fatal("P3: partition %d went back %d times in %s, tasks began anew %d times, %d batches came late", p, back, topic, again, late)
	}
}

// counts checks the table against its changelog, its output and, without replays, against the truth. It returns what downstream
// saw last of each key. givenUp are the keys of records that were set aside, but may have been counted, and their rows sent, before
// a replay: if the key has no other record since, its row stays.
func (w *coreWorld) counts(p int, want map[string]int, givenUp map[string]bool, exact bool) map[string]int64 {
	m := w.members[w.owner[p]]
	space, err := m.engine.Space(record.TaskID{Partition: int32(p)})
	w.check(err)
	defer space.Close()
	es, err := space.Store(countSpec.Name, countSpec.Kind)
	w.check(err)
	o, _, err := space.Offset(es.Name())
	w.check(err)
	if len(w.read(logPart(p), o.Changelog)) > 0 {
		w.fatal("P4: state of task %d is stored for offset %d, its changelog ends at %d", p, o.Changelog, len(w.logs[logPart(p)]))
	}
	w.sameAsFold(es, logPart(p), o.Changelog, "at the end")
	refused := slices.ContainsFunc(w.logs[inPart(p)], func(r record.Raw) bool { return w.refuse[string(r.Value)] })
	last := map[string]int64{} // what downstream saw
	for _, r := range w.read(record.TopicPartition{Topic: "out"}, 0) {
		last[string(r.Key)], err = serde.Int64.Decode(r.Value)
		w.check(err)
	}
	for k, n := range want {
		v, ok, err := es.Get(nil, []byte(k))
		w.check(err)
		got := int64(0)
		if ok {
			got, err = serde.Int64.Decode(v[8:])
			w.check(err)
		}
		// Beside a loss and a refusal, which leave behind what had been sent by then.
		stays := !w.eos && (w.losses[p] > 0 || refused || givenUp[k] && last[k] > got)
		if sent, ok := last[k]; !stays && (!ok && got != 0 || sent != got) {
			w.fatal("count of %s is %d, but downstream saw %d", k, got, sent)
		}
		if exact && got != int64(n) || !exact && got < int64(n)-int64(len(w.refuse)) {
			w.fatal("count of %s in partition %d is %d, want %d (exactly: %t)", k, p, got, n, exact)
		}
	}
	return last
}
