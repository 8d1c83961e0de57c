package stream

import (
	"context"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// JoinGlobal looks up a key made of each record in a global table, and makes a result of record and row. Records without a row,
// and those with a null value, make none. key is given the zero K for a record with a null key.
func JoinGlobal[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R], key func(k K, l L) GK, f func(k K, l L, r R) O,
	opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "JoinGlobal", opts, key, f)
	return joinGlobal(l, r, set, false, plain(present(key)), plainInner(f))
}

// JoinGlobalOpt is [JoinGlobal] for a key function that may find no key: such a record makes no result.
func JoinGlobalOpt[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R], key func(k K, l L) Opt[GK],
	f func(k K, l L, r R) O, opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "JoinGlobalOpt", opts, key, f)
	return joinGlobal(l, r, set, false, plain(key), plainInner(f))
}

// TryJoinGlobal is [JoinGlobal] for functions that can fail.
func TryJoinGlobal[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R],
	key func(ctx context.Context, k K, l L) (GK, error), f func(ctx context.Context, k K, l L, r R) (O, error),
	opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "TryJoinGlobal", opts, key, f)
	return joinGlobal(l, r, set, false, trying(tryPresent(key)), tryInner(f))
}

// TryJoinGlobalOpt is [JoinGlobalOpt] for functions that can fail.
func TryJoinGlobalOpt[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R],
	key func(ctx context.Context, k K, l L) (Opt[GK], error), f func(ctx context.Context, k K, l L, r R) (O, error),
	opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "TryJoinGlobalOpt", opts, key, f)
	return joinGlobal(l, r, set, false, trying(key), tryInner(f))
}

// LeftJoinGlobal is [JoinGlobal] with a result also for records without a row: then r is None.
func LeftJoinGlobal[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R], key func(k K, l L) GK,
	f func(k K, l L, r Opt[R]) O, opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "LeftJoinGlobal", opts, key, f)
	return joinGlobal(l, r, set, true, plain(present(key)), plainLeft(f))
}

// LeftJoinGlobalOpt is [LeftJoinGlobal] for a key function that may find no key: such a record has no row.
func LeftJoinGlobalOpt[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R], key func(k K, l L) Opt[GK],
	f func(k K, l L, r Opt[R]) O, opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "LeftJoinGlobalOpt", opts, key, f)
	return joinGlobal(l, r, set, true, plain(key), plainLeft(f))
}

// TryLeftJoinGlobal is [LeftJoinGlobal] for functions that can fail.
func TryLeftJoinGlobal[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R],
	key func(ctx context.Context, k K, l L) (GK, error), f func(ctx context.Context, k K, l L, r Opt[R]) (O, error),
	opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "TryLeftJoinGlobal", opts, key, f)
	return joinGlobal(l, r, set, true, trying(tryPresent(key)), tryLeft(f))
}

// TryLeftJoinGlobalOpt is [LeftJoinGlobalOpt] for functions that can fail.
func TryLeftJoinGlobalOpt[K, L, GK, R, O any](l Stream[K, L], r GlobalTable[GK, R],
	key func(ctx context.Context, k K, l L) (Opt[GK], error), f func(ctx context.Context, k K, l L, r Opt[R]) (O, error),
	opts ...NodeOption) Stream[K, O] {
	set := lookupSettings(l.builder(), "TryLeftJoinGlobalOpt", opts, key, f)
	return joinGlobal(l, r, set, true, trying(key), tryLeft(f))
}

// lookupSettings are those of a step with two functions.
func lookupSettings(b *Builder, call string, opts []NodeOption, key, f any) settings {
	set := nodeSettings(call, opts)
	b.notNil(&set, key)
	b.notNil(&set, f)
	return set
}

func present[K, L, GK any](key func(K, L) GK) func(K, L) Opt[GK] {
	return func(k K, l L) Opt[GK] { return Some(key(k, l)) }
}

func tryPresent[K, L, GK any](key func(context.Context, K, L) (GK, error)) func(context.Context, K, L) (Opt[GK], error) {
	return func(ctx context.Context, k K, l L) (Opt[GK], error) {
		g, err := key(ctx, k, l)
		return Some(g), err
	}
}

func joinGlobal[K, L, GK, R, O any](l Stream[K, L], right GlobalTable[GK, R], set settings, left bool,
	key maker[K, L, Opt[GK]], join joinMaker[K, L, R, O]) Stream[K, O] {
	b, r := l.builder(), right.table()
	b.same(&set, r.b)
	name := b.graph.NameOr(set.name, "KSTREAM-LEFTJOIN-") // of inner joins too, as Kafka Streams names them
	op := &topology.Op{Site: set.site, RelaxedNullKey: left, Write: func(c *topology.Compiler) *topology.Node {
		n := topology.NewProcessor(name, wired(l, c, &set,
			func(in *topology.Instance, self *topology.Node) (node.Proc[K, L], error) {
				at := in.Info(self)
				table, err := r.getter(in, at)
				if err != nil {
					return nil, err
				}
				return node.JoinGlobal(in.Task, at, key(in.Task, at), table, left, join(in.Task, at),
					topology.After[K, O](in, self)), nil
			}))
		n.OnError = set.policy
		return c.Add(n, c.Out(l.op))
	}}
	b.graph.Add(op, l.op)
	return Stream[K, O]{b: b, op: op, name: name, key: l.key, rekeyed: l.rekeyed, sources: l.sources, again: new(reuse)}
}
