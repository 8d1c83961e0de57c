package engine

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// coreLag is how many records behind the newest one a record is due.
const coreLag = 3

// coreDue is an operator that makes things due: record n of its partition makes due all up to n−coreLag that its clock has not
// passed. What is due is sent to "late" and counted, and may fail after that: it must leave nothing then, and the record that
// made it due goes on. A few records fail after they have made something due: it is due again with the next.
type coreDue struct {
	node  *node.Task
	info  *node.Info
	clock *node.Clock
	next  node.Proc[string, string]
	out   node.Rec[string, string]
	flaky func() bool
	p     int32
	n     int64 // what is due
}

// lateValue is what is due of record n of a partition. Its second letter says how it fares.
func lateValue(p int32, n int64) string {
	return fmt.Sprintf("e%c%d/%d", "ggpgggtgggggg!gg"[(n*7+int64(p))%16], p, n)
}

func (d *coreDue) value() string { return lateValue(d.p, d.n) }

func (d *coreDue) Info() *node.Info { return d.info }

func (d *coreDue) Input() node.Input {
	return node.Input{Coordinates: node.NoCoordinates(), Raw: &record.Raw{Value: []byte(d.value())}}
}

func (d *coreDue) Emit() error {
	v := d.value()
	d.out = node.Rec[string, string]{Key: "late" + strconv.Itoa(int(d.p)), Value: v, Time: 1}
	if err := d.next(&d.out); err != nil {
		return err
	}
	switch v[1] {
	case 'p':
		return d.node.Fail(dlq.StageProcess, d.info, errCore)
	case '!':
		panic("poison")
	case 't':
		if d.flaky() {
			return d.node.Fail(dlq.StageProcess, d.info, dlq.Transient(errCore))
		}
	}
	return nil
}

func (d *coreDue) process(r *node.Rec[string, string]) error {
	_, seq, _ := strings.Cut(r.Value, "/")
	n, err := strconv.ParseInt(seq, 10, 64)
	if err != nil {
		return err
	}
	for d.clock.Now() < n-coreLag {
		d.n = d.clock.Now() + 1
		d.clock.Advance(d.n)
		if err := d.node.Emit(d); err != nil {
			return err
		}
	}
	return nil
}

// due checks what became of all that was due of a partition: P2, P5 and E8.
func (w *coreWorld) due(p int, lates, letters map[string]int, last map[string]int64, exact bool) {
	log := w.logs[inPart(p)]
	newest := int64(len(log)) - 1 // that went through for sure
	for newest >= 0 && !w.goesThrough(p, newest) {
		newest--
	}
	sent := int64(0)
	for n := range int64(len(log)) {
		v := lateValue(int32(p), n)
		late, set := lates[v], letters[v]
		poison := v[1] == 'p' || v[1] == '!'
		sent += int64(min(late, 1))
		switch {
		case late+set == 0 && n > newest-coreLag:
		case poison && late > 0:
			w.fatal("P5: emission %s failed, but had sent %d records", v, late)
		case late+set == 0:
			w.fatal("P2: emission %s is nowhere", v)
		case (poison || w.refuse[v]) != (set > 0) && v[1] != 't':
			w.fatal("emission %s: %d dead letters", v, set)
		case late+set > 1 && !w.dueTwice(p, n):
			w.fatal("P2: emission %s came %d times without a reason: %v", v, late+set, w.replays[p])
		}
	}
	if got := last["late"+strconv.Itoa(p)]; exact && got != sent {
		w.fatal("P5: %d emissions of partition %d were sent, but %d are counted", sent, p, got)
	}
}

// goesThrough tells whether a record completes whatever happens.
func (w *coreWorld) goesThrough(p int, n int64) bool {
	v := string(w.logs[inPart(p)][n].Value)
	return v[0] == 'g' && !w.refuse[v]
}

// dueTwice tells whether a record may have been processed twice that made emission n due: the first behind it that goes through,
// or one before that.
func (w *coreWorld) dueTwice(p int, n int64) bool {
	for at := n + coreLag; at < int64(len(w.logs[inPart(p)])); at++ {
		if w.explained(p, at) {
			return true
		}
		if w.goesThrough(p, at) {
			break
		}
	}
	return false
}

var errCore = errors.New("poison")
