package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
)

// ForeignOption is for foreign-key joins: [Named], [OnError], [As], [WithKey], [WithValue], [InMemory], [NoChangelog],
// [EmitDeduped], [EmitEvery] (of the result), [PartitionLeft], [PartitionRight].
type ForeignOption interface{ foreign(*settings) }

func (o anywhere) foreign(s *settings)    { o(s) }
func (o stored) foreign(s *settings)      { s.materialized = true; o(s) }
func (o anyStore) foreign(s *settings)    { s.materialized = true; o(s) }
func (e emit) foreign(s *settings)        { s.materialized = true; s.emit = e }
func (o serdeOption) foreign(s *settings) { s.materialized = true; o(s) }

// foreignOnly is an option of foreign-key joins.
type foreignOnly func(*settings)

func (o foreignOnly) foreign(s *settings) { o(s) }

// PartitionLeft says how the keys of a foreign-key join's left table are partitioned, where that is not by their hash. It chooses
// the partition of each answer. Without it an answer goes to the partition that its left row came from.
func PartitionLeft[K any](f func(k K, partitions int) int) foreignOnly {
	return func(s *settings) { s.partitionLeft = typedOf(f) }
}

// PartitionRight says how the keys of a foreign-key join's right table are partitioned, where that is not by their hash.
func PartitionRight[F any](f func(k F, partitions int) int) foreignOnly {
	return func(s *settings) { s.partitionRight = typedOf(f) }
}

func foreignSettings(call string, opts []ForeignOption) settings {
	s := start(call)
	for _, o := range opts {
		o.foreign(&s)
	}
	return s
}

// foreignMaker makes the two functions of a foreign-key join for one task. They are called at different nodes.
type foreignMaker[K, L, F, R, O any] struct {
	key  func(t *node.Task, at *node.Info) node.ForeignKey[K, L, F]
	join func(t *node.Task, at *node.Info) func(K, L, Opt[R]) (Opt[O], error)
}

// JoinForeign joins each row of the left table with the row of the right table whose key key finds in it. A row without a right row
// has no result. Updates of both tables update results. The tables need no equal partition counts: rows travel through two topics
// of the application.
func JoinForeign[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(k K, l L) F, f func(k K, l L, r R) O,
	opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("JoinForeign", opts), false, key, f, foreignMaker[K, L, F, R, O]{
		plainKey(func(k K, l L) Opt[F] { return Some(key(k, l)) }),
		plainJoin(func(k K, l L, r Opt[R]) Opt[O] { row, _ := r.Get(); return Some(f(k, l, row)) }),
	})
}

// JoinForeignOpt is [JoinForeign] for a key that may be absent, None, and a result that may be: it deletes the row.
func JoinForeignOpt[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(k K, l L) Opt[F], f func(k K, l L, r R) Opt[O],
	opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("JoinForeignOpt", opts), false, key, f, foreignMaker[K, L, F, R, O]{
		plainKey(key),
		plainJoin(func(k K, l L, r Opt[R]) Opt[O] { row, _ := r.Get(); return f(k, l, row) }),
	})
}

// TryJoinForeign is [JoinForeign] for functions that can fail.
func TryJoinForeign[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(ctx context.Context, k K, l L) (F, error),
	f func(ctx context.Context, k K, l L, r R) (O, error), opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("TryJoinForeign", opts), false, key, f, foreignMaker[K, L, F, R, O]{
		tryKey(func(ctx context.Context, k K, l L) (Opt[F], error) { f, err := key(ctx, k, l); return Some(f), err }),
		tryJoin(func(ctx context.Context, k K, l L, r Opt[R]) (Opt[O], error) {
			row, _ := r.Get()
			o, err := f(ctx, k, l, row)
			return Some(o), err
		}),
	})
}

