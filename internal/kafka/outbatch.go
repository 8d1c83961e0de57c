package kafka

import "encoding/binary"

// OutBatch is a batch to produce: a header of its own in front of encoded records. Its producer fields and checksum are
// filled in by the producer, as often as it must; the records are never touched again, so a resend is byte for byte the
// same unless its sequence changed.
type OutBatch struct {
	// Tag is the sender's: whatever it wants to find again in the Ack.
	Tag any

	head       [headerSize]byte
	records    []byte
	recordsCRC uint32
	count      int32
	maxTime    int64
	size       int     // before compression
	buf        *Buffer // holds records, or
	fetched    *Batch  // holds them
}

// Count returns the number of records.
func (o *OutBatch) Count() int { return int(o.count) }

// Bytes returns the size on the wire.
func (o *OutBatch) Bytes() int { return headerSize + len(o.records) }

// Len returns the size before compression, as far as it is known.
func (o *OutBatch) Len() int { return o.size }

// Codec returns the compression of the records.
func (o *OutBatch) Codec() Codec {
	return Codec(binary.BigEndian.Uint16(o.head[atAttributes:]) & attrCodec)
}

// finishHead sets what Seal and Reframe have in common. The base offset is 0 in a batch to produce.
func (o *OutBatch) finishHead() {
	h := &o.head
	binary.BigEndian.PutUint64(h[atBaseOffset:], 0)
	binary.BigEndian.PutUint32(h[atLeaderEpoch:], 0xffffffff)
	h[atMagic] = 2
	binary.BigEndian.PutUint32(h[atLastDelta:], uint32(o.count-1))
	binary.BigEndian.PutUint64(h[atMaxTime:], uint64(o.maxTime))
	binary.BigEndian.PutUint32(h[atCount:], uint32(o.count))
	o.identify(identity{id: -1, epoch: -1}, -1)
}

// identity is who produces: a producer id in one of its epochs.
type identity struct {
	id            int64
	epoch         int16
	transactional bool
}

// identify sets the producer fields and the checksum.
func (o *OutBatch) identify(who identity, sequence int32) {
	h := &o.head
	attributes := binary.BigEndian.Uint16(h[atAttributes:]) &^ attrTransactional
	if who.transactional {
		attributes |= attrTransactional
	}
	binary.BigEndian.PutUint16(h[atAttributes:], attributes)
	binary.BigEndian.PutUint64(h[atProducerID:], uint64(who.id))
	binary.BigEndian.PutUint16(h[atEpoch:], uint16(who.epoch))
	binary.BigEndian.PutUint32(h[atSequence:], uint32(sequence))
	setCRC(h, o.recordsCRC, len(o.records))
}

// Release gives the memory back. The producer does it for what it was sent; call it only for a batch never sent.
func (o *OutBatch) Release() {
	if o.buf != nil {
		o.buf.Release()
	}
	if o.fetched != nil {
		o.fetched.Release()
	}
	o.buf, o.fetched, o.records = nil, nil, nil
}

// Reframe makes a batch to produce of a fetched one without looking into it: the same bytes behind a new header. It
// retains the fetched batch until it is released itself. ok is false if that would not be the same records with the
// same times: some are missing (compaction), the broker made the timestamps, or the base timestamp is the cleaner's.
//
// The caller makes sure that every record of the batch is to be passed on, those below its fetch position included.
func Reframe(b *Batch) (out *OutBatch, ok bool) {
	if !b.Complete() {
		return nil, false
	}
	b.Retain()
	out = &OutBatch{count: b.h.count, maxTime: b.h.maxTime, records: b.raw[headerSize:], size: len(b.raw), fetched: b}
	copy(out.head[:], b.raw)
	// The fetched checksum minus the header's share of it is the records'.
	crc := binary.BigEndian.Uint32(b.raw[atCRC:])
	setCRC(&out.head, 0, len(out.records))
	out.recordsCRC = crc ^ binary.BigEndian.Uint32(out.head[atCRC:])
	out.finishHead()
	return out, true
}
