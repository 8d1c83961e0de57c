package kafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The error table: each kind of request is answered by each error code, once, five times, or for ten seconds, and what is
// then done is what the table below says. Nothing loops, hangs or loses: afterwards all goes on, or Run has said why not.
// Plain go test answers once; OXBOW_ERRORS=all runs all three.

// outcome is what a cell of the table comes to.
type errorOutcome string

const (
	goesOn   errorOutcome = "goes on"   // the request is repeated until it succeeds
	aborts   errorOutcome = "aborts"    // the transaction is aborted, the next one is committed
	timesOut errorOutcome = "times out" // as aborts, after InitProducerId has said that nobody else took over
	unsure   errorOutcome = "unsure"    // the outcome is unknown; the next one is committed
	ends     errorOutcome = "ends"      // Run ends and names the code
	loses    errorOutcome = "loses"     // the membership is lost, and taken up again
	told     errorOutcome = "told"      // the caller gets the error
)

// transient codes are ridden out whatever the request is, unless its row says otherwise.
var transient = []int16{2, 3, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16, 19, 20, 41, 51, 52, 55, 56, 60, 70, 71, 72, 74, 75, 77, 78, 80, 83, 88, 89,
	100, 103, 106, 108, 111}

// errorRow is a kind of request: what becomes of it, but for the codes that are named.
type errorRow struct {
	key    kmsg.Key
	other  errorOutcome // codes that are neither transient nor named
	named  map[errorOutcome][]int16
	level  bool // the code is the answer's, not a partition's
	v1     bool // protocol 1
	before bool // the request is made when the producer begins
}

func (r *errorRow) want(code int16) errorOutcome {
	for o, codes := range r.named {
		if slices.Contains(codes, code) {
			return o
		}
	}
	if slices.Contains(transient, code) {
		return goesOn
	}
	return r.other
}

// repetitions of the error: its count, or −1 for ten seconds.
func repetitions(t *testing.T) []int {
	switch v := os.Getenv("OXBOW_ERRORS"); v {
	case "":
		return []int{1}
	case "all":
		return []int{1, 5, -1}
	default:
		t.Fatalf("OXBOW_ERRORS=%q: want all, or nothing", v)
		return nil
	}
}

// errorCodes are all that we know, and one that we do not.
func errorCodes() (codes []int16) {
	for c := range kafkaCodes() {
		codes = append(codes, c)
	}
	codes = append(codes, 999)
	slices.Sort(codes)
	return codes
}

func kafkaCodes() map[int16]bool {
	all := map[int16]bool{}
	for c := range codes {
		all[int16(c)] = true
	}
	return all
}

var txnErrorRows = []errorRow{
	{key: kmsg.FindCoordinator, other: ends, level: true, before: true},
	{key: kmsg.InitProducerID, other: ends, level: true, before: true, named: map[errorOutcome][]int16{goesOn: {-1}}},
	{key: kmsg.AddPartitionsToTxn, other: aborts, v1: true, named: map[errorOutcome][]int16{ends: {53}, timesOut: {47, 49, 82, 90}}},
	{key: kmsg.Produce, other: aborts, v1: true, named: map[errorOutcome][]int16{goesOn: {-1, 46}, timesOut: {47, 49, 82, 90}}},
	{key: kmsg.Produce, other: aborts, named: map[errorOutcome][]int16{goesOn: {-1, 46}, timesOut: {47, 49, 82, 90}}},
	{key: kmsg.AddOffsetsToTxn, other: aborts, level: true, v1: true, named: map[errorOutcome][]int16{ends: {53}, timesOut: {47, 49, 82, 90}}},
	{key: kmsg.TxnOffsetCommit, other: aborts, v1: true, named: map[errorOutcome][]int16{ends: {53}, timesOut: {47, 49, 90}}},
	{key: kmsg.TxnOffsetCommit, other: aborts, named: map[errorOutcome][]int16{ends: {53}, timesOut: {47, 49, 90}}},
	{key: kmsg.EndTxn, other: unsure, level: true, v1: true,
		named: map[errorOutcome][]int16{goesOn: {-1}, ends: {53}, aborts: {120}, timesOut: {47, 48, 49, 90}}},
	{key: kmsg.EndTxn, other: unsure, level: true,
		named: map[errorOutcome][]int16{goesOn: {-1}, ends: {53}, aborts: {120}, timesOut: {47, 48, 49, 90}}},
}

