package kafka

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// wireBatch is a batch that a test puts together field by field; zero is an empty batch at offset 0.
type wireBatch struct {
	base      int64
	attrs     int16
	lastDelta int32
	baseTime  int64
	maxTime   int64
	producer  int64
	count     int32
	body      []byte
}

func (w wireBatch) bytes() []byte {
	b := make([]byte, headerSize, headerSize+len(w.body))
	binary.BigEndian.PutUint64(b[atBaseOffset:], uint64(w.base))
	b[atMagic] = 2
	binary.BigEndian.PutUint16(b[atAttributes:], uint16(w.attrs))
	binary.BigEndian.PutUint32(b[atLastDelta:], uint32(w.lastDelta))
	binary.BigEndian.PutUint64(b[atBaseTime:], uint64(w.baseTime))
	binary.BigEndian.PutUint64(b[atMaxTime:], uint64(w.maxTime))
	binary.BigEndian.PutUint64(b[atProducerID:], uint64(w.producer))
	binary.BigEndian.PutUint32(b[atCount:], uint32(w.count))
	return repaired(append(b, w.body...))
}

// repaired sets length and checksum right, so that a reader gets as far as the rest.
func repaired(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-lengthOverhead))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

// wireRecord encodes a record; tail is what follows the value, the header count included.
func wireRecord(timeDelta, delta int64, key, value string, tail ...byte) []byte {
	r := binary.AppendVarint([]byte{0}, timeDelta)
	r = binary.AppendVarint(r, delta)
	r = append(binary.AppendVarint(r, int64(len(key))), key...)
	r = append(binary.AppendVarint(r, int64(len(value))), value...)
	if tail == nil {
		tail = []byte{0}
	}
	r = append(r, tail...)
	return append(binary.AppendVarint(nil, int64(len(r))), r...)
}

func dataBatch(base int64, values ...string) wireBatch {
	w := wireBatch{base: base, lastDelta: int32(len(values) - 1), count: int32(len(values)), producer: -1}
	for i, v := range values {
		w.body = append(w.body, wireRecord(0, int64(i), "k", v)...)
	}
	return w
}

func wireMarker(base, producer int64, commit byte) wireBatch {
	return wireBatch{base: base, attrs: attrTransactional | attrControl, count: 1, producer: producer,
		body: wireRecord(0, 0, "\x00\x00\x00"+string(commit), "\x00\x00\x00\x00\x00\x00")}
}

func values(records []plain) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%d:%s ", r.offset, r.value)
	}
	return strings.TrimSpace(b.String())
}

func set(batches ...wireBatch) (b []byte) {
	for _, w := range batches {
		b = append(b, w.bytes()...)
	}
	return b
}

// What a compacted, transactional or cut-off log looks like is read as it is meant.
func TestOddBatchesAreRead(t *testing.T) {
	tail := dataBatch(10, "a", "b", "c")
	tail.lastDelta = 6 // the last four records are compacted away
	gaps := wireBatch{base: 40, lastDelta: 9, count: 2, producer: -1, body: append(wireRecord(0, 3, "k", "x"), wireRecord(0, 8, "k", "y")...)}
	empty := func(base int64) wireBatch {
		return wireBatch{base: base, lastDelta: 4, baseTime: -1, maxTime: 99, producer: 7}
	}
	txn := func(w wireBatch, producer int64) wireBatch {
		w.attrs |= attrTransactional
		w.producer = producer
		return w
	}
	committed := func(aborted ...AbortedTransaction) ParseOptions {
		return ParseOptions{ReadCommitted: true, Aborted: aborted}
	}
	for name, c := range map[string]struct {
		set      []byte
		position int64
		opts     ParseOptions
		want     string
		next     int64
	}{
		"nothing":                   {nil, 5, ParseOptions{}, "", 5},
		"tail compacted":            {set(tail, dataBatch(17, "d")), 0, ParseOptions{}, "10:a 11:b 12:c 17:d", 18},
		"only the tail":             {set(tail), 14, ParseOptions{}, "", 17},
		"gaps within and between":   {set(dataBatch(0, "a"), gaps), 0, ParseOptions{}, "0:a 43:x 48:y", 50},
		"three empty batches":       {set(empty(0), empty(5), empty(10), dataBatch(15, "a")), 0, ParseOptions{}, "15:a", 16},
		"nothing but empty batches": {set(empty(0), empty(5)), 0, ParseOptions{}, "", 10},
		"begins before position":    {set(dataBatch(0, "a", "b", "c")), 2, ParseOptions{}, "2:c", 3},
		"ends before position":      {set(dataBatch(0, "a"), dataBatch(1, "b")), 1, ParseOptions{}, "1:b", 2},
		"cut off":                   {set(dataBatch(0, "a"), dataBatch(1, "b"))[:120], 0, ParseOptions{}, "0:a", 1},
		"cut off in a header":       {set(dataBatch(0, "a"), dataBatch(1, "b"))[:90], 0, ParseOptions{}, "0:a", 1},
		"all cut off":               {set(dataBatch(0, "a"))[:65], 0, ParseOptions{}, "", 0},
		"control, uncommitted":      {set(dataBatch(0, "a"), wireMarker(1, 7, 0), dataBatch(2, "b")), 0, ParseOptions{}, "0:a 2:b", 3},
		"only a marker":             {set(wireMarker(4, 7, 1)), 4, committed(), "", 5},
		"aborted": {set(txn(dataBatch(0, "a", "b"), 7), txn(dataBatch(2, "c"), 8), wireMarker(3, 7, 0), txn(dataBatch(4, "d"), 7), wireMarker(5, 7, 1), wireMarker(6, 8, 1)), 0,
			committed(AbortedTransaction{7, 0}), "2:c 4:d", 7},
		"aborted twice, list unsorted": {set(txn(dataBatch(0, "a"), 7), wireMarker(1, 7, 0), txn(dataBatch(2, "b"), 8), txn(dataBatch(3, "c"), 7), wireMarker(4, 7, 0), wireMarker(5, 8, 1)), 0,
			committed(AbortedTransaction{7, 3}, AbortedTransaction{7, 0}), "2:b", 6},
		"aborted, marker not there yet": {set(txn(dataBatch(0, "a"), 7), dataBatch(1, "b")), 0, committed(AbortedTransaction{7, 0}), "1:b", 2},
		"marker without an entry":       {set(wireMarker(0, 9, 0), txn(dataBatch(1, "a"), 9)), 0, committed(AbortedTransaction{7, 0}), "1:a", 2},
		"not transactional, same id":    {set(dataBatch(0, "a")), 0, committed(AbortedTransaction{-1, 0}), "0:a", 1},
		"empty control batch":           {set(wireBatch{attrs: attrControl | attrTransactional, producer: 7}, dataBatch(1, "a")), 0, committed(), "1:a", 2},
	} {
		got, next, err := readAll(c.set, c.position, c.opts)
		if err != nil || values(got) != c.want || next != c.next {
			t.Errorf("%s: %q, next %d, %v; want %q, next %d", name, values(got), next, err, c.want, c.next)
		}
	}
}

