package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

var orders3 = record.TopicPartition{Topic: "orders", Partition: 3}

// plain is a record that owns its bytes, for comparison.
type plain struct {
	offset, time int64
	key, value   []byte
	headers      []byte
	nheaders     int
}

func plainOf(r *record.Raw) plain {
	return plain{r.Offset, r.Time, bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Headers.Raw()), r.Headers.Len()}
}

func (p plain) String() string {
	return fmt.Sprintf("@%d t%d %q=%q (%d headers %x)", p.offset, p.time, p.key, p.value, p.nheaders, p.headers)
}

func equalPlain(a, b plain) bool {
	return a.offset == b.offset && a.time == b.time && bytes.Equal(a.key, b.key) && (a.key == nil) == (b.key == nil) &&
		bytes.Equal(a.value, b.value) && (a.value == nil) == (b.value == nil) &&
		a.nheaders == b.nheaders && bytes.Equal(a.headers, b.headers)
}

// frameOf puts bytes into a buffer as a fetch answer has them.
func frameOf(sets ...[]byte) *Buffer {
	set := bytes.Join(sets, nil)
	f := NewBuffer(len(set))
	copy(f.Bytes(), set)
	return f
}

// readAll parses a record set and walks every batch from position on.
func readAll(set []byte, position int64, opts ParseOptions) (records []plain, next int64, err error) {
	frame := frameOf(set)
	defer frame.Release()
	var walked error // of the first batch that could not be walked
	next, err = ParseBatches(orders3, frame, frame.Bytes(), position, opts, func(b *Batch) {
		defer b.Release()
		c := b.Cursor(position)
		var r record.Raw
		for {
			ok, cerr := c.Next(&r)
			if cerr != nil && walked == nil {
				walked = cerr
			}
			if !ok {
				return
			}
			records = append(records, plainOf(&r))
		}
	})
	if err == nil {
		err = walked
	}
	return records, next, err
}

// wireOf is the batch as it goes to the broker, with a base offset as it comes back.
func wireOf(o *OutBatch, base int64) []byte {
	b := append(append([]byte(nil), o.head[:]...), o.records...)
	binary.BigEndian.PutUint64(b, uint64(base))
	return b
}

func sealed(t testing.TB, codec Codec, records ...plain) *OutBatch {
	t.Helper()
	var b Builder
	for _, r := range records {
		before := b.n
		size, err := b.Append(r.time, r.key, r.value, record.MakeHeaders(r.headers, r.nheaders))
		if err != nil {
			t.Fatal(err)
		}
		if size != b.n-before {
			t.Fatalf("append says %d bytes, the batch grew by %d", size, b.n-before)
		}
	}
	o, err := b.Seal(codec)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func fewRecords(n int) []plain {
	h := record.Headers{}.With("trace", []byte("1-2-3")).With("null", nil)
	var out []plain
	for i := range n {
		r := plain{offset: int64(i), time: 1700000000000 + int64(i*i) - 50, key: fmt.Appendf(nil, "key-%d", i%7), value: bytes.Repeat([]byte{'a' + byte(i%3)}, i%300)}
		switch i % 5 {
		case 1:
			r.key = nil
		case 2:
			r.value = nil
		case 3:
			r.headers, r.nheaders = h.Raw(), h.Len()
		}
		out = append(out, r)
	}
	return out
}

func checkSame(t testing.TB, got, want []plain) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !equalPlain(got[i], want[i]) {
			t.Fatalf("record %d:\n got %v\nwant %v", i, got[i], want[i])
		}
	}
}

func TestSealedBatchReadsBack(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		for _, n := range []int{1, 2, 100, 5000} {
			want := fewRecords(n)
			got, next, err := readAll(wireOf(sealed(t, codec, want...), 0), 0, ParseOptions{})
			if err != nil || next != int64(n) {
				t.Fatalf("%s, %d records: next %d, %v", codec, n, next, err)
			}
			checkSame(t, got, want)
		}
	}
}

