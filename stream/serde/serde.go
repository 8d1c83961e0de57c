package serde

// Serde turns values of one type into bytes and back.
//
// Append appends the encoding of v to dst and returns the longer slice; it keeps neither dst nor v. Decode does not keep b
// and returns nothing that aliases it, [BytesView] alone excepted. Null never reaches a Serde: it is handled by who calls.
type Serde[T any] interface {
	Append(dst []byte, v T) ([]byte, error)
	Decode(b []byte) (T, error)
}

// Cloner is a Serde of a type with pointers that can copy values. A store keeps such values decoded between records; values
// of other types with pointers are kept as bytes, since a user's function might change what they point to.
type Cloner[T any] interface {
	Clone(v T) T
}

// Infallible is a Serde whose Append returns no error, whatever the value. A store encodes such values once per commit; those
// of other serdes are encoded each time they are put, to know that they can be.
type Infallible interface {
	Infallible()
}
