package record

// Opt is a value that may be absent: null on the wire, a missing join side, a deleted row. It is no pointer and costs
// no allocation. The zero value is absent.
type Opt[T any] struct {
	v  T
	ok bool
}

// Some returns a present v.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// None returns an absent T.
func None[T any]() Opt[T] { return Opt[T]{} }

// OptOf returns v if ok is true, else an absent T.
func OptOf[T any](v T, ok bool) Opt[T] {
	if !ok {
		return Opt[T]{}
	}
	return Opt[T]{v, true}
}

// Get returns the value and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.v, o.ok }

// IsSome tells whether there is a value.
func (o Opt[T]) IsSome() bool { return o.ok }

// Or returns the value, or def when there is none.
func (o Opt[T]) Or(def T) T {
	if o.ok {
		return o.v
	}
	return def
}
