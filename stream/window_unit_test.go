package stream_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// TestWindowAggregatorFails: a record whose function fails in one of its windows leaves nothing in the others, and does not move
// stream time (P5).
func TestWindowAggregatorFails(t *testing.T) {
	b := stream.NewBuilder()
	w := stream.WindowBy(from(b, "in").GroupByKey(), stream.Hopping(ms(10), ms(5)))
	stream.TryAggregateWindowed(w, zeroText, func(_ context, _, v, a string) (string, error) {
		if v == "fail" && a != "0" {
			return "", fmt.Errorf("it held %s", a)
		}
		return a + "+" + v, nil
	}, stream.EmitEvery, stream.As("store")).ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	d := streamtest.New(t, b, streamtest.NoCaching())
	pipe(t, d, line{"in", "a", "1", 11})    // [5,15] and [10,20]
	pipe(t, d, line{"in", "a", "2", 17})    // [10,20] and [15,25]
	pipe(t, d, line{"in", "a", "fail", 21}) // enters [15,25], which holds something: it fails there, before [20,30]
	pipe(t, d, line{"in", "a", "3", 18})
	if got, want := strings.Join(drained(d, "out"), " "), "a[5,15]=0+1 @11 a[10,20]=0+1 @11 a[10,20]=0+1+2 @17 a[15,25]=0+2 @17 "+
		"a[10,20]=0+1+2+3 @18 a[15,25]=0+2+3 @18"; got != want {
		t.Errorf("written %s, want %s: had stream time stayed at 21, [10,20] would be over", got, want)
	}
	letters := d.DeadLetters()
	if len(letters) != 1 || letters[0].Message() != "it held 0+2" || letters[0].Stage() != "process" {
		t.Errorf("dead letters %v", letters)
	}
	rows, err := streamtest.Store(d, "store", windowStoreKey{}, serde.String)
	if err != nil || len(rows) != 3 {
		t.Errorf("the store holds %v (%v), want three windows", rows, err)
	}
}

// windowStoreKey reads the keys of window stores: key, start, sequence number.
type windowStoreKey struct{}

func (windowStoreKey) Append(dst []byte, _ string) ([]byte, error) { return dst, nil }
func (windowStoreKey) Decode(b []byte) (string, error)             { return string(b[:len(b)-12]), nil }

// TestClosedWindowFailsAlone: a closed window that fails downstream is set aside alone, under no coordinates; the record that closed
// it counts, the other windows come, and it does not come back, neither later nor after a restart.
func TestClosedWindowFailsAlone(t *testing.T) {
	for name, program := range map[string]func(stream.Grouped[string, string]) stream.Table[windowedText, string]{
		"tumbling": func(g stream.Grouped[string, string]) stream.Table[windowedText, string] {
			return joined(stream.WindowBy(g, stream.Tumbling(ms(10))), stream.EmitOnClose)
		},
		"session": func(g stream.Grouped[string, string]) stream.Table[windowedText, string] {
			return stream.SessionBy(g, stream.Session(ms(5))).ReduceOpt(plusOpt, stream.EmitOnClose)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := stream.NewBuilder()
			closed := program(from(b, "in").GroupByKey()).ToStream()
			stream.TryMapValues(closed, func(_ context, k windowedText, v string) (string, error) {
				return v, fails(map[string]string{"bad": "fail"}[k.Key])
			}, stream.Named("check")).To("out", stream.WithKey[windowedText](windowText{}), stream.WithValue(serde.String))
			d := streamtest.New(t, b)
			for _, in := range []line{{"in", "a", "1", 5}, {"in", "bad", "1", 5}, {"in", "c", "1", 5}, {"in", "c", "2", 19}} {
				pipe(t, d, in)
			}
			if n := d.Stats(); n.DeadLettered != 0 || n.Completed != 4 {
				t.Errorf("of 4 records %d are completed, %d set aside", n.Completed, n.DeadLettered)
			}
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
			pipe(t, d, line{"in", "c", "3", 40})
			got := strings.Join(drained(d, "out"), " ")
			if want := map[string]string{"tumbling": "a[0,10]=1 @5 c[0,10]=1 @5 c[10,20]=2 @19",
				"session": "a[5,5]=1 @5 c[5,5]=1 @5 c[19,19]=2 @19"}[name]; got != want {
				t.Errorf("written %s, want %s", got, want)
			}
			letters := d.DeadLetters()
			if len(letters) != 1 || letters[0].Message() != "as told" || letters[0].Node() != "check" {
				t.Fatalf("dead letters %v", letters)
			}
			if at := letters[0].Header("__streams.errors.offset"); at != "-1" {
				t.Errorf("the letter blames offset %s", at)
			}
		})
	}
}

