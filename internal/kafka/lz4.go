package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pierrec/lz4/v4"
)

// The lz4 frame format, read and written here block by block: straight between the batch and a pooled buffer, which is
// twice as fast as a stream reader with its copies and checksums. The frame's own checksums are not looked at, because
// the batch's has just covered the same bytes.
const (
	lz4Magic        = 0x184D2204
	lz4Skippable    = 0x184D2A50 // and the 15 after it
	lz4Uncompressed = 1 << 31    // in a block's size: stored as it is

	lz4FlagVersion       = 0xC0
	lz4Version           = 0x40
	lz4FlagIndependent   = 0x20
	lz4FlagBlockChecksum = 0x10
	lz4FlagContentSize   = 0x08
	lz4FlagChecksum      = 0x04
	lz4FlagDictionary    = 0x01

	lz4Window   = 64 << 10 // how far a block may refer back into the ones before it
	lz4MaxRatio = 255      // a match yields at most that many bytes for one
)

var errLZ4 = errors.New("malformed frame")

// lz4Frame is what a frame's descriptor says.
type lz4Frame struct {
	maxBlock      int
	linked        bool // blocks refer to the ones before them
	blockChecksum bool
	checksum      bool
}

// parse reads the descriptor behind the magic and returns what follows it.
func (f *lz4Frame) parse(b []byte) (rest []byte, err error) {
	if len(b) < 3 {
		return nil, errTruncated
	}
	flags, size := b[0], int(b[1]>>4&7)
	if flags&lz4FlagVersion != lz4Version || size < 4 {
		return nil, errLZ4
	}
	if flags&lz4FlagDictionary != 0 {
		return nil, fmt.Errorf("%w: a dictionary is asked for", errLZ4)
	}
	f.maxBlock = 1 << (8 + 2*size)
	f.linked = flags&lz4FlagIndependent == 0
	f.blockChecksum = flags&lz4FlagBlockChecksum != 0
	f.checksum = flags&lz4FlagChecksum != 0
	n := 3 // with the descriptor's checksum
	if flags&lz4FlagContentSize != 0 {
		n += 8
	}
	if len(b) < n {
		return nil, errTruncated
	}
	return b[n:], nil
}

// lz4Writer is the decompressed output so far.
type lz4Writer struct {
	out   *Buffer
	n     int
	limit int
}

var lz4Expansion expansion

func unlz4(src []byte, limit int) (*Buffer, error) {
	size := len(src)
	w := lz4Writer{out: NewBuffer(min(lz4Expansion.of(size), limit)), limit: limit}
	w.out.b = w.out.b[:cap(w.out.b)]
	for first := true; first || len(src) > 0; first = false {
		if len(src) < 4 {
			w.out.Release()
			return nil, errTruncated
		}
		var err error
		switch magic := binary.LittleEndian.Uint32(src); {
		case magic == lz4Magic:
			src, err = w.frame(src[4:])
		case magic&^15 == lz4Skippable:
			src, err = skipLZ4(src[4:])
		default:
			err = errLZ4
		}
		if err != nil {
			w.out.Release()
			return nil, err
		}
	}
	w.out.b = w.out.b[:w.n]
	lz4Expansion.learn(size, w.n)
	return w.out, nil
}

// skipLZ4 passes over a skippable frame.
func skipLZ4(b []byte) ([]byte, error) {
	if len(b) < 4 || uint64(binary.LittleEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, errTruncated
	}
	return b[4+binary.LittleEndian.Uint32(b):], nil
}

// frame decompresses one frame and returns what follows it.
func (w *lz4Writer) frame(b []byte) (rest []byte, err error) {
	var f lz4Frame
	if b, err = f.parse(b); err != nil {
		return nil, err
	}
	start := w.n
	for {
		if len(b) < 4 {
			return nil, errTruncated
		}
		field := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if field == 0 { // end mark
			break
		}
		size := int(field &^ lz4Uncompressed)
		if size > f.maxBlock || size > len(b) {
			return nil, errTruncated
		}
		if field&lz4Uncompressed != 0 {
			err = w.store(b[:size])
		} else {
			err = w.block(b[:size], &f, start)
		}
		if err != nil {
			return nil, err
		}
		b = b[size:]
		if f.blockChecksum {
			if len(b) < 4 {
				return nil, errTruncated
			}
			b = b[4:]
		}
	}
	if f.checksum {
		if len(b) < 4 {
			return nil, errTruncated
		}
		b = b[4:]
	}
	return b, nil
}

func (w *lz4Writer) store(b []byte) error {
	if err := w.reserve(len(b)); err != nil {
		return err
	}
	w.n += copy(w.out.b[w.n:], b)
	return nil
}

// block decompresses one block of a frame whose output began at start. A block does not tell its size, so the first try
// has the room that is left, and each further one at least twice the room, up to what the block could yield.
func (w *lz4Writer) block(b []byte, f *lz4Frame, start int) error {
	most := min(f.maxBlock, lz4MaxRatio*len(b))
	for {
		room := min(len(w.out.b)-w.n, most, w.limit-w.n)
		var n int
		var err error
		dst := w.out.b[w.n : w.n+room]
		if f.linked {
			n, err = lz4.UncompressBlockWithDict(b, dst, w.out.b[max(start, w.n-lz4Window):w.n])
		} else {
			n, err = lz4.UncompressBlock(b, dst)
		}
		if err == nil {
			w.n += n
			return nil
		}
		if room == most {
			return err
		}
		if room == w.limit-w.n {
			return ErrTooLarge
		}
		if err := w.reserve(min(max(2*room, 4*len(b)), most, w.limit-w.n)); err != nil {
			return err
		}
	}
}

// reserve makes room for size more bytes.
func (w *lz4Writer) reserve(size int) error {
	if size > w.limit-w.n {
		return ErrTooLarge
	}
	if w.n+size > len(w.out.b) {
		w.out = grow(w.out, w.n, max(w.n+size, min(2*len(w.out.b), w.limit)))
	}
	return nil
}
