package kafka

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func (f *txnFlight) String() string {
	if f.call == nil {
		return fmt.Sprintf("produce %v", f.tps)
	}
	kind := [...]string{"init", "add", "add offsets", "offsets", "end"}[f.call.kind]
	return fmt.Sprintf("%s %d/%d %v commit=%v %s", kind, f.call.id.id, f.call.id.epoch, f.call.parts, f.call.commit, f.attempt)
}

// network lets something happen to one of the requests under way.
func (w *txnWorld) network(in *txnInst) {
	i := w.rng.IntN(len(in.flights))
	f := in.flights[i]
	n := w.rng.IntN(40)
	if w.calm {
		n = 40
	}
	drop := func() { in.flights = slices.Delete(in.flights, i, i+1) }
	switch {
	case n == 0 && !f.arrived:
		w.note("lost", "%s: %v", in.name, f)
		drop()
		w.gone(in, f, errLost(f, true), true)
	case n == 1 && !f.arrived:
		w.note("late", "%s: %v", in.name, f)
		w.late = append(w.late, &txnFlight{call: f.call, tps: f.tps, batches: f.batches, request: f.request, attempt: f.attempt, at: f.at})
		drop()
		w.gone(in, f, errLost(f, true), true)
	case n == 2 && !f.arrived && !f.again:
		w.note("refused connection", "%s: %v", in.name, f)
		drop()
		w.gone(in, f, errLost(f, false), false)
	case n == 3 && f.arrived:
		w.note("answer lost", "%s: %v", in.name, f)
		drop()
		w.gone(in, f, errLost(f, true), true)
	case n == 4 && f.arrived && !f.again:
		w.note("again", "%s: %v", in.name, f)
		f.arrived, f.again = false, true
	case n == 5 && f.arrived && !f.again: // a copy of it is still somewhere
		w.note("shadow", "%s: %v", in.name, f)
		w.late = append(w.late, &txnFlight{call: f.call, tps: f.tps, batches: f.batches, request: f.request, attempt: f.attempt, at: f.at})
		f.again = true
	case !f.arrived:
		w.arrive(f)
	default:
		drop()
		if f.request != nil {
			w.step(in, answerEvent{request: f.request, results: f.results, unknown: f.again})
			return
		}
		f.answer.call, f.answer.unknown = f.call, f.again
		w.step(in, f.answer)
	}
}

func errLost(f *txnFlight, sent bool) error {
	return &ConnError{API: f.api(), Sent: sent, Err: errors.New("lost")}
}

func (f *txnFlight) api() int16 {
	if f.call == nil {
		return int16(kmsg.Produce)
	}
	return [...]int16{apiInit, apiAdd, apiAddOffsets, apiTxnOffsetCommit, apiEndTxn}[f.call.kind]
}

// gone ends a request without an answer.
func (w *txnWorld) gone(in *txnInst, f *txnFlight, err error, unknown bool) {
	if f.request != nil {
		w.step(in, answerEvent{request: f.request, err: err, unknown: unknown})
		return
	}
	w.step(in, txnAnswer{call: f.call, err: err, unknown: unknown})
}

// arrive lets a broker handle a request.
func (w *txnWorld) arrive(f *txnFlight) {
	f.arrived = true
	if f.request != nil {
		f.results = make([]produceResult, len(f.batches))
		for i, b := range f.batches {
			w.produce(w.b.log(f.tps[i]), f.request.node, b, &f.results[i])
		}
		return
	}
	f.answer = txnAnswer{}
	fault := 100
	if !w.calm {
		fault = w.rng.IntN(100)
	}
	if fault < 6 { // the coordinator moves
		w.answered(f, []int16{codeCoordinatorLoading, codeCoordinatorNotAvailable, codeNotCoordinator}[fault%3])
		return
	}
	code := w.handle(f)
	if code == 0 && fault < 9 { // it moved when it had written
		code = []int16{codeCoordinatorNotAvailable, codeNotCoordinator, codeUnknownServerError}[fault-6]
		switch {
		case code >= 0 || f.call.kind == callInit:
		case f.call.kind != callEnd:
			code = codeNotCoordinator
		case w.rng.IntN(2) == 0: // no answer that makes sense
			code = 44
		}
	}
	w.answered(f, code)
}

