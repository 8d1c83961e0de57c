package record

import (
	"encoding/binary"
	"errors"
	"iter"
)

// Headers are the headers of a record in wire form: for each one a varint length and the key, a varint length (−1 for
// null) and the value. They are kept encoded because most records only carry them from one topic to the next.
//
// Headers are immutable (R4); the zero value is empty.
type Headers struct {
	raw []byte
	n   int
}

// MakeHeaders takes n headers in wire form. raw has been checked by [CheckHeaders] and is not written to afterwards.
func MakeHeaders(raw []byte, n int) Headers { return Headers{raw: raw, n: n} }

var errHeaders = errors.New("record headers: malformed")

// CheckHeaders reports whether raw holds exactly n well-formed headers.
func CheckHeaders(raw []byte, n int) error {
	for range n {
		k, rest, ok := cutBytes(raw)
		if !ok || k == nil {
			return errHeaders
		}
		if _, rest, ok = cutBytes(rest); !ok {
			return errHeaders
		}
		raw = rest
	}
	if len(raw) != 0 {
		return errHeaders
	}
	return nil
}

// Len returns the number of headers.
func (h Headers) Len() int { return h.n }

// Raw returns the wire form without the count. The caller must not write to it.
func (h Headers) Raw() []byte { return h.raw }

// All yields the headers in order. Values alias the list and must not be written to; nil is a null value.
func (h Headers) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		raw := h.raw
		for range h.n {
			k, rest, _ := cutBytes(raw)
			v, rest, _ := cutBytes(rest)
			raw = rest
			if !yield(string(k), v) {
				return
			}
		}
	}
}

// Get returns the value of the last header of that key, as Kafka's lastHeader does.
func (h Headers) Get(key string) (value []byte, ok bool) {
	for k, v := range h.All() {
		if k == key {
			value, ok = v, true
		}
	}
	return value, ok
}

// With returns h and one more header at its end. The result shares no memory with h.
func (h Headers) With(key string, value []byte) Headers {
	raw := make([]byte, 0, len(h.raw)+len(key)+len(value)+2*binary.MaxVarintLen32)
	raw = append(raw, h.raw...)
	if value == nil {
		raw = binary.AppendVarint(raw, int64(len(key)))
		raw = append(raw, key...)
		return Headers{binary.AppendVarint(raw, -1), h.n + 1}
	}
	return Headers{AppendHeader(raw, key, value), h.n + 1}
}

// AppendHeader appends a header in wire form, with a value that is not null.
func AppendHeader[B string | []byte](raw []byte, key string, value B) []byte {
	raw = binary.AppendVarint(raw, int64(len(key)))
	raw = append(raw, key...)
	raw = binary.AppendVarint(raw, int64(len(value)))
	return append(raw, value...)
}

// Without returns h without the headers for which drop is true.
func (h Headers) Without(drop func(key string) bool) Headers {
	var out Headers
	for k, v := range h.All() {
		if !drop(k) {
			out = out.With(k, v)
		}
	}
	return out
}

// Clone returns a copy that outlives the batch h is a view of.
func (h Headers) Clone() Headers {
	if h.n == 0 {
		return Headers{}
	}
	return Headers{append([]byte(nil), h.raw...), h.n}
}

// cutBytes splits a varint length and that many bytes off b. A length of −1 gives nil.
func cutBytes(b []byte) (v, rest []byte, ok bool) {
	n, w := binary.Varint(b)
	if w <= 0 || n < -1 || n > int64(len(b)-w) {
		return nil, nil, false
	}
	b = b[w:]
	if n < 0 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
