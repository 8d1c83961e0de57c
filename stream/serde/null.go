package serde

import "github.com/oxbow-streams/oxbow/internal/record"

// Nullable is a Serde of a type that has a value for null, as [Opt] makes one. Null on the wire is the zero T to its stream's
// functions, and a T for which IsNull is true is written as null.
type Nullable[T any] interface {
	Serde[T]
	IsNull(v T) bool
}

// Opt is the serde of values that may be absent: null on the wire is None, and None is written as null.
func Opt[T any](s Serde[T]) Serde[record.Opt[T]] { return optSerde[T]{s} }

type optSerde[T any] struct{ some Serde[T] }

// Some is the serde of what is there.
func (s optSerde[T]) Some() Serde[T] { return s.some }

func (s optSerde[T]) IsNull(v record.Opt[T]) bool { return !v.IsSome() }

func (s optSerde[T]) Append(dst []byte, v record.Opt[T]) ([]byte, error) {
	some, ok := v.Get()
	if !ok {
		return dst, nil
	}
	return s.some.Append(dst, some)
}

func (s optSerde[T]) Decode(b []byte) (record.Opt[T], error) {
	v, err := s.some.Decode(b)
	return record.OptOf(v, err == nil), err
}

// Raw tells whether s leaves bytes as they are, so that decoding and encoding again changes nothing.
func Raw(s any) bool {
	_, ok := s.(interface{ raw() })
	return ok
}

func (stringSerde) raw() {}
func (bytesSerde) raw()  {}
func (viewSerde) raw()   {}