func TestErrorTableOfTransactions(t *testing.T) {
	reps := repetitions(t)
	cells := 0
	for _, row := range txnErrorRows {
		name := row.key.Name()
		if row.v1 {
			name += " protocol 1"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newErrorTable(t)
				for _, code := range errorCodes() {
					for _, n := range reps {
						w.txnCell(&row, code, n)
						cells++
					}
				}
				time.Sleep(2 * time.Minute) // what a producer that ended has left open is aborted by then
				w.check()
			})
		})
	}
	t.Logf("%d cells", cells)
}

// errorTable is the cluster of one row.
type errorTable struct {
	t      *testing.T
	f      *fakeCluster
	m      *testMember
	n      int
	offset int64
	want   []string
}

func newErrorTable(t *testing.T) *errorTable {
	w := &errorTable{t: t, f: startFake(t, 1, kfake.SeedTopics(1, "in", "out"))}
	w.m = w.f.member(t, w.f.client, "", 1)
	settled(t, 1, w.m)
	return w
}

// fault lets the broker answer n requests of a row with code, or those of ten seconds.
func (w *errorTable) fault(row *errorRow, code int16, n int, id string) *kfake.FaultHandle {
	fault := kfake.Fault{Keys: []kmsg.Key{row.key}, Err: &kerr.Error{Message: Code(code).String(), Code: code}, Count: n, TopLevel: row.level}
	if known, ok := kerr.ErrorForCode(code).(*kerr.Error); ok && known.Code == code {
		fault.Err = known
	}
	if row.key == kmsg.FindCoordinator {
		fault.TxnID = id
	}
	h := w.f.Fault(fault)
	if n < 0 {
		time.AfterFunc(10*time.Second, h.Remove)
	}
	return h
}

// txnCell runs one cell: a transaction that meets the error, and one after it.
func (w *errorTable) txnCell(row *errorRow, code int16, n int) {
	w.n++
	where := fmt.Sprintf("%s answered by %v (%d), %d times", row.key.Name(), Code(code), code, n)
	id, value := fmt.Sprint("tx", w.n), fmt.Sprint("v", w.n)
	fail := func(format string, args ...any) {
		w.t.Helper()
		w.t.Errorf("%s: %s", where, fmt.Sprintf(format, args...))
	}
	var h *kfake.FaultHandle
	if row.before {
		h = w.fault(row, code, n, id)
	}
	p := startProducer(w.t, w.f, ProducerConfig{TransactionalID: id, Protocol1: row.v1})
	defer p.end()
	if !row.before {
		p.p.End(true, w.m.Identity(), inAt(w.offset)) // the producer has its id when the fault comes
		p.ended(TxnCommitted, nil)
		h = w.fault(row, code, n, id)
	}
	defer h.Remove()
	p.send("out", 0, value)
	w.offset++
	p.p.End(true, w.m.Identity(), inAt(w.offset))
	e := p.txnEnd()
	if h.Hits() == 0 {
		fail("the fault was not met")
	}
	want := row.want(code)
	var refused *RefusedError
	names := errors.Is(e.Err, Code(code)) || errors.As(e.Err, &refused) && refused.Code == code
	var timeout *TxnTimeoutError
	late := errors.As(e.Err, &timeout)
	switch {
	case want == goesOn && (e.Outcome != TxnCommitted || e.Err != nil),
		want == aborts && (e.Outcome != TxnAborted || !names || late),
		want == timesOut && (e.Outcome != TxnAborted || !names || !late),
		want == unsure && (e.Outcome != TxnUnknown || !names),
		want == ends && (e.Outcome == TxnCommitted || !names):
		fail("%v: %v; want: %s", e.Outcome, e.Err, want)
		return
	}
	if want == goesOn && code != codeDuplicateSequence { // which the batch is not really
		w.want = append(w.want, value)
	}
	if want == ends {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
		defer cancel()
		if err := p.over(ctx); !errors.Is(err, Code(code)) {
			fail("Run: %v", err)
		}
		return
	}
	h.Remove()
	value += " after"
	p.send("out", 0, value)
	w.offset++
	p.p.End(true, w.m.Identity(), inAt(w.offset))
	if e := p.txnEnd(); e.Outcome != TxnCommitted {
		fail("the transaction after it: %v: %v", e.Outcome, e.Err)
		return
	}
	w.want = append(w.want, value)
}

