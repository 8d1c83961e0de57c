package stream_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// The streams of these examples: what was shown to whom, and who clicked. A click belongs to what was shown up to ten seconds
// before it.
func shownAndClicked(b *stream.Builder) (shown, clicked strings2, soon stream.JoinWindow) {
	return from(b, "shown"), from(b, "clicked"), stream.Within(0).After(10 * time.Second)
}

// runAt is run for records with a time: "topic key value ms".
func runAt(b *stream.Builder, records ...string) {
	d, err := streamtest.Open(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	for _, r := range records {
		w := strings.Fields(r)
		ms, _ := strconv.ParseInt(w[3], 10, 64)
		in := streamtest.Input(d, w[0], serde.Bytes, serde.Bytes)
		if err := in.PipeRaw([]byte(w[1]), []byte(w[2]), time.UnixMilli(ms), stream.Headers{}); err != nil {
			fmt.Println(err)
			return
		}
		for _, r := range d.Drain("out") {
			fmt.Printf("%s %s @%d\n", text(r.Key), text(r.Value), r.Time.UnixMilli())
		}
	}
}

func ExampleJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.JoinStream(shown, clicked, soon, func(_, ad, page string) string { return ad + " clicked on " + page }).
		To("out", stream.WithValue(serde.String))
	runAt(b, "shown ann shoes 0", "clicked ann home 3000", "clicked ann news 20000")
	// Output: ann shoes clicked on home @3000
}

func ExampleTryJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.TryJoinStream(shown, clicked, soon, func(_ context, _, ad, page string) (string, error) {
		if page == "test" {
			return "", errors.New("a click of the test page")
		}
		return ad + " clicked on " + page, nil
	}).To("out", stream.WithValue(serde.String))
	runAt(b, "shown ann shoes 0", "clicked ann test 1000", "clicked ann home 3000") // the first click is in the dead-letter topic
	// Output: ann shoes clicked on home @3000
}

func ExampleLeftJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.LeftJoinStream(shown, clicked, soon.Grace(5*time.Second), func(_, ad string, page opt) string {
		return ad + " clicked on " + page.Or("nothing")
	}).To("out", stream.WithValue(serde.String))
	// That nobody has clicked is known when time has passed the window and its grace, by whatever record.
	runAt(b, "shown ann shoes 0", "shown bob hats 1000", "clicked bob home 2000", "shown eve coats 15001")
	// Output:
	// bob hats clicked on home @2000
	// ann shoes clicked on nothing @0
}

func ExampleTryLeftJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.TryLeftJoinStream(shown, clicked, soon, func(_ context, _, ad string, page opt) (string, error) {
		return ad + " clicked on " + page.Or("nothing"), nil
	}).To("out", stream.WithValue(serde.String))
	runAt(b, "shown ann shoes 0", "shown eve coats 15001")
	// Output: ann shoes clicked on nothing @0
}

func ExampleOuterJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.OuterJoinStream(shown, clicked, soon, func(_ string, ad, page opt) string {
		return ad.Or("nothing") + " clicked on " + page.Or("nothing")
	}).To("out", stream.WithValue(serde.String))
	runAt(b, "clicked bob home 0", "shown ann shoes 1000", "shown eve coats 15001")
	// Output:
	// bob nothing clicked on home @0
	// ann shoes clicked on nothing @1000
}

func ExampleTryOuterJoinStream() {
	b := stream.NewBuilder()
	shown, clicked, soon := shownAndClicked(b)
	stream.TryOuterJoinStream(shown, clicked, soon, func(_ context, _ string, ad, page opt) (string, error) {
		return ad.Or("nothing") + " clicked on " + page.Or("nothing"), nil
	}).To("out", stream.WithValue(serde.String))
	runAt(b, "clicked bob home 0", "shown eve coats 15001")
	// Output: bob nothing clicked on home @0
}

func ExampleWithin() {
	b := stream.NewBuilder()
	a, c := from(b, "a"), from(b, "b")
	both := func(_, l, r string) string { return l + r }
	stream.JoinStream(a, c, stream.Within(5*time.Millisecond), both, stream.Named("near")).To("out", stream.WithValue(serde.String))
	runAt(b, "a k x 10", "b k 1 5", "b k 2 15", "b k 3 16")
	// Output:
	// k x1 @10
	// k x2 @15
}

func ExampleJoinWindow_Before() {
	b := stream.NewBuilder()
	// The right record is 10 to 20 ms earlier than the left one.
	w := stream.Within(0).Before(20 * time.Millisecond).After(-10 * time.Millisecond)
	both := func(_, l, r string) string { return l + r }
	stream.JoinStream(from(b, "a"), from(b, "b"), w, both).To("out", stream.WithValue(serde.String))
	runAt(b, "b k 1 5", "b k 2 12", "a k x 20")
	// Output: k x1 @20
}

func ExampleWithLeft() {
	type shoe struct{ Size int }
	b := stream.NewBuilder()
	shoes := stream.MapValues(from(b, "a"), func(_, v string) shoe { return shoe{len(v)} })
	stream.JoinStream(shoes, from(b, "b"), stream.Within(time.Second), func(_ string, s shoe, who string) string { return who },
		stream.WithLeft(serde.JSON[shoe]()), stream.WithRight(serde.String)).To("out", stream.WithValue(serde.String))
	runAt(b, "a k x 0", "b k ann 1")
	// Output: k ann @1
}

func ExampleGrace() {
	b := stream.NewBuilder()
	prices := stream.TableFrom(b, "prices", serde.String, serde.String, stream.As("prices"), stream.Versioned(time.Hour))
	stream.JoinTable(from(b, "orders"), prices, func(_, order, price string) string { return order + " for " + price },
		stream.Grace(time.Minute)).To("out", stream.WithValue(serde.String))
	// The price of the order's time comes after the order, but not too late.
	runAt(b, "prices tea 1€ 0", "orders tea one 30000", "prices tea 2€ 20000", "prices tea 3€ 40000", "orders tea two 95000")
	// Output: tea one for 2€ @30000
}

func ExampleJoinWindow_After() {
	b := stream.NewBuilder()
	w := stream.Within(0).After(5 * time.Millisecond) // the right record comes up to 5 ms after the left one
	both := func(_, l, r string) string { return l + r }
	stream.JoinStream(from(b, "a"), from(b, "b"), w, both).To("out", stream.WithValue(serde.String))
	runAt(b, "a k x 10", "b k 1 9", "b k 2 15", "b k 3 16")
	// Output: k x2 @15
}

func ExampleJoinWindow_Grace() {
	b := stream.NewBuilder()
	w := stream.Within(5 * time.Millisecond).Grace(10 * time.Millisecond) // what has no match is sent when 15 ms have passed
	either := func(_, l string, r opt) string { return l + r.Or("-") }
	stream.LeftJoinStream(from(b, "a"), from(b, "b"), w, either).To("out", stream.WithValue(serde.String))
	runAt(b, "a k x 10", "a j y 25", "a j z 26")
	// Output: k x- @10
}
