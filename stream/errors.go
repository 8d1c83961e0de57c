package stream

import (
	"time"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/engine/topics"
)

// Rule is a part of a policy, for [OnError]: [Retry], [DeadLetter], [Skip], [Fail].
type Rule = dlq.Rule

// Backoff is how long to wait before a retry.
type Backoff = dlq.Backoff

// Failure says why a record failed, in which stage and at which step.
type Failure = dlq.Failure

// What stops an application that does not find what it needs.
type (
	// LostOffsetError says that the group has no offsets although there is state that was made by it.
	LostOffsetError = engine.LostOffsetError
	// WrongTopicError is an internal topic that exists and cannot serve.
	WrongTopicError = topics.WrongTopicError
	// MissingRightError is a right that the application's user lacks.
	MissingRightError = topics.MissingRightError
)

// Retry runs a failed record up to n times more, waiting by backoff. Its partition waits meanwhile, others go on.
func Retry(n int, backoff Backoff) Rule { return dlq.Retry(n, backoff) }

// Exponential doubles from base to limit, with full jitter.
func Exponential(base, limit time.Duration) Backoff { return dlq.Exponential(base, limit) }

// Fixed waits d each time.
func Fixed(d time.Duration) Backoff { return dlq.Fixed(d) }

// DeadLetter sets the record aside: it goes to the dead-letter topic in the same commit as everything else.
func DeadLetter() Rule { return dlq.DeadLetter() }

// Fail stops the application with the failure. Nothing of the failed record is committed.
func Fail() Rule { return dlq.Fail() }

// Skip is both: as an error of a function it drops the record, counted and without a dead letter; as a rule it does so for every
// failure that reaches it.
var Skip = dlq.Skip

// Transient says that err may pass by itself: the record is retried. Transient(nil) is nil.
func Transient(err error) error { return dlq.Transient(err) }

// Permanent says that no retry helps: the record is set aside at once. Permanent(nil) is nil.
func Permanent(err error) error { return dlq.Permanent(err) }

// RetryAfter is [Transient] with a delay: the next attempt comes d later. RetryAfter(nil, d) is nil.
func RetryAfter(err error, d time.Duration) error { return dlq.RetryAfter(err, d) }

// Fatal says that the application must stop, whatever the policy. Fatal(nil) is nil.
func Fatal(err error) error { return dlq.Fatal(err) }
