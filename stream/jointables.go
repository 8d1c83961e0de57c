package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// tableJoiner makes the joiner of two tables for one task.
type tableJoiner[K, L, R, O any] func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O]

// JoinTables makes a table of the keys that have a row in both: f makes the row of the two, anew whenever either changes. When
// either is deleted so is the result. Both topics need equal partition counts. A result without a store is computed again
// whenever it is read: name it with [As] if f is dear.
func JoinTables[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l L, r R) O, opts ...AggOption) Table[K, O] {
	set := aggSettings("JoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.InnerJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return Some(f(k, valueOf(l), valueOf(r))), nil }
	})
}

// TryJoinTables is [JoinTables] for a function that can fail.
func TryJoinTables[K, L, R, O any](l Table[K, L], r Table[K, R], f func(ctx context.Context, k K, l L, r R) (O, error),
	opts ...AggOption) Table[K, O] {
	set := aggSettings("TryJoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.InnerJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return someOf(try(k, valueOf(l), valueOf(r))) }
	})
}

// LeftJoinTables makes a table of the keys that have a row on the left; r is None where the right has none.
func LeftJoinTables[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l L, r Opt[R]) O, opts ...AggOption) Table[K, O] {
	set := aggSettings("LeftJoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.LeftJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return Some(f(k, valueOf(l), r)), nil }
	})
}

// TryLeftJoinTables is [LeftJoinTables] for a function that can fail.
func TryLeftJoinTables[K, L, R, O any](l Table[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l L, r Opt[R]) (O, error), opts ...AggOption) Table[K, O] {
	set := aggSettings("TryLeftJoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.LeftJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return someOf(try(k, valueOf(l), r)) }
	})
}

// OuterJoinTables makes a table of the keys that have a row on either side; the side that has none is None.
func OuterJoinTables[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l Opt[L], r Opt[R]) O,
	opts ...AggOption) Table[K, O] {
	set := aggSettings("OuterJoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.OuterJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return Some(f(k, l, r)), nil }
	})
}

// TryOuterJoinTables is [OuterJoinTables] for a function that can fail.
func TryOuterJoinTables[K, L, R, O any](l Table[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l Opt[L], r Opt[R]) (O, error), opts ...AggOption) Table[K, O] {
	set := aggSettings("TryOuterJoinTables", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.OuterJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return someOf(try(k, l, r)) }
	})
}

// someOf is the result of a function that always has one.
func someOf[O any](o O, err error) (Opt[O], error) { return Some(o), err }
