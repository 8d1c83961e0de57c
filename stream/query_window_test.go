package stream_test

import (
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

func at(sec int) time.Time { return time.Unix(int64(sec), 0).UTC() }

// spans shows rows as key[start,end)=value, in seconds.
func spans(t *testing.T, rows func(func(stream.Row[stream.Windowed[string], int64], error) bool)) string {
	t.Helper()
	var out []string
	for r, err := range rows {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Key.Key+"["+r.Key.Start.Format("04:05")+","+r.Key.End.Format("04:05")+"]="+string(rune('0'+r.Value)))
	}
	return strings.Join(out, " ")
}

func TestQueryWindows(t *testing.T) {
	b := stream.NewBuilder()
	counts := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Second)).Count(stream.As("counts"))
	d := streamtest.New(t, b)
	ctx := t.Context()
	v, err := stream.QueryWindows(d, counts)
	if err != nil {
		t.Fatal(err)
	}
	if got := spans(t, v.All(ctx)); got != "" {
		t.Error(got)
	}
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for _, r := range []struct {
		key string
		sec int
	}{{"a", 1}, {"b", 2}, {"a", 3}, {"ab", 4}, {"a", 12}, {"b", 25}, {"a", 26}} {
		if err := in.PipeAt(r.key, "", at(r.sec)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ what, got, want string }{
		{"fetch", spans(t, v.Fetch(ctx, "a", at(0), at(60))), "a[00:00,00:10]=2 a[00:10,00:20]=1 a[00:20,00:30]=1"},
		{"fetch some", spans(t, v.Fetch(ctx, "a", at(1), at(10))), "a[00:10,00:20]=1"}, // bounds are of starts, included
		{"reverse", spans(t, v.ReverseFetch(ctx, "a", at(0), at(10))), "a[00:10,00:20]=1 a[00:00,00:10]=2"},
		{"all keys", spans(t, v.FetchAll(ctx, at(0), at(5))), "a[00:00,00:10]=2 ab[00:00,00:10]=1 b[00:00,00:10]=1"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, tc.got, tc.want)
		}
	}
	if n, ok, err := v.Get(ctx, "a", at(0)); n != 2 || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if n, ok, err := v.Get(ctx, "a", at(30)); n != 0 || ok || err != nil {
		t.Error(n, ok, err)
	}
	if n, err := v.ApproximateCount(ctx); n != 6 || err != nil {
		t.Error(n, err)
	}
	if _, err := stream.Query(d, counts); err == nil || !strings.Contains(err.Error(), "window") {
		t.Error(err)
	}
	if _, err := stream.QuerySessions(d, counts); err == nil || !strings.Contains(err.Error(), "QuerySessions wants a store of sessions") {
		t.Error(err)
	}
	// What has expired is not seen, although its segment is still there.
	if err := in.PipeAt("late", "", at(85)); err != nil {
		t.Fatal(err)
	}
	if got := spans(t, v.Fetch(ctx, "a", at(0), at(60))); got != "a[00:20,00:30]=1" {
		t.Error(got)
	}
	if _, ok, err := v.Get(ctx, "a", at(0)); ok || err != nil {
		t.Error(ok, err)
	}
}

func TestQuerySessions(t *testing.T) {
	b := stream.NewBuilder()
	counts := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Second)).Count(stream.As("sessions"))
	d := streamtest.New(t, b)
	ctx := t.Context()
	v, err := stream.QuerySessions(d, counts)
	if err != nil {
		t.Fatal(err)
	}
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for _, r := range []struct {
		key string
		sec int
	}{{"a", 1}, {"a", 4}, {"b", 5}, {"a", 20}, {"a", 30}, {"a", 33}} {
		if err := in.PipeAt(r.key, "", at(r.sec)); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ what, got, want string }{
		{"fetch", spans(t, v.Fetch(ctx, "a")), "a[00:01,00:04]=2 a[00:20,00:20]=1 a[00:30,00:33]=2"},
		{"reverse", spans(t, v.ReverseFetch(ctx, "a")), "a[00:30,00:33]=2 a[00:20,00:20]=1 a[00:01,00:04]=2"},
		{"find", spans(t, v.FindSessions(ctx, "a", at(4), at(20))), "a[00:01,00:04]=2 a[00:20,00:20]=1"},
		{"find none", spans(t, v.FindSessions(ctx, "a", at(5), at(19))), ""},
		{"all", spans(t, v.FetchAll(ctx, at(0), at(19))), "a[00:01,00:04]=2 b[00:05,00:05]=1"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %s, want %s", tc.what, tc.got, tc.want)
		}
	}
	if n, ok, err := v.Get(ctx, "a", at(1), at(4)); n != 2 || !ok || err != nil {
		t.Error(n, ok, err)
	}
	if n, err := v.ApproximateCount(ctx); n != 4 || err != nil {
		t.Error(n, err)
	}
}