// check compares what is committed with what was said to be.
func (w *errorTable) check() {
	w.t.Helper()
	if got := w.f.read(w.t, "out", 0, ReadCommitted); !slices.Equal(got, w.want) {
		w.t.Errorf("committed: %q\nwant: %q", got, w.want)
	}
}

var groupErrorRows = []errorRow{
	{key: kmsg.JoinGroup, other: ends, level: true, named: map[errorOutcome][]int16{goesOn: {27, 79}, loses: {22, 25, 110}}},
	{key: kmsg.SyncGroup, other: ends, level: true, named: map[errorOutcome][]int16{goesOn: {27}, loses: {22, 25, 110}}},
	{key: kmsg.Heartbeat, other: ends, level: true, named: map[errorOutcome][]int16{goesOn: {27}, loses: {22, 25, 110}}},
	{key: kmsg.OffsetCommit, other: told},
	{key: kmsg.OffsetFetch, other: told, named: map[errorOutcome][]int16{told: {3}}},
}

func TestErrorTableOfGroups(t *testing.T) {
	reps := repetitions(t)
	cells := 0
	for _, row := range groupErrorRows {
		t.Run(row.key.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newErrorTable(t)
				for _, code := range errorCodes() {
					for _, n := range reps {
						if row.key == kmsg.OffsetCommit || row.key == kmsg.OffsetFetch {
							w.offsetCell(&row, code, n)
						} else {
							w.groupCell(&row, code, n)
						}
						cells++
					}
				}
			})
		})
	}
	t.Logf("%d cells", cells)
}

// groupCell lets a member meet the error, and then commit.
func (w *errorTable) groupCell(row *errorRow, code int16, n int) {
	where := fmt.Sprintf("%s answered by %v (%d), %d times", row.key.Name(), Code(code), code, n)
	lost := w.m.log.count("lost")
	h := w.fault(row, code, n, "")
	defer h.Remove()
	if row.key != kmsg.Heartbeat { // while a join is under way its answer tells
		w.m.Rejoin()
	}
	time.Sleep(40 * time.Second)
	want := row.want(code)
	if n < 0 && want == goesOn && row.key != kmsg.SyncGroup && !(row.key == kmsg.Heartbeat && code == int16(codeRebalance)) {
		want = loses // ten seconds without a word are longer than the session
	}
	if h.Hits() == 0 {
		w.t.Errorf("%s: the fault was not met", where)
	}
	h.Remove()
	select {
	case err := <-w.m.done:
		w.m.done <- nil
		if want != ends || !errors.Is(err, Code(code)) {
			w.t.Errorf("%s: Run: %v; want: %s", where, err, want)
		}
		w.m = w.f.member(w.t, w.f.client, "", 1)
		settled(w.t, 1, w.m)
		return
	default:
	}
	settled(w.t, 1, w.m)
	got := goesOn
	if w.m.log.count("lost") > lost {
		got = loses
	}
	if got != want {
		w.t.Errorf("%s: %s; want: %s", where, got, want)
	}
	w.offset++
	if err := w.m.Commit(w.t.Context(), inAt(w.offset)); err != nil {
		w.t.Errorf("%s: commit afterwards: %v", where, err)
	}
}

// offsetCell commits or reads offsets.
func (w *errorTable) offsetCell(row *errorRow, code int16, n int) {
	where := fmt.Sprintf("%s answered by %v (%d), %d times", row.key.Name(), Code(code), code, n)
	h := w.fault(row, code, n, "")
	defer h.Remove()
	var err error
	if row.key == kmsg.OffsetCommit {
		w.offset++
		err = w.m.Commit(w.t.Context(), inAt(w.offset))
	} else {
		_, err = w.m.Committed(w.t.Context(), []record.TopicPartition{tpOf("in", 0)})
	}
	if h.Hits() == 0 {
		w.t.Errorf("%s: the fault was not met", where)
	}
	h.Remove()
	want := row.want(code)
	if want == goesOn && err != nil || want == told && !errors.Is(err, Code(code)) {
		w.t.Errorf("%s: %v; want: %s", where, err, want)
	}
	if want == goesOn && row.key == kmsg.OffsetCommit {
		if got, err := w.m.Committed(w.t.Context(), []record.TopicPartition{tpOf("in", 0)}); err != nil || got[tpOf("in", 0)].At != w.offset {
			w.t.Errorf("%s: committed: %v, %v, want %d", where, got, err, w.offset)
		}
	}
}
