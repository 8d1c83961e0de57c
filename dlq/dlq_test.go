package dlq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/record"
)

type temporary struct{}

func (temporary) Error() string   { return "busy" }
func (temporary) Temporary() bool { return true }

type status int

func (s status) Error() string   { return fmt.Sprint("status ", int(s)) }
func (s status) StatusCode() int { return int(s) }

func TestClassOf(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		f    Failure
		want Class
	}{
		{Failure{Stage: StageProcess, Err: boom}, ClassPermanent},
		{Failure{Stage: StageProcess, Err: boom, Panic: true}, ClassPanic},
		{Failure{Stage: StageProcess, Err: Transient(boom)}, ClassTransient},
		{Failure{Stage: StageProcess, Err: fmt.Errorf("call: %w", RetryAfter(boom, time.Second))}, ClassTransient},
		{Failure{Stage: StageProcess, Err: Permanent(temporary{})}, ClassPermanent},
		{Failure{Stage: StageProcess, Err: temporary{}}, ClassTransient},
		{Failure{Stage: StageProcess, Err: context.DeadlineExceeded}, ClassTransient},
		{Failure{Stage: StageProcess, Err: fmt.Errorf("dial: %w", syscall.ECONNREFUSED)}, ClassTransient},
		{Failure{Stage: StageProcess, Err: status(503)}, ClassTransient},
		{Failure{Stage: StageProcess, Err: status(429)}, ClassTransient},
		{Failure{Stage: StageProcess, Err: status(404)}, ClassPermanent},
		{Failure{Stage: StageDeserializeValue, Err: &json.SyntaxError{}}, ClassPoison},
		{Failure{Stage: StageDeserializeValue, Err: Transient(io.EOF)}, ClassTransient},
		{Failure{Stage: StageDeserializeValue, Err: temporary{}}, ClassPoison},
		{Failure{Stage: StageTimestamp, Err: boom}, ClassPoison},
		{Failure{Stage: StageProduce, Err: boom}, ClassPermanent},
	} {
		if got := ClassOf(&c.f); got != c.want {
			t.Errorf("ClassOf(%s, %v) = %s, want %s", c.f.Stage, c.f.Err, got, c.want)
		}
	}
	for _, err := range []error{Transient(nil), Permanent(nil), RetryAfter(nil, 1), Fatal(nil)} {
		if err != nil {
			t.Errorf("a verdict over no error is %v, want nil", err)
		}
	}
}

func TestDecide(t *testing.T) {
	boom := errors.New("boom")
	process := func(err error) *Failure { return &Failure{Stage: StageProcess, Err: err} }
	retry := NewPolicy(Retry(2, Exponential(100*time.Millisecond, time.Second)), DeadLetter())
	for _, c := range []struct {
		name    string
		p       *Policy
		f       *Failure
		attempt int
		since   time.Duration
		want    Action
		delay   time.Duration
	}{
		{"default: an ordinary error is set aside at once", DefaultPolicy(), process(boom), 1, 0, ActionDeadLetter, 0},
		{"default: what may pass is retried", DefaultPolicy(), process(Transient(boom)), 1, 0, ActionRetry, 100 * time.Millisecond},
		{"default: five retries", DefaultPolicy(), process(Transient(boom)), 6, 0, ActionDeadLetter, 0},
		{"default: not beyond a minute", DefaultPolicy(), process(Transient(boom)), 2, time.Minute, ActionDeadLetter, 0},
		{"explicit retry takes every error", retry, process(boom), 2, 0, ActionRetry, 100 * time.Millisecond},
		{"explicit retry ends", retry, process(boom), 3, 0, ActionDeadLetter, 0},
		{"but not a permanent one", retry, process(Permanent(boom)), 1, 0, ActionDeadLetter, 0},
		{"nor a panic", retry, &Failure{Stage: StageProcess, Err: boom, Panic: true}, 1, 0, ActionDeadLetter, 0},
		{"nor poison", retry, &Failure{Stage: StageDeserializeKey, Err: boom}, 1, 0, ActionDeadLetter, 0},
		{"nor what the broker refuses", retry, &Failure{Stage: StageProduce, Err: boom}, 1, 0, ActionDeadLetter, 0},
		{"the function says when", retry, process(RetryAfter(boom, 7*time.Second)), 1, 0, ActionRetry, 7 * time.Second},
		{"fatal beats every rule", retry, process(Fatal(boom)), 1, 0, ActionFail, 0},
		{"the function skips", retry, process(Skip), 1, 0, ActionSkip, 0},
		{"wrapped too", retry, process(fmt.Errorf("old: %w", Skip)), 1, 0, ActionSkip, 0},
		{"the policy skips", NewPolicy(Skip), process(boom), 1, 0, ActionSkip, 0},
		{"the policy fails", NewPolicy(Fail()), process(boom), 1, 0, ActionFail, 0},
		{"retry, then fail", NewPolicy(Retry(1, Fixed(time.Second)), Fail()), process(boom), 2, 0, ActionFail, 0},
		{"no rules", NewPolicy(), process(Transient(boom)), 1, 0, ActionDeadLetter, 0},
	} {
		d := c.p.Decide(c.f, c.attempt, c.since, 0.5)
		if d.Action != c.want || d.Delay != c.delay {
			t.Errorf("%s: %s after %s, want %s after %s", c.name, d.Action, d.Delay, c.want, c.delay)
		}
	}
}

func TestBackoffIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := time.Duration(rapid.Int64Range(0, int64(time.Minute)).Draw(t, "base"))
		limit := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "limit"))
		b := Exponential(base, limit)
		d := b.Delay(rapid.IntRange(1, 1<<30).Draw(t, "n"), rapid.Float64Range(0, 0.999).Draw(t, "chance"))
		if d < 0 || d > max(base, limit) {
			t.Fatalf("delay %s of Exponential(%s, %s)", d, base, limit)
		}
	})
}

func sample() Case {
	return Case{
		App: "pricing", Version: "v1", Task: record.TaskID{Sub: 0, Partition: 3},
		At: record.Coordinates{TopicPartition: record.TopicPartition{Topic: "orders", Partition: 3}, Offset: 1017},
		Record: record.Raw{Key: []byte("k"), Value: []byte("{"), Time: 42,
			Headers: record.Headers{}.With("tenant", []byte("7")).With("empty", nil)},
		Payload: PayloadOriginal, Class: ClassPoison, Path: []string{"KSTREAM-SOURCE-0000000000"}, Attempts: 1,
		FirstFailed: 1000, Failed: 1000,
		Failure: &Failure{Stage: StageDeserializeValue, Node: "KSTREAM-SOURCE-0000000000",
			Err: fmt.Errorf("order: %w", io.ErrUnexpectedEOF)},
	}
}

// The format is a contract with tools outside: a change here is a change for users.
func TestLetterHeadersGolden(t *testing.T) {
	got := Letter(sample(), 0)
	var b strings.Builder
	for k, v := range got.Headers.All() {
		if v == nil {
			fmt.Fprintf(&b, "%s null\n", k)
		} else {
			fmt.Fprintf(&b, "%s %q\n", k, v)
		}
	}
	want := `tenant "7"
empty null
__streams.errors.exception "errors.errorString"
__streams.errors.message "order: unexpected EOF"
__streams.errors.stacktrace "fmt.wrapError: order: unexpected EOF\nerrors.errorString: unexpected EOF\n\tat KSTREAM-SOURCE-0000000000\n"
__streams.errors.topic "orders"
__streams.errors.partition "3"
__streams.errors.offset "1017"
__streams.errors.processor.node.id "KSTREAM-SOURCE-0000000000"
__streams.errors.task.id "0_3"
__streams.dlq.v "1"
__streams.dlq.id "` + id(sample()) + `"
__streams.dlq.app "pricing"
__streams.dlq.version "v1"
__streams.dlq.stage "deserialize_value"
__streams.dlq.class "poison"
__streams.dlq.fingerprint "` + Fingerprint(sample().Failure) + `"
__streams.dlq.path "KSTREAM-SOURCE-0000000000"
__streams.dlq.attempts "1"
__streams.dlq.first.failed.at "1000"
__streams.dlq.failed.at "1000"
__streams.dlq.payload "original"
__streams.dlq.origin "orders/3/1017"
__streams.dlq.redrive.count "0"
`
	if b.String() != want {
		t.Errorf("headers:\n%s\nwant:\n%s", b.String(), want)
	}
	if string(got.Key) != "k" || string(got.Value) != "{" || got.Time != 42 {
		t.Errorf("letter %q %q at %d is not the record", got.Key, got.Value, got.Time)
	}
}

