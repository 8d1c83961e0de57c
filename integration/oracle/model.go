package oracle

import (
	"fmt"
	"slices"
	"strings"
)

// Record is what flows in streams and lies in topics. Label stands for its headers.
type Record struct {
	Key, Value *string
	Time       int64
	Label      string
}

func (r Record) String() string {
	s := fmt.Sprintf("%s=%s @%d", Text(r.Key), Text(r.Value), r.Time)
	if r.Label != "" {
		s += " " + r.Label
	}
	return s
}

// change is what flows between tables.
type change struct {
	key      string
	now, old *string
	time     int64
	label    string
}

// Letter is a record that was set aside.
type Letter struct {
	Stage, Node, Class string
	At, Origin         string // topic/partition/offset
	Record             Record
}

func (l Letter) String() string {
	return fmt.Sprintf("%s at %s (%s) %s from %s: %s", l.Stage, l.Node, l.Class, l.At, l.Origin, l.Record)
}

// Counts say what became of the records that tasks took up, internal topics included.
type Counts struct{ Consumed, Completed, DeadLettered, Skipped int64 }

// failure is how a unit ends early.
type failure struct {
	stage, class string
	node         int    // step
	name         string // of the node, if not the step's
	skip         bool
}

func (f *failure) Error() string { return f.stage }

// Model runs a program step by step.
type Model struct {
	Out     map[string][]Record // by topic, internal topics left out
	Letters []Letter
	Counts  Counts

	p       Program
	kids    [][]int
	tables  []*table
	relaxed []bool // its repartition topic keeps null keys
	offsets map[string]int64
	queue   []message

	// Of the running unit:
	undo []func()
	sent []message
	in   message
}

// message is a record in a topic.
type message struct {
	topic  string
	to     int // the step that reads it, of internal topics; −1
	rec    Record
	change *change
	offset int64
	origin string
}

// NewModel prepares a program.
func NewModel(p Program) *Model {
	m := &Model{p: p, Out: map[string][]Record{}, kids: make([][]int, len(p)), tables: make([]*table, len(p)),
		relaxed: make([]bool, len(p)), offsets: map[string]int64{}}
	for i, s := range p {
		for n, of := range s.Of {
			if n == 1 && s.Op != Merge { // a table that is joined sends nothing
				continue
			}
			m.kids[of] = append(m.kids[of], i)
		}
	}
	m.planTables()
	for i, s := range p {
		if s.Op == LeftJoin {
			m.relax(i)
		}
	}
	return m
}

// relax marks the repartition topics before a step that takes null keys, the nearest on each way up.
func (m *Model) relax(i int) {
	if m.repartitions(i) {
		m.relaxed[i] = true
		return
	}
	for n, of := range m.p[i].Of {
		if n == 0 || m.p[i].Op == Merge {
			m.relax(of)
		}
	}
}

// repartitions tells whether a step reads what it works on from a topic of its own.
func (m *Model) repartitions(i int) bool {
	s := m.p[i]
	switch s.Op {
	case Repartition, SumTable, ConcatTable:
		return true
	case Count, Reduce, Aggregate, AggregateOpt:
		return s.By || m.p.Rekeyed(s.Of[0])
	case ToTable, Join, LeftJoin:
		return m.p.Rekeyed(s.Of[0])
	}
	return false
}

// topic is the name of the internal topic of a step.
func (m *Model) topic(i int) string { return fmt.Sprintf("test-%s-repartition", m.p.topicName(i)) }

func (p Program) topicName(i int) string {
	switch p[i].Op {
	case Count, Reduce, Aggregate, AggregateOpt, SumTable, ConcatTable:
		return p.Group(i)
	}
	return p.Name(i)
}

// Group is the name of the grouping before an aggregate.
func (p Program) Group(i int) string { return p.Name(i) + "g" }

// StoreName is the name of a table's store.
func (p Program) StoreName(i int) string { return p.Name(i) + "s" }

// Input is a record of the user, perhaps one that cannot be read.
type Input struct {
	Topic string
	Record
}

func (in Input) String() string { return in.Topic + " " + in.Record.String() }

// What makes keys and values of inputs unreadable.
const (
	BadBytes   = "!" // its serde returns an error
	PanicBytes = "?" // its serde panics
)

// Feed takes a record and all that comes of it.
func (m *Model) Feed(in Input) {
	m.queue = append(m.queue, m.arrive(message{topic: in.Topic, to: -1, rec: in.Record}))
	for len(m.queue) > 0 {
		next := m.queue[0]
		m.queue = m.queue[1:]
		m.unit(next)
	}
}

