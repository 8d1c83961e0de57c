package node

// Filter lets the records through for which keep is true. A null value passes unseen.
func Filter[K, V any](t *Task, at *Info, keep func(K, V) bool, next Proc[K, V]) Proc[K, V] {
	return func(r *Rec[K, V]) error {
		if !r.Null {
			t.At = at
			if !keep(r.Key, r.Value) {
				return nil
			}
		}
		return next(r)
	}
}

// MapValues gives every record a new value. A null value stays null, unseen.
func MapValues[K, V, V2 any](t *Task, at *Info, f func(K, V) V2, next Proc[K, V2]) Proc[K, V] {
	out := new(Rec[K, V2])
	var zero V2
	return func(r *Rec[K, V]) error {
		if r.Null {
			out.Value = zero
		} else {
			t.At = at
			out.Value = f(r.Key, r.Value)
		}
		out.Key, out.NullKey, out.Null, out.Time, out.Headers = r.Key, r.NullKey, r.Null, r.Time, r.Headers
		return next(out)
	}
}
