package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// bench is a task with stores in memory, and what came out of its last node.
type bench struct {
	t    testing.TB
	task *Task
	at   *Info
	out  []string
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, task: &Task{}, at: &Info{Name: "node", Stats: &Stats{}}}
}

func openTable[V any](b *bench, name string, v serde.Serde[V]) *state.Table[string, V] {
	space, err := memstore.New().Space(record.TaskID{})
	if err != nil {
		b.t.Fatal(err)
	}
	engine, err := space.Store(name, state.KindKeyValue)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := state.OpenTable(&state.Env{Units: &b.task.Units, Engine: engine}, serde.String, v)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func show[V any](o record.Opt[V]) string {
	if v, ok := o.Get(); ok {
		return fmt.Sprint(v)
	}
	return "-"
}

func changes[V any](b *bench) Proc[string, Change[V]] {
	return func(r *Rec[string, Change[V]]) error {
		b.out = append(b.out, fmt.Sprintf("%s:%s<%s@%d", r.Key, show(r.Value.New), show(r.Value.Old), r.Time))
		return nil
	}
}

// run sends records "key=value@time" ("-" is null) through p, each as a unit, and returns what came out.
func (b *bench) run(p Proc[string, string], records ...string) string {
	b.t.Helper()
	b.out = nil
	for _, r := range records {
		if err := b.send(p, r); err != nil {
			b.t.Fatalf("%s: %v", r, err)
		}
	}
	return strings.Join(b.out, " ")
}

func (b *bench) send(p Proc[string, string], r string) error {
	var rec Rec[string, string]
	kv, ts, _ := strings.Cut(r, "@")
	fmt.Sscan(ts, &rec.Time)
	k, v, _ := strings.Cut(kv, "=")
	if rec.NullKey = k == "-"; !rec.NullKey {
		rec.Key = k
	}
	if rec.Null = v == "-"; !rec.Null {
		rec.Value = v
	}
	err := p(&rec)
	if err != nil {
		b.task.Units.Rollback()
		return err
	}
	b.task.Units.Commit()
	return nil
}

func (b *bench) drain(d Drain) string {
	b.t.Helper()
	b.out = nil
	for {
		ok, err := d.Take()
		if err != nil {
			b.t.Fatal(err)
		}
		if !ok {
			return strings.Join(b.out, " ")
		}
		if err := d.Emit(); err != nil {
			b.t.Fatal(err)
		}
		b.task.Units.Commit()
	}
}

func (b *bench) expect(what, got, want string) {
	b.t.Helper()
	if got != want {
		b.t.Errorf("%s:\n got  %s\n want %s", what, got, want)
	}
}

func concat(_, v string, old record.Opt[string]) (record.Opt[string], error) {
	switch v {
	case "delete":
		return record.None[string](), nil
	case "fail":
		return old, errors.New("told to")
	}
	return record.Some(old.Or("") + v), nil
}

func TestAggregateRules(t *testing.T) {
	b := newBench(t)
	s := openTable(b, "s", serde.String)
	out := NewEmitter(b.task, b.at, s, false, true, changes[string](b))
	p := Aggregate(b.task, b.at, concat, out)
	b.expect("A1 A2 A4", b.run(p, "a=1@10", "a=2@5", "-=x@99", "a=-@99", "b=1@1", "a=delete@7", "a=3@6"),
		"a:1<-@10 a:12<1@10 b:1<-@1 a:-<12@10 a:3<-@6")
	if b.at.Stats.Dropped[DropNullKey] != 1 || b.at.Stats.Dropped[DropNullValue] != 1 {
		t.Errorf("dropped %v", b.at.Stats.Dropped)
	}
	f := (*dlq.Failure)(nil)
	if err := b.send(p, "a=fail@8"); !errors.As(err, &f) || f.Stage != dlq.StageProcess || f.Node != "node" {
		t.Errorf("a failing step gives %v", err)
	}
	b.expect("the row is as before the failure", b.run(p, "a=4@8"), "a:34<3@8")
}

func TestEmissionBuffer(t *testing.T) {
	b := newBench(t)
	s := openTable(b, "s", serde.String)
	out := NewEmitter(b.task, b.at, s, true, true, changes[string](b))
	p := Aggregate(b.task, b.at, concat, out)
	b.expect("nothing at once", b.run(p, "a=1@1", "b=1@2", "a=2@3", "c=1@4", "c=delete@5"), "")
	b.expect("E1 E2: the newest of each key, by its last update", b.drain(out), "b:1<-@2 a:12<-@3")
	b.run(p, "a=3@1", "b=delete@9")
	b.expect("E1 E3: old is what was sent last", b.drain(out), "a:123<12@3 b:-<1@9")
	b.expect("empty", b.drain(out), "")
	_ = b.send(p, "a=fail@9")
	b.expect("a failed unit leaves no note", b.drain(out), "")
}

func TestTableRules(t *testing.T) {
	b := newBench(t)
	s := openTable(b, "s", serde.String)
	src := TableSource(b.task, b.at, NewEmitter(b.task, b.at, s, false, true, changes[string](b)))
	b.expect("T1", b.run(src, "a=1@10", "a=2@5", "-=x@1", "a=-@6", "b=-@7"), "a:1<-@10 a:2<1@5 a:-<2@6 b:-<-@7")

	bare := TableSource[string, string](b.task, b.at, NewEmitter[string, string](b.task, b.at, nil, false, true, changes[string](b)))
	b.expect("T2", b.run(bare, "a=1@1", "a=-@2"), "a:1<-@1 a:-<-@2")

	keep := func(_, v string) (bool, error) { return v != "no", nil }
	chain := func(sendOld bool, store *state.Table[string, string]) Proc[string, string] {
		up := openTable(b, "up", serde.String)
		f := FilterTable(b.task, b.at, keep, false, NewEmitter(b.task, b.at, store, false, sendOld, changes[string](b)))
		return TableSource(b.task, b.at, NewEmitter(b.task, b.at, up, false, sendOld, f))
	}
	b.expect("T3 without old values", b.run(chain(false, nil), "a=no@1", "a=yes@2", "a=no@3", "a=no@4"),
		"a:-<-@1 a:yes<-@2 a:-<-@3 a:-<-@4")
	b.expect("T3 with old values", b.run(chain(true, nil), "a=no@1", "a=yes@2", "a=no@3", "a=no@4"), "a:yes<-@2 a:-<yes@3")
	b.expect("T3 materialised", b.run(chain(true, openTable(b, "f", serde.String)), "a=no@1", "a=yes@2", "a=no@3", "a=no@4"),
		"a:yes<-@2 a:-<yes@3")

	double := func(_, v string) (string, error) { return v + v, nil }
	m := MapTable(b.task, b.at, double, NewEmitter[string, string](b.task, b.at, nil, false, true, changes[string](b)))
	up := openTable(b, "up2", serde.String)
	b.expect("map", b.run(TableSource(b.task, b.at, NewEmitter(b.task, b.at, up, false, true, m)), "a=1@1", "a=2@2", "a=-@3"),
		"a:11<-@1 a:22<11@2 a:-<22@3")
}

func TestGroupRules(t *testing.T) {
	b := newBench(t)
	up, agg := openTable(b, "up", serde.String), openTable(b, "agg", serde.String)
	out := NewEmitter(b.task, b.at, agg, false, true, changes[string](b))
	sub := func(_, v string, old record.Opt[string]) (record.Opt[string], error) {
		return record.Some(strings.Replace(old.Or("?"), v, "", 1)), nil
	}
	fold := AggregateTable(b.task, b.at, concat, sub, out)
	// The group is the first letter of the value; values without one have none.
	group := GroupTable(b.task, b.at, func(k, v string) (string, string, bool, error) {
		if v == "" {
			return "", "", false, nil
		}
		return v[:1], v[1:], true, nil
	}, func(a, b string) (bool, error) { return a == b, nil }, fold)
	src := TableSource(b.task, b.at, NewEmitter(b.task, b.at, up, false, true, group))
	b.expect("G1 G2 A5 A6", b.run(src, "k=x1@5", "l=x2@1", "k=x3@2", "k=y3@9", "k=@10", "l=-@3"),
		"x:1<-@5 x:12<1@5 x:23<12@5 x:2<23@9 y:3<-@9 y:<3@10 x:<2@9")
}

func TestJoinTableRules(t *testing.T) {
	b := newBench(t)
	users := openTable(b, "users", serde.String)
	put := TableSource(b.task, b.at, NewEmitter(b.task, b.at, users, false, false, Join[string, Change[string]](nil)))
	join := func(left bool) Proc[string, string] {
		return JoinTable(b.task, b.at, StoreGetter(b.task, b.at, users), new(int64), left,
			func(k, l string, r record.Opt[string]) (string, error) { return l + "+" + show(r), nil },
			func(r *Rec[string, string]) error {
				b.out = append(b.out, fmt.Sprintf("%s:%s@%d", r.Key, r.Value, r.Time))
				return nil
			})
	}
	in := []string{"a=1@3", "b=2@1", "-=3@1", "a=-@1"}
	b.run(put, "a=A@100")
	b.expect("J1 J2 J3 inner", b.run(join(false), in...), "a:1+A@3")
	b.expect("J1 J2 J3 left", b.run(join(true), in...), "a:1+A@3 b:2+-@1 :3+-@1")
	b.run(put, "a=-@101")
	b.expect("a deleted row is none", b.run(join(true), "a=1@3"), "a:1+-@3")
}

func TestChangeSerdeReadsEveryFormat(t *testing.T) {
	s := ChangeSerde(serde.String)
	for _, c := range []struct {
		bytes string
		want  string
	}{
		{"N\x01", "N<-"}, {"O\x00", "-<O"}, {"\x02NO\x02", "N<O"}, {"O\x01\x03", "-<O"}, {"N\x00\x04", "N<- stale"},
		{"\x02NO\x00\x05", "N<O stale"}, {"\x00\x02", "<"}, {"", "error"}, {"x\x06", "error"}, {"\x04N\x02", "error"},
		{"\xff\x02", "error"}, {"\x05", "error"},
	} {
		got := "error"
		if d, err := s.Decode([]byte(c.bytes)); err == nil {
			got = show(d.New) + "<" + show(d.Old)
			if d.Stale {
				got += " stale"
			}
		}
		if got != c.want {
			t.Errorf("Decode(%q) = %s, want %s", c.bytes, got, c.want)
		}
	}
	if _, err := s.Append(nil, Change[string]{}); err == nil {
		t.Error("a change of nothing was encoded")
	}
}

func FuzzChange(f *testing.F) {
	f.Add([]byte("\x02NO\x02"))
	s := ChangeSerde(serde.String)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := s.Decode(b)
		if err != nil || c.Stale {
			return
		}
		enc, err := s.Append(nil, c)
		if err != nil {
			t.Fatalf("%q decodes to a change that does not encode: %v", b, err)
		}
		again, err := s.Decode(enc)
		if err != nil || again != c {
			t.Fatalf("%q: %v, %v", b, again, err)
		}
	})
}

type countSerde struct{}

func (countSerde) Append(dst []byte, v int64) ([]byte, error) {
	return binary.BigEndian.AppendUint64(dst, uint64(v)), nil
}
func (countSerde) Decode(b []byte) (int64, error) { return int64(binary.BigEndian.Uint64(b)), nil }

// A count as the DSL builds it: what one record costs behind the walk, with undo log and emission buffer.
func BenchmarkCount(b *testing.B) {
	n := newBench(b)
	s := openTable[int64](n, "counts", countSerde{})
	out := NewEmitter(n.task, n.at, s, true, false, Join[string, Change[int64]](nil))
	p := Aggregate(n.task, n.at, func(_ string, _ string, old record.Opt[int64]) (record.Opt[int64], error) {
		return record.Some(old.Or(0) + 1), nil
	}, out)
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%012d", (i*7919)%len(keys))
	}
	rec := Rec[string, string]{Value: "v"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		rec.Key = keys[i%len(keys)]
		rec.Time++
		if err := p(&rec); err != nil {
			b.Fatal(err)
		}
		n.task.Units.Commit()
	}
}
