package engine

// rewind takes the task back to where its state is: what it did since is forgotten and will be done again.
func (t *Task) rewind() {
	t.drop()
	t.node.StreamTime = -1
	for _, p := range t.inputs {
		p.rewind(p.applied.position, p.applied.time)
		t.node.StreamTime = max(t.node.StreamTime, p.time)
	}
	t.unit, t.parked, t.retry, t.commit.row = unit{}, nil, parked{}, waiting{}
	t.clocks.rewind()
	t.Counts.untake()
	t.worked = false
}

// drop forgets all that is not in the engine.
func (t *Task) drop() {
	t.undo()
	for _, b := range t.commit.batches {
		b.batch.Discard()
	}
	t.commit.batches = nil
	for i, s := range t.prog.Stores {
		s.Store.Reset()
		if log := t.commit.logs[i]; log != nil {
			log.drop()
		}
	}
}
