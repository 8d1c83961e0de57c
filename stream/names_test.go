package stream_test

import (
	"flag"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

func describe(t *testing.T, b *stream.Builder) string {
	t.Helper()
	text, err := b.Describe()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func from(b *stream.Builder, topic string) stream.Stream[string, string] {
	return stream.From(b, topic, serde.String, serde.String)
}

func TestNumbers(t *testing.T) {
	b := stream.NewBuilder()
	words := stream.FlatMapValues(from(b, "lines"), func(_, v string) iter.Seq[string] { return slices.Values(strings.Fields(v)) })
	lower := stream.MapValues(words.Filter(func(_, v string) bool { return v != "" }), func(_, v string) string { return v })
	br := lower.Split()
	br.When(func(_, v string) bool { return v < "m" }).To("a-to-l")
	br.Otherwise().To("m-to-z")
	keyed := stream.SelectKey(lower, func(_, v string) string { return v })
	keyed.Repartition(stream.Named("by-word")).Merge(keyed.Repartition()).Peek(func(_, _ string) {}, stream.Named("look")).To("out")
	golden(t, "describe-stateless", describe(t, b))
}
