package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

var errTruncated = errors.New("compressed data ends too early")

// decompress returns the decompressed form of src in a pooled buffer. What a length in the data claims is not believed
// beyond 16 times the input: from there on memory grows with what was really decompressed, up to limit.
func decompress(c Codec, src []byte, limit int) (*Buffer, error) {
	switch c {
	case Gzip:
		return gunzip(src, limit)
	case Snappy:
		return unsnappy(src, limit)
	case LZ4:
		return unlz4(src, limit)
	case Zstd:
		return unzstd(src, limit)
	}
	return nil, fmt.Errorf("unknown compression %d", c)
}

// firstSize is the size of the buffer to begin with for a claimed size.
func firstSize(claim, src, limit int) int {
	return max(min(claim, 16*src+64<<10, limit), 64)
}

// expansion is what recent inputs of a codec grew to, in quarters of their size. Where the data does not tell, it says how
// large a buffer to begin with: one too small costs a second try.
type expansion struct{ quarters atomic.Uint32 }

// of returns the size to expect of n compressed bytes, with a little room.
func (x *expansion) of(n int) int {
	return (max(int(x.quarters.Load()), 8)+1)*n/4 + 64
}

// learn notes a size. Larger ones count at once, smaller ones slowly.
func (x *expansion) learn(n, size int) {
	if old := int(x.quarters.Load()); n > 0 {
		x.quarters.Store(uint32(max(4*size/n, old-old/16)))
	}
}

var gzipReaders sync.Pool

// gzipReader is a decoder and its input, reused together.
type gzipReader struct {
	z   gzip.Reader
	src bytes.Reader
}

func gunzip(src []byte, limit int) (*Buffer, error) {
	r, _ := gzipReaders.Get().(*gzipReader)
	if r == nil {
		r = new(gzipReader)
	}
	defer func() {
		r.src.Reset(nil)
		gzipReaders.Put(r)
	}()
	r.src.Reset(src)
	if err := r.z.Reset(&r.src); err != nil {
		return nil, err
	}
	claim := 4 * len(src)
	if len(src) >= 4 { // the trailer of the last member tells its size
		claim = int(binary.LittleEndian.Uint32(src[len(src)-4:])) + 1
	}
	out := NewBuffer(firstSize(claim, len(src), limit))
	out.b = out.b[:cap(out.b)]
	n := 0
	for {
		if n == len(out.b) {
			if n > limit {
				out.Release()
				return nil, ErrTooLarge
			}
			out = grow(out, n, 2*n)
		}
		m, err := r.z.Read(out.b[n:])
		n += m
		if n > limit {
			out.Release()
			return nil, ErrTooLarge
		}
		if err == io.EOF {
			out.b = out.b[:n]
			return out, nil
		}
		if err != nil {
			out.Release()
			return nil, err
		}
	}
}

// xerialMagic begins the framing that Java clients put around snappy blocks. After it come a version, the lowest
// compatible version, and blocks, each behind its length.
var xerialMagic = []byte("\x82SNAPPY\x00")

const xerialHeader = 16

// unsnappy reads both forms that are in use: xerial framing, and one plain block.
func unsnappy(src []byte, limit int) (*Buffer, error) {
	if !bytes.HasPrefix(src, xerialMagic) {
		n, err := snappySize(src, limit)
		if err != nil {
			return nil, err
		}
		out := NewBuffer(n)
		if _, err := s2.Decode(out.b, src); err != nil {
			out.Release()
			return nil, err
		}
		return out, nil
	}
	if len(src) < xerialHeader {
		return nil, errTruncated
	}
	total := 0
	for rest := src[xerialHeader:]; len(rest) > 0; {
		block, after, err := xerialBlock(rest)
		if err != nil {
			return nil, err
		}
		n, err := snappySize(block, limit-total)
		if err != nil {
			return nil, err
		}
		total += n
		rest = after
	}
	out := NewBuffer(total)
	n := 0
	for rest := src[xerialHeader:]; len(rest) > 0; {
		block, after, _ := xerialBlock(rest)
		size, _ := s2.DecodedLen(block)
		if _, err := s2.Decode(out.b[n:n+size:n+size], block); err != nil {
			out.Release()
			return nil, err
		}
		n += size
		rest = after
	}
	return out, nil
}

// xerialBlock cuts a block off.
func xerialBlock(b []byte) (block, rest []byte, err error) {
	if len(b) < 4 {
		return nil, nil, errTruncated
	}
	n := int(int32(binary.BigEndian.Uint32(b)))
	if n < 0 || n > len(b)-4 {
		return nil, nil, errTruncated
	}
	return b[4 : 4+n], b[4+n:], nil
}

// snappySize returns the size a block claims, if it is possible: no element of snappy yields more than 64 bytes for 3.
func snappySize(block []byte, limit int) (int, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return 0, err
	}
	if n > 22*len(block)+64 {
		return 0, s2.ErrCorrupt
	}
	if n > limit {
		return 0, ErrTooLarge
	}
	return n, nil
}

// zstdDecoder needs no goroutine for DecodeAll, and no memory for the window a frame asks for, since the output is the
// window. Concurrency 0 is GOMAXPROCS decoders. The capacity of the output is the limit: WithDecoderMaxMemory would
// refuse small frames of encoders that ask for a large window.
var zstdDecoder = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
})

var zstdExpansion expansion

func unzstd(src []byte, limit int) (*Buffer, error) {
	d, err := zstdDecoder()
	if err != nil {
		return nil, err
	}
	size := zstdExpansion.of(len(src))
	var h zstd.Header
	if err := h.Decode(src); err == nil && h.HasFCS {
		if h.FrameContentSize > uint64(limit) {
			return nil, ErrTooLarge
		}
		size = int(h.FrameContentSize)
	}
	for {
		out := NewBuffer(min(size, limit))
		dst := out.b[:0:min(cap(out.b), limit)]
		mem, err := d.DecodeAll(src, dst)
		if err == nil {
			out.b = mem
			zstdExpansion.learn(len(src), len(mem))
			return out, nil
		}
		out.Release()
		if !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return nil, err
		}
		if cap(dst) == limit {
			return nil, ErrTooLarge
		}
		size = 4 * cap(dst) // frames written as a stream do not tell their size
	}
}
