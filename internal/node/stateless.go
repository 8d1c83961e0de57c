package node

import (
	"iter"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// What keeps the key passes a null value on, unseen; what makes a new key drops it and counts the drop. A null key is the
// zero K to a function and stays null where the key is kept.

// Filter lets the records through for which keep is want. A null value passes unseen.
func Filter[K, V any](t *Task, at *Info, want bool, keep func(K, V) bool, next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if !r.Null {
			t.At = at
			if keep(r.Key, r.Value) != want {
				return nil
			}
		}
		return next(r)
	}
}

// TryFilter is [Filter] for a function that can fail.
func TryFilter[K, V any](t *Task, at *Info, want bool, keep func(K, V) (bool, error), next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if !r.Null {
			t.At = at
			ok, err := keep(r.Key, r.Value)
			if err != nil {
				return t.userError(at, err)
			}
			if ok != want {
				return nil
			}
		}
		return next(r)
	}
}

// MapValues gives every record a new value. A null value stays null, unseen.
func MapValues[K, V, V2 any](t *Task, at *Info, f func(K, V) V2, next Proc[K, V2]) Proc[K, V] {
	out := new(Rec[K, V2])
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if r.Null {
			var zero V2
			out.Value = zero
		} else {
			t.At = at
			out.Value = f(r.Key, r.Value)
		}
		out.Key, out.NullKey, out.Null, out.Time, out.Headers = r.Key, r.NullKey, r.Null, r.Time, r.Headers
		return next(out)
	}
}

// TryMapValues is [MapValues] for a function that can fail.
func TryMapValues[K, V, V2 any](t *Task, at *Info, f func(K, V) (V2, error), next Proc[K, V2]) Proc[K, V] {
	out := new(Rec[K, V2])
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		var v V2
		if !r.Null {
			t.At = at
			var err error
			if v, err = f(r.Key, r.Value); err != nil {
				return t.userError(at, err)
			}
		}
		out.Key, out.NullKey, out.Value, out.Null, out.Time, out.Headers = r.Key, r.NullKey, v, r.Null, r.Time, r.Headers
		return next(out)
	}
}

// Map gives every record a new key and a new value. A null value is dropped.
func Map[K, V, K2, V2 any](t *Task, at *Info, f func(K, V) (K2, V2, error), next Proc[K2, V2]) Proc[K, V] {
	out := new(Rec[K2, V2])
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if r.Null {
			stats.Dropped[DropNullValue]++
			return nil
		}
		t.At = at
		k, v, err := f(r.Key, r.Value)
		if err != nil {
			return t.userError(at, err)
		}
		out.Key, out.Value, out.Time, out.Headers = k, v, r.Time, r.Headers
		return next(out)
	}
}

// SelectKey gives every record a new key. A null value is dropped.
func SelectKey[K, V, K2 any](t *Task, at *Info, f func(K, V) (K2, error), next Proc[K2, V]) Proc[K, V] {
	out := new(Rec[K2, V])
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if r.Null {
			stats.Dropped[DropNullValue]++
			return nil
		}
		t.At = at
		k, err := f(r.Key, r.Value)
		if err != nil {
			return t.userError(at, err)
		}
		out.Key, out.Value, out.Time, out.Headers = k, r.Value, r.Time, r.Headers
		return next(out)
	}
}

// SelectKeyOpt is [SelectKey] for a function that sees null values.
func SelectKeyOpt[K, V, K2 any](t *Task, at *Info, f func(K, record.Opt[V]) (K2, error), next Proc[K2, V]) Proc[K, V] {
	out := new(Rec[K2, V])
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		t.At = at
		k, err := f(r.Key, record.OptOf(r.Value, !r.Null))
		if err != nil {
			return t.userError(at, err)
		}
		out.Key, out.Value, out.Null, out.Time, out.Headers = k, r.Value, r.Null, r.Time, r.Headers
		return next(out)
	}
}

