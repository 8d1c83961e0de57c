package engine

// Run works on what is ready, for at most limit records, at wall time now (ms). It returns how many records came to their
// end. An error is not the record's fault, or its policy says to fail: the task must not go on.
func (t *Task) Run(now int64, limit int) (done int, err error) {
	t.node.WallTime = now
	t.n = 0
	if !t.wake(now) {
		return 0, nil
	}
	defer t.tally.ran(t, now)
	for t.n < limit && t.parked == nil {
		err := t.guarded(limit)
		if err == nil {
			break
		}
		if err = t.failed(err, now); err != nil {
			return t.n, err
		}
	}
	if t.parked == nil {
		if err := t.punctuateWall(now); err != nil {
			return t.n, err
		}
	}
	return t.n, nil
}

// guarded runs units until one fails, nothing is ready or the limit is reached. A panic in a unit is that unit's failure.
func (t *Task) guarded(limit int) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = t.panicked(p)
		}
	}()
	if t.unit.kind == unitPunctuation || t.node.StreamTime >= t.node.Timers.Stream {
		if err := t.punctuateStream(); err != nil {
			return err
		}
	}
	if len(t.inputs) == 1 && t.twice == nil {
		return t.runOne(t.inputs[0], limit)
	}
	return t.runMany(limit)
}

// runOne is the loop of a task with one input: no choice to make, so a record costs its way through the nodes and little else.
func (t *Task) runOne(p *input, limit int) error {
	units, in := &t.node.Units, &t.node.Input
	in.TopicPartition = p.tp
	out, sender, timed := t.cfg.Out, t.sender, t.prog.Time
	for t.n < limit {
		if !p.hasHead {
			if ok, err := t.next(p, limit); !ok {
				return err
			}
		}
		raw := p.head
		t.unit.begin(p)
		in.Raw, in.Offset = raw, raw.Offset
		sender.sent = 0
		if t.marked != nil {
			if err := t.refusedHere(p); err != nil {
				return err
			}
		}
		if !p.hasTime {
			time := raw.Time
			if !p.plain || time < 0 {
				var err error
				if time, err = p.src.Time(raw, p.time); err != nil {
					return err
				}
			}
			p.headTime, p.hasTime = time, true
			p.time = max(p.time, time)
			t.node.StreamTime = max(t.node.StreamTime, time)
		}
		if timed != nil {
			*timed = p.headTime
		}
		if err := p.src.Process(raw, p.headTime); err != nil {
			return err
		}
		units.Commit()
		t.completed(p)
		if t.node.StreamTime >= t.node.Timers.Stream {
			if err := t.punctuateStream(); err != nil {
				return err
			}
		}
		if len(out.ripe) > 0 {
			if err := out.flushRipe(); err != nil {
				return err
			}
		}
	}
	return nil
}

// waits tells whether the task should wait for more of an empty input: for what the broker is known to have, or may have,
// and then for MaxIdle more.
func (t *Task) waits(p *input, now int64) bool {
	if t.cfg.MaxIdle < 0 {
		return false
	}
	if p.lags() {
		p.idleSince = -1
		return true
	}
	if t.cfg.MaxIdle == 0 {
		return false
	}
	if p.idleSince < 0 {
		p.idleSince = now
	}
	return now-p.idleSince < t.cfg.MaxIdle
}

// Ready tells whether a run at wall time now might get anything done, and if not, when it should be tried again
// (math.MaxInt64: not before something is delivered).
func (t *Task) Ready(now int64) (bool, int64) {
	if t.parked != nil {
		return now >= t.parked.until, t.parked.until
	}
	if now >= t.node.Timers.Wall {
		return true, now
	}
	next := t.node.Timers.Wall
	filled, waits := false, false
	for _, p := range t.inputs {
		if !p.empty() {
			filled = true
			continue
		}
		if len(t.inputs) > 1 && t.waits(p, now) {
			waits = true
			if p.idleSince >= 0 {
				next = min(next, p.idleSince+t.cfg.MaxIdle)
			}
		}
	}
	return filled && !waits, next
}
