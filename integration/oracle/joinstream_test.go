package oracle

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// TestJoinStreams compares joins of streams with their model, record by record, on random windows and inputs: out of order, ties,
// nulls, far in the future. It holds when every unit is undone and run again, when the program is started anew after any record,
// and when a join of a stream with itself has one store.
func TestJoinStreams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := func(name string, from, to int64) int64 { return rapid.Int64Range(from, to).Draw(t, name) }
		before, after, grace := ms("before", -3, 12), ms("after", -3, 12), ms("grace", 0, 6)
		if before+after < 0 {
			after = -before
		}
		kind := rapid.SampledFrom([]string{"inner", "left", "outer"}).Draw(t, "kind")
		self := rapid.IntRange(0, 5).Draw(t, "self") == 0
		var opts []streamtest.Option
		if rapid.Bool().Draw(t, "twice") {
			opts = append(opts, streamtest.Twice())
		}
		restarts := rapid.Bool().Draw(t, "restarts")
		b := joinOf(kind, before, after, grace, self)
		if rapid.Bool().Draw(t, "optimized") {
			b.Optimize(stream.SingleStoreSelfJoin)
		}
		d, err := streamtest.Open(b, opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		m := newJoinModel(before, after, grace, kind != "inner", kind == "outer")
		now := int64(20)
		for n := range rapid.IntRange(1, 40).Draw(t, "records") {
			now += rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 3, 15, 40}).Draw(t, "step")
			r := event{key: rapid.SampledFrom([]string{"a", "b", "a", "b", nothing}).Draw(t, "key"), value: fmt.Sprint("v", n),
				time: max(0, now-rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 5, 12, 30}).Draw(t, "late"))}
			if rapid.IntRange(0, 9).Draw(t, "null") == 0 {
				r.value = nothing
			}
			left := self || rapid.Bool().Draw(t, "left")
			want := m.process(left, r)
			if self {
				want = append(want[:len(want):len(want)], m.process(false, r)...)
			}
			topic := map[bool]string{true: "left", false: "right"}[left]
			raw := streamtest.RawRecord{Key: null(r.key), Value: null(r.value), Time: time.UnixMilli(r.time)}
			if err := d.PipeBatch(topic, []streamtest.RawRecord{raw}); err != nil {
				t.Fatal(err)
			}
			var got []event
			for _, r := range d.Drain("out") {
				got = append(got, event{visible(r.Key), visible(r.Value), r.Time.UnixMilli()})
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%s join, before %d, after %d, grace %d: %v of %s gives\n%v\nwant\n%v", kind, before, after, grace, r, topic, got, want)
			}
			if restarts {
				if err := d.Restart(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// joinOf is a join of "left" and "right", or of "left" with itself.
func joinOf(kind string, before, after, grace int64, self bool) *stream.Builder {
	b := stream.NewBuilder()
	l := on(b, "left")
	r := l
	if !self {
		r = on(b, "right")
	}
	ms := func(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
	w := stream.Within(0).Before(ms(before)).After(ms(after)).Grace(ms(grace))
	var out flow
	switch kind {
	case "inner":
		out = stream.JoinStream(l, r, w, func(_, l, r string) string { return l + "+" + r })
	case "left":
		out = stream.LeftJoinStream(l, r, w, func(_, l string, r some) string { return l + "+" + r.Or("?") })
	default:
		out = stream.OuterJoinStream(l, r, w, func(_ string, l, r some) string { return l.Or("?") + "+" + r.Or("?") })
	}
	out.To("out", stream.WithValue(serde.String))
	return b
}
