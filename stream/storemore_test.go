package stream_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// rememberAll has a versioned store and one of duplicates. Its input's value is what is put; "?" asks, "-" deletes, and "bad" fails after
// it was put.
func rememberAll(opts ...stream.StoreOption) *stream.Builder {
	b := stream.NewBuilder()
	versions := stream.VersionedStoreOf("versions", 100*time.Millisecond, serde.String, serde.String, opts...)
	copies := stream.DuplicatesStoreOf("copies", 100*time.Millisecond, serde.String, serde.String, opts...)
	stream.Process(from(b, "in"), func() *remember {
		var vs *stream.VersionedStore[string, string]
		var cs *stream.DuplicatesStore[string, string]
		return &remember{
			open: func(c *stream.InitContext[string, string]) { vs, cs = versions.Open(c), copies.Open(c) },
			each: func(r stream.Record[string, string]) (string, error) {
				ms := func(t time.Time) string {
					if t.IsZero() {
						return "…"
					}
					return fmt.Sprint(t.UnixMilli() % 1000)
				}
				switch v := r.Value.Or(""); v {
				case "?":
					var all []string
					versions, err := vs.Range(r.Key, r.Time.Add(-time.Hour), r.Time)
					for _, x := range versions {
						all = append(all, fmt.Sprintf("%s[%s-%s]", x.Value, ms(x.From), ms(x.To)))
					}
					for at, x := range cs.Fetch(r.Key, r.Time.Add(-time.Hour), r.Time) {
						all = append(all, x+"@"+ms(at))
					}
					last, ok, _ := vs.Get(r.Key)
					then, was, _ := vs.GetAsOf(r.Key, r.Time.Add(-20*time.Millisecond))
					return fmt.Sprint(all, last.Value, ok, then.Value, was), err
				case "-":
					ended, ok, err := vs.Delete(r.Key, r.Time)
					return fmt.Sprint("deleted ", ended.Value, ok), err
				default:
					written, err := vs.Put(r.Key, v, r.Time)
					if err == nil {
						err = cs.Put(r.Key, r.Time, v)
					}
					if v == "bad" {
						err = errBad
					}
					return fmt.Sprint("put ", written), err
				}
			},
		}
	}, []stream.StoreRef{versions, copies}).To("out")
	return b
}

var errBad = fmt.Errorf("a bad value")

// Both stores, in memory and on disk, undone with a record that fails, after a restart, and for each way of running units.
func TestVersionedAndDuplicatesStores(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) state.Engine{
		"memory": func(*testing.T) state.Engine { return memstore.New() },
		"pebble": func(t *testing.T) state.Engine {
			e, err := pebblestore.Open(pebblestore.Options{Dir: filepath.Join(t.TempDir(), "state"), Name: "app"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := streamtest.New(t, rememberAll(), streamtest.Engine(open(t)), streamtest.Twice())
			in := streamtest.Input(d, "in", serde.String, serde.String)
			out := streamtest.Output(d, "out", serde.String, serde.String)
			for _, step := range []struct {
				at   int64
				v    string
				want string
			}{
				{100, "a", "put true"},
				{150, "b", "put true"},
				{150, "c", "put true"}, // a version takes the place of that of its time, a copy does not
				{160, "bad", "failed"}, // nothing remains of it
				{120, "d", "put true"}, // late
				{165, "?", "[c[150-…] d[120-150] a[100-120] a@100 d@120 b@150 c@150]ctruedtrue"},
				{170, "-", "deleted ctrue"},
				{171, "restart", ""},
				{175, "?", "[c[150-170] d[120-150] a[100-120] a@100 d@120 b@150 c@150]falsectrue"},
				{260, "e", "put true"},
				{140, "f", "put false"}, // older than the history and the retention
				{260, "?", "[e[260-…] c[150-170] d[120-150] a[100-120] e@260]etruefalse"},
			} {
				if step.v == "restart" {
					if err := d.Restart(); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if err := in.PipeAt("k", step.v, time.UnixMilli(step.at)); err != nil {
					t.Fatal(err)
				}
				got := "failed"
				if rs := out.ReadAll(); len(rs) > 0 {
					got = rs[0].Value.Or("")
				}
				if got != step.want {
					t.Errorf("%d %s: %s, want %s", step.at, step.v, got, step.want)
				}
			}
		})
	}
}

func TestStoresOfVersionsAndDuplicatesFaults(t *testing.T) {
	b := stream.NewBuilder()
	each := func() *remember { return &remember{open: func(*stream.InitContext[string, string]) {}} }
	stream.Process(from(b, "in"), each, []stream.StoreRef{
		stream.VersionedStoreOf("history", -time.Second, serde.String, serde.String),
		stream.VersionedStoreOf("kept", time.Second, serde.String, serde.String, stream.Retention(time.Hour)),
		stream.VersionedStoreOf[string, string]("nil", time.Second, nil, nil),
		stream.DuplicatesStoreOf("none", 0, serde.String, serde.String),
		stream.VersionedRef[string, string]{}, stream.DuplicatesRef[string, string]{},
	})
	_, err := b.Describe()
	for _, want := range []string{`store "history"`, "has a history of -1s", `store "kept"`, "has a Retention", `store "nil"`, `store "none"`,
		"zero VersionedRef", "zero DuplicatesRef"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}
