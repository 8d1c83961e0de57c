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