// handle does what a coordinator does with a call.
func (w *txnWorld) handle(f *txnFlight) (code int16) {
	who := identity{id: f.call.id.id, epoch: f.call.id.epoch}
	switch f.call.kind {
	case callInit:
		before := w.b.cur
		f.answer.id, code = w.b.init(who)
		f.answer.v2 = w.b.v2
		if code == 0 && before.id != w.b.cur.id {
			w.kinds["new id"]++
		}
		if code == 0 && who.id >= 0 {
			w.kinds["renewed"]++
		}
	case callAdd:
		code = w.b.add(w.now, who, f.call.parts)
	case callAddOffsets:
		code = w.b.add(w.now, who, nil)
	case callOffsets:
		code = w.b.commitOffset(w.now, who, f.call.who.Generation, txnOffset{f.at, f.attempt})
	case callEnd:
		f.answer.id, code = w.b.end(who, f.call.commit)
	}
	return code
}

// answered writes an answer with a code, where it belongs in it.
func (w *txnWorld) answered(f *txnFlight, code int16) {
	if code != 0 {
		w.note(fmt.Sprintf("code %d", code), "%v", f)
	}
	err := brokerErr(f.api(), anyBroker, code, nil, "")
	if k := f.call.kind; k != callAdd && k != callOffsets {
		f.answer.err = err
		return
	}
	f.answer.parts = slices.Repeat([]error{err}, len(f.call.parts))
}

func (w *txnWorld) produce(l *txnLog, node int32, b modelBatch, r *produceResult) {
	r.answered, r.base = true, -1
	r.code = w.verdict(l, node, b, r)
	if r.code != 0 {
		w.note(fmt.Sprintf("code %d", r.code), "%s %v sequence %d epoch %d", l.tp, b.ids, b.sequence, b.epoch)
	}
}

func (w *txnWorld) verdict(l *txnLog, node int32, b modelBatch, r *produceResult) int16 {
	fault := 100
	if !w.calm {
		fault = w.rng.IntN(100)
	}
	switch {
	case l.leader != node:
		return codeNotLeader
	case fault < 3:
		return []int16{codeNotEnoughReplicas, codeUnknownTopicOrPartition, codeUnknownServerError}[fault]
	case b.ids == nil: // poison
		r.refused = []RefusedRecord{{Index: 0}}
		return codeInvalidRecord
	}
	code, base := w.b.append(w.now, l, b)
	if code == 0 && fault < 7 {
		return []int16{codeNotEnoughReplicasAfterWrite, codeRequestTimedOut, codeUnknownServerError, codeKafkaStorageError}[fault-3]
	}
	if r.base = base; code == 0 {
		l.safe = len(l.entries)
	}
	return code
}

// step gives events to a transactor and takes up what it wants done.
func (w *txnWorld) step(in *txnInst, events ...any) {
	acts := in.m.Step(w.now, events...)
	in.lookups = append(in.lookups, acts.lookups...)
	acked := 0
	for _, e := range acts.ends {
		for ; acked < e.acks; acked++ {
			w.ack(in, acts.acks[acked])
		}
		w.ended(in, e.TxnEnd)
	}
	for _, a := range acts.acks[acked:] {
		w.ack(in, a)
	}
	for _, c := range acts.calls {
		w.launchCall(in, c)
	}
	for _, r := range acts.requests {
		w.launch(in, r)
	}
}

// exclusive checks T1: while a transaction is being ended nothing else is on its way.
func (w *txnWorld) exclusive(in *txnInst, f *txnFlight) {
	for _, o := range in.flights {
		ending := func(f *txnFlight) bool { return f.call != nil && (f.call.kind == callEnd || f.call.kind == callInit) }
		if ending(o) || ending(f) {
			w.fail("%s: %v is sent while %v is on its way", in.name, f, o)
		}
	}
	in.flights = append(in.flights, f)
}

func (w *txnWorld) launchCall(in *txnInst, c *txnCall) {
	f := &txnFlight{call: c}
	switch a := in.ending; {
	case c.kind == callOffsets:
		f.attempt, f.at = c.offsets[c.parts[0]].Metadata, c.offsets[c.parts[0]].At
	case c.kind == callEnd && a == nil:
		w.fail("%s: EndTxn without an End", in.name)
	case c.kind == callEnd && c.commit && (a.acked < a.sent || a.failed || !a.commit):
		w.fail("%s: %s is committed with %d of %d acks, failed=%v", in.name, a.name, a.acked, a.sent, a.failed)
	}
	w.note("call", "%s: %v", in.name, f)
	w.exclusive(in, f)
}

func (w *txnWorld) launch(in *txnInst, r *produceRequest) {
	f := &txnFlight{request: r}
	for _, e := range r.entries {
		if slices.Contains(f.tps, e.part.tp) {
			w.fail("%s twice in a request", e.part.tp)
		}
		b, err := readModelBatch(e.batch)
		if err != nil {
			w.fail("%v", err)
		}
		m := e.batch.Tag.(*txnSend)
		if in.ending != nil && m.attempt != in.ending {
			w.fail("%s: a batch of %s is sent before %s has ended", in.name, m.attempt.name, in.ending.name)
		}
		if m.poison {
			b.ids = nil
		}
		f.tps, f.batches = append(f.tps, e.part.tp), append(f.batches, b)
	}
	w.note("request", "%s: to %d: %v", in.name, r.node, f.tps)
	w.exclusive(in, f)
}

