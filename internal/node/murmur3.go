package node

import (
	"encoding/binary"
	"math/bits"
)

// Hash128 is a Murmur3 hash of 128 bits, as two halves.
type Hash128 [2]uint64

// murmurSeed is that of Kafka Streams.
const murmurSeed = 104729

const (
	murmurC1 = 0x87c37b91114253d5
	murmurC2 = 0x4cf5ad432745937f
)

// Murmur3 is the x64 variant with Kafka Streams' seed: by it the two sides of a foreign-key join agree which value of a row they
// speak of.
func Murmur3(b []byte) Hash128 {
	h1, h2 := uint64(murmurSeed), uint64(murmurSeed)
	n := uint64(len(b))
	for ; len(b) >= 16; b = b[16:] {
		h1 ^= murmurK1(binary.LittleEndian.Uint64(b))
		h1 = (bits.RotateLeft64(h1, 27)+h2)*5 + 0x52dce729
		h2 ^= murmurK2(binary.LittleEndian.Uint64(b[8:]))
		h2 = (bits.RotateLeft64(h2, 31)+h1)*5 + 0x38495ab5
	}
	if len(b) > 0 {
		var rest [16]byte
		copy(rest[:], b)
		if len(b) > 8 {
			h2 ^= murmurK2(binary.LittleEndian.Uint64(rest[8:]))
		}
		h1 ^= murmurK1(binary.LittleEndian.Uint64(rest[:]))
	}
	h1, h2 = h1^n, h2^n
	h1 += h2
	h2 += h1
	h1, h2 = murmurMix(h1), murmurMix(h2)
	h1 += h2
	h2 += h1
	return Hash128{h1, h2}
}

func murmurK1(k uint64) uint64 { return bits.RotateLeft64(k*murmurC1, 31) * murmurC2 }
func murmurK2(k uint64) uint64 { return bits.RotateLeft64(k*murmurC2, 33) * murmurC1 }

func murmurMix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
