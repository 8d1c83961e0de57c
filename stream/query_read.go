package stream

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// Queryable has stores that can be queried: an [App], and in tests a streamtest.Driver.
type Queryable interface {
	Topology() *topology.Topology
	Queries() *engine.Queries // nil: it has not begun to run
}

// Queries is what [Query] and its like read from.
func (a *App) Queries() *engine.Queries {
	if app := a.running(); app != nil {
		return app.Queries()
	}
	return nil
}

// QueryOption changes a view: [Stale], [InPartition], [PartitionBy].
type QueryOption interface{ query(*querySettings) }

type querySettings struct {
	stale     bool
	partition *int32
	by        typed // of func(K, int) int
}

type queryOption func(*querySettings)

func (o queryOption) query(s *querySettings) { o(s) }

// Stale lets a view read partitions that are being restored, as far as they are.
func Stale() queryOption { return func(s *querySettings) { s.stale = true } }

// InPartition lets a view read one partition alone.
func InPartition(p int32) queryOption { return func(s *querySettings) { s.partition = &p } }

// PartitionBy says which of n partitions a key is in, where the topics of the store are written with a partitioner of their own.
// Without it keys are where Java's default partitioner puts them.
func PartitionBy[K any](f func(k K, partitions int) int) queryOption {
	return func(s *querySettings) { s.by = typed{f, fmt.Sprintf("%T", f)} }
}

// view is what views of all kinds of store share.
type view struct {
	of    Queryable
	store *topology.Store
	set   querySettings
	bound Position
}

// queryTable begins a view of a table's store.
func queryTable[K, V any](a Queryable, t Table[K, V], opts []QueryOption) (*view, error) {
	if t.t == nil {
		return nil, &NotMaterializedError{Table: "a zero Table"}
	}
	return query(a, t.t.store, t.t, t.t.set.site, opts)
}

// query begins a view of a store. identity is what made it.
func query(a Queryable, name string, identity any, site string, opts []QueryOption) (*view, error) {
	v := &view{of: a}
	for _, o := range opts {
		o.query(&v.set)
	}
	for _, st := range a.Topology().Stores {
		if st.Name == name && st.Identity == identity {
			v.store = st
			return v, nil
		}
	}
	return nil, &NotMaterializedError{Table: name, Site: site}
}

func (v *view) wrongKind(call, want string) error {
	return fmt.Errorf("%s: store %s is a %s store: %s wants %s", call, v.store.Name, v.store.Spec.Kind, call, want)
}

// locate says which of n partitions a key is in; −1: any of them.
type locate[K any] func(k K, key []byte, n int32) (int32, error)

// locator makes the locate of a view. anywhere says that any partition may have any key, unless an option knows better.
func locator[K any](v *view, anywhere bool) (locate[K], error) {
	switch by, ok := v.set.by.value.(func(K, int) int); {
	case v.set.partition != nil:
		p := *v.set.partition
		return func(K, []byte, int32) (int32, error) { return p, nil }, nil
	case ok:
		return func(k K, _ []byte, n int32) (int32, error) {
			p := by(k, int(n))
			if p < 0 || p >= int(n) {
				return 0, fmt.Errorf("store %s: PartitionBy says partition %d of %d", v.store.Name, p, n)
			}
			return int32(p), nil
		}, nil
	case v.set.by.value != nil:
		return nil, fmt.Errorf("store %s: PartitionBy has a %s, want a %s", v.store.Name, v.set.by.what, reflect.TypeFor[func(K, int) int]())
	case anywhere:
		return func(K, []byte, int32) (int32, error) { return -1, nil }, nil
	}
	return func(_ K, key []byte, n int32) (int32, error) { return kafka.Partition(key, n), nil }, nil
}

// begin begins a read. Whoever calls it ends the query.
func (v *view) begin(ctx context.Context) (*engine.Queries, engine.Query, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, engine.Query{}, err
	}
	q := v.of.Queries()
	if q == nil {
		return nil, engine.Query{}, &NotRunningError{Err: fmt.Errorf("%s", Created)}
	}
	x, err := q.Begin()
	return q, x, err
}

