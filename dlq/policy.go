package dlq

import (
	"errors"
	"time"
)

// Action is what becomes of a unit that failed.
type Action uint8

// The actions.
const (
	ActionDeadLetter Action = iota // write a letter, go on
	ActionRetry                    // undo, wait, run the unit again
	ActionSkip                     // drop the record, count it, go on
	ActionFail                     // stop the application with the error
)

func (a Action) String() string {
	return [...]string{"dead-letter", "retry", "skip", "fail"}[a]
}

// Policy says what becomes of a unit that failed. It is made by [NewPolicy] and does not change.
type Policy struct {
	attempts int // runs of the unit in all, the first included
	backoff  Backoff
	within   time.Duration // no retry later than this after the first failure; 0: no limit
	all      bool          // retry every error that is not marked or known to be final, not only transient ones
	last     Action        // when no attempt is left
}

// Rule is a part of a policy: [Retry], [DeadLetter], [Skip], [Fail].
type Rule interface{ apply(*Policy) }

type rule func(*Policy)

func (r rule) apply(p *Policy) { r(p) }

// NewPolicy makes a policy of rules. Without a [Retry] a unit is tried once; without a last rule it is dead-lettered.
func NewPolicy(rules ...Rule) *Policy {
	p := &Policy{attempts: 1, last: ActionDeadLetter}
	for _, r := range rules {
		r.apply(p)
	}
	return p
}

// DefaultPolicy is what holds where nothing else is said: transient failures are retried five times over at most 60 s
// (200 ms doubling to 10 s, full jitter), then, like all others at once, dead-lettered.
func DefaultPolicy() *Policy {
	return &Policy{attempts: 6, backoff: Exponential(200*time.Millisecond, 10*time.Second), within: time.Minute,
		last: ActionDeadLetter}
}

// Retry runs a failed unit up to n times more, waiting by backoff. It applies to every failure but panics, records that
// cannot be read, and errors marked [Permanent], [Fatal] or [Skip]. The partition waits meanwhile, others go on.
func Retry(n int, backoff Backoff) Rule {
	return rule(func(p *Policy) { p.attempts, p.backoff, p.within, p.all = max(n, 0)+1, backoff, 0, true })
}

// DeadLetter sets the record aside: it goes to the dead-letter topic in the same commit as everything else.
func DeadLetter() Rule { return rule(func(p *Policy) { p.last = ActionDeadLetter }) }

// Fail stops the application with the failure. Nothing of the failed unit is committed.
func Fail() Rule { return rule(func(p *Policy) { p.last = ActionFail }) }

// Backoff is how long to wait before an attempt.
type Backoff struct {
	base, limit time.Duration
	fixed       bool
}

// Exponential doubles from base to limit, with full jitter: each wait is a random part of it.
func Exponential(base, limit time.Duration) Backoff {
	return Backoff{base: max(base, 0), limit: max(limit, base, 0)}
}

// Fixed waits d each time.
func Fixed(d time.Duration) Backoff { return Backoff{base: max(d, 0), limit: max(d, 0), fixed: true} }

// Delay returns the wait before attempt n (the first retry is n = 1). chance is in [0, 1).
func (b Backoff) Delay(n int, chance float64) time.Duration {
	if b.fixed {
		return b.base
	}
	d := b.base
	for i := 1; i < n && d < b.limit; i++ {
		d *= 2
	}
	return time.Duration(float64(min(d, b.limit)) * chance)
}

// Decision is an action, and for a retry how long to wait.
type Decision struct {
	Action Action
	Class  Class
	Delay  time.Duration
}

// Decide says what becomes of a unit that has failed for the attempt-th time (1 = its first run), since after its first
// failure. chance in [0, 1) is for the jitter (L5).
func (p *Policy) Decide(f *Failure, attempt int, since time.Duration, chance float64) Decision {
	d := Decision{Class: ClassOf(f), Action: p.last}
	v := (*verdict)(nil)
	marked := errors.As(f.Err, &v)
	switch {
	case marked && v.fatal:
		d.Action = ActionFail
		return d
	case errors.Is(f.Err, Skip) && !f.Panic:
		d.Action = ActionSkip
		return d
	}
	retriable := d.Class == ClassTransient || p.all && d.Class == ClassPermanent && !marked && f.Stage != StageProduce
	if !retriable || attempt >= p.attempts {
		return d
	}
	d.Delay = p.backoff.Delay(attempt, chance)
	if marked && v.after > 0 {
		d.Delay = v.after
	}
	if p.within > 0 && since+d.Delay > p.within {
		d.Delay = 0
		return d
	}
	d.Action = ActionRetry
	return d
}
