package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/klauspost/compress/s2"
	"github.com/pierrec/lz4/v4"
)

// batchHeader is the size of a record batch before its records.
const batchHeader = 61

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// eachBatch calls f for every whole batch of a record set, checked.
func eachBatch(set []byte, f func(raw []byte, base int64, next int64) error) error {
	be := binary.BigEndian
	for len(set) >= batchHeader {
		size := 12 + int(be.Uint32(set[8:]))
		if size > len(set) {
			return nil
		}
		raw := set[:size]
		set = set[size:]
		if crc32.Checksum(raw[21:], castagnoli) != be.Uint32(raw[17:]) {
			return errors.New("checksum does not match")
		}
		base := int64(be.Uint64(raw))
		if err := f(raw, base, base+int64(be.Uint32(raw[23:]))+1); err != nil {
			return err
		}
	}
	return nil
}

// unpack returns the records of a batch, decompressed into *buf.
func unpack(raw []byte, buf *[]byte) ([]byte, error) {
	body := raw[batchHeader:]
	switch codec := raw[22] & 7; codec {
	case 0:
		return body, nil
	case 2:
		dec, err := s2.Decode((*buf)[:cap(*buf)], body)
		*buf = dec
		return dec, err
	case 3:
		return unpackLZ4(body, buf)
	default:
		return nil, fmt.Errorf("the limit loop does not know codec %d", codec)
	}
}

// unpackLZ4 reads a frame of independent blocks.
func unpackLZ4(b []byte, buf *[]byte) ([]byte, error) {
	if len(b) < 7 || binary.LittleEndian.Uint32(b) != 0x184D2204 {
		return nil, errors.New("not an lz4 frame")
	}
	flags, block := b[4], 1<<(8+2*(b[5]>>4&7))
	if flags&0x20 == 0 {
		return nil, errors.New("lz4 blocks depend on one another")
	}
	b = b[7:]
	if flags&0x08 != 0 {
		b = b[8:]
	}
	out := (*buf)[:0]
	for {
		size := binary.LittleEndian.Uint32(b)
		b = b[4:]
		if size == 0 {
			*buf = out
			return out, nil
		}
		n := int(size &^ (1 << 31))
		if cap(out)-len(out) < block {
			out = append(make([]byte, 0, 2*cap(out)+block), out...)
		}
		if size&(1<<31) != 0 {
			out = append(out, b[:n]...)
		} else {
			m, err := lz4.UncompressBlock(b[:n], out[len(out):cap(out)])
			if err != nil {
				return nil, err
			}
			out = out[:len(out)+m]
		}
		b = b[n:]
		if flags&0x10 != 0 {
			b = b[4:]
		}
	}
}

// sumRecords walks records and adds up the numbers that their values begin with.
func sumRecords(b []byte, count int) (sum uint64) {
	p := 0
	for range count {
		length, q := varint(b, p)
		p = q + length
		_, q = varint(b, q+1)
		_, q = varint(b, q)
		keyLen, q := varint(b, q)
		key := b[q : q+keyLen]
		valueLen, q := varint(b, q+keyLen)
		value := b[q : q+valueLen]
		sum += binary.BigEndian.Uint64(value) + uint64(len(key)-keySize)
	}
	return sum
}

// eachRecord calls f for every record. nil is null.
func eachRecord(b []byte, count int, f func(key, value []byte)) {
	p := 0
	for range count {
		length, q := varint(b, p)
		p = q + length
		_, q = varint(b, q+1)
		_, q = varint(b, q)
		var key, value []byte
		keyLen, q := varint(b, q)
		if keyLen >= 0 {
			key = b[q : q+keyLen]
			q += keyLen
		}
		valueLen, q := varint(b, q)
		if valueLen >= 0 {
			value = b[q : q+valueLen]
		}
		f(key, value)
	}
}

func varint(b []byte, p int) (v, next int) {
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
	return int(x>>1) ^ -int(x&1), p
}

func countOf(raw []byte) int { return int(binary.BigEndian.Uint32(raw[57:])) }
