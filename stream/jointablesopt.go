package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// JoinTablesOpt is [JoinTables] for a function that may leave the row out, by None.
func JoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l L, r R) Opt[O],
	opts ...AggOption) Table[K, O] {
	set := aggSettings("JoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.InnerJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return f(k, valueOf(l), valueOf(r)), nil }
	})
}

// TryJoinTablesOpt is [JoinTablesOpt] for a function that can fail.
func TryJoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l L, r R) (Opt[O], error), opts ...AggOption) Table[K, O] {
	set := aggSettings("TryJoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.InnerJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return try(k, valueOf(l), valueOf(r)) }
	})
}

// LeftJoinTablesOpt is [LeftJoinTables] for a function that may leave the row out, by None.
func LeftJoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l L, r Opt[R]) Opt[O],
	opts ...AggOption) Table[K, O] {
	set := aggSettings("LeftJoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.LeftJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return f(k, valueOf(l), r), nil }
	})
}

// TryLeftJoinTablesOpt is [LeftJoinTablesOpt] for a function that can fail.
func TryLeftJoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l L, r Opt[R]) (Opt[O], error), opts ...AggOption) Table[K, O] {
	set := aggSettings("TryLeftJoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.LeftJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return try(k, valueOf(l), r) }
	})
}

// OuterJoinTablesOpt is [OuterJoinTables] for a function that may leave the row out, by None.
func OuterJoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R], f func(k K, l Opt[L], r Opt[R]) Opt[O],
	opts ...AggOption) Table[K, O] {
	set := aggSettings("OuterJoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.OuterJoin, func(*node.Task, *node.Info) node.Joiner[K, L, R, O] {
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return f(k, l, r), nil }
	})
}

// TryOuterJoinTablesOpt is [OuterJoinTablesOpt] for a function that can fail.
func TryOuterJoinTablesOpt[K, L, R, O any](l Table[K, L], r Table[K, R],
	f func(ctx context.Context, k K, l Opt[L], r Opt[R]) (Opt[O], error), opts ...AggOption) Table[K, O] {
	set := aggSettings("TryOuterJoinTablesOpt", opts)
	l.table().b.notNil(&set, f)
	return joinTables(l, r, set, node.OuterJoin, func(t *node.Task, at *node.Info) node.Joiner[K, L, R, O] {
		try := node.TryFold(t, at, f)
		return func(k K, l Opt[L], r Opt[R]) (Opt[O], error) { return try(k, l, r) }
	})
}

// valueOf is a value that is there.
func valueOf[T any](o Opt[T]) T {
	v, _ := o.Get()
	return v
}