// L2: a record that fails again carries one set of our headers, and its counters.
func TestLetterOfALetter(t *testing.T) {
	c := sample()
	first := Letter(c, 0)
	c.Record = first
	c.Record.Headers = first.Headers.Without(func(k string) bool { return k == HeaderRedriveCount }).
		With(HeaderRedriveCount, []byte("2"))
	again := Letter(c, 0)
	if again.Headers.Len() != first.Headers.Len() {
		t.Errorf("%d headers after the second failure, %d after the first", again.Headers.Len(), first.Headers.Len())
	}
	if n, _ := again.Headers.Get(HeaderRedriveCount); string(n) != "2" {
		t.Errorf("redrive count %q was not carried on", n)
	}
	if v, ok := again.Headers.Get("empty"); !ok || v != nil {
		t.Errorf("header with a null value became %q, %t", v, ok)
	}
}

// L3: whatever the failure's texts, our headers fit the budget, and the letter fits the topic.
func TestLetterFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := sample()
		big := func(label string) string {
			return strings.Repeat("é", rapid.IntRange(0, 40_000).Draw(t, label))
		}
		c.Failure.Err = errors.New(big("message"))
		c.Failure.Stack = []byte(big("stack"))
		c.Failure.Node, c.App, c.Path = big("node"), big("app"), []string{big("path"), big("path2")}
		c.Record.Value = bytes.Repeat([]byte("v"), rapid.IntRange(0, 100_000).Draw(t, "value"))
		limit := rapid.IntRange(HeaderBudget+1024, 60_000).Draw(t, "limit")
		l := Letter(c, limit)
		if own := len(l.Headers.Without(func(k string) bool { return !isOurs(k) }).Raw()); own > HeaderBudget {
			t.Fatalf("%d bytes of headers, budget %d", own, HeaderBudget)
		}
		if size(l) > limit {
			t.Fatalf("letter of %d bytes for a topic that takes %d", size(l), limit)
		}
		if err := record.CheckHeaders(l.Headers.Raw(), l.Headers.Len()); err != nil {
			t.Fatal(err)
		}
		p, _ := l.Headers.Get(HeaderPayload)
		if (l.Value == nil) != (string(p) == string(PayloadPointer)) {
			t.Fatalf("payload %s, value of %d bytes", p, len(l.Value))
		}
	})
}

func TestFingerprintIgnoresWhatVaries(t *testing.T) {
	of := func(msg string) string {
		return Fingerprint(&Failure{Stage: StageProcess, Node: "price", Err: errors.New(msg)})
	}
	if of(`order 17 of "bob" not found`) != of(`order 99 of "alice" not found`) {
		t.Error("two orders of one cause have two fingerprints")
	}
	if of("no such user") == of("no such product") {
		t.Error("two causes have one fingerprint")
	}
}

// L4
func TestIDIsOfTheFailureAlone(t *testing.T) {
	a, b := sample(), sample()
	b.Failed, b.Attempts, b.Version = 99, 4, "v2"
	if id(a) != id(b) {
		t.Error("the id changed with the run")
	}
	b.At.Offset++
	if id(a) == id(b) {
		t.Error("two records share an id")
	}
}
