package kafka

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const fuzzLimit = 1 << 20 // of decompression

// boundAllocs fails if f allocates more than 16 bytes for each of its input and 1 MiB, beyond what extra allows.
func boundAllocs(t *testing.T, input, extra int, f func()) {
	t.Helper()
	before := allocated()
	f()
	if took := allocated() - before; took > uint64(16*input+1<<20+extra) {
		t.Errorf("%d bytes allocated for %d", took, input)
	}
}

// FuzzBatch: no bytes make parsing or walking panic, and what is read without an error is consistent. With repair, the
// input gets its length and checksum set right, so that it is not turned away at the door.
func FuzzBatch(f *testing.F) {
	for _, in := range killers() {
		if len(in) < 1<<16 {
			f.Add(in, int64(0), false)
			f.Add(in, int64(1), true)
		}
	}
	for codec := None; codec <= Zstd; codec++ {
		wire := wireOf(sealed(f, codec, fewRecords(20)...), 7)
		f.Add(wire, int64(9), false)
		f.Add(append(wire, wire[:30]...), int64(0), false)
	}
	f.Add(set(wireBatch{count: 0, baseTime: -1, lastDelta: 3}, wireMarker(4, 7, 0), dataBatch(5, "a", "b")), int64(4), false)
	f.Fuzz(func(t *testing.T, in []byte, position int64, repair bool) {
		if repair && len(in) >= headerSize {
			in = repaired(bytes.Clone(in))
		}
		position &= 1<<62 - 1
		opts := ParseOptions{ReadCommitted: true, Aborted: []AbortedTransaction{{7, 2}, {0, 0}}, DecompressLimit: fuzzLimit}
		frame := frameOf(in)
		boundAllocs(t, len(in), 8*fuzzLimit, func() {
			last := position - 1
			next, err := ParseBatches(orders3, frame, frame.Bytes(), position, opts, func(b *Batch) {
				last = fuzzWalk(t, b, position, last)
				b.Release()
			})
			if next < position || err == nil && last >= next {
				t.Errorf("next offset %d after record %d, from %d", next, last, position)
			}
			var corrupt *CorruptError
			var old *UnsupportedFormatError
			if err != nil && !errors.As(err, &corrupt) && !errors.As(err, &old) {
				t.Errorf("error without a type: %v", err)
			}
		})
		if n := frame.refs.Load(); n != 1 {
			t.Errorf("%d references left", n-1)
		}
		frame.Release()
	})
}

// fuzzWalk reads a batch and returns its last offset.
func fuzzWalk(t *testing.T, b *Batch, position, last int64) int64 {
	c := b.Cursor(position)
	var r record.Raw
	n := 0
	for {
		ok, err := c.Next(&r)
		if !ok {
			var corrupt *CorruptError
			if err != nil && !errors.As(err, &corrupt) {
				t.Errorf("error without a type: %v", err)
			}
			break
		}
		n++
		if r.Offset <= last || r.Offset >= b.NextOffset() {
			t.Errorf("record %d after %d in a batch up to %d", r.Offset, last, b.NextOffset())
		}
		last = r.Offset
		if err := record.CheckHeaders(r.Headers.Raw(), r.Headers.Len()); err != nil {
			t.Error(err)
		}
	}
	if n > b.Count() {
		t.Errorf("%d records in a batch of %d", n, b.Count())
	}
	if out, ok := Reframe(b); ok {
		out.Release()
	}
	return last
}