// FlatMapValues makes any number of records of one, all with its key. A null value passes unseen.
func FlatMapValues[K, V, V2 any](t *Task, at *Info, f func(K, V) (iter.Seq[V2], error), next Proc[K, V2]) Proc[K, V] {
	out := new(Rec[K, V2])
	stats := at.Stats
	var failed error
	done := false // a sequence that goes on after false is told again, and sends nothing
	yield := func(v V2) bool {
		if done {
			return false
		}
		out.Value = v
		failed = next(out)
		t.At = at
		done = failed != nil
		return !done
	}
	return func(r *Rec[K, V]) error {
		stats.In++
		out.Key, out.NullKey, out.Null, out.Time, out.Headers = r.Key, r.NullKey, r.Null, r.Time, r.Headers
		if r.Null {
			var zero V2
			out.Value = zero
			return next(out)
		}
		t.At = at
		seq, err := f(r.Key, r.Value)
		if err != nil {
			return t.userError(at, err)
		}
		if seq == nil {
			return nil
		}
		failed, done = nil, false
		seq(yield)
		done = true
		return failed
	}
}

// FlatMap makes any number of records of one. A null value is dropped.
func FlatMap[K, V, K2, V2 any](t *Task, at *Info, f func(K, V) (iter.Seq2[K2, V2], error), next Proc[K2, V2]) Proc[K, V] {
	out := new(Rec[K2, V2])
	stats := at.Stats
	var failed error
	done := false
	yield := func(k K2, v V2) bool {
		if done {
			return false
		}
		out.Key, out.Value = k, v
		failed = next(out)
		t.At = at
		done = failed != nil
		return !done
	}
	return func(r *Rec[K, V]) error {
		stats.In++
		if r.Null {
			stats.Dropped[DropNullValue]++
			return nil
		}
		t.At = at
		seq, err := f(r.Key, r.Value)
		if err != nil {
			return t.userError(at, err)
		}
		if seq == nil {
			return nil
		}
		out.Time, out.Headers = r.Time, r.Headers
		failed, done = nil, false
		seq(yield)
		done = true
		return failed
	}
}

// Peek shows every record to f and passes it on. f does not see a null value.
func Peek[K, V any](t *Task, at *Info, f func(K, V), next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if !r.Null {
			t.At = at
			f(r.Key, r.Value)
		}
		return next(r)
	}
}

// TryPeek is [Peek] for a function that can fail.
func TryPeek[K, V any](t *Task, at *Info, f func(K, V) error, next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if !r.Null {
			t.At = at
			if err := f(r.Key, r.Value); err != nil {
				return t.userError(at, err)
			}
		}
		return next(r)
	}
}

// Pass sends every record on: merged streams and branches.
func Pass[K, V any](at *Info, next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		return next(r)
	}
}

// Branch is a way out of a [Split]: the first whose When is true takes the record. A nil When takes every record.
type Branch[K, V any] struct {
	When func(K, V) (bool, error)
	Next Proc[K, V]
}

// Split sends each record one way. A null value is not shown to the predicates and goes the way without one, if there is such.
func Split[K, V any](t *Task, at *Info, branches []Branch[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		for i := range branches {
			b := &branches[i]
			if b.When == nil {
				return b.Next(r)
			}
			if r.Null {
				continue
			}
			t.At = at
			ok, err := b.When(r.Key, r.Value)
			if err != nil {
				return t.userError(at, err)
			}
			if ok {
				return b.Next(r)
			}
		}
		return nil
	}
}

// DropNullKeys keeps records with a null key from a repartition topic, where they could not find their way, unless a step
// behind the topic takes them: then drop is false. isNull is nil where K holds no null itself.
func DropNullKeys[K, V any](at *Info, drop bool, isNull func(K) bool, next Proc[K, V]) Proc[K, V] {
	stats := at.Stats
	return func(r *Rec[K, V]) error {
		stats.In++
		if drop && (r.NullKey || isNull != nil && isNull(r.Key)) {
			stats.Dropped[DropNullKey]++
			return nil
		}
		return next(r)
	}
}
