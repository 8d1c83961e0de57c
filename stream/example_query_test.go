package stream_test

import (
	goctx "context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// An application is queried in the same way as a driver.
func ExampleQuery() {
	b := stream.NewBuilder()
	counts := from(b, "in").GroupByKey().Count(stream.As("counts"))
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	in := streamtest.Input(d, "in", serde.String, serde.String)
	for _, k := range []string{"plum", "pear", "plum", "apple"} {
		if err := in.Pipe(k, ""); err != nil {
			fmt.Println(err)
		}
	}
	view, err := stream.Query(d, counts)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := goctx.Background()
	n, ok, err := view.Get(ctx, "plum")
	fmt.Println(n, ok, err)
	for row, err := range view.Range(ctx, "b", "plum") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(row.Key, row.Value)
	}
	// Output:
	// 2 true <nil>
	// pear 1
	// plum 2
}

// A position makes sure that a query sees what was written before it.
func ExampleView_AtLeast() {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users"))
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	view, err := stream.Query(d, users)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := goctx.Background()
	written := stream.Position{}.With("users", 0, 0) // what the producer was told
	_, _, err = view.AtLeast(written).Get(ctx, "u1")
	fmt.Println(err)
	if err := streamtest.Input(d, "users", serde.String, serde.String).Pipe("u1", "Ada"); err != nil {
		fmt.Println(err)
	}
	fmt.Println(view.AtLeast(written).Get(ctx, "u1"))
	// Output:
	// store users: partition 0 includes users/0 up to offset -1, not up to 0: wait for it with Await
	// Ada true <nil>
}

func ExampleQueryStore() {
	b := stream.NewBuilder()
	seen := stream.KeyValue("seen", serde.String, serde.Int64)
	stream.Process(from(b, "in"), func() *tallier { return &tallier{ref: seen} }, []stream.StoreRef{seen})
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	in := streamtest.Input(d, "in", serde.String, serde.String)
	if err := in.Pipe("a", ""); err != nil {
		fmt.Println(err)
	}
	view, err := stream.QueryStore(d, seen)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.Get(goctx.Background(), "a"))
	// Output: 1 true <nil>
}
