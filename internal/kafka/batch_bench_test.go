package kafka

import (
	"hash/crc32"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// benchBatch is one sealed batch of records with 8-byte keys and 100-byte values.
func benchBatch(tb testing.TB, codec Codec, n int) []byte {
	tb.Helper()
	var b Builder
	key, value := make([]byte, 8), make([]byte, 100)
	for i := range n {
		for j := range key {
			key[j] = byte(i * (j + 3))
		}
		for j := range value {
			value[j] = byte('a' + (i*7+j*3)%23)
		}
		if _, err := b.Append(1700000000000+int64(i), key, value, record.Headers{}); err != nil {
			tb.Fatal(err)
		}
	}
	o, err := b.Seal(codec)
	if err != nil {
		tb.Fatal(err)
	}
	return wireOf(o, 0)
}

const benchRecords = 9000

var benchSink int64

func walk(b *Batch) (n int, err error) {
	c := b.Cursor(0)
	var r record.Raw
	for {
		ok, err := c.Next(&r)
		if !ok {
			return n, err
		}
		benchSink += int64(r.Key[0]) + int64(len(r.Value))
		n++
	}
}

func perRecord(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkWalk is the cursor alone, over several batches as in an answer, so that they do not sit in the first cache.
func BenchmarkWalk(b *testing.B) {
	frame := frameOf(benchBatch(b, None, benchRecords))
	var batch *Batch
	if _, err := ParseBatches(orders3, frame, frame.Bytes(), 0, ParseOptions{}, func(x *Batch) { batch = x }); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if n, err := walk(batch); n != benchRecords || err != nil {
			b.Fatal(n, err)
		}
	}
	perRecord(b, benchRecords)
}

func benchParseWalk(b *testing.B, codec Codec) {
	frame := frameOf(benchBatch(b, codec, benchRecords))
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		_, err := ParseBatches(orders3, frame, frame.Bytes(), 0, ParseOptions{}, func(x *Batch) {
			n, err := walk(x)
			if err != nil {
				b.Fatal(err)
			}
			total += n
			x.records = nil
			if x.dec != nil {
				x.dec.Release()
			}
			x.frame.Release()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if total != b.N*benchRecords {
		b.Fatal(total)
	}
	perRecord(b, benchRecords)
}

func BenchmarkCRCWalk(b *testing.B)    { benchParseWalk(b, None) }
func BenchmarkLZ4Walk(b *testing.B)    { benchParseWalk(b, LZ4) }
func BenchmarkZstdWalk(b *testing.B)   { benchParseWalk(b, Zstd) }
func BenchmarkSnappyWalk(b *testing.B) { benchParseWalk(b, Snappy) }
func BenchmarkGzipWalk(b *testing.B)   { benchParseWalk(b, Gzip) }

// BenchmarkCRC is what the checksum alone costs, to compare with.
func BenchmarkCRC(b *testing.B) {
	wire := benchBatch(b, None, benchRecords)
	for b.Loop() {
		benchSink += int64(crc32.Checksum(wire[atAttributes:], castagnoli))
	}
	perRecord(b, benchRecords)
}

func benchAppend(b *testing.B, seal bool, codec Codec) {
	key, value := make([]byte, 8), make([]byte, 100)
	for j := range value {
		value[j] = byte('a' + j*3%23)
	}
	var bu Builder
	b.ReportAllocs()
	for b.Loop() {
		for i := range benchRecords {
			value[i%100]++
			bu.Append(int64(i), key, value, record.Headers{})
		}
		if !seal {
			bu.Truncate(Mark{})
			continue
		}
		o, err := bu.Seal(codec)
		if err != nil {
			b.Fatal(err)
		}
		o.identify(identity{id: 1}, 0)
		o.Release()
	}
	perRecord(b, benchRecords)
}

func BenchmarkAppend(b *testing.B)         { benchAppend(b, false, None) }
func BenchmarkAppendSeal(b *testing.B)     { benchAppend(b, true, None) }
func BenchmarkAppendSealLZ4(b *testing.B)  { benchAppend(b, true, LZ4) }
func BenchmarkAppendSealZstd(b *testing.B) { benchAppend(b, true, Zstd) }

// BenchmarkWalkUnchecked is the loop without a single check that Walk is measured against: the limit.
func BenchmarkWalkUnchecked(b *testing.B) {
	wire := benchBatch(b, None, benchRecords)
	next := func(b []byte, p int) (int64, int) {
		x := uint64(b[p])
		p++
		if x < 0x80 {
			return int64(x>>1) ^ -int64(x&1), p
		}
		x &= 0x7f
		for s := uint(7); ; s += 7 {
			c := uint64(b[p])
			p++
			x |= (c & 0x7f) << s
			if c < 0x80 {
				return int64(x>>1) ^ -int64(x&1), p
			}
		}
	}
	for b.Loop() {
		p := headerSize
		for range benchRecords {
			var l, kl, vl int64
			l, p = next(wire, p)
			end := p + int(l)
			p++
			_, p = next(wire, p)
			_, p = next(wire, p)
			kl, p = next(wire, p)
			k := wire[p : p+int(kl)]
			p += int(kl)
			vl, p = next(wire, p)
			v := wire[p : p+int(vl)]
			benchSink += int64(k[0]) + int64(len(v))
			p = end
		}
	}
	perRecord(b, benchRecords)
}
