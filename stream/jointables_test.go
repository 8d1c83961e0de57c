package stream_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// tableUpdate is a record of one of the tables l and r.
type tableUpdate struct {
	topic, key, value string
	time              int64
}

// tableProgram is a random program with a join of two tables.
type tableProgram struct {
	kind                   string
	stored, versioned      bool
	filtered, mapped, self bool
}

func drawTables(t *rapid.T) (p tableProgram, in []tableUpdate) {
	p = tableProgram{kind: rapid.SampledFrom([]string{"inner", "left", "outer"}).Draw(t, "kind"),
		stored: rapid.Bool().Draw(t, "stored"), versioned: rapid.Bool().Draw(t, "versioned"),
		filtered: rapid.Bool().Draw(t, "filtered"), mapped: rapid.Bool().Draw(t, "mapped"), self: rapid.IntRange(0, 4).Draw(t, "self") == 0}
	p.self = p.self && p.kind != "inner" // it sends no deletion: neither side finds a row (TT2)
	now := int64(0)
	for range rapid.IntRange(1, 25).Draw(t, "updates") {
		now += rapid.Int64Range(0, 5).Draw(t, "later")
		in = append(in, tableUpdate{rapid.SampledFrom([]string{"l", "r"}).Draw(t, "topic"), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key"),
			rapid.SampledFrom([]string{"1", "22", "333", "-"}).Draw(t, "value"), max(0, now-rapid.SampledFrom([]int64{0, 0, 0, 3, 20}).Draw(t, "late"))})
	}
	return p, in
}

const tableHistory = 10 * time.Millisecond

func (p tableProgram) build() *stream.Builder {
	b := stream.NewBuilder()
	side := func(topic string) stream.Table[string, string] {
		var opts []stream.TableOption
		if p.versioned {
			opts = append(opts, stream.As(topic+"-rows"), stream.Versioned(tableHistory))
		}
		return stream.TableFrom(b, topic, serde.String, serde.String, opts...)
	}
	l := side("l")
	if p.filtered {
		l = l.Filter(func(_, v string) bool { return v != "22" })
	}
	if p.mapped {
		l = stream.MapTable(l, func(_, v string) string { return "m" + v })
	}
	r := l
	if !p.self {
		r = side("r")
	} else {
		stream.From(b, "r", serde.String, serde.String).To("ignored")
	}
	var opts []stream.AggOption
	if p.stored {
		opts = append(opts, stream.As("joined"), stream.WithValue(serde.String))
	}
	var j stream.Table[string, string]
	switch p.kind {
	case "inner":
		j = stream.JoinTables(l, r, and, opts...)
	case "left":
		j = stream.LeftJoinTables(l, r, maybe, opts...)
	default:
		j = stream.OuterJoinTables(l, r, either, opts...)
	}
	j.ToStream().To("out", stream.WithValue(serde.String))
	return b
}

// tableRow is the last row of a key as its table keeps it.
type tableRow struct {
	value string
	time  int64
	live  bool
	ended int64 // versioned: when the newest of the older versions ended, or the key was deleted
}

// write writes to the last row; value "-" is a deletion. A versioned table sorts what comes late among older versions. As Kafka
// Streams it keeps no trace of a deletion at the very time of the row that it deletes: what comes late then is the last row, unless
// another version ended after its time (V3).
func (r *tableRow) write(versioned bool, value string, time int64) {
	switch {
	case versioned && r.live && time < r.time:
		if time >= r.ended {
			r.ended = r.time
		}
		return
	case versioned && !r.live && time < r.ended:
		return
	case versioned && r.live && time > r.time, versioned && !r.live && value == "-":
		r.ended = time
	}
	r.value, r.time, r.live = value, time, value != "-"
}

