package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Layout of a record batch v2. The checksum covers everything from the attributes on.
const (
	atBaseOffset   = 0
	atLength       = 8  // of what follows this field
	atLeaderEpoch  = 12 // set by the broker, outside the checksum
	atMagic        = 16
	atCRC          = 17
	atAttributes   = 21
	atLastDelta    = 23
	atBaseTime     = 27
	atMaxTime      = 35
	atProducerID   = 43
	atEpoch        = 51
	atSequence     = 53
	atCount        = 57
	headerSize     = 61
	lengthOverhead = 12 // bytes in front of what atLength counts
	minRecordSize  = 7  // length, attributes, two deltas, two lengths, header count: one byte each
)

// Attribute bits of a batch.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40 // the base timestamp is a time of the cleaner's; deltas are relative to it all the same
)

// Codec is a compression of record batches, by its number on the wire.
type Codec int8

// The codecs of Kafka.
const (
	None   Codec = 0
	Gzip   Codec = 1
	Snappy Codec = 2
	LZ4    Codec = 3
	Zstd   Codec = 4
)

func (c Codec) String() string {
	switch c {
	case None:
		return "none"
	case Gzip:
		return "gzip"
	case Snappy:
		return "snappy"
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	}
	return fmt.Sprintf("codec %d", int8(c))
}

// ParseCodec reads the name of a codec as Kafka's compression.type has it.
func ParseCodec(s string) (Codec, error) {
	for c := None; c <= Zstd; c++ {
		if c.String() == s {
			return c, nil
		}
	}
	return None, fmt.Errorf("compression %q: want none, gzip, snappy, lz4 or zstd", s)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is a parsed batch header.
type header struct {
	base          int64
	baseTime      int64
	maxTime       int64
	producerID    int64
	size          int // of the whole batch
	lastDelta     int32
	count         int32
	sequence      int32
	producerEpoch int16
	attributes    int16
}

func (h *header) codec() Codec        { return Codec(h.attributes & attrCodec) }
func (h *header) next() int64         { return h.base + int64(h.lastDelta) + 1 }
func (h *header) control() bool       { return h.attributes&attrControl != 0 }
func (h *header) transactional() bool { return h.attributes&attrTransactional != 0 }

var (
	errNegativeOffset = errors.New("negative base offset")
	errBadCRC         = errors.New("checksum does not match")
)

// parseHeader reads the header of the batch at the start of b and checks it against b. whole is false if b ends inside
// the batch, which is how a broker cuts an answer off at its size limit.
func (h *header) parse(b []byte) (whole bool, err error) {
	if len(b) < atMagic+1 {
		return false, nil
	}
	h.base = int64(binary.BigEndian.Uint64(b[atBaseOffset:]))
	if h.base < 0 {
		return false, errNegativeOffset
	}
	length := int(int32(binary.BigEndian.Uint32(b[atLength:])))
	if magic := b[atMagic]; magic != 2 {
		return false, &magicError{magic}
	}
	if length < headerSize-lengthOverhead {
		return false, fmt.Errorf("batch length %d is less than its header", length)
	}
	if length > len(b)-lengthOverhead {
		return false, nil
	}
	h.size = length + lengthOverhead
	h.attributes = int16(binary.BigEndian.Uint16(b[atAttributes:]))
	h.lastDelta = int32(binary.BigEndian.Uint32(b[atLastDelta:]))
	h.baseTime = int64(binary.BigEndian.Uint64(b[atBaseTime:]))
	h.maxTime = int64(binary.BigEndian.Uint64(b[atMaxTime:]))
	h.producerID = int64(binary.BigEndian.Uint64(b[atProducerID:]))
	h.producerEpoch = int16(binary.BigEndian.Uint16(b[atEpoch:]))
	h.sequence = int32(binary.BigEndian.Uint32(b[atSequence:]))
	h.count = int32(binary.BigEndian.Uint32(b[atCount:]))
	return true, h.check(b[:h.size])
}

func (h *header) check(b []byte) error {
	if crc := crc32.Checksum(b[atAttributes:], castagnoli); crc != binary.BigEndian.Uint32(b[atCRC:]) {
		return errBadCRC
	}
	switch {
	case h.lastDelta < 0 || h.next() < 0:
		return fmt.Errorf("last offset delta %d", h.lastDelta)
	case h.count < 0 || int64(h.count) > int64(h.lastDelta)+1:
		return fmt.Errorf("%d records in %d offsets", h.count, int64(h.lastDelta)+1)
	case h.codec() > Zstd:
		return fmt.Errorf("unknown compression %d", h.codec())
	case h.codec() == None && int(h.count) > (h.size-headerSize)/minRecordSize:
		return fmt.Errorf("%d records in %d bytes", h.count, h.size-headerSize)
	}
	return nil
}

// magicError is a batch in a format before v2.
type magicError struct{ magic byte }

func (e *magicError) Error() string {
	return fmt.Sprintf("message format %d; only format 2 (Kafka 0.11 and later) can be read: raise message.format.version of the topic and rewrite its old segments, or let them expire", e.magic)
}
