package stream_test

import (
	goctx "context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// filled starts a program and pipes records of text to one topic: "key value ms".
func filled(b *stream.Builder, topic string, records ...string) *streamtest.Driver {
	d, err := streamtest.Open(b)
	if err != nil {
		panic(err)
	}
	in := streamtest.Input(d, topic, serde.String, serde.String)
	for _, r := range records {
		w := strings.Fields(r)
		ms, _ := strconv.ParseInt(w[2], 10, 64)
		if err := in.PipeAt(w[0], w[1], time.UnixMilli(ms)); err != nil {
			fmt.Println(err)
		}
	}
	return d
}

func ExampleQueryWindows() {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Tumbling(10*time.Millisecond))
	counts := w.Count(stream.As("counts"), stream.Retention(time.Hour))
	d := filled(b, "in", "a x 1", "a y 2", "a z 10", "b x 12")
	defer d.Close()
	view, err := stream.QueryWindows(d, counts)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := goctx.Background()
	fmt.Println(view.Get(ctx, "a", time.UnixMilli(0)))
	for row, err := range view.Fetch(ctx, "a", time.UnixMilli(0), time.UnixMilli(10)) {
		fmt.Println(row.Key.Start.UnixMilli(), row.Value, err)
	}
	// Output:
	// 2 true <nil>
	// 0 2 <nil>
	// 10 1 <nil>
}

func ExampleQuerySessions() {
	b := stream.NewBuilder()
	s := stream.SessionBy(from(b, "in").GroupByKey(), stream.Session(5*time.Millisecond))
	counts := s.Count(stream.As("counts"), stream.Retention(time.Hour))
	d := filled(b, "in", "a x 1", "a y 2", "a z 10")
	defer d.Close()
	view, err := stream.QuerySessions(d, counts)
	if err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range view.Fetch(goctx.Background(), "a") {
		fmt.Println(row.Key.Start.UnixMilli(), row.Key.End.UnixMilli(), row.Value, err)
	}
	// Output:
	// 1 2 2 <nil>
	// 10 10 1 <nil>
}

func ExampleQueryVersioned() {
	b := stream.NewBuilder()
	prices := stream.TableFrom(b, "prices", serde.String, serde.String, stream.As("prices"), stream.Versioned(time.Hour))
	d := filled(b, "prices", "tea 1€ 100", "tea 3€ 300", "tea 2€ 200")
	defer d.Close()
	view, err := stream.QueryVersioned(d, prices)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := goctx.Background()
	last, _, _ := view.Get(ctx, "tea")
	then, _, _ := view.GetAsOf(ctx, "tea", time.UnixMilli(250))
	fmt.Println(last.Value, then.Value, then.From.UnixMilli(), then.To.UnixMilli())
	// Output: 3€ 2€ 200 300
}
