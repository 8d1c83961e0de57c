package stream_test

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

var (
	panes  = stream.WindowStoreOf("panes", 10*time.Millisecond, serde.String, serde.String, stream.Retention(50*time.Millisecond))
	visits = stream.SessionStoreOf("visits", 50*time.Millisecond, serde.String, serde.String, stream.InMemory())
	recent = stream.LRUMap("recent", 2, serde.String, serde.String, stream.NoChangelog())
)

// keeper does with its stores what its input's value says.
type keeper struct {
	panes  *stream.WindowStore[string, string]
	visits *stream.SessionStore[string, string]
	recent *stream.LRUStore[string, string]
}

func (p *keeper) Init(c *stream.InitContext[string, string]) error {
	p.panes, p.visits, p.recent = panes.Open(c), visits.Open(c), recent.Open(c)
	return nil
}

func msTime(s string) time.Time {
	ms, _ := strconv.ParseInt(s, 10, 64)
	return time.UnixMilli(ms)
}

func listed(rows iter.Seq2[stream.Windowed[string], string]) string {
	var all []string
	for w, v := range rows {
		all = append(all, fmt.Sprintf("%s@%d-%d:%s", w.Key, w.Start.UnixMilli(), w.End.UnixMilli(), v))
	}
	return strings.Join(all, " ")
}

func (p *keeper) Process(ctx *stream.ProcessContext[string, string], r stream.Record[string, string]) error {
	v, _ := r.Value.Get()
	word := strings.Fields(v + " 0 0 0")
	out, err := "", error(nil)
	session := stream.Windowed[string]{Key: r.Key, Start: msTime(word[1]).UTC(), End: msTime(word[2]).UTC()}
	switch word[0] {
	case "pane":
		err = p.panes.Put(r.Key, msTime(word[1]), word[2])
	case "unpane":
		err = p.panes.Delete(r.Key, msTime(word[1]))
	case "panes":
		one, _, err := p.panes.Get(r.Key, msTime(word[1]))
		out = one + "| " + listed(p.panes.Fetch(r.Key, msTime(word[1]), msTime(word[2]))) + " | " +
			listed(p.panes.ReverseFetch(r.Key, msTime(word[1]), msTime(word[2]))) + " | " + listed(p.panes.All())
		if err != nil {
			return err
		}
	case "visit":
		err = p.visits.Put(session, word[3])
	case "unvisit":
		err = p.visits.Delete(session)
	case "visits":
		one, _, err := p.visits.Get(session)
		out = one + "| " + listed(p.visits.Find(r.Key, msTime(word[1]), msTime(word[2]))) + " | " +
			listed(p.visits.ReverseFind(r.Key, msTime(word[1]), msTime(word[2]))) + " | " + listed(p.visits.Fetch(r.Key)) + " | " + listed(p.visits.All())
		if err != nil {
			return err
		}
	case "use":
		if out, _, err = p.recent.Get(r.Key); out == "" {
			out = "-"
		}
	case "keep":
		err = p.recent.Put(r.Key, word[1])
		if word[2] == "fail" {
			return errors.New("fail as told")
		}
	case "forget":
		err = p.recent.Delete(r.Key)
	case "count":
		n, err := p.recent.Len()
		if out = fmt.Sprint(n); err != nil {
			return err
		}
	}
	if out != "" {
		ctx.Forward(stream.Record[string, string]{Key: r.Key, Value: stream.Some(out), Time: r.Time})
	}
	return err
}

func TestStoresWithTimes(t *testing.T) {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *keeper { return new(keeper) }, []stream.StoreRef{panes, visits, recent}, stream.Named("p")).
		To("out", stream.Named("out"))
	r := newRig(t, b)
	r.must("in", "a", "pane 0 x", 1)
	r.must("in", "b", "pane 10 y", 1)
	r.must("in", "a", "pane 40 z", 1)
	r.must("in", "a", "panes 0 40", 2)
	r.wants("out a=x| a@0-10:x a@40-50:z | a@40-50:z a@0-10:x | a@0-10:x a@40-50:z b@10-20:y @2")
	// The window that starts at 0 is not there any more when one has come that starts 50 ms later, and cannot come back.
	r.must("in", "a", "pane 50 w", 3)
	r.must("in", "a", "pane 0 again", 3)
	r.must("in", "b", "unpane 10", 3)
	r.must("in", "a", "panes 0 99", 4)
	r.wants("out a=| a@40-50:z a@50-60:w | a@50-60:w a@40-50:z | a@40-50:z a@50-60:w @4")

	r.must("in", "a", "visit 0 20 x", 5)
	r.must("in", "a", "visit 5 20 y", 5)
	r.must("in", "a", "visit 30 31 z", 5)
	r.must("in", "b", "visit 8 8 q", 5)
	r.must("in", "a", "visits 0 20", 6)
	r.wants("out a=x| a@0-20:x a@5-20:y | a@5-20:y a@0-20:x | a@0-20:x a@5-20:y a@30-31:z | a@0-20:x a@5-20:y a@30-31:z b@8-8:q @6")
	r.must("in", "a", "unvisit 5 20", 7)
	r.must("in", "b", "visit 65 70 r", 7) // ends 50 ms after those at 20
	r.must("in", "a", "visits 20 30", 8)
	r.wants("out a=| a@30-31:z | a@30-31:z | a@30-31:z | a@30-31:z b@65-70:r @8")
}

func TestLRUMap(t *testing.T) {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *keeper { return new(keeper) }, []stream.StoreRef{panes, visits, recent}, stream.Named("p")).
		To("out", stream.Named("out"))
	r := newRig(t, b)
	r.must("in", "a", "keep 1", 1)
	r.must("in", "b", "keep 2", 2)
	r.must("in", "a", "use", 3)
	r.fails("in", "c", "keep 3 fail", 4, "process at p: fail as told") // b is back, and so is the order
	r.must("in", "c", "keep 3", 5)                                     // b goes: a was used later
	r.must("in", "b", "use", 6)
	r.must("in", "a", "use", 6)
	r.must("in", "c", "forget", 7)
	r.must("in", "c", "count", 8)
	r.wants("out a=1 @3", "out b=- @6", "out a=1 @6", "out c=1 @8")
}

func TestStoresWithTimesFaults(t *testing.T) {
	b := stream.NewBuilder()
	stream.Process(from(b, "in"), func() *keeper { return new(keeper) }, []stream.StoreRef{
		stream.WindowStoreOf("w", time.Second, serde.String, serde.String, stream.Retention(time.Millisecond)),
		stream.SessionStoreOf[string, string]("s", time.Second, nil, serde.String),
		stream.LRUMap("l", 0, serde.String, serde.String),
		stream.KeyValue("k", serde.String, serde.String, stream.Retention(time.Second)),
		stream.WindowRef[string, string]{}, stream.LRURef[string, string]{},
	})
	_, err := b.Build("app")
	for _, want := range []string{
		`store "w", declared at`, "keeps windows of 1s for 1ms", `store "s", declared at`, "nil serde", "keeps 0 rows",
		"only stores of windows and sessions have one", "zero WindowRef", "zero LRURef",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Build says %v, want %q in it", err, want)
		}
	}
}
