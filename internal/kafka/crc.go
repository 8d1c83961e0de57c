package kafka

import (
	"encoding/binary"
	"hash/crc32"
)

// The checksum of a batch covers a header that changes (producer id, sequence) and records that do not. crcShift lets us
// checksum the records once, when they are sealed or have been fetched, and combine that with the header's at send time:
//
//	crc(header ‖ records) = crcShift(crc(header), len(records)) ^ crc(records)
//
// A batch passed on from a fetch thus keeps the checksum its producer made: a bit that flips in our memory is found by
// the broker.

// crcPowers[k] is x^(8·2^k) modulo the Castagnoli polynomial, in the reflected form the checksum uses.
var crcPowers = func() (t [32]uint32) {
	p := uint32(1) << 30 // x^1
	for range 3 {
		p = crcMul(p, p)
	}
	for k := range t {
		t[k] = p // x^(8·2^k)
		p = crcMul(p, p)
	}
	return t
}()

// crcMul multiplies two polynomials modulo the Castagnoli polynomial.
func crcMul(a, b uint32) uint32 {
	var product uint32
	for m := uint32(1) << 31; m != 0; m >>= 1 {
		if a&m != 0 {
			product ^= b
		}
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// crcShift returns the checksum's value as n more bytes of zeros (without pre- and post-inversion) would make it.
func crcShift(crc uint32, n int) uint32 {
	for k := 0; n > 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			crc = crcMul(crcPowers[k], crc)
		}
	}
	return crc
}

// setCRC completes head, whose records have the checksum records and size bytes.
func setCRC(head *[headerSize]byte, records uint32, size int) {
	crc := crcShift(crc32.Checksum(head[atAttributes:], castagnoli), size) ^ records
	binary.BigEndian.PutUint32(head[atCRC:], crc)
}