func TestTimestamps(t *testing.T) {
	horizon := dataBatch(0, "a")
	horizon.attrs, horizon.baseTime, horizon.maxTime = attrDeleteHorizon, 5000, 1000
	horizon.body = wireRecord(-4000, 0, "k", "a")
	appended := dataBatch(1, "b")
	appended.attrs, appended.baseTime, appended.maxTime = attrLogAppendTime, 77, 2000
	appended.body = wireRecord(3, 0, "k", "b")
	got, _, err := readAll(set(horizon, appended), 0, ParseOptions{})
	if err != nil || len(got) != 2 || got[0].time != 1000 || got[1].time != 2000 {
		t.Fatalf("%v, %v", got, err)
	}
	for _, w := range []wireBatch{horizon, appended} {
		frame := frameOf(w.bytes())
		ParseBatches(orders3, frame, frame.Bytes(), 0, ParseOptions{}, func(b *Batch) {
			if _, ok := Reframe(b); ok {
				t.Errorf("a batch with attributes %#x is passed on as it is", w.attrs)
			}
			b.Release()
		})
	}
}

// killers is made once: the bomb takes long under the race detector.
var killers = sync.OnceValue(makeKillers)

// makeKillers returns what makes kafka-go's decoder panic, exhaust memory or loop; each must be an error here, and cheap.
func makeKillers() map[string][]byte {
	record := func(r ...byte) []byte { return append(binary.AppendVarint(nil, int64(len(r))), r...) }
	one := func(body []byte) []byte { return wireBatch{count: 1, body: body}.bytes() }
	many := func(n int32) []byte { return wireBatch{count: n, lastDelta: max(n-1, 0)}.bytes() }
	var bomb bytes.Buffer
	z, _ := gzip.NewWriterLevel(&bomb, 9)
	zeros := make([]byte, 1<<20)
	for range 8 {
		z.Write(zeros)
	}
	z.Close()
	old := dataBatch(3, "a").bytes()
	old[atMagic] = 1
	negative := dataBatch(0, "a").bytes()
	negative[0] = 0x80
	short := dataBatch(0, "a").bytes()
	binary.BigEndian.PutUint32(short[atLength:], 5)
	below := dataBatch(0, "a").bytes()
	binary.BigEndian.PutUint32(below[atLength:], 0xfffffff0)
	flipped := dataBatch(0, "a").bytes()
	flipped[len(flipped)-2] ^= 1
	return map[string][]byte{
		"count -1":           many(-1),
		"count 20 M":         many(20_000_000),
		"headers 2^40":       one(record(append([]byte{0, 0, 0, 1, 1}, binary.AppendVarint(nil, 1<<40)...)...)),
		"header key 2^32":    one(record(append(append([]byte{0, 0, 0, 1, 1}, 2), binary.AppendVarint(nil, 1<<32)...)...)),
		"header key null":    one(wireRecord(0, 0, "k", "v", 2, 1, 1)),
		"header count -1":    one(wireRecord(0, 0, "k", "v", 1)),
		"header cut off":     one(wireRecord(0, 0, "k", "v", 4, 2, 'a', 2, 'b')),
		"bytes after value":  one(wireRecord(0, 0, "k", "v", 0, 0)),
		"key 2^62":           one(record(append([]byte{0, 0, 0}, binary.AppendVarint(nil, 1<<62)...)...)),
		"key -2":             one(record(0, 0, 0, 3, 1, 0)),
		"value -2":           one(record(0, 0, 0, 1, 3, 0)),
		"record length 2^62": one(binary.AppendVarint(nil, 1<<62)),
		"record length -1":   one([]byte{1, 0, 0, 0, 1, 1, 0}),
		"record of nothing":  one([]byte{0, 0, 0, 0, 0, 0, 0}),
		"endless varint":     one(bytes.Repeat([]byte{0xff}, 40)),
		"record cut off":     one(wireRecord(0, 0, "k", "v")[:5]),
		"fewer records":      wireBatch{count: 2, lastDelta: 1, body: append(wireRecord(0, 0, "k", "v"), make([]byte, 9)...)}.bytes(),
		"more records":       wireBatch{count: 1, body: append(wireRecord(0, 0, "k", "v"), wireRecord(0, 1, "k", "w")...)}.bytes(),
		"offset twice":       wireBatch{count: 2, lastDelta: 1, body: append(wireRecord(0, 0, "k", "v"), wireRecord(0, 0, "k", "w")...)}.bytes(),
		"offset beyond":      one(wireRecord(0, 1, "k", "v")),
		"offset below":       one(wireRecord(0, -1, "k", "v")),
		"more than offsets":  wireBatch{count: 2, lastDelta: 0, body: append(wireRecord(0, 0, "k", "v"), wireRecord(0, 1, "k", "w")...)}.bytes(),
		"last delta -5":      wireBatch{lastDelta: -5}.bytes(),
		"offset overflow":    wireBatch{base: 1<<63 - 2, lastDelta: 5}.bytes(),
		"codec 5":            wireBatch{attrs: 5, count: 1, body: []byte("x")}.bytes(),
		"gzip bomb":          wireBatch{attrs: 1, count: 1, body: bomb.Bytes()}.bytes(),
		"not gzip":           wireBatch{attrs: 1, count: 1, body: []byte("hello")}.bytes(),
		"snappy claims 4 G":  wireBatch{attrs: 2, count: 1, body: []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 0}}.bytes(),
		"xerial cut off":     wireBatch{attrs: 2, count: 1, body: []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x7f\xff\xff\xff")}.bytes(),
		"lz4 without end":    wireBatch{attrs: 3, count: 1, body: []byte{4, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82}}.bytes(),
		"zstd claims 1 T":    wireBatch{attrs: 4, count: 1, body: []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0}}.bytes(),
		"compressed nothing": wireBatch{attrs: 3, count: 1}.bytes(),
		"format 1":           old,
		"negative offset":    negative,
		"short length":       short,
		"negative length":    below,
		"bit flip":           flipped,
		"goes back":          set(dataBatch(5, "a"), dataBatch(3, "b")),
	}
}