// TestClosingIsUndone: when the record that closes windows fails itself, they come with the next record that closes them.
func TestClosingIsUndone(t *testing.T) {
	b := stream.NewBuilder()
	in := from(b, "in")
	joined(stream.WindowBy(in.GroupByKey(), stream.Tumbling(ms(10))), stream.EmitOnClose).
		ToStream().To("out", stream.WithKey[windowedText](windowText{}))
	in.TryForEach(func(_ context, _, v string) error { return fails(v) }) // after the windows
	d := streamtest.New(t, b)
	pipe(t, d, line{"in", "a", "1", 5})
	pipe(t, d, line{"in", "b", "fail", 30})
	if got := drained(d, "out"); len(got) != 0 {
		t.Errorf("written %q by a record that failed", got)
	}
	pipe(t, d, line{"in", "a", "2", 6})
	pipe(t, d, line{"in", "b", "3", 11})
	if got := strings.Join(drained(d, "out"), " "); got != "a[0,10]=1+2 @6" {
		t.Errorf("written %s", got)
	}
}

// TestWindowModes: however a program is run, it says the same in the end: record by record, each undone and run twice, with
// restarts, and with caching in batches, of which only the last value of each key counts.
func TestWindowModes(t *testing.T) {
	r := rand.New(rand.NewPCG(seeds.Single(t), 0))
	for range 6 {
		size, advance, grace := 1+r.IntN(30), 1+r.IntN(30), r.IntN(3)*r.IntN(20)
		advance = min(advance, size)
		var inputs []string
		now := 0
		for range 60 {
			if now += r.IntN(6); r.IntN(20) == 0 {
				now += r.IntN(100)
			}
			inputs = append(inputs, fmt.Sprintf("in %s=%s @%d", []string{"a", "b", "c"}[r.IntN(3)], []string{"1", "2", "del"}[r.IntN(3)],
				max(0, now-r.IntN(4)*r.IntN(20))))
		}
		for name, program := range map[string]func(opts ...stream.AggOption) func(*stream.Builder){
			"hopping": func(o ...stream.AggOption) func(*stream.Builder) {
				return windowsOf(stream.Hopping(ms(size), ms(advance)).Grace(ms(grace)), o...)
			},
			"sliding": func(o ...stream.AggOption) func(*stream.Builder) {
				return windowsOf(stream.Sliding(ms(size)).Grace(ms(grace)), o...)
			},
			"session": func(o ...stream.AggOption) func(*stream.Builder) {
				return sessionsOf(stream.Session(ms(size)).Grace(ms(grace)), o...)
			},
		} {
			for _, emit := range []stream.AggOption{stream.EmitEvery, stream.EmitDeduped, stream.EmitOnClose} {
				want := replay(t, program(emit), inputs, "")
				for _, mode := range []string{"twice", "restart"} {
					if got := replay(t, program(emit), inputs, mode); !slices.Equal(got, want) {
						t.Fatalf("%s size %d advance %d grace %d, emit %v, %s:\n%s\nwritten\n%s\nwant\n%s", name, size, advance, grace, emit,
							mode, strings.Join(inputs, "\n"), strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
				}
			}
			want, got := lastRows(replay(t, program(stream.EmitEvery), inputs, "")), lastRows(inBatches(t, program(), inputs, 1+r.IntN(20)))
			if !maps.Equal(got, want) {
				t.Fatalf("%s size %d advance %d grace %d, caching:\n%s\nends in\n%v\nwant\n%v", name, size, advance, grace,
					strings.Join(inputs, "\n"), got, want)
			}
		}
	}
}

// lastRows is the last value of each key that has one.
func lastRows(lines []string) map[string]string {
	last := map[string]string{}
	for _, l := range lines {
		k, v, _ := strings.Cut(l, "=")
		if last[k] = v; strings.HasPrefix(v, "- ") {
			delete(last, k)
		}
	}
	return last
}

// inBatches runs inputs with caching, committed every n records.
func inBatches(t *testing.T, program func(*stream.Builder), inputs []string, n int) []string {
	b := stream.NewBuilder()
	program(b)
	d := streamtest.New(t, b)
	for batch := range slices.Chunk(inputs, n) {
		var raw []streamtest.RawRecord
		for _, l := range batch {
			in := parseLine(t, l)
			raw = append(raw, streamtest.RawRecord{Key: []byte(in.key), Value: []byte(in.value), Time: time.UnixMilli(in.time)})
		}
		if err := d.PipeBatch("in", raw); err != nil {
			t.Fatal(err)
		}
	}
	return drained(d, "out")
}

// TestWindowedKeysArePartitionedByKey: the sink of a stream of windowed keys chooses partitions by the keys within, so that all
// windows of a key lie together.
func TestWindowedKeysArePartitionedByKey(t *testing.T) {
	b := stream.NewBuilder()
	g := from(b, "in").GroupByKey()
	stream.WindowBy(g, stream.Tumbling(ms(10))).Count(stream.EmitEvery).ToStream().To("out", stream.WithValue(decimal))
	stream.SessionBy(g, stream.Session(ms(10))).Count(stream.EmitEvery).ToStream().To("out", stream.WithValue(decimal))
	r := newRig(t, b)
	r.must("in", "key", "1", 12)
	if len(r.out) != 2 {
		t.Fatalf("written %q", r.out)
	}
	for i, suffix := range []int{8, 16} {
		if _, p, _ := strings.Cut(r.out[i], " partition "); p != fmt.Sprint(node.ByKeyWithout(suffix)) {
			t.Errorf("partition %s, want that of all but %d bytes", p, suffix)
		}
		key := append([]byte("key"), make([]byte, suffix)...)
		if part, ok := node.PartOfKey(node.ByKeyWithout(suffix), key); !ok || string(part) != "key" {
			t.Errorf("chosen by %q", part)
		}
	}
}

// sealedBytes is sealed for bytes, which are kept encoded.
type sealedBytes struct{ serde.Serde[[]byte] }

func (sealedBytes) Decode(b []byte) ([]byte, error) { return b, fails(string(b)) }

// TestClosedWindowThatCannotBeRead: a row that cannot be read back when its window closes is set aside alone, whether it is read from
// memory or from the engine. The windows after it are sent, and the record that closed them counts.
func TestClosedWindowThatCannotBeRead(t *testing.T) {
	last := func(_, v []byte) []byte { return v }
	for name, program := range map[string]func(stream.Grouped[string, []byte]) stream.Table[windowedText, []byte]{
		"tumbling": func(g stream.Grouped[string, []byte]) stream.Table[windowedText, []byte] {
			return stream.WindowBy(g, stream.Tumbling(ms(10))).Reduce(last, stream.EmitOnClose, stream.WithValue(sealedBytes{serde.Bytes}))
		},
		"session": func(g stream.Grouped[string, []byte]) stream.Table[windowedText, []byte] {
			return stream.SessionBy(g, stream.Session(ms(5))).Reduce(last, stream.EmitOnClose, stream.WithValue(sealedBytes{serde.Bytes}))
		},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				b := stream.NewBuilder()
				program(stream.From(b, "in", serde.String, serde.Bytes).GroupByKey()).ToStream().To("out",
					stream.WithKey[windowedText](windowText{}), stream.WithValue(serde.Bytes))
				d := streamtest.New(t, b)
				in := streamtest.Input(d, "in", serde.String, serde.Bytes)
				put := func(k, v string, at int64) {
					if err := in.PipeAt(k, []byte(v), time.UnixMilli(at)); err != nil {
						t.Fatal(err)
					}
				}
				put("a", "1", 5)
				put("b", "fail", 6)
				put("c", "3", 7)
				if restart {
					if err := d.Restart(); err != nil {
						t.Fatal(err)
					}
				}
				put("c", "4", 30)
				put("c", "5", 50)
				got := strings.Join(drained(d, "out"), " ")
				want := map[string]string{"tumbling": "a[0,10]=1 @5 c[0,10]=3 @7 c[30,40]=4 @30",
					"session": "a[5,5]=1 @5 c[7,7]=3 @7 c[30,30]=4 @30"}[name]
				if got != want {
					t.Errorf("written %s, want %s", got, want)
				}
				letters := d.DeadLetters()
				if len(letters) != 1 || letters[0].Stage() != "state" || string(letters[0].Value) != "fail" ||
					!strings.HasPrefix(string(letters[0].Key), "b") {
					t.Errorf("dead letters %v, want one, of b's window", letters)
				}
				since := map[bool]int64{false: 5, true: 2}[restart]
				if n := d.Stats(); n.Completed != since || n.DeadLettered != 0 {
					t.Errorf("of %d records %d are completed, %d set aside", since, n.Completed, n.DeadLettered)
				}
			})
		}
	}
}
