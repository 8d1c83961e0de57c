package stream

import (
	"context"
	"time"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/state"
)

// Version is a value that a key had from a time on, until another. To is the zero time while it is still valid.
type Version[V any] struct {
	Value    V
	From, To time.Time
}

// VersionedView reads the versioned store of a table in this instance.
type VersionedView[K, V any] struct {
	v     *view
	r     *state.VersionedView[K, V]
	where locate[K]
}

// QueryVersioned returns a view of the versioned store of a table.
func QueryVersioned[K, V any](a Queryable, t Table[K, V], opts ...QueryOption) (VersionedView[K, V], error) {
	v, err := queryTable(a, t, opts)
	if err != nil {
		return VersionedView[K, V]{}, err
	}
	r, ok := v.store.Spec.View.(*state.VersionedView[K, V])
	if !ok {
		return VersionedView[K, V]{}, v.wrongKind("QueryVersioned", "a versioned store")
	}
	where, err := locator[K](v, false)
	return VersionedView[K, V]{v, r, where}, err
}

// read opens the store of the partition that has a key.
func (v VersionedView[K, V]) read(ctx context.Context, k K, f func(*state.Versioned[K, V]) error) error {
	key, err := v.r.Key(k)
	if err != nil {
		return err
	}
	q, x, err := v.v.begin(ctx)
	if err != nil {
		return err
	}
	defer x.End()
	parts, err := v.v.partsOf(func(n int32) (int32, error) { return v.where(k, key, n) })(q)
	if err != nil {
		return err
	}
	return v.each(ctx, parts, f)
}

// each calls f for the store of each partition, again if a commit has come between: a version that ends is in two rows.
func (v VersionedView[K, V]) each(ctx context.Context, parts []engine.Part, f func(*state.Versioned[K, V]) error) error {
	for _, p := range parts {
		if err := v.v.bounded(p); err != nil {
			return err
		}
		err := p.Steady(ctx, func() error {
			s, err := v.r.Open(p.Rows, p.ID)
			if err != nil {
				return err
			}
			return f(s)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Get returns the last value of a key; ok is false if it has none.
func (v VersionedView[K, V]) Get(ctx context.Context, k K) (latest Version[V], ok bool, err error) {
	err = v.read(ctx, k, func(s *state.Versioned[K, V]) error {
		value, from, there, err := s.Get(k)
		if latest, ok = (Version[V]{}), there; there {
			latest = versionOf(value, from, state.StillValid)
		}
		return err
	})
	return latest, ok, err
}

// GetAsOf returns the value that a key had at a time. What is older than the store's history is not found, unless it is the last
// value.
func (v VersionedView[K, V]) GetAsOf(ctx context.Context, k K, at time.Time) (then Version[V], ok bool, err error) {
	err = v.read(ctx, k, func(s *state.Versioned[K, V]) error {
		found, there, err := s.GetAsOf(k, at.UnixMilli())
		if then, ok = (Version[V]{}), there; there {
			then = versionOf(found.Value, found.From, found.To)
		}
		return err
	})
	return then, ok, err
}

// Range returns the values of a key that were valid at a time from from to to, both included, the newest first.
func (v VersionedView[K, V]) Range(ctx context.Context, k K, from, to time.Time) (versions []Version[V], err error) {
	err = v.read(ctx, k, func(s *state.Versioned[K, V]) error {
		list, err := s.Range(k, from.UnixMilli(), to.UnixMilli())
		versions = versions[:0]
		for _, x := range list {
			versions = append(versions, versionOf(x.Value, x.From, x.To))
		}
		return err
	})
	return versions, err
}

func versionOf[V any](v V, from, to int64) Version[V] {
	x := Version[V]{Value: v, From: time.UnixMilli(from).UTC()}
	if to != state.StillValid {
		x.To = time.UnixMilli(to).UTC()
	}
	return x
}

// Position is [View.Position].
func (v VersionedView[K, V]) Position(ctx context.Context) (Position, error) {
	return v.v.position(ctx)
}

// Await is [View.Await].
func (v VersionedView[K, V]) Await(ctx context.Context, p Position) error { return v.v.await(ctx, p) }

// AtLeast is [View.AtLeast].
func (v VersionedView[K, V]) AtLeast(p Position) VersionedView[K, V] {
	return VersionedView[K, V]{v.v.atLeast(p), v.r, v.where}
}