// model is the joined table after all updates, without a look at how it came to be.
func (p tableProgram) model(in []tableUpdate) map[string]string {
	tables := map[string]map[string]*tableRow{"l": {}, "r": {}}
	now := map[string]int64{"l": -1, "r": -1}
	for _, u := range in {
		if p.versioned && u.time < now[u.topic]-tableHistory.Milliseconds() {
			continue // too late
		}
		now[u.topic] = max(now[u.topic], u.time)
		row := tables[u.topic][u.key]
		if row == nil {
			row = &tableRow{ended: -1}
			tables[u.topic][u.key] = row
		}
		row.write(p.versioned, u.value, u.time)
	}
	left := func(k string) stream.Opt[string] {
		v := tables["l"][k]
		if v == nil || !v.live || p.filtered && v.value == "22" {
			return stream.Opt[string]{}
		}
		if p.mapped {
			return stream.OptOf("m"+v.value, true)
		}
		return stream.OptOf(v.value, true)
	}
	out := map[string]string{}
	for _, k := range []string{"a", "b"} {
		l := left(k)
		var r stream.Opt[string]
		if v := tables["r"][k]; v != nil {
			r = stream.OptOf(v.value, v.live)
		}
		if p.self {
			r = l
		}
		both := l.IsSome() && r.IsSome()
		if both || l.IsSome() && p.kind != "inner" || r.IsSome() && p.kind == "outer" {
			out[k] = either(k, l, r)
		}
	}
	return out
}

