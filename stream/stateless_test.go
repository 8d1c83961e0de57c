package stream_test

import (
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
)

func TestFirst(t *testing.T) {
	b := stream.NewBuilder()
	upper := stream.MapValues(from(b, "in"), func(_, v string) string { return strings.ToUpper(v) })
	keyed := stream.SelectKey(upper.Filter(func(_, v string) bool { return v != "NO" }), func(_, v string) string { return v[:1] })
	keyed.Repartition().To("out")
	r := newRig(t, b)
	r.must("in", "a", "xyz", 1)
	r.must("in", "a", "no", 2)
	r.must("in", "a", "-", 3)
	r.must("in", "-", "b", 4)
	r.wants("out X=XYZ @1", "out B=B @4")
}
