package stream_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// tablePrograms are what the transcripts in testdata/tables.txt run: joins of the tables l and r, and tables with versions.
var tablePrograms = map[string]func(b *stream.Builder){
	"inner": func(b *stream.Builder) {
		tellJoin(stream.JoinTables(tableOf(b, "l"), tableOf(b, "r"), plusOf))
	},
	"left": func(b *stream.Builder) {
		tellJoin(stream.LeftJoinTables(tableOf(b, "l"), tableOf(b, "r"), func(_, l string, r opt) string { return plus(l, r.Or("?")) }))
	},
	"outer": func(b *stream.Builder) { tellJoin(stream.OuterJoinTables(tableOf(b, "l"), tableOf(b, "r"), plusOrNot)) },
	"stored": func(b *stream.Builder) {
		tellJoin(stream.JoinTables(tableOf(b, "l"), tableOf(b, "r"), plusOf, stream.As("joined"), stream.WithValue(serde.String)))
	},
	"every update": func(b *stream.Builder) {
		tellJoin(stream.JoinTables(tableOf(b, "l", stream.As("ls"), stream.EmitEvery), tableOf(b, "r", stream.As("rs"), stream.EmitEvery), plusOf))
	},
	"self": func(b *stream.Builder) {
		t := tableOf(b, "l")
		tellJoin(stream.OuterJoinTables(t, t, plusOrNot))
	},
	"filtered": func(b *stream.Builder) {
		kept := tableOf(b, "r").Filter(func(_, v string) bool { return v != "drop" })
		tellJoin(stream.LeftJoinTables(tableOf(b, "l"), kept, func(_, l string, r opt) string { return plus(l, r.Or("?")) }))
	},
	"grouped": func(b *stream.Builder) {
		t := stream.JoinTables(tableOf(b, "l"), tableOf(b, "r"), plusOf)
		g := stream.GroupTableBy(t, func(_, v string) (string, string) { return v, v }, stream.WithKey(serde.String), stream.WithValue(serde.String))
		g.Count(stream.EmitEvery).ToStream().To("out", stream.WithValue(decimal))
	},
	"versions joined": func(b *stream.Builder) {
		tellJoin(stream.OuterJoinTables(versioned(b, "l"), versioned(b, "r"), plusOrNot))
	},
	"version as of": func(b *stream.Builder) {
		stream.LeftJoinTable(from(b, "s"), versioned(b, "r"), func(_, s string, r opt) string { return plus(s, r.Or("?")) }).
			To("out", stream.WithValue(serde.String))
		versioned2 := versioned(b, "l")
		versioned2.ToStream().To("out-table", stream.WithValue(serde.String))
	},
	"versions counted": func(b *stream.Builder) {
		g := stream.GroupTableBy(versioned(b, "l"), func(_, v string) (string, string) { return v, v }, stream.WithKey(serde.String),
			stream.WithValue(serde.String))
		g.Count(stream.EmitEvery).ToStream().To("out", stream.WithValue(decimal))
	},
}

func plusOf(_, l, r string) string { return plus(l, r) }

func plusOrNot(_ string, l, r opt) string { return plus(l.Or("?"), r.Or("?")) }

func tellJoin(t stream.Table[string, string]) { t.ToStream().To("out", stream.WithValue(serde.String)) }

// versioned is a table that remembers for 100 ms.
func versioned(b *stream.Builder, topic string) stream.Table[string, string] {
	return tableOf(b, topic, stream.As(topic+"-versions"), stream.Versioned(ms(100)))
}

func TestTableTranscripts(t *testing.T) { driverTranscripts(t, "tables", tablePrograms) }