func TestKillersAreErrors(t *testing.T) {
	const limit = 2 << 20
	for name, in := range killers() {
		before := allocated()
		_, next, err := readAll(in, 0, ParseOptions{DecompressLimit: limit})
		took := allocated() - before
		var corrupt *CorruptError
		var old *UnsupportedFormatError
		switch {
		case name == "format 1":
			if !errors.As(err, &old) || !strings.Contains(err.Error(), "orders/3@3: ") {
				t.Errorf("%s: %v", name, err)
			}
		case !errors.As(err, &corrupt) || !strings.HasPrefix(err.Error(), "orders/3@"):
			t.Errorf("%s: next %d, %v", name, next, err)
		}
		if name == "gzip bomb" {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
			took -= min(took, 4*limit)
		}
		if took > 4<<20 {
			t.Errorf("%s: %d bytes allocated for %d", name, took, len(in))
		}
	}
}

// A walk that met an error stays there.
func TestCursorErrorStays(t *testing.T) {
	in := wireBatch{count: 2, lastDelta: 1, body: append(wireRecord(0, 0, "k", "v"), make([]byte, 9)...)}.bytes()
	frame := frameOf(in)
	ParseBatches(orders3, frame, frame.Bytes(), 0, ParseOptions{}, func(b *Batch) {
		var r record.Raw
		c := b.Cursor(0)
		if ok, err := c.Next(&r); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for range 2 {
			if ok, err := c.Next(&r); ok || err == nil || !strings.HasPrefix(err.Error(), "orders/3@1: ") {
				t.Fatal(ok, err)
			}
		}
		b.Release()
	})
}
