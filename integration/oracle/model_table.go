package oracle

import "strconv"

// table is the state of a step that makes a table.
type table struct {
	lazy   bool // it gets a store when a step needs one
	stored bool // it has rows of its own
	old    bool // its changes carry old values
	rows   map[string]row
}

type row struct {
	value *string
	time  int64
}

// planTables settles which tables have rows and which send old values. A table read from a topic has rows only if somebody
// needs them, a computed one only if it is named. Old values are sent where a grouping needs them; a filter takes them where
// they are to be had for nothing.
func (m *Model) planTables() {
	for i, s := range m.p {
		if m.p.IsTable(i) {
			t := &table{rows: map[string]row{}}
			m.tables[i] = t
			switch s.Op {
			case TableFrom, ToTable:
				t.lazy, t.stored = true, s.Store
			case FilterTable, MapTable:
				t.stored = s.Store
			default:
				t.stored = true
			}
		}
		switch s.Op {
		case FilterTable:
			m.tables[i].old = m.askOld(s.Of[0], false)
		case SumTable, ConcatTable:
			m.askOld(s.Of[0], true)
		case Join, LeftJoin:
			m.askRows(s.Of[1])
		}
	}
}

func (m *Model) askOld(i int, must bool) bool {
	t := m.tables[i]
	switch {
	case t.old || t.stored:
	case t.lazy:
		if !must {
			return false
		}
		t.stored = true
	case !m.askOld(m.p[i].Of[0], must):
		return false
	}
	t.old = true
	return true
}

func (m *Model) askRows(i int) {
	t := m.tables[i]
	if t.lazy {
		t.stored = true
	}
	if !t.stored {
		m.askRows(m.p[i].Of[0])
	}
}

// Rows are the rows of a table that has some.
func (m *Model) Rows(i int) (rows map[string]Record, ok bool) {
	t := m.tables[i]
	if t == nil || !t.stored {
		return nil, false
	}
	rows = map[string]Record{}
	for k, r := range t.rows {
		rows[k] = Record{Key: &k, Value: r.value, Time: r.time}
	}
	return rows, true
}

// get reads a row of a table, of its own or computed.
func (m *Model) get(i int, k string) (row, *failure) {
	t, s := m.tables[i], m.p[i]
	if t.stored {
		return t.rows[k], nil
	}
	r, err := m.get(s.Of[0], k)
	if err != nil || r.value == nil {
		return row{}, err
	}
	r.value, err = m.compute(i, k, r.value)
	return r, err
}

// compute is the function of a filtered or mapped table. It is not asked about nothing.
func (m *Model) compute(i int, k string, v *string) (*string, *failure) {
	s := m.p[i]
	if v == nil {
		return nil, nil
	}
	if err := m.call(i, "process", s.TroubleWith(k, *v)); err != nil {
		return nil, err
	}
	if s.Op == MapTable {
		return text(s.Value(k, *v)), nil
	}
	if !s.Keep(k, *v) {
		return nil, nil
	}
	return v, nil
}

// row reads a record as the update of a row.
func (m *Model) row(i int, r Record) *failure {
	if r.Key == nil {
		return nil
	}
	return m.set(i, change{key: *r.Key, now: r.Value, time: r.Time, label: r.Label})
}

// set stores a change, if the table has rows, and sends it on.
func (m *Model) set(i int, c change) *failure {
	t := m.tables[i]
	if t.stored {
		before, had := t.rows[c.key]
		m.undo = append(m.undo, func() {
			delete(t.rows, c.key)
			if had {
				t.rows[c.key] = before
			}
		})
		c.old = before.value
		delete(t.rows, c.key)
		if c.now != nil {
			t.rows[c.key] = row{c.now, c.time}
		}
	}
	if !t.old {
		c.old = nil
	}
	for _, kid := range m.kids[i] {
		if err := m.change(kid, c); err != nil {
			return err
		}
	}
	return nil
}

// change is what a step does with a change of the table above.
func (m *Model) change(i int, c change) *failure {
	t, s := m.tables[i], m.p[i]
	switch s.Op {
	case ToStream:
		return m.forward(i, Record{&c.key, c.now, c.time, c.label})
	case SumTable, ConcatTable:
		return m.leave(i, c)
	}
	now, err := m.compute(i, c.key, c.now)
	if err != nil {
		return err
	}
	var old *string
	switch {
	case t.stored:
		old = t.rows[c.key].value
	case t.old:
		if old, err = m.compute(i, c.key, c.old); err != nil {
			return err
		}
	}
	if s.Op == FilterTable && t.old && old == nil && now == nil {
		return nil
	}
	c.now, c.old = now, old
	return m.set(i, c)
}

