package serde

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Numbers, big endian. Int16, Int32, Int64, Float32 and Float64 are Kafka's Short, Integer, Long, Float and Double.
var (
	Int8    Serde[int8]    = fixed8[int8]{}
	Int16   Serde[int16]   = fixed16[int16]{}
	Int32   Serde[int32]   = fixed32[int32]{}
	Int64   Serde[int64]   = fixed64[int64]{}
	Uint8   Serde[uint8]   = fixed8[uint8]{}
	Uint16  Serde[uint16]  = fixed16[uint16]{}
	Uint32  Serde[uint32]  = fixed32[uint32]{}
	Uint64  Serde[uint64]  = fixed64[uint64]{}
	Float32 Serde[float32] = float32Serde{}
	Float64 Serde[float64] = float64Serde{}
)

// Bool is the serde of truth: one byte, 0 or 1.
var Bool Serde[bool] = boolSerde{}

func wrongLength(got, want int) error { return fmt.Errorf("got %d bytes, want %d", got, want) }

type fixed8[T int8 | uint8] struct{}

func (fixed8[T]) Append(dst []byte, v T) ([]byte, error) { return append(dst, byte(v)), nil }
func (fixed8[T]) Decode(b []byte) (T, error) {
	if len(b) != 1 {
		return 0, wrongLength(len(b), 1)
	}
	return T(b[0]), nil
}

type fixed16[T int16 | uint16] struct{}

func (fixed16[T]) Append(dst []byte, v T) ([]byte, error) {
	return binary.BigEndian.AppendUint16(dst, uint16(v)), nil
}
func (fixed16[T]) Decode(b []byte) (T, error) {
	if len(b) != 2 {
		return 0, wrongLength(len(b), 2)
	}
	return T(binary.BigEndian.Uint16(b)), nil
}

type fixed32[T int32 | uint32] struct{}

func (fixed32[T]) Append(dst []byte, v T) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, uint32(v)), nil
}
func (fixed32[T]) Decode(b []byte) (T, error) {
	if len(b) != 4 {
		return 0, wrongLength(len(b), 4)
	}
	return T(binary.BigEndian.Uint32(b)), nil
}

type fixed64[T int64 | uint64] struct{}

func (fixed64[T]) Append(dst []byte, v T) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}
func (fixed64[T]) Decode(b []byte) (T, error) {
	if len(b) != 8 {
		return 0, wrongLength(len(b), 8)
	}
	return T(binary.BigEndian.Uint64(b)), nil
}

type float32Serde struct{}

func (float32Serde) Append(dst []byte, v float32) ([]byte, error) {
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(v)), nil
}
func (float32Serde) Decode(b []byte) (float32, error) {
	if len(b) != 4 {
		return 0, wrongLength(len(b), 4)
	}
	return math.Float32frombits(binary.BigEndian.Uint32(b)), nil
}

type float64Serde struct{}

func (float64Serde) Append(dst []byte, v float64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(v)), nil
}
func (float64Serde) Decode(b []byte) (float64, error) {
	if len(b) != 8 {
		return 0, wrongLength(len(b), 8)
	}
	return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
}

type boolSerde struct{}

func (boolSerde) Append(dst []byte, v bool) ([]byte, error) {
	if v {
		return append(dst, 1), nil
	}
	return append(dst, 0), nil
}
func (boolSerde) Decode(b []byte) (bool, error) {
	if len(b) != 1 {
		return false, wrongLength(len(b), 1)
	}
	if b[0] > 1 {
		return false, fmt.Errorf("got byte %d, want 0 or 1", b[0])
	}
	return b[0] == 1, nil
}
