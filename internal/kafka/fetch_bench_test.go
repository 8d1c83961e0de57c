package kafka

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"syscall"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// benchBroker answers each poll with the same full answer, in memory. What it costs is one copy, as from a socket.
type benchBroker struct {
	cannedBroker
	answer  []byte // v12, four partitions
	records []int  // where the records of each begin in answer
	bases   []int  // where each batch begins
	count   int    // records in an answer
}

const benchParts = 4

func newBenchBroker(tb testing.TB, codec Codec) *benchBroker {
	const perBatch, batches = 1100, 8
	raw := benchBatch(tb, codec, perBatch)
	b := &benchBroker{cannedBroker: cannedBroker{fetchVersion: 12}, count: benchParts * batches * perBatch}
	var set []byte
	for i := range batches {
		binary.BigEndian.PutUint64(raw, uint64(i*perBatch))
		set = append(set, raw...)
	}
	be := binary.BigEndian
	out := be.AppendUint32(nil, 0)
	out = be.AppendUint16(out, 0)
	out = be.AppendUint32(out, 0)
	out = append(out, 2, 6)
	out = append(out, "bench"...)
	out = append(out, benchParts+1)
	for p := range benchParts {
		out = be.AppendUint32(out, uint32(p))
		out = be.AppendUint16(out, 0)
		out = be.AppendUint64(out, 1<<62)
		out = be.AppendUint64(out, 1<<62)
		out = be.AppendUint64(out, 0)
		out = append(out, 1)
		out = be.AppendUint32(out, 0xffffffff)
		out = binary.AppendUvarint(out, uint64(len(set)+1))
		for i := range batches {
			b.bases = append(b.bases, len(out)+i*len(raw))
		}
		out = append(out, set...)
		out = append(out, 0)
	}
	b.answer = append(out, 0, 0)
	return b
}

func (b *benchBroker) exchangeRaw(_ context.Context, _ int32, _, _ int16, _ bool, body [][]byte, alloc func(int) ([]byte, error)) ([]byte, error) {
	return copyTo(b.answer, alloc)
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func benchFetchers(b *testing.B, codec Codec, run func(*testing.B, *benchBroker)) {
	broker := newBenchBroker(b, codec)
	b.ReportAllocs()
	b.SetBytes(int64(len(broker.answer)))
	b.ResetTimer()
	start := cpuTime()
	run(b, broker)
	used := cpuTime() - start
	b.ReportMetric(float64(used.Nanoseconds())/float64(b.N)/float64(broker.count), "cpu-ns/record")
}

// limitLoop reads answers with as little code as it takes: a buffer, checksum, decompression, walk.
func limitLoop(b *testing.B, broker *benchBroker) {
	buf := make([]byte, len(broker.answer))
	for range b.N {
		body, _ := broker.exchangeRaw(nil, 0, 0, 0, true, nil, func(int) ([]byte, error) { return buf, nil })
		n := 0
		for _, at := range broker.bases {
			raw := body[at:]
			raw = raw[:12+binary.BigEndian.Uint32(raw[8:])]
			if crc32.Checksum(raw[atAttributes:], castagnoli) != binary.BigEndian.Uint32(raw[atCRC:]) {
				b.Fatal("checksum")
			}
			records := raw[headerSize:]
			if codec := Codec(raw[atAttributes+1] & attrCodec); codec != None {
				dec, err := decompress(codec, records, 1<<30)
				if err != nil {
					b.Fatal(err)
				}
				records = dec.b
				n += walkBare(records)
				dec.Release()
			} else {
				n += walkBare(records)
			}
		}
		if n != broker.count {
			b.Fatal(n)
		}
	}
}

func walkBare(b []byte) (n int) {
	for p := 0; p < len(b); n++ {
		length, q := bareVarint(b, p)
		p = q + length
		_, q = bareVarint(b, q+1)
		_, q = bareVarint(b, q)
		keyLen, q := bareVarint(b, q)
		key := b[q : q+keyLen]
		valueLen, q := bareVarint(b, q+keyLen)
		benchSink += int64(key[0]) + int64(len(b[q:q+valueLen]))
	}
	return n
}

func bareVarint(b []byte, p int) (v, next int) {
	x := uint64(b[p])
	p++
	if x >= 0x80 {
		x &= 0x7f
		for s := uint(7); ; s += 7 {
			c := uint64(b[p])
			p++
			x |= (c & 0x7f) << s
			if c < 0x80 {
				break
			}
		}
	}
	return int(unzigzag(x)), p
}

// fetchLoop reads the same through a Fetcher, with the walk in a goroutine of its own, as a worker's.
func fetchLoop(b *testing.B, broker *benchBroker) {
	answers := make(chan []Fetched, 4)
	ctx, cancel := context.WithCancel(context.Background())
	f := newFetcher(&restartingBroker{broker}, FetchConfig{}, 10*time.Second, func(list []Fetched) {
		select {
		case answers <- list:
		case <-ctx.Done():
		}
	})
	for p := range benchParts {
		f.Add(record.TopicPartition{Topic: "bench", Partition: int32(p)}, 0)
	}
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	want, n := b.N*broker.count, 0
	for n < want {
		for _, fd := range <-answers {
			if fd.Err != nil {
				b.Fatal(fd.Err)
			}
			for _, batch := range fd.Batches {
				c := batch.Cursor(fd.Position)
				var r record.Raw
				for {
					ok, err := c.Next(&r)
					if err != nil {
						b.Fatal(err)
					}
					if !ok {
						break
					}
					benchSink += int64(r.Key[0]) + int64(len(r.Value))
					n++
				}
				batch.Release()
			}
		}
	}
	cancel()
	<-done
}

// restartingBroker gives the batches of each answer the offsets that were asked for.
type restartingBroker struct{ *benchBroker }

func (r *restartingBroker) exchangeRaw(ctx context.Context, node int32, key, version int16, flexible bool, body [][]byte, alloc func(int) ([]byte, error)) ([]byte, error) {
	answer, err := r.benchBroker.exchangeRaw(ctx, node, key, version, flexible, body, alloc)
	if err != nil {
		return nil, err
	}
	// The offset of the first partition in the request stands for all: they move in step.
	const head = 4 + 4 + 4 + 4 + 1 + 4 + 4 + 1 + 1 + 5 + 1
	offset := binary.BigEndian.Uint64(body[0][head+4+4:])
	perPart := len(r.bases) / benchParts
	for i, at := range r.bases {
		binary.BigEndian.PutUint64(answer[at:], offset+uint64(i%perPart)*1100)
	}
	return answer, nil
}

func BenchmarkFetchLimitNone(b *testing.B) { benchFetchers(b, None, limitLoop) }
func BenchmarkFetchOursNone(b *testing.B)  { benchFetchers(b, None, fetchLoop) }
func BenchmarkFetchLimitLZ4(b *testing.B)  { benchFetchers(b, LZ4, limitLoop) }
func BenchmarkFetchOursLZ4(b *testing.B)   { benchFetchers(b, LZ4, fetchLoop) }
