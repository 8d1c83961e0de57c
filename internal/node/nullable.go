package node

import "github.com/oxbow-streams/oxbow/internal/record"

// Nullable shows null values as None. What comes out has no null flag: None is a value like others.
func Nullable[K, V any](next Proc[K, record.Opt[V]]) Proc[K, V] {
	out := new(Rec[K, record.Opt[V]])
	return func(r *Rec[K, V]) error {
		out.Key, out.NullKey, out.Time, out.Headers = r.Key, r.NullKey, r.Time, r.Headers
		out.Value = record.OptOf(r.Value, !r.Null)
		return next(out)
	}
}

// Present is the way back: None becomes null.
func Present[K, V any](next Proc[K, V]) Proc[K, record.Opt[V]] {
	out := new(Rec[K, V])
	return func(r *Rec[K, record.Opt[V]]) error {
		v, ok := r.Value.Get()
		out.Key, out.NullKey, out.Time, out.Headers = r.Key, r.NullKey, r.Time, r.Headers
		out.Value, out.Null = v, !ok
		return next(out)
	}
}

// NullableKeys shows null keys as None.
func NullableKeys[K, V any](next Proc[record.Opt[K], V]) Proc[K, V] {
	out := new(Rec[record.Opt[K], V])
	return func(r *Rec[K, V]) error {
		out.Value, out.Null, out.Time, out.Headers = r.Value, r.Null, r.Time, r.Headers
		out.Key = record.OptOf(r.Key, !r.NullKey)
		return next(out)
	}
}

// PresentKeys is the way back: None becomes null.
func PresentKeys[K, V any](next Proc[K, V]) Proc[record.Opt[K], V] {
	out := new(Rec[K, V])
	return func(r *Rec[record.Opt[K], V]) error {
		k, ok := r.Key.Get()
		out.Value, out.Null, out.Time, out.Headers = r.Value, r.Null, r.Time, r.Headers
		out.Key, out.NullKey = k, !ok
		return next(out)
	}
}
