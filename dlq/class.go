package dlq

import (
	"context"
	"errors"
	"syscall"
	"time"
)

// Class says what kind of trouble a failure is. The texts are those of the header __streams.dlq.class.
type Class string

// The classes.
const (
	// ClassPoison is a record that cannot be read: no retry can help.
	ClassPoison Class = "poison"
	// ClassTransient is trouble that may pass by itself.
	ClassTransient Class = "transient"
	// ClassPermanent is every other error of a user's function, and what a broker refuses for the record's own sake.
	ClassPermanent Class = "permanent"
	// ClassPanic is a panic in a user's function.
	ClassPanic Class = "panic"
)

// verdict is an error that a user's function has classified itself.
type verdict struct {
	err   error
	class Class // "": skip or fatal
	after time.Duration
	fatal bool
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// Transient says that err may pass by itself: the unit is retried. Transient(nil) is nil.
func Transient(err error) error { return classify(err, verdict{class: ClassTransient}) }

// Permanent says that no retry helps: the unit is set aside at once. Permanent(nil) is nil.
func Permanent(err error) error { return classify(err, verdict{class: ClassPermanent}) }

// RetryAfter is [Transient] with a delay: the next attempt comes d later, instead of when the backoff says.
// RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error {
	return classify(err, verdict{class: ClassTransient, after: max(d, 0)})
}

// Fatal says that the application must stop: neither retry nor dead letter, whatever the policy. Fatal(nil) is nil.
func Fatal(err error) error { return classify(err, verdict{fatal: true}) }

func classify(err error, v verdict) error {
	if err == nil {
		return nil
	}
	v.err = err
	return &v
}

// Skip is both: as an error of a user's function it drops the record (counted as skipped, no dead letter); as a rule of a
// policy it does so for every failure that reaches it.
var Skip skip

type skip struct{}

func (skip) Error() string     { return "skipped" }
func (skip) apply(p *Policy)   { p.last = ActionSkip }
func (skip) Is(err error) bool { _, ok := err.(skip); return ok }

// ClassOf classifies a failure: by what its function said, by its stage, by what is known of its error.
func ClassOf(f *Failure) Class {
	if f.Panic {
		return ClassPanic
	}
	switch f.Stage {
	case StageDeserializeKey, StageDeserializeValue, StageTimestamp:
		if transient(f.Err, false) {
			return ClassTransient // a schema registry that cannot be reached
		}
		return ClassPoison
	case StageProduce:
		return ClassPermanent
	}
	if v := (*verdict)(nil); errors.As(f.Err, &v) && v.class != "" {
		return v.class
	}
	if transient(f.Err, true) {
		return ClassTransient
	}
	return ClassPermanent
}

// transient tells whether err is known to pass. In a serde a time-out or a marked error counts, other chance does not.
func transient(err error, any bool) bool {
	if v := (*verdict)(nil); errors.As(err, &v) {
		return v.class == ClassTransient
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	if t := (interface{ Timeout() bool })(nil); errors.As(err, &t) && t.Timeout() {
		return true
	}
	if !any {
		return false
	}
	if t := (interface{ Temporary() bool })(nil); errors.As(err, &t) && t.Temporary() {
		return true
	}
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) {
		return true
	}
	if h := (interface{ StatusCode() int })(nil); errors.As(err, &h) {
		return h.StatusCode() == 429 || h.StatusCode() >= 500
	}
	return false
}
