package stream_test

import (
	goctx "context"
	"fmt"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

func ExampleQueryGlobal() {
	b := stream.NewBuilder()
	regions := stream.GlobalTableFrom(b, "regions", serde.String, serde.String, stream.As("regions"))
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	if err := streamtest.Input(d, "regions", serde.String, serde.String).Pipe("eu", "Europe"); err != nil {
		fmt.Println(err)
	}
	view, err := stream.QueryGlobal(d, regions)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.Get(goctx.Background(), "eu"))
	// Output: Europe true <nil>
}

func ExampleAddGlobalStore() {
	b := stream.NewBuilder()
	ref := stream.KeyValue("longest", serde.String, serde.String)
	stream.AddGlobalStore(b, ref, "words", serde.String, serde.String, func() *longest { return &longest{ref: ref} })
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	words := streamtest.Input(d, "words", serde.String, serde.String)
	for _, w := range []string{"plum", "pineapple", "pear"} {
		if err := words.Pipe(w[:1], w); err != nil {
			fmt.Println(err)
		}
	}
	view, err := stream.QueryStore(d, ref)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(view.Get(goctx.Background(), "p"))
	// Output: pineapple true <nil>
}