// TryJoinForeignOpt is [JoinForeignOpt] for functions that can fail.
func TryJoinForeignOpt[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(ctx context.Context, k K, l L) (Opt[F], error),
	f func(ctx context.Context, k K, l L, r R) (Opt[O], error), opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("TryJoinForeignOpt", opts), false, key, f, foreignMaker[K, L, F, R, O]{
		tryKey(key),
		tryJoin(func(ctx context.Context, k K, l L, r Opt[R]) (Opt[O], error) {
			row, _ := r.Get()
			return f(ctx, k, l, row)
		}),
	})
}

// LeftJoinForeign is [JoinForeign] with a result also for rows without a right row, those without a foreign key among them: then r
// is None.
func LeftJoinForeign[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(k K, l L) Opt[F], f func(k K, l L, r Opt[R]) O,
	opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("LeftJoinForeign", opts), true, key, f, foreignMaker[K, L, F, R, O]{
		plainKey(key), plainJoin(func(k K, l L, r Opt[R]) Opt[O] { return Some(f(k, l, r)) }),
	})
}

// LeftJoinForeignOpt is [LeftJoinForeign] for a result that may be absent: None deletes the row.
func LeftJoinForeignOpt[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(k K, l L) Opt[F],
	f func(k K, l L, r Opt[R]) Opt[O], opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("LeftJoinForeignOpt", opts), true, key, f, foreignMaker[K, L, F, R, O]{
		plainKey(key), plainJoin(f),
	})
}

// TryLeftJoinForeign is [LeftJoinForeign] for functions that can fail.
func TryLeftJoinForeign[K, L, F, R, O any](l Table[K, L], r Table[F, R], key func(ctx context.Context, k K, l L) (Opt[F], error),
	f func(ctx context.Context, k K, l L, r Opt[R]) (O, error), opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("TryLeftJoinForeign", opts), true, key, f, foreignMaker[K, L, F, R, O]{
		tryKey(key),
		tryJoin(func(ctx context.Context, k K, l L, r Opt[R]) (Opt[O], error) {
			o, err := f(ctx, k, l, r)
			return Some(o), err
		}),
	})
}

// TryLeftJoinForeignOpt is [LeftJoinForeignOpt] for functions that can fail.
func TryLeftJoinForeignOpt[K, L, F, R, O any](l Table[K, L], r Table[F, R],
	key func(ctx context.Context, k K, l L) (Opt[F], error), f func(ctx context.Context, k K, l L, r Opt[R]) (Opt[O], error),
	opts ...ForeignOption) Table[K, O] {
	return joinForeign(l, r, foreignSettings("TryLeftJoinForeignOpt", opts), true, key, f, foreignMaker[K, L, F, R, O]{
		tryKey(key), tryJoin(f),
	})
}

func plainKey[K, L, F any](f func(K, L) Opt[F]) func(*node.Task, *node.Info) node.ForeignKey[K, L, F] {
	return func(*node.Task, *node.Info) node.ForeignKey[K, L, F] {
		return func(k K, l L) (Opt[F], error) { return f(k, l), nil }
	}
}

func tryKey[K, L, F any](f func(context.Context, K, L) (Opt[F], error)) func(*node.Task, *node.Info) node.ForeignKey[K, L, F] {
	return func(t *node.Task, at *node.Info) node.ForeignKey[K, L, F] { return node.Try(t, at, f) }
}

func plainJoin[K, L, R, O any](f func(K, L, R) O) func(*node.Task, *node.Info) func(K, L, R) (O, error) {
	return func(*node.Task, *node.Info) func(K, L, R) (O, error) {
		return func(k K, l L, r R) (O, error) { return f(k, l, r), nil }
	}
}

func tryJoin[K, L, R, O any](f func(context.Context, K, L, R) (O, error)) func(*node.Task, *node.Info) func(K, L, R) (O, error) {
	return func(t *node.Task, at *node.Info) func(K, L, R) (O, error) { return node.TryFold(t, at, f) }
}
