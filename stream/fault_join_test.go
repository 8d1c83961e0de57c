package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// TestJoinFaults: mistakes in joins are reported by Build, with the fix.
func TestJoinFaults(t *testing.T) {
	both := func(_, l, r string) string { return l + r }
	join := func(w stream.JoinWindow, opts ...stream.StreamJoinOption) func(*stream.Builder) {
		return func(b *stream.Builder) { stream.JoinStream(from(b, "a"), from(b, "b"), w, both, opts...) }
	}
	table := func(opts []stream.TableOption, join ...stream.JoinOption) func(*stream.Builder) {
		return func(b *stream.Builder) {
			stream.JoinTable(from(b, "a"), stream.TableFrom(b, "b", serde.String, serde.String, opts...), both, join...)
		}
	}
	for _, c := range []struct {
		write func(*stream.Builder)
		want  string
	}{
		{join(stream.Within(time.Microsecond)), "whole milliseconds"},
		{join(stream.Within(time.Second).Grace(-time.Second)), "grace of -1s is less than zero"},
		{join(stream.Within(time.Second).After(-2 * time.Second)), "ends before it begins"},
		{join(stream.Within(time.Second), stream.WithValue(serde.Int64)), "WithValue gives a serde of int64, the values are string and string"},
		{join(stream.Within(time.Second), stream.WithRight(serde.Int64)), "WithRight gives a serde of int64, the right values are string"},
		{func(b *stream.Builder) {
			orders := stream.MapValues(from(b, "a"), func(_, v string) order { return order{v} })
			stream.JoinStream(orders, from(b, "b"), stream.Within(0), func(_ string, o order, r string) string { return r })
		}, "no serde for its left values of type stream_test.order: give one with WithLeft"},
		{func(b *stream.Builder) {
			stream.JoinStream(from(b, "a"), from(stream.NewBuilder(), "b"), stream.Within(0), both)
		}, "different Builders"},
		{table(nil, stream.Grace(time.Second)), "Grace needs a table that is Versioned"},
		{table([]stream.TableOption{stream.Versioned(time.Second)}, stream.Grace(time.Minute)), "Grace of 1m0s is longer than the history"},
		{func(b *stream.Builder) {
			stream.GlobalTableFrom(b, "a", serde.String, serde.String, stream.Offset(stream.Latest))
		}, "Offset has no place here"},
		{func(b *stream.Builder) {
			from(b, "a").To("out")
			stream.GlobalTableFrom(b, "a", serde.String, serde.String)
		}, `topic "a" is read at`},
	} {
		b := stream.NewBuilder()
		c.write(b)
		if _, err := b.Build("app"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q in it", err, c.want)
		}
	}
}