// parts returns what a read of all rows reads: the partitions that are here.
func (v *view) parts(q *engine.Queries) ([]engine.Part, error) {
	if v.set.partition == nil {
		return q.Parts(v.store, v.set.stale)
	}
	p, err := q.Part(v.store, *v.set.partition, v.set.stale)
	return []engine.Part{p}, err
}

// lookUp reads the partition that where names, or all that are here until one has what is looked for.
func (v *view) lookUp(ctx context.Context, where func(n int32) (int32, error),
	read func(state.EngineStore) (bool, error)) (found bool, err error) {
	q, x, err := v.begin(ctx)
	if err != nil {
		return false, err
	}
	defer x.End()
	parts, err := v.partsOf(where)(q)
	if err != nil {
		return false, err
	}
	for _, p := range parts {
		if err := v.bounded(p); err != nil {
			return false, err
		}
		if found, err = read(p.Rows); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// reading says what a loop goes through.
type reading[R any] struct {
	open    func(state.EngineStore) (state.Iterator, error)
	compare func(a, b []byte) int
	reverse bool
	decode  func(key, value []byte) (R, error)
}

// scan opens an iterator over rows of all partitions of its list.
func (r *reading[R]) scan(v *view, parts []engine.Part) (state.Iterator, error) {
	open := make([]state.Iterator, 0, len(parts))
	all := func() state.Iterator { return state.Merge(r.compare, r.reverse, open) }
	for _, p := range parts {
		err := v.bounded(p)
		if err == nil {
			var it state.Iterator
			if it, err = r.open(p.Rows); err == nil {
				open = append(open, it)
				continue
			}
		}
		return nil, errors.Join(err, all().Close())
	}
	return all(), nil
}

// rows goes through rows of all partitions that are here.
func rows[K, V any](ctx context.Context, v *view, r func() (*reading[state.Seen[K, V]], error)) iter.Seq2[Row[K, V], error] {
	return func(yield func(Row[K, V], error) bool) {
		rd, err := r()
		if err == nil {
			err = each(ctx, v, rd, v.parts, func(s state.Seen[K, V]) bool { return yield(rowOf(s), nil) })
		}
		if err != nil {
			yield(Row[K, V]{}, err)
		}
	}
}

// each calls f for each row, until it returns false.
func each[R any](ctx context.Context, v *view, r *reading[R], which func(*engine.Queries) ([]engine.Part, error), f func(R) bool) error {
	q, x, err := v.begin(ctx)
	if err != nil {
		return err
	}
	defer x.End()
	parts, err := which(q)
	if err != nil {
		return err
	}
	it, err := r.scan(v, parts)
	if err != nil {
		return err
	}
	defer it.Close()
	for {
		if err := errors.Join(context.Cause(ctx), x.Err()); err != nil {
			return err
		}
		if !it.Next() {
			return it.Err()
		}
		row, err := r.decode(it.Key(), it.Value())
		if err != nil {
			return err
		}
		if !f(row) {
			return nil
		}
	}
}

// count counts rows that are here.
func (v *view) count(ctx context.Context, open func(state.EngineStore) (state.Iterator, error), compare func(a, b []byte) int) (n int64, err error) {
	r := &reading[struct{}]{open: open, compare: compare, decode: func(_, _ []byte) (struct{}, error) { return struct{}{}, nil }}
	err = each(ctx, v, r, v.parts, func(struct{}) bool {
		n++
		return true
	})
	return n, err
}

// partsOf returns the partition that where names; those that are here if it names none.
func (v *view) partsOf(where func(n int32) (int32, error)) func(q *engine.Queries) ([]engine.Part, error) {
	return func(q *engine.Queries) ([]engine.Part, error) {
		partition := int32(-1)
		if n := q.Tasks(v.store); n > 0 {
			var err error
			if partition, err = where(n); err != nil {
				return nil, err
			}
		}
		if partition < 0 {
			return v.parts(q)
		}
		p, err := q.Part(v.store, partition, v.set.stale)
		return []engine.Part{p}, err
	}
}
