package dlq

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Names of headers. Those of Kafka Streams (KIP-1034) come first, then two that are in wide use beside them, then ours.
const (
	HeaderException  = "__streams.errors.exception"
	HeaderMessage    = "__streams.errors.message"
	HeaderStacktrace = "__streams.errors.stacktrace"
	HeaderTopic      = "__streams.errors.topic"
	HeaderPartition  = "__streams.errors.partition"
	HeaderOffset     = "__streams.errors.offset"
	HeaderNode       = "__streams.errors.processor.node.id"
	HeaderTask       = "__streams.errors.task.id"

	HeaderFormat       = "__streams.dlq.v"
	HeaderID           = "__streams.dlq.id"
	HeaderApp          = "__streams.dlq.app"
	HeaderVersion      = "__streams.dlq.version"
	HeaderStage        = "__streams.dlq.stage"
	HeaderClass        = "__streams.dlq.class"
	HeaderFingerprint  = "__streams.dlq.fingerprint"
	HeaderPath         = "__streams.dlq.path"
	HeaderAttempts     = "__streams.dlq.attempts"
	HeaderFirstFailed  = "__streams.dlq.first.failed.at"
	HeaderFailed       = "__streams.dlq.failed.at"
	HeaderPayload      = "__streams.dlq.payload"
	HeaderOrigin       = "__streams.dlq.origin"
	HeaderSinkTopic    = "__streams.dlq.sink.topic"
	HeaderRedriveCount = "__streams.dlq.redrive.count"

	// OriginHeader travels with a record through repartition topics: topic/partition/offset of the user's input.
	OriginHeader = "__streams.origin"
)

// HeaderBudget is how many bytes of headers a letter adds at most (L3).
const HeaderBudget = 16 << 10

const (
	stackLimit   = 8 << 10
	messageLimit = 1 << 10
	fieldLimit   = 512 // of every other header
	pathLimit    = 2 << 10
)

// Payload says what the letter's key and value are. The texts are those of the header __streams.dlq.payload.
type Payload string

// The kinds of payload.
const (
	PayloadOriginal Payload = "original" // the record as it was consumed
	PayloadDerived  Payload = "derived"  // the row, emission or punctuation at the failing node
	PayloadPointer  Payload = "pointer"  // coordinates alone: the value did not fit
)

// Case is a unit that is set aside.
type Case struct {
	App, Version string
	Task         record.TaskID
	At           record.Coordinates // topic "" and offset −1 for a punctuation
	Record       record.Raw
	Payload      Payload
	Failure      *Failure
	Class        Class
	Path         []string // nodes from the source to the failing one
	Origin       string   // topic/partition/offset of the user's input; "": At
	Attempts     int
	FirstFailed  int64 // ms
	Failed       int64 // ms
	Sequence     int   // among the failures of one record at one node

	id string
}

// Letter makes the dead letter of c: a record to append to the dead-letter topic. It aliases c.Record.
//
// limit is the size that the topic takes, 0 for none: a letter that would be larger becomes a pointer, without the value,
// then without the key and the original headers.
func Letter(c Case, limit int) record.Raw {
	c.id = id(c)
	own := ownHeaders(c)
	kept := c.Record.Headers.Without(isOurs)
	out := record.Raw{Key: c.Record.Key, Value: c.Record.Value, Time: max(c.Record.Time, 0), Headers: join(kept, own)}
	if limit <= 0 || size(out) <= limit {
		return out
	}
	c.Payload = PayloadPointer
	out.Value, out.Headers = nil, join(kept, ownHeaders(c))
	if size(out) > limit {
		out.Key, out.Headers = nil, ownHeaders(c)
	}
	return out
}

func ownHeaders(c Case) record.Headers {
	fields := fieldsOf(c)
	stack := stackText(c)
	for _, step := range []struct{ stack, message, field int }{
		{stackLimit, messageLimit, fieldLimit}, {0, messageLimit, fieldLimit}, {0, 128, 128}, {0, 32, 64},
	} {
		h := encode(fields, cut(stack, step.stack), step.message, step.field)
		if len(h.Raw()) <= HeaderBudget || step.message == 32 {
			return h
		}
	}
	panic("unreachable")
}

