package oracle

// step is what a step does with a record from above. What needs equal keys together sends it through a topic first.
func (m *Model) step(i int, r Record) *failure {
	s := m.p[i]
	k, v := zero(r.Key), zero(r.Value)
	switch s.Op {
	case Repartition, ToTable, Join, LeftJoin:
		if m.repartitions(i) {
			m.through(i, r)
			return nil
		}
		return m.after(i, r)
	case Count, Reduce, Aggregate, AggregateOpt:
		return m.group(i, r)
	case To:
		if r.Value != nil {
			if err := m.call(i, "serialize_value", s.TroubleWith("", v)); err != nil {
				return err
			}
		}
		m.write(s.Topic, r)
		return nil
	case ToTopics:
		if err := m.call(i, "process", s.TroubleWith(k, v)); err != nil {
			return err
		}
		m.write(s.Dest(k, v), r)
		return nil
	case Merge, Branch:
		return m.forward(i, r)
	case Split:
		return m.split(i, r)
	case NullMap:
		if err := m.call(i, "process", s.TroubleWith(k, Text(r.Value))); err != nil {
			return err
		}
		r.Value = s.ShowNull(k, r.Value)
		return m.forward(i, r)
	case Map, SelectKey, FlatMap:
		if r.Value == nil { // no new key can be made of it
			return nil
		}
	}
	if r.Value == nil { // it passes unseen
		return m.forward(i, r)
	}
	trouble := s.TroubleWith(k, v)
	if err := m.call(i, "process", trouble); err != nil {
		return err
	}
	return m.plain(i, r, k, v, trouble)
}

// plain is a step whose function sees a value.
func (m *Model) plain(i int, r Record, k, v string, trouble Trouble) *failure {
	s := m.p[i]
	switch s.Op {
	case Filter:
		if !s.Keep(k, v) {
			return nil
		}
	case FilterNot:
		if s.Keep(k, v) {
			return nil
		}
	case MapValues:
		r.Value = text(s.Value(k, v))
	case Map:
		r.Key, r.Value = text(s.Key(k, v)), text(s.Value(k, v))
	case SelectKey:
		r.Key = text(s.Key(k, v))
	case FlatMap, FlatMapValues:
		many := s.Many(k, v)
		for n, w := range many {
			if trouble == Second && n > 0 {
				break
			}
			r.Value = text(w)
			if s.Op == FlatMap {
				r.Key = text(s.Key(k, w))
			}
			if err := m.forward(i, r); err != nil {
				return err
			}
		}
		if trouble == Second {
			return m.call(i, "process", Panic)
		}
		return nil
	}
	return m.forward(i, r)
}

// split sends a record the way of the first branch that takes it. The last one takes what is left, null values among it.
func (m *Model) split(i int, r Record) *failure {
	branches := m.p.Branches(i)
	last := len(branches) - 1
	for n, b := range branches {
		if n < last {
			if r.Value == nil {
				continue
			}
			s, k, v := m.p[b], zero(r.Key), *r.Value
			if err := m.call(i, "process", s.TroubleWith(k, v)); err != nil {
				return err
			}
			if !s.Keep(k, v) {
				continue
			}
		}
		return m.forward(b, r)
	}
	return nil
}

// after is what a step does behind its topic.
func (m *Model) after(i int, r Record) *failure {
	switch m.p[i].Op {
	case Repartition:
		return m.forward(i, r)
	case ToTable:
		return m.row(i, r)
	case Join, LeftJoin:
		return m.join(i, r)
	}
	return m.fold(i, r)
}

// join reads the table as it is. A left join takes what has no row, null keys among it.
func (m *Model) join(i int, r Record) *failure {
	s := m.p[i]
	left := s.Op == LeftJoin
	if r.Value == nil || r.Key == nil && !left {
		return nil
	}
	var right *string
	if r.Key != nil {
		row, err := m.get(s.Of[1], *r.Key)
		if err != nil {
			return err
		}
		right = row.value
	}
	if right == nil && !left {
		return nil
	}
	k := zero(r.Key)
	if err := m.call(i, "process", s.TroubleWith(k+*r.Value, Text(right))); err != nil {
		return err
	}
	r.Value = text(s.Join(k, *r.Value, right))
	return m.forward(i, r)
}

func zero(v *string) string {
	if v == nil {
		return ""
	}
	return *v
}

func text(v string) *string { return &v }