// leave makes of a change of a row changes of its groups: one if it stays in its group, else the old value leaves first.
func (m *Model) leave(i int, c change) *failure {
	s := m.p[i]
	group := func(v *string) (string, *failure) {
		if v == nil {
			return "", nil
		}
		return s.Key(c.key, *v), m.callAt(i, m.p.Group(i), s.TroubleWith("group"+c.key, *v))
	}
	to, err := group(c.now)
	if err != nil {
		return err
	}
	from, err := group(c.old)
	if err != nil {
		return err
	}
	send := func(k string, now, old *string) {
		m.sent = append(m.sent, message{topic: m.topic(i), to: i, origin: m.in.origin, change: &change{k, now, old, c.time, c.label}})
	}
	if c.old != nil && c.now != nil && from == to {
		send(to, c.now, c.old)
		return nil
	}
	if c.old != nil {
		send(from, nil, c.old)
	}
	if c.now != nil {
		send(to, c.now, nil)
	}
	return nil
}

// callAt is call for a node of another name than the step's.
func (m *Model) callAt(i int, name string, t Trouble) *failure {
	f := m.call(i, "process", t)
	if f != nil {
		f.name = name
	}
	return f
}

// group is an aggregate before its topic, if it has one.
func (m *Model) group(i int, r Record) *failure {
	s := m.p[i]
	if s.By {
		if r.Value == nil {
			return nil
		}
		if err := m.callAt(i, m.p.Group(i), s.TroubleWith("group"+zero(r.Key), *r.Value)); err != nil {
			return err
		}
		r.Key = text(s.Key(zero(r.Key), *r.Value))
	}
	if m.repartitions(i) {
		m.through(i, r)
		return nil
	}
	return m.fold(i, r)
}

// fold adds a record to the aggregate of its key. The row's time is the largest since the row came to be.
func (m *Model) fold(i int, r Record) *failure {
	s, t := m.p[i], m.tables[i]
	if r.Key == nil || r.Value == nil {
		return nil
	}
	k, v := *r.Key, *r.Value
	old := t.rows[k]
	c := change{key: k, time: max(r.Time, old.time), label: r.Label}
	switch s.Op {
	case Count:
		c.now = add(old.value, 1)
	case Reduce:
		c.now = &v
		if old.value != nil {
			if err := m.call(i, "process", s.TroubleWith(*old.value, v)); err != nil {
				return err
			}
			c.now = text(s.Fold("", *old.value, v))
		}
	case Aggregate:
		if err := m.call(i, "process", s.TroubleWith(k+zero(old.value), v)); err != nil {
			return err
		}
		c.now = text(s.Fold(k, zero(old.value), v))
	case AggregateOpt:
		if err := m.call(i, "process", s.TroubleWith(k+Text(old.value), v)); err != nil {
			return err
		}
		if old.value == nil || !s.Drops(k, *old.value, v) {
			c.now = text(s.Fold(k, zero(old.value), v))
		}
	}
	return m.set(i, c)
}

// regroup takes what a change removes out of its group, if there is something to take it from, and then adds what it brings.
func (m *Model) regroup(i int, c change) *failure {
	s, t := m.p[i], m.tables[i]
	had := t.rows[c.key]
	now := had.value
	if c.old != nil && now != nil {
		if err := m.call(i, "process", s.TroubleWith("sub"+c.key+*now, *c.old)); err != nil {
			return err
		}
		if s.Op == SumTable {
			now = add(now, -len(*c.old))
		} else {
			now = text(s.Unfold(c.key, *now, *c.old))
		}
	}
	if c.now != nil {
		if err := m.call(i, "process", s.TroubleWith("add"+c.key+s.aggregate(now), *c.now)); err != nil {
			return err
		}
		if s.Op == SumTable {
			now = add(now, len(*c.now))
		} else {
			now = text(s.Fold(c.key, zero(now), *c.now))
		}
	}
	return m.set(i, change{key: c.key, now: now, time: max(c.time, had.time), label: c.label})
}

// aggregate shows what a group has so far, as its functions see it.
func (s Step) aggregate(now *string) string {
	if now == nil && s.Op == SumTable {
		return "0"
	}
	return zero(now)
}

func add(v *string, n int) *string {
	old, _ := strconv.Atoi(zero(v))
	return text(strconv.Itoa(old + n))
}