func (m *Model) arrive(x message) message {
	x.offset = m.offsets[x.topic]
	m.offsets[x.topic]++
	if x.origin == "" {
		x.origin = fmt.Sprintf("%s/0/%d", x.topic, x.offset)
	}
	return x
}

// unit runs one record: all of its effects, or a letter.
func (m *Model) unit(x message) {
	m.in, m.undo, m.sent = x, nil, nil
	m.Counts.Consumed++
	err := m.run(x)
	if err == nil {
		m.Counts.Completed++
		m.commit()
		return
	}
	for _, f := range slices.Backward(m.undo) {
		f()
	}
	if err.skip || m.p[err.node].Skips {
		m.Counts.Skipped++
		return
	}
	m.Counts.DeadLettered++
	l := Letter{Stage: err.stage, Node: err.name, Class: err.class, At: fmt.Sprintf("%s/0/%d", x.topic, x.offset), Origin: x.origin,
		Record: x.rec}
	if l.Node == "" {
		l.Node = m.p.Name(err.node)
	}
	if x.change != nil {
		l.Record = Record{Key: &x.change.key, Time: x.change.time, Label: x.change.label}
	}
	l.Record.Time = max(l.Record.Time, 0)
	m.Letters = append(m.Letters, l)
}

// commit appends what the unit has sent to the topics: topics in the order of their first record.
func (m *Model) commit() {
	var topics []string
	for _, x := range m.sent {
		if !slices.Contains(topics, x.topic) {
			topics = append(topics, x.topic)
		}
	}
	for _, t := range topics {
		for _, x := range m.sent {
			switch {
			case x.topic != t:
			case x.to < 0:
				m.Out[t] = append(m.Out[t], x.rec)
			default:
				m.queue = append(m.queue, m.arrive(x))
			}
		}
	}
}

func (m *Model) run(x message) *failure {
	switch {
	case x.change != nil:
		return m.regroup(x.to, *x.change)
	case x.to >= 0:
		return m.after(x.to, x.rec)
	}
	return m.read(x)
}

// read is what a source does. Equal sources of streams are one, with the name of the first.
func (m *Model) read(x message) *failure {
	var kids []int
	first := -1
	for i, s := range m.p {
		if s.Topic == x.topic && (s.Op == From || s.Op == TableFrom) {
			if first < 0 {
				first = i
			}
			if s.Op == From {
				kids = append(kids, m.kids[i]...)
			}
		}
	}
	name := m.p.Name(first)
	if m.p[first].Op == TableFrom {
		name += "-source"
	}
	bad := func(stage string) *failure { return &failure{stage: stage, class: "poison", node: first, name: name} }
	if x.rec.Time < 0 {
		return bad("timestamp")
	}
	for _, part := range []struct {
		text  *string
		stage string
	}{{x.rec.Key, "deserialize_key"}, {x.rec.Value, "deserialize_value"}} {
		switch {
		case part.text == nil:
		case strings.HasPrefix(*part.text, BadBytes):
			return bad(part.stage)
		case strings.HasPrefix(*part.text, PanicBytes):
			f := bad(part.stage)
			f.class = "panic"
			return f
		}
	}
	if m.p[first].Op == TableFrom {
		return m.row(first, x.rec)
	}
	slices.Sort(kids)
	return m.each(slices.Compact(kids), x.rec)
}

// forward sends a record to the steps behind one, each to its end before the next.
func (m *Model) forward(i int, r Record) *failure { return m.each(m.kids[i], r) }

func (m *Model) each(kids []int, r Record) *failure {
	for _, k := range kids {
		if err := m.step(k, r); err != nil {
			return err
		}
	}
	return nil
}

// write notes a record for a topic.
func (m *Model) write(topic string, r Record) {
	m.sent = append(m.sent, message{topic: topic, to: -1, rec: r})
}

// through sends a record through the internal topic of a step.
func (m *Model) through(i int, r Record) {
	if r.Key == nil && !m.relaxed[i] {
		return
	}
	m.sent = append(m.sent, message{topic: m.topic(i), to: i, rec: r, origin: m.in.origin})
}

// call says how the function of a step fails, if it does.
func (m *Model) call(i int, stage string, t Trouble) *failure {
	switch t {
	case Fine, Second:
		return nil
	case Panic:
		return &failure{stage: stage, class: "panic", node: i}
	}
	return &failure{stage: stage, class: "permanent", node: i, skip: t == Skip}
}