// A batch of ours as another implementation reads it.
func TestSealedBatchIsWhatOthersRead(t *testing.T) {
	want := fewRecords(40)
	o := sealed(t, None, want...)
	o.identify(identity{id: 77, epoch: 3, transactional: true}, 1234)
	wire := wireOf(o, 0)
	var b kmsg.RecordBatch
	if err := b.ReadFrom(wire); err != nil {
		t.Fatal(err)
	}
	if b.ProducerID != 77 || b.ProducerEpoch != 3 || b.FirstSequence != 1234 || b.Attributes != attrTransactional ||
		b.NumRecords != 40 || b.LastOffsetDelta != 39 || b.Magic != 2 || b.FirstTimestamp != want[0].time {
		t.Fatalf("header: %+v", b)
	}
	if crc := crc32.Checksum(wire[21:], castagnoli); uint32(b.CRC) != crc {
		t.Fatalf("crc %x, want %x", uint32(b.CRC), crc)
	}
	rest := b.Records
	for i, w := range want {
		var r kmsg.Record
		length, n := binary.Varint(rest)
		if err := r.ReadFrom(rest[:n+int(length)]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n+int(length):]
		if !bytes.Equal(r.Key, w.key) || (r.Key == nil) != (w.key == nil) || !bytes.Equal(r.Value, w.value) ||
			b.FirstTimestamp+r.TimestampDelta64 != w.time || len(r.Headers) != w.nheaders || int(r.OffsetDelta) != i {
			t.Fatalf("record %d: %+v, want %v", i, r, w)
		}
	}
	if len(rest) != 0 {
		t.Fatalf("%d bytes left", len(rest))
	}
}

func TestBuilderTruncateLeavesNoTrace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b, twin Builder
		var want []plain
		for range rapid.IntRange(1, 20).Draw(t, "units") {
			m := b.Mark()
			var unit []plain
			for range rapid.IntRange(0, 5).Draw(t, "records") {
				r := plain{time: rapid.Int64().Draw(t, "time"), value: rapid.SliceOf(rapid.Byte()).Draw(t, "value")}
				b.Append(r.time, r.key, r.value, record.Headers{})
				unit = append(unit, r)
			}
			if rapid.Bool().Draw(t, "fails") {
				b.Truncate(m)
			} else {
				want = append(want, unit...)
			}
		}
		for _, r := range want {
			twin.Append(r.time, r.key, r.value, record.Headers{})
		}
		if b.Len() != twin.Len() || b.Count() != len(want) {
			t.Fatalf("%d records in %d bytes, want %d in %d", b.Count(), b.Len(), len(want), twin.Len())
		}
		if len(want) == 0 {
			return
		}
		o1, err1 := b.Seal(None)
		o2, err2 := twin.Seal(None)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if w1, w2 := wireOf(o1, 0), wireOf(o2, 0); !bytes.Equal(w1, w2) {
			t.Fatalf("undone units show:\n%x\n%x", w1, w2)
		}
	})
}

func TestReframeKeepsTheBytes(t *testing.T) {
	for codec := None; codec <= Zstd; codec++ {
		want := fewRecords(50)
		o := sealed(t, codec, want...)
		o.identify(identity{id: 5, epoch: 1, transactional: true}, 9)
		frame := frameOf(wireOf(o, 1000))
		var again *OutBatch
		next, err := ParseBatches(orders3, frame, frame.Bytes(), 1000, ParseOptions{}, func(b *Batch) {
			var ok bool
			if again, ok = Reframe(b); !ok {
				t.Fatal("a complete batch is not reframed")
			}
			b.Release()
		})
		if err != nil || next != 1050 {
			t.Fatal(next, err)
		}
		frame.Release()
		again.identify(identity{id: 8, epoch: 0}, 70)
		if !bytes.Equal(again.records, o.records) || again.recordsCRC != o.recordsCRC {
			t.Fatalf("%s: records changed on the way", codec)
		}
		got, _, err := readAll(wireOf(again, 0), 0, ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		checkSame(t, got, want)
		again.Release()
	}
}

func TestCombinedCRC(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var head [headerSize]byte
		copy(head[:], rapid.SliceOfN(rapid.Byte(), headerSize, headerSize).Draw(t, "head"))
		records := rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "records")
		setCRC(&head, crc32.Checksum(records, castagnoli), len(records))
		want := crc32.Checksum(append(append([]byte(nil), head[atAttributes:]...), records...), castagnoli)
		if got := binary.BigEndian.Uint32(head[atCRC:]); got != want {
			t.Fatalf("combined %x, whole %x", got, want)
		}
	})
}
