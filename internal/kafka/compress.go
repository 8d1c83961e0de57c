package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compressInto returns src compressed, in a pooled buffer.
func compressInto(c Codec, src []byte) (*Buffer, error) {
	switch c {
	case Gzip:
		return gzipAll(src)
	case Snappy: // one plain block, which every client reads
		out := NewBuffer(s2.MaxEncodedLen(len(src)))
		out.b = s2.EncodeSnappy(out.b[:cap(out.b)], src)
		return out, nil
	case LZ4:
		return lz4All(src)
	case Zstd:
		e, err := zstdEncoder()
		if err != nil {
			return nil, err
		}
		out := NewBuffer(len(src) + len(src)>>8 + 64)
		mem := e.EncodeAll(src, out.b[:0])
		if cap(mem) > cap(out.b) {
			out.Release()
			return adopt(mem), nil
		}
		out.b = mem
		return out, nil
	}
	return nil, fmt.Errorf("unknown compression %d", c)
}

var gzipWriters sync.Pool

func gzipAll(src []byte) (*Buffer, error) {
	out := NewBuffer(len(src) + len(src)>>8 + 64)
	mem := bytes.NewBuffer(out.b[:0])
	z, _ := gzipWriters.Get().(*gzip.Writer)
	if z == nil {
		z = gzip.NewWriter(mem)
	} else {
		z.Reset(mem)
	}
	defer gzipWriters.Put(z)
	if _, err := z.Write(src); err != nil {
		out.Release()
		return nil, err
	}
	if err := z.Close(); err != nil {
		out.Release()
		return nil, err
	}
	if mem.Cap() > cap(out.b) {
		out.Release()
		return adopt(mem.Bytes()), nil
	}
	out.b = mem.Bytes()
	return out, nil
}

var zstdEncoder = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderConcurrency(0), zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true))
})

// lz4Heads are the frame heads we write: independent blocks, no checksums, the block size by the index. The last byte is
// the checksum of the two before it.
var lz4Heads = [...]struct {
	maxBlock int
	head     [7]byte
}{
	{64 << 10, [7]byte{0x04, 0x22, 0x4D, 0x18, 0x60, 0x40, 0x82}},
	{256 << 10, [7]byte{0x04, 0x22, 0x4D, 0x18, 0x60, 0x50, 0xFB}},
	{1 << 20, [7]byte{0x04, 0x22, 0x4D, 0x18, 0x60, 0x60, 0x51}},
}

var lz4Compressors = sync.Pool{New: func() any { return new(lz4.Compressor) }}

// lz4All writes one frame with the smallest block size that holds src, up to 1 MiB.
func lz4All(src []byte) (*Buffer, error) {
	form := lz4Heads[len(lz4Heads)-1]
	for _, f := range lz4Heads {
		if len(src) <= f.maxBlock {
			form = f
			break
		}
	}
	blocks := (len(src) + form.maxBlock - 1) / form.maxBlock
	out := NewBuffer(len(form.head) + len(src) + 4*blocks + 4)
	n := copy(out.b, form.head[:])
	z := lz4Compressors.Get().(*lz4.Compressor)
	defer lz4Compressors.Put(z)
	for len(src) > 0 {
		block := src[:min(form.maxBlock, len(src))]
		src = src[len(block):]
		// Room for one byte less than the block: what does not get smaller is stored.
		size, err := z.CompressBlock(block, out.b[n+4:n+4+len(block)-1])
		if err != nil || size == 0 {
			size = copy(out.b[n+4:], block)
			binary.LittleEndian.PutUint32(out.b[n:], uint32(size)|lz4Uncompressed)
		} else {
			binary.LittleEndian.PutUint32(out.b[n:], uint32(size))
		}
		n += 4 + size
	}
	binary.LittleEndian.PutUint32(out.b[n:], 0)
	out.b = out.b[:n+4]
	return out, nil
}