// FuzzCompressed: no bytes make a decompressor panic, or give more than the limit; what an independent reader makes of
// a frame we make of it too; and every input survives our own compression.
func FuzzCompressed(f *testing.F) {
	plain := bytes.Repeat([]byte("The oxbow is what the river set aside. "), 300)
	for c := Gzip; c <= Zstd; c++ {
		b, err := compressInto(c, plain)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(int8(c), b.b)
		f.Add(int8(c), b.b[:len(b.b)/2])
		if _, err := decompress(c, b.b, fuzzLimit); err != nil { // allocates its tables outside the measurement
			f.Fatal(err)
		}
	}
	for _, o := range [][]lz4.Option{
		{lz4.BlockSizeOption(lz4.Block64Kb), lz4.BlockChecksumOption(true), lz4.SizeOption(uint64(len(plain)))},
		{lz4.ChecksumOption(false), lz4.CompressionLevelOption(lz4.Level9)},
	} {
		f.Add(int8(LZ4), lz4Stream(f, plain, o...))
	}
	f.Add(int8(Snappy), []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x05\x03\x08abc"))
	for _, in := range killers() {
		if len(in) > headerSize && len(in) < 1<<16 {
			f.Add(int8(in[atAttributes+1]&attrCodec), in[headerSize:])
		}
	}
	f.Fuzz(func(t *testing.T, codec int8, in []byte) {
		c := Gzip + Codec((uint8(codec)-1)%4)
		boundAllocs(t, len(in), 8*fuzzLimit, func() {
			out, err := decompress(c, in, fuzzLimit)
			if err == nil && len(out.b) > fuzzLimit {
				t.Errorf("%s: %d bytes, the limit is %d", c, len(out.b), fuzzLimit)
			}
			if c == LZ4 {
				compareLZ4(t, in, out, err)
			}
			if err == nil {
				out.Release()
			}
		})
		there, err := compressInto(c, in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decompress(c, there.b, max(len(in), fuzzLimit))
		if err != nil || !bytes.Equal(back.b, in) {
			t.Fatalf("%s: %d bytes do not survive: %v", c, len(in), err)
		}
		there.Release()
		back.Release()
	})
}

// compareLZ4 holds our frame reader against the library's, which checks checksums too: what it accepts, we accept.
func compareLZ4(t *testing.T, in []byte, out *Buffer, err error) {
	want, werr := io.ReadAll(io.LimitReader(lz4.NewReader(bytes.NewReader(in)), fuzzLimit+1))
	legacy := bytes.Contains(in, []byte{0x02, 0x21, 0x4c, 0x18}) // a format before frames, which Kafka never used
	if werr != nil || len(want) > fuzzLimit || len(in) == 0 || legacy {
		return
	}
	if err != nil && len(want) > 0 {
		t.Errorf("the library reads %d bytes, we: %v", len(want), err)
	}
	if err == nil && !bytes.Equal(out.b, want) {
		t.Errorf("the library reads %d bytes, we %d others", len(want), len(out.b))
	}
}

func lz4Stream(tb testing.TB, plain []byte, opts ...lz4.Option) []byte {
	var b bytes.Buffer
	z := lz4.NewWriter(&b)
	if err := z.Apply(opts...); err != nil {
		tb.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// produceAnswer is a sound answer to fuzzProduce as kmsg writes it.
func produceAnswer(version int16) []byte {
	res := kmsg.NewPtrProduceResponse()
	res.SetVersion(version)
	res.ThrottleMillis = 17
	for _, e := range fuzzProduce().entries {
		rp := kmsg.NewProduceResponseTopicPartition()
		rp.Partition, rp.BaseOffset, rp.ErrorCode = e.part.tp.Partition, 1000+int64(e.part.tp.Partition), int16(e.part.tp.Partition)
		rp.ErrorMessage = kmsg.StringPtr("why")
		rp.ErrorRecords = append(rp.ErrorRecords, kmsg.ProduceResponseTopicPartitionErrorRecord{RelativeOffset: 3, ErrorMessage: kmsg.StringPtr("bad")})
		rp.UnknownTags.Set(9, []byte("new"))
		rt := kmsg.NewProduceResponseTopic()
		rt.Topic = e.part.tp.Topic
		rt.Partitions = append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
	}
	return res.AppendTo(nil)
}

func fuzzProduce() *produceRequest {
	r := &produceRequest{}
	for _, tp := range []record.TopicPartition{{Topic: "a", Partition: 0}, {Topic: "a", Partition: 5}, {Topic: "b", Partition: 2}} {
		r.entries = append(r.entries, &entry{part: &partition{tp: tp}})
	}
	return r
}

// FuzzProduceResponse: no answer makes the parser panic or take more memory than its input justifies.
func FuzzProduceResponse(f *testing.F) {
	for v := int16(3); v <= 12; v++ {
		f.Add(v, produceAnswer(v))
		f.Add(v, produceAnswer(v)[:30])
	}
	f.Add(int16(8), []byte{0x7f, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(int16(8), []byte{0, 0, 0, 1, 0, 1, 'a', 0x7f, 0xff, 0xff, 0xff})
	f.Add(int16(9), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Add(int16(9), []byte{1, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, version int16, in []byte) {
		version = 3 + (version&0x7fff)%10
		r := fuzzProduce()
		results := make([]produceResult, len(r.entries))
		boundAllocs(t, len(in), 0, func() { r.parseProduce(in, version, results) })
	})
}
