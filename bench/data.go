package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	partitions = 4
	keyCount   = 100_000
	keySize    = 16
	valueSize  = 100
	batchBytes = 128 << 10
	firstTime  = 1_700_000_000_000 // ms
)

// dataset is a topic that is written once per run of the program.
type dataset struct {
	topic    string
	codec    string
	distinct bool // each key once, as a compacted changelog
	keys     int64
	first    int64 // event time of the first record, ms
	configs  map[string]string
}

// values: number i, then text that compresses about threefold.
const valueText = `,"user":"u00000000","item":"0000-000","price":00.00,"tags":["red","new"],"geo":"00.0,00.0"}       `

func appendValue(dst []byte, i int64, rng *rand.Rand) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(i))
	dst = append(dst, valueText[:valueSize-8]...)
	text := dst[len(dst)-(valueSize-8):]
	r := rng.Uint64()
	for k, c := range text {
		if c == '0' {
			text[k] = '0' + byte(r%10)
			if r /= 10; r == 0 {
				r = rng.Uint64()
			}
		}
	}
	return dst
}

func appendKey(dst []byte, k int64) []byte { return fmt.Appendf(dst, "key-%012d", k) }

// numberOf is what a value begins with.
func numberOf(value []byte) uint64 { return binary.BigEndian.Uint64(value) }

// sumTo is the sum of the numbers of n records.
func sumTo(n int64) uint64 { return uint64(n) * uint64(n-1) / 2 }

func codecOf(name string) (kgo.CompressionCodec, error) {
	switch name {
	case "none":
		return kgo.NoCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.CompressionCodec{}, fmt.Errorf("codec %q: want none, gzip, snappy, lz4 or zstd", name)
}

// load writes n records. Batches carry no producer id, so that a loop may produce them again as they are.
func load(ctx context.Context, brokers []string, d dataset, n int64) error {
	codec, err := codecOf(d.codec)
	if err != nil {
		return err
	}
	w, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.DefaultProduceTopic(d.topic),
		kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(batchBytes), kgo.ProducerLinger(100*time.Millisecond),
		kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1), kgo.MaxBufferedRecords(200_000),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil))) // by key: murmur2, as Java does
	if err != nil {
		return err
	}
	defer w.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	failed := make(chan error, 1)
	const slab = 1024
	var memory []byte
	for i := range n {
		if len(memory)+keySize+valueSize > cap(memory) {
			memory = make([]byte, 0, slab*(keySize+valueSize))
		}
		k := i
		if !d.distinct {
			k = rng.Int64N(d.keys)
		}
		at := len(memory)
		memory = appendKey(memory, k)
		key := memory[at:]
		at = len(memory)
		memory = appendValue(memory, i, rng)
		r := &kgo.Record{Key: key, Value: memory[at:], Timestamp: time.UnixMilli(d.first + i/10)}
		w.Produce(ctx, r, func(_ *kgo.Record, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
			}
		})
		if len(failed) > 0 {
			break
		}
	}
	if err := w.Flush(ctx); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return fmt.Errorf("writing %s: %w", d.topic, err)
	default:
		return nil
	}
}
