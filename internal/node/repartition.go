package node

import (
	"encoding/binary"
	"strconv"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// A record that goes through a repartition topic is a new record there. So that a dead letter can still name the user's
// input, its coordinates travel along in the last header, which no user's function sees.

// WithOrigin makes next, the sink of a repartition topic, send each record with the coordinates of the user's input.
func WithOrigin[K, V any](t *Task, next Proc[K, V]) Proc[K, V] {
	out := new(Rec[K, V])
	var buf []byte
	return func(r *Rec[K, V]) error {
		*out = *r
		raw := append(buf[:0], r.Headers.Raw()...)
		raw = binary.AppendVarint(raw, int64(len(dlq.OriginHeader)))
		raw = append(raw, dlq.OriginHeader...)
		start := len(raw)
		raw = append(raw, 0, 0) // room for the length, which is below 2^13: a topic's name has at most 249 bytes
		raw = t.Input.appendOrigin(raw)
		n := uint64(len(raw)-start-2) << 1
		raw[start], raw[start+1] = byte(n)|0x80, byte(n>>7)
		buf = raw
		out.Headers = record.MakeHeaders(raw, r.Headers.Len()+1)
		return next(out)
	}
}

func (in *Input) appendOrigin(dst []byte) []byte {
	if in.Origin != nil {
		return append(dst, in.Origin...)
	}
	dst = append(dst, in.Topic...)
	dst = append(dst, '/')
	dst = strconv.AppendInt(dst, int64(in.Partition), 10)
	dst = append(dst, '/')
	return strconv.AppendInt(dst, in.Offset, 10)
}

// NewRepartitionSource is [NewSource] for a repartition topic: it takes the origin off the headers.
func NewRepartitionSource[K, V any](t *Task, at *Info, key serde.Serde[K], value serde.Serde[V],
	next Proc[K, V]) Source {
	s := newSource(t, at, key, value, nil, next)
	s.repartition = true
	return s
}

// cutOrigin takes the last header off h if it is the origin. The result aliases h.
func cutOrigin(h record.Headers) (record.Headers, []byte) {
	if h.Len() == 0 {
		return h, nil
	}
	raw, end := h.Raw(), 0
	for range h.Len() - 1 {
		end = skipField(raw, skipField(raw, end))
	}
	start := end
	n, w := binary.Varint(raw[start:])
	if int(n) != len(dlq.OriginHeader) || string(raw[start+w:start+w+int(n)]) != dlq.OriginHeader {
		return h, nil
	}
	start += w + int(n)
	n, w = binary.Varint(raw[start:])
	if n < 0 {
		return h, nil
	}
	return record.MakeHeaders(raw[:end:end], h.Len()-1), raw[start+w : start+w+int(n)]
}

// skipField returns where the varint length and the bytes at i end. Headers are checked when a batch is walked.
func skipField(raw []byte, i int) int {
	n, w := binary.Varint(raw[i:])
	return i + w + max(int(n), 0)
}
