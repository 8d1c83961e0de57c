package kafka

import "encoding/binary"

// Partition returns the partition that Java producers choose for a key, which must not be null: joins with topics
// written by Java depend on it. n is the number of partitions and is positive.
func Partition(key []byte, n int32) int32 {
	return int32(Murmur2(key)&0x7fffffff) % n
}

// Murmur2 is Java's org.apache.kafka.common.utils.Utils.murmur2: MurmurHash2 of 32 bits with seed 0x9747b28c.
func Murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := 0x9747b28c ^ uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		h = h*m ^ (k^k>>24)*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