type field struct {
	name, value string
	limit       int // 0: the step's
	null        bool
}

func fieldsOf(c Case) []field {
	f, at := c.Failure, c.At
	origin := c.Origin
	if origin == "" && at.Topic != "" {
		origin = OriginOf(at)
	}
	redriven, _ := c.Record.Headers.Get(HeaderRedriveCount)
	if redriven == nil {
		redriven = []byte("0")
	}
	num := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []field{
		{name: HeaderException, value: typeName(innermost(f.Err))},
		{name: HeaderMessage, value: f.Err.Error(), limit: messageLimit},
		{name: HeaderStacktrace, limit: stackLimit},
		{name: HeaderTopic, value: at.Topic, null: at.Topic == ""},
		{name: HeaderPartition, value: num(int64(at.Partition))},
		{name: HeaderOffset, value: num(at.Offset)},
		{name: HeaderNode, value: f.Node},
		{name: HeaderTask, value: c.Task.String()},
		{name: HeaderFormat, value: "1"},
		{name: HeaderID, value: c.id},
		{name: HeaderApp, value: c.App},
		{name: HeaderVersion, value: c.Version},
		{name: HeaderStage, value: string(f.Stage)},
		{name: HeaderClass, value: string(c.Class)},
		{name: HeaderFingerprint, value: Fingerprint(f)},
		{name: HeaderPath, value: strings.Join(c.Path, " > "), limit: pathLimit},
		{name: HeaderAttempts, value: num(int64(c.Attempts))},
		{name: HeaderFirstFailed, value: num(c.FirstFailed)},
		{name: HeaderFailed, value: num(c.Failed)},
		{name: HeaderPayload, value: string(c.Payload)},
		{name: HeaderOrigin, value: origin, null: origin == ""},
		{name: HeaderSinkTopic, value: f.Topic, null: f.Topic == ""},
		{name: HeaderRedriveCount, value: string(redriven)},
	}
}

func encode(fields []field, stack string, messageMax, fieldMax int) record.Headers {
	n := 0
	raw := make([]byte, 0, 1<<10+len(stack))
	for _, f := range fields {
		limit := f.limit
		if limit == 0 || fieldMax < fieldLimit {
			limit = fieldMax
		}
		value := f.value
		switch {
		case f.name == HeaderStacktrace:
			value = stack
		case f.name == HeaderMessage:
			value = cut(value, messageMax)
		default:
			value = cut(value, limit)
		}
		switch {
		case !f.null:
			raw = record.AppendHeader(raw, f.name, value)
		case f.name == HeaderTopic: // KIP-1034: null in a punctuation
			raw = append(raw, record.Headers{}.With(f.name, nil).Raw()...)
		default:
			continue
		}
		n++
	}
	return record.MakeHeaders(raw, n)
}

// OriginOf is the form of the headers of origin: topic/partition/offset.
func OriginOf(c record.Coordinates) string {
	return c.Topic + "/" + strconv.Itoa(int(c.Partition)) + "/" + strconv.FormatInt(c.Offset, 10)
}

func isOurs(key string) bool {
	return strings.HasPrefix(key, "__streams.errors.") || strings.HasPrefix(key, "__streams.dlq.") || key == OriginHeader
}

func join(a, b record.Headers) record.Headers {
	raw := make([]byte, 0, len(a.Raw())+len(b.Raw()))
	return record.MakeHeaders(append(append(raw, a.Raw()...), b.Raw()...), a.Len()+b.Len())
}

// size is what a record takes in a batch, rounded up.
func size(r record.Raw) int { return len(r.Key) + len(r.Value) + len(r.Headers.Raw()) + 70 }

// cut shortens s to at most n bytes, at a rune's start.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// id names the failure whatever the run (L4).
func id(c Case) string {
	text := fmt.Appendf(nil, "%s\x00%s\x00%s\x00%d", c.App, OriginOf(c.At), c.Failure.Node, c.Sequence)
	if c.Payload == PayloadDerived { // a row is told by what it is: it has no coordinates, or shares those of its record
		text = fmt.Appendf(text, "\x00%d\x00%q\x00%q", c.Record.Time, c.Record.Key, c.Record.Value)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
