package stream_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func tableOf(b *stream.Builder, topic string, opts ...stream.TableOption) stream.Table[string, string] {
	return stream.TableFrom(b, topic, serde.String, serde.String, opts...)
}

func show(_ string, n int64) string { return string(rune('0' + n)) }

func TestWordCount(t *testing.T) {
	b := stream.NewBuilder()
	words := stream.GroupBy(from(b, "in"), func(_, v string) string { return v })
	stream.MapTable(words.Count(stream.EmitEvery), show).ToStream().To("out", stream.WithValue(serde.String))
	r := newRig(t, b)
	for i, w := range []string{"a", "b", "a", "-", "a"} {
		r.must("in", "k", w, int64(10-i))
	}
	r.wants("out a=1 @10", "out b=1 @9", "out a=2 @10", "out a=3 @10")
}

func TestJoin(t *testing.T) {
	b := stream.NewBuilder()
	users := tableOf(b, "users")
	s := from(b, "orders")
	join := func(k, o, u string) string { return k + ":" + o + "+" + u }
	stream.JoinTable(s, users, join).To("inner", stream.WithValue(serde.String))
	stream.LeftJoinTable(s, users, func(k, o string, u stream.Opt[string]) string { return join(k, o, u.Or("?")) }).To("left")
	r := newRig(t, b)
	r.must("orders", "a", "1", 1)
	r.must("users", "a", "ann", 2)
	r.must("orders", "a", "2", 3)
	r.must("orders", "-", "3", 4)
	r.must("orders", "a", "-", 5)
	r.must("users", "a", "-", 6)
	r.must("orders", "a", "4", 7)
	r.wants("left a=a:1+? @1", "inner a=a:2+ann @3", "left a=a:2+ann @3", "left -=:3+? @4", "left a=a:4+? @7")
}

func TestGroupTable(t *testing.T) {
	b := stream.NewBuilder()
	g := stream.GroupTableBy(tableOf(b, "in"), func(_, v string) (string, string) { return v[:1], v })
	add := func(old, v string) string { return old + "+" + v }
	sub := func(old, v string) string { return old + "-" + v }
	g.Reduce(add, sub, stream.EmitEvery).ToStream().To("out")
	r := newRig(t, b)
	r.must("in", "1", "ax", 1)
	r.must("in", "2", "ay", 2)
	r.must("in", "1", "bx", 3)
	r.must("in", "2", "az", 4)
	r.must("in", "2", "-", 5)
	r.wants("out a=ax @1", "out a=ax+ay @2", "out a=ax+ay-ax @3", "out b=bx @3", "out a=ax+ay-ax-ay+az @4",
		"out a=ax+ay-ax-ay+az-az @5")
}