func (w *txnWorld) ack(in *txnInst, a Ack) {
	m := a.Batch.Tag.(*txnSend)
	m.attempt.acked++
	m.attempt.failed = m.attempt.failed || a.Err != nil
	if m.attempt.ended {
		w.fail("%s: an ack of %s after its end", in.name, m.attempt.name)
	}
	if errors.Is(a.Err, Code(codeOutOfOrderSequence)) && !errors.Is(a.Err, errDelivery) {
		w.fail("%s: input %d of %s: no broker has lost what it acknowledged: %v", a.TP, m.input, m.attempt.name, a.Err)
	}
	if _, refused := a.Err.(*RefusedError); refused {
		if !m.poison {
			w.fail("%s: %v refused: %v", a.TP, m.ids, a.Err)
		}
		in.poison[m.input] = true
		w.kinds["refused"]++
	}
	w.note("ack", "%s: input %d of %s %v", in.name, m.input, m.attempt.name, a.Err)
	a.Batch.Release()
}

func (w *txnWorld) ended(in *txnInst, e TxnEnd) {
	a := in.ending
	if a == nil || a.commit != e.Commit {
		w.fail("%s: an end without a beginning: %+v", in.name, e)
		return
	}
	w.note(map[TxnOutcome]string{TxnCommitted: "committed", TxnAborted: "aborted", TxnUnknown: "unknown"}[e.Outcome], "%s %v", a.name, e.Err)
	var fenced *FencedError
	var timeout *TxnTimeoutError
	if errors.As(e.Err, &fenced) {
		w.kinds["fenced"]++
	}
	if errors.As(e.Err, &timeout) {
		w.kinds["timed out"]++
	}
	switch {
	case a.acked != a.sent:
		w.fail("%s: %s has ended with %d of %d acks", in.name, a.name, a.acked, a.sent)
	case e.Outcome == TxnCommitted && (!a.commit || a.failed || e.Err != nil):
		w.fail("%s: %s is said to be committed: %+v, failed=%v", in.name, a.name, e, a.failed)
	case e.Outcome != TxnCommitted && a.commit && e.Err == nil:
		w.fail("%s: nothing says why %s is not committed", in.name, a.name)
	}
	a.ended, a.outcome = true, e.Outcome
	in.ending = nil
	if e.Outcome != TxnCommitted {
		in.rewind, in.placed = in.open != nil, false
	}
	if in.rewind {
		in.placed = true // until the open one has been aborted
	}
}

// check looks at what is there in the end.
func (w *txnWorld) check() {
	there := map[int64]int{}
	for _, l := range w.b.logs {
		ids, err := l.visible()
		if err != nil {
			w.fail("%v", err)
		}
		inputs := slices.Clone(ids)
		for i := range inputs {
			inputs[i] >>= 24
		}
		if !slices.IsSorted(inputs) || len(slices.Compact(inputs)) != len(ids) {
			w.fail("%s: out of order or twice", l.tp)
		}
		for _, id := range ids {
			there[id]++
		}
	}
	if len(w.b.group.pending) > 0 {
		w.fail("offsets are pending for ever: %v", w.b.group.pending)
	}
	committed := map[string]txnOffset{}
	at := int64(0)
	byName := map[string]*txnAttempt{}
	for _, a := range w.attempts {
		byName[a.name] = a
	}
	for _, o := range w.b.group.committed {
		if a := byName[o.attempt]; a.from != at || a.to != o.at {
			w.fail("offset %d of %s follows %d", o.at, o.attempt, at)
		}
		at = o.at
		committed[o.attempt] = o
	}
	for _, a := range w.attempts {
		n := 0
		for _, id := range a.ids {
			n += there[id]
			delete(there, id)
		}
		_, offset := committed[a.name]
		whole := n == len(a.ids) && (offset || a.from == a.to)
		switch none := n == 0 && !offset; {
		case !none && !whole:
			w.fail("%s is torn: %d of %d records, offset %v", a.name, n, len(a.ids), offset)
		case a.ended && a.outcome == TxnCommitted && !whole:
			w.fail("%s is said to be committed, and is not", a.name)
		case a.ended && a.outcome == TxnAborted && !none:
			w.fail("%s is said to be aborted, and is visible", a.name)
		}
	}
	if len(there) > 0 {
		w.fail("records of nobody: %v", slices.Collect(maps.Keys(there)))
	}
}
