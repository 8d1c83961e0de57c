package stream_test

import (
	goctx "context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// texts are the rows that a query goes through, as text.
func texts[K, V any](t *testing.T, rows func(func(stream.Row[K, V], error) bool)) string {
	t.Helper()
	var out []string
	for r, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%v=%v", r.Key, r.Value))
	}
	return strings.Join(out, " ")
}

func TestQueryReadsATable(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	d := streamtest.New(t, b)
	ctx := t.Context()
	v, err := stream.Query(d, users)
	if err != nil {
		t.Fatal(err)
	}
	in := streamtest.Input(d, "users", serde.String, serde.String)
	for i, k := range []string{"b", "a", "c", "ab", "d"} {
		if err := in.PipeAt(k, strings.ToUpper(k), time.UnixMilli(int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.Delete("d"); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := v.Get(ctx, "ab"); got != "AB" || !ok || err != nil {
		t.Error(got, ok, err)
	}
	if got, ok, err := v.Get(ctx, "d"); got != "" || ok || err != nil {
		t.Error(got, ok, err)
	}
	if r, ok, err := v.Row(ctx, "b"); !r.Time.Equal(time.UnixMilli(0)) || !ok || err != nil {
		t.Error(r, ok, err) // the epoch is a time, not none
	}
	for _, tc := range []struct{ what, got, want string }{
		{"all", texts(t, v.All(ctx)), "a=A ab=AB b=B c=C"},
		{"reverse all", texts(t, v.ReverseAll(ctx)), "c=C b=B ab=AB a=A"},
		{"range", texts(t, v.Range(ctx, "a", "b")), "a=A ab=AB b=B"},
		{"reverse range", texts(t, v.ReverseRange(ctx, "ab", "bb")), "b=B ab=AB"},
		{"a range that is none", texts(t, v.Range(ctx, "c", "a")), ""},
		{"prefix", texts(t, v.PrefixScan(ctx, []byte("a"))), "a=A ab=AB"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, tc.got, tc.want)
		}
	}
	if n, err := v.ApproximateCount(ctx); n != 4 || err != nil {
		t.Error(n, err)
	}
}

// A loop sees the store as it was when it began, whatever is committed meanwhile.
func TestQuerySeesOneMoment(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	d := streamtest.New(t, b)
	in := streamtest.Input(d, "users", serde.String, serde.String)
	v, err := stream.Query(d, users)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"a", "b", "c"} {
		if err := in.Pipe(k, "old"); err != nil {
			t.Fatal(err)
		}
	}
	for r, err := range v.All(t.Context()) {
		if err != nil || r.Value != "old" {
			t.Error(r, err)
		}
		if err := in.Pipe("c", "new"); err != nil {
			t.Fatal(err)
		}
	}
	if got := texts(t, v.All(t.Context())); got != "a=old b=old c=new" {
		t.Error(got)
	}
}

func TestQueryOfAProcessorsStore(t *testing.T) {
	b := stream.NewBuilder()
	seen := stream.KeyValue("seen", serde.String, serde.Int64)
	from(b, "in").Peek(func(_, _ string) {}).To("copy")
	stream.Process(from(b, "in"), func() *tallier { return &tallier{ref: seen} }, []stream.StoreRef{seen})
	d := streamtest.New(t, b)
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for _, k := range []string{"x", "y", "x"} {
		if err := in.Pipe(k, ""); err != nil {
			t.Fatal(err)
		}
	}
	v, err := stream.QueryStore(d, seen)
	if err != nil {
		t.Fatal(err)
	}
	if n, ok, err := v.Get(t.Context(), "x"); n != 2 || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if got := texts(t, v.All(t.Context())); got != "x=2 y=1" {
		t.Error(got)
	}
	if r, _, err := v.Row(t.Context(), "x"); !r.Time.IsZero() || err != nil {
		t.Error(r.Time, err) // a plain store keeps no times
	}
}

// tallier counts its keys in a store.
type tallier struct {
	ref   stream.KVRef[string, int64]
	store stream.KVStore[string, int64]
}

func (c *tallier) Init(ctx *stream.InitContext[string, string]) error {
	c.store = c.ref.Open(ctx)
	return nil
}

func (c *tallier) Process(_ *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	n, _, err := c.store.Get(r.Key)
	if err != nil {
		return err
	}
	return c.store.Put(r.Key, n+1)
}

func TestQueryErrors(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	shown := stream.MapTable(users, func(_, v string) string { return v })
	shown.ToStream().To("out")
	d := streamtest.New(t, b)
	ctx := t.Context()

	var unstored *stream.NotMaterializedError
	if _, err := stream.Query(d, shown); !errors.As(err, &unstored) || !strings.Contains(err.Error(), "query_test.go:") ||
		!strings.Contains(err.Error(), "name it with As") {
		t.Error(err)
	}
	other := stream.TableFrom(stream.NewBuilder(), "users", serde.String, serde.String, stream.As("users"))
	if _, err := stream.Query(d, other); !errors.As(err, &unstored) {
		t.Error("a table of another program:", err)
	}
	if _, err := stream.Query(d, users, stream.PartitionBy(func(int, int) int { return 0 })); err == nil ||
		!strings.Contains(err.Error(), "want a func(string, int) int") {
		t.Error(err)
	}
	v, err := stream.Query(d, users, stream.InPartition(3))
	if err != nil {
		t.Fatal(err)
	}
	var away *stream.StoreNotHereError
	if _, _, err := v.Get(ctx, "a"); !errors.As(err, &away) || away.Partition != 3 || fmt.Sprint(away.Here) != "[0]" {
		t.Error(err)
	}
	over, cancel := goctx.WithCancel(ctx)
	cancel()
	if _, _, err := v.Get(over, "a"); !errors.Is(err, goctx.Canceled) {
		t.Error(err)
	}
}

func TestQueryKnowsItsPosition(t *testing.T) {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	d := streamtest.New(t, b)
	ctx := t.Context()
	in := streamtest.Input(d, "users", serde.String, serde.String)
	v, err := stream.Query(d, users)
	if err != nil {
		t.Fatal(err)
	}
	third := stream.Position{}.With("users", 0, 2).With("elsewhere", 0, 99)
	var late *stream.PositionError
	for i, k := range []string{"a", "b", "c"} {
		if _, _, err := v.AtLeast(third).Get(ctx, k); !errors.As(err, &late) || late.Want != 2 || late.Found != int64(i)-1 {
			t.Error(i, err)
		}
		if err := in.Pipe(k, k); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok, err := v.AtLeast(third).Get(ctx, "c"); got != "c" || !ok || err != nil {
		t.Error(got, ok, err)
	}
	if err := v.Await(ctx, third); err != nil {
		t.Error(err)
	}
	short, cancel := goctx.WithCancel(ctx)
	cancel()
	if err := v.Await(short, third.With("users", 0, 3)); !errors.Is(err, goctx.Canceled) {
		t.Error(err)
	}
	if p, err := v.Position(ctx); err != nil || fmt.Sprint(p) != "map[users:map[0:2]]" {
		t.Error(p, err)
	}
}
