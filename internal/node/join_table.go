package node

import "github.com/oxbow-streams/oxbow/internal/record"

// JoinTable looks up each record's key in a table.
//
//	J1  Only records of the stream make results; the table is read as it is when the record is processed, a versioned one as it
//	    was at the record's time, which is put into asOf.
//	J2  A record with a null value is dropped; one with a null key too, unless left: then it has no row.
//	J3  The result has the record's key, time and headers.
func JoinTable[K, L, R, O any](t *Task, at *Info, table Getter[K, R], asOf *int64, left bool,
	join func(K, L, record.Opt[R]) (O, error), next Proc[K, O]) Proc[K, L] {
	out := new(Rec[K, O])
	return func(r *Rec[K, L]) error {
		if r.Null || r.NullKey && !left {
			at.Stats.Dropped[dropOf(r.NullKey)]++
			return nil
		}
		var row Row[R]
		var err error
		if !r.NullKey {
			*asOf = r.Time
			if row, err = table(r.Key); err != nil {
				return err
			}
		}
		if !row.OK && !left {
			return nil
		}
		t.At = at
		o, err := join(r.Key, r.Value, record.OptOf(row.Value, row.OK))
		if err != nil {
			return t.userError(at, err)
		}
		out.Key, out.NullKey, out.Value, out.Time, out.Headers = r.Key, r.NullKey, o, r.Time, r.Headers
		return next(out)
	}
}