// last runs updates through a program and returns the last value of each key of its output. restart says after how many of
// them to stop and start again, −1 for never.
func (p tableProgram) last(t testing.TB, in []tableUpdate, restart int, opts ...streamtest.Option) map[string]string {
	d, err := streamtest.Open(p.build(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range in {
		if i == restart {
			if err := d.Restart(); err != nil {
				t.Fatal(err)
			}
		}
		value := []byte(u.value)
		if u.value == "-" {
			value = nil
		}
		if err := streamtest.Input(d, u.topic, serde.Bytes, serde.Bytes).PipeRaw([]byte(u.key), value, time.UnixMilli(u.time), stream.Headers{}); err != nil {
			t.Fatal(err)
		}
	}
	out := map[string]string{}
	for _, r := range d.Drain("out") {
		if r.Value == nil {
			delete(out, string(r.Key))
		} else {
			out[string(r.Key)] = string(r.Value)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// A join of tables ends at the same table as the model in every mode: with and without the emission buffer, each record done,
// undone and done again, and with a restart anywhere (TT1 to TT5, N1 to N3).
func TestJoinTablesAgainstModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, in := drawTables(rt)
		want := p.model(in)
		for name, opts := range map[string][]streamtest.Option{
			"buffered": nil, "unbuffered": {streamtest.NoCaching()}, "twice": {streamtest.Twice()},
		} {
			restart := rapid.IntRange(-1, len(in)-1).Draw(rt, "restart")
			if got := p.last(t, in, restart, opts...); !maps.Equal(got, want) {
				rt.Fatalf("%+v, %s, restart %d: %v, want %v", p, name, restart, got, want)
			}
		}
	})
}

// A deletion at the time of the row that it deletes leaves no trace in a versioned table, any other does (V3).
func TestVersionedTableForgetsDeletions(t *testing.T) {
	p := tableProgram{kind: "inner", versioned: true}
	l := tableUpdate{"l", "b", "1", 23}
	for name, c := range map[string]struct {
		r    []tableUpdate
		want string
	}{
		"at its time":        {[]tableUpdate{{"r", "b", "22", 10}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[b:1 and 333]"},
		"twice":              {[]tableUpdate{{"r", "b", "22", 10}, {"r", "b", "-", 10}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[]"},
		"later":              {[]tableUpdate{{"r", "b", "22", 10}, {"r", "b", "-", 11}, {"r", "b", "333", 7}}, "map[]"},
		"after another":      {[]tableUpdate{{"r", "b", "1", 5}, {"r", "b", "22", 10}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[]"},
		"after a deletion":   {[]tableUpdate{{"r", "b", "-", 5}, {"r", "b", "22", 10}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[b:1 and 333]"},
		"before a deletion":  {[]tableUpdate{{"r", "b", "-", 8}, {"r", "b", "22", 10}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[]"},
		"between late ones":  {[]tableUpdate{{"r", "b", "22", 10}, {"r", "b", "1", 6}, {"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[]"},
		"as the first there": {[]tableUpdate{{"r", "b", "-", 10}, {"r", "b", "333", 7}}, "map[]"},
	} {
		in := append(c.r, l)
		if got := fmt.Sprint(p.last(t, in, 2)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := fmt.Sprint(p.model(in)); got != c.want {
			t.Errorf("%s: the model has %s, want %s", name, got, c.want)
		}
	}
}

// A joiner that fails leaves nothing: neither side's row, nor a result, nor what another branch of the program had sent (P5).
func TestJoinTablesFailWhole(t *testing.T) {
	b := stream.NewBuilder()
	l, r := tableOf(b, "l"), tableOf(b, "r")
	l.ToStream().To("seen", stream.WithValue(serde.String))
	stream.TryJoinTables(l, r, func(_ context, k, l, r string) (string, error) {
		if l == "bad" {
			return "", errors.New("told to fail")
		}
		return and(k, l, r), nil
	}, stream.As("joined"), stream.WithValue(serde.String)).ToStream().To("out")
	d := streamtest.New(t, b, streamtest.Twice(), streamtest.NoCaching())
	for _, u := range [][3]string{{"r", "k", "1"}, {"l", "k", "good"}, {"l", "k", "bad"}, {"r", "k", "2"}} {
		if err := streamtest.Input(d, u[0], serde.String, serde.String).Pipe(u[1], u[2]); err != nil {
			t.Fatal(err)
		}
	}
	letters := d.DeadLetters()
	if len(letters) != 1 || letters[0].Message() != "told to fail" || string(letters[0].Value) != "bad" {
		t.Errorf("%d dead letters: %.300v", len(letters), letters)
	}
	if got := valuesOf(d, "seen"); got != "good" {
		t.Errorf("the other branch sent %s, want good", got)
	}
	if got := valuesOf(d, "out"); got != "good and 1, good and 2" {
		t.Errorf("joined %s, want good and 1, good and 2", got)
	}
}

// valuesOf takes what a topic got.
func valuesOf(d *streamtest.Driver, topic string) string {
	var got []string
	for _, r := range d.Drain(topic) {
		got = append(got, text(r.Value))
	}
	return strings.Join(got, ", ")
}

// A stream that is joined with a versioned table sees the row as of its own record's time, whatever has come since (N4), also
// through a filter and a map without stores, and after a restart.
func TestVersionedTableAsOf(t *testing.T) {
	b := stream.NewBuilder()
	prices := stream.TableFrom(b, "prices", serde.String, serde.String, stream.As("prices"), stream.Versioned(100*time.Millisecond))
	dear := stream.MapTable(prices.Filter(func(_, v string) bool { return v != "0" }), func(_, v string) string { return v + " euro" })
	stream.LeftJoinTable(from(b, "orders"), dear, func(_, order string, price stream.Opt[string]) string { return order + ": " + price.Or("none") }).
		To("out", stream.WithValue(serde.String))
	d := streamtest.New(t, b)
	pipe := func(topic, value string, at int64) {
		t.Helper()
		v := []byte(value)
		if value == "-" {
			v = nil
		}
		if err := streamtest.Input(d, topic, serde.Bytes, serde.Bytes).PipeRaw([]byte("tea"), v, time.UnixMilli(at), stream.Headers{}); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(want string) {
		t.Helper()
		if got := valuesOf(d, "out"); got != want {
			t.Errorf("joined %s, want %s", got, want)
		}
	}
	pipe("prices", "2", 10)
	pipe("prices", "0", 30)
	pipe("prices", "-", 50)
	pipe("prices", "3", 70)
	pipe("prices", "4", 20) // late: it holds from 20 to 30
	for _, at := range []int64{5, 10, 25, 35, 55, 80} {
		pipe("orders", fmt.Sprint(at), at)
	}
	wants("5: none, 10: 2 euro, 25: 4 euro, 35: none, 55: none, 80: 3 euro")
	if err := d.Restart(); err != nil {
		t.Fatal(err)
	}
	pipe("orders", "25", 25)
	pipe("prices", "5", 200) // the history begins at 100 now
	pipe("orders", "25", 25)
	pipe("orders", "150", 150)
	wants("25: 4 euro, 25: none, 150: 3 euro")
}
