package kafka

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/pierrec/lz4/v4"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Compressed data of another client's codecs is read by ours, and the other way round.
func TestCodecsAgreeWithOthers(t *testing.T) {
	for _, size := range []int{0, 1, 100, 70_000, 300_000, 3_000_000} {
		plain := make([]byte, size)
		for i := range plain {
			plain[i] = byte(i*i>>9) ^ byte(i%251)&0x1c
		}
		for c := Gzip; c <= Zstd; c++ {
			theirs := compress.Compression(c).Codec()
			var b bytes.Buffer
			w := theirs.NewWriter(&b)
			if _, err := w.Write(plain); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got, err := decompress(c, b.Bytes(), 4<<20)
			if err != nil && !(size == 0 && b.Len() == 0) {
				t.Fatalf("%s: %d bytes of theirs: %v", c, size, err)
			}
			if err == nil && !bytes.Equal(got.b, plain) {
				t.Fatalf("%s: %d bytes of theirs read as %d others", c, size, len(got.b))
			}
			if err == nil && size > 0 {
				if _, err := decompress(c, b.Bytes(), size-1); err == nil {
					t.Errorf("%s: %d bytes pass a limit of %d", c, size, size-1)
				}
			}
			ours, err := compressed(c, plain)
			if err != nil {
				t.Fatal(err)
			}
			r := theirs.NewReader(bytes.NewReader(ours))
			back, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(back, plain) {
				t.Fatalf("%s: they read %d bytes of ours as %d: %v", c, size, len(back), err)
			}
		}
	}
}

func compressed(c Codec, plain []byte) ([]byte, error) {
	b, err := compressInto(c, plain)
	if err != nil {
		return nil, err
	}
	return b.b, nil
}

// Every form an lz4 frame can have: linked blocks, checksums, content size, stored blocks, several frames, padding.
func TestLZ4Frames(t *testing.T) {
	plain := bytes.Repeat([]byte("river river oxbow lake "), 20_000)
	noise := make([]byte, 100_000)
	for i, x := 0, uint64(1); i < len(noise); i++ {
		x = x*6364136223846793005 + 1442695040888963407
		noise[i] = byte(x >> 56)
	}
	for name, in := range map[string][]byte{
		"plain":      lz4Stream(t, plain),
		"checksums":  lz4Stream(t, plain, lz4.BlockChecksumOption(true), lz4.ChecksumOption(true), lz4.SizeOption(uint64(len(plain)))),
		"small":      lz4Stream(t, plain, lz4.BlockSizeOption(lz4.Block64Kb)),
		"two frames": append(lz4Stream(t, plain[:1000]), lz4Stream(t, plain[1000:])...),
		"padding":    append([]byte("\x51\x2a\x4d\x18\x03\x00\x00\x00abc"), lz4Stream(t, plain)...),
		"stored":     lz4Stream(t, noise),
		"linked":     lz4Linked(t, plain),
	} {
		want := plain
		if name == "stored" {
			want = noise
		}
		out, err := unlz4(in, 1<<20)
		if err != nil || !bytes.Equal(out.b, want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for n := 0; n < len(in)-1; n += 1 + len(in)/50 {
			if out, err := unlz4(in[:n], 1<<20); err == nil && name != "two frames" {
				t.Errorf("%s: the first %d of %d bytes are read as %d", name, n, len(in), len(out.b))
			}
		}
	}
}

// lz4Linked writes a frame by hand whose second block refers into the first, as some clients' libraries do.
func lz4Linked(t *testing.T, plain []byte) []byte {
	t.Helper()
	const first = 1000
	// flags: version 1, linked; 4 MiB blocks; the checksum is not looked at
	b := []byte{4, 0x22, 0x4d, 0x18, 0x40, 0x70, 0}
	b = append(b, byte(first&0xff), byte(first>>8), 0, 0x80)
	b = append(b, plain[:first]...)
	// One match of everything but the last 5 bytes, 23 bytes back, then those as literals.
	length := len(plain) - first - 5
	block := []byte{0x0f, 23, 0}
	for rest := length - 19; ; rest -= 255 {
		if rest < 255 {
			block = append(block, byte(rest))
			break
		}
		block = append(block, 255)
	}
	block = append(append(block, 0x50), plain[len(plain)-5:]...)
	b = append(b, byte(len(block)), byte(len(block)>>8), byte(len(block)>>16), 0)
	return append(append(b, block...), 0, 0, 0, 0)
}

// What franz-go produces we read, and what we produce it reads, with every codec.
func TestFranzGoAgrees(t *testing.T) {
	f := startFake(t, 1, kfake.SeedTopics(5, "theirs", "ours"))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
	want := upTo(300)
	w := startProducer(t, f, ProducerConfig{})
	for c := None; c <= Zstd; c++ {
		cl, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...), kgo.Dialer(f.net.Dial), kgo.ProducerBatchCompression(codecs[c]),
			kgo.RecordPartitioner(kgo.ManualPartitioner()))
		if err != nil {
			t.Fatal(err)
		}
		var records []*kgo.Record
		var b Builder
		for _, v := range want {
			h := record.Headers{}.With("h", []byte(v))
			records = append(records, &kgo.Record{Topic: "theirs", Partition: int32(c), Key: []byte("k"), Value: []byte(v), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte(v)}}})
			b.Append(1700000000000, []byte("k"), []byte(v), h)
		}
		if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		cl.Close()
		o, err := b.Seal(c)
		if err != nil {
			t.Fatal(err)
		}
		w.p.Send(record.TopicPartition{Topic: "ours", Partition: int32(c)}, o)
		w.acked(1)
		w.wantLog("theirs", int32(c), want...)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(f.ListenAddrs()...), kgo.Dialer(f.net.Dial), kgo.ConsumeTopics("ours"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	got := map[int32][]string{}
	for n := 0; n < 5*len(want); {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			if string(r.Headers[0].Value) != string(r.Value) || r.Timestamp.UnixMilli() != 1700000000000 {
				t.Errorf("%+v", r)
			}
			got[r.Partition] = append(got[r.Partition], string(r.Value))
			n++
		})
	}
	for c := None; c <= Zstd; c++ {
		if fmt.Sprint(got[int32(c)]) != fmt.Sprint(want) {
			t.Errorf("%s: %v", c, got[int32(c)])
		}
	}
}
