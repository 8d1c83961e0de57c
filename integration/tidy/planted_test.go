package tidy

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// planted is a fault for each thing that a rule looks for: the files of a small module, and the beginnings of the faults
// that the rule must find in it, no others.
var planted = []struct {
	rule  string
	files map[string]string
	want  []string
}{
	{
		"layers",
		map[string]string{
			"state/a.go":             `package state; import "github.com/oxbow-streams/oxbow/internal/engine"`,
			"state/a_test.go":        `package state; import "github.com/oxbow-streams/oxbow/internal/engine"`,
			"state/memstore/a.go":    `package memstore; import "github.com/oxbow-streams/oxbow/state/pebblestore"`,
			"dlq/a.go":               `package dlq; import "github.com/oxbow-streams/oxbow/state"`,
			"util/a.go":              `package util`,
			"stream/a.go":            `package stream; import "github.com/oxbow-streams/oxbow/integration/brokers"`,
			"integration/x/a.go":     `package x; import "github.com/oxbow-streams/oxbow/internal/engine"`,
			"nested/go.mod":          `module nested`,
			"nested/a.go":            `package nested`,
			"state/testdata/none.go": `not Go`,
		},
		[]string{
			"state/a.go:1: state imports internal/engine",
			"state/memstore/a.go:1: state/memstore imports state/pebblestore",
			"stream/a.go:1: stream imports integration/brokers",
			"util/a.go: its package has no layer",
		},
	},
	{
		"importers",
		map[string]string{
			"stream/a.go":            `package stream; import ("github.com/segmentio/kafka-go"; "github.com/segmentio/kafka-go/sasl/plain")`,
			"stream/a_test.go":       `package stream; import "github.com/segmentio/kafka-go"`,
			"internal/kafka/a.go":    `package kafka; import ("github.com/segmentio/kafka-go/protocol"; "github.com/twmb/franz-go/pkg/kmsg")`,
			"internal/engine/a.go":   `package engine; import "github.com/twmb/franz-go/pkg/kmsg"`,
			"state/pebblestore/a.go": `package pebblestore; import "github.com/cockroachdb/pebble/v2"`,
			"state/a.go":             `package state; import "github.com/cockroachdb/pebble/v2"`,
			"topology/a.go":          `package topology; import ("net/http"; "github.com/twmb/franz-go/pkg/kgo")`,
			"bench/a.go":             `package bench; import "github.com/twmb/franz-go/pkg/kgo"`,
		},
		[]string{
			"internal/engine/a.go:1: only internal/kafka imports github.com/twmb/franz-go/pkg/kmsg",
			"state/a.go:1: only state/pebblestore imports github.com/cockroachdb/pebble",
			"stream/a.go:1: only internal/kafka imports github.com/segmentio/kafka-go:",
			"topology/a.go:1: the library does not depend on github.com/twmb/franz-go/pkg/kgo",
		},
	},
	{
		"goroutines",
		map[string]string{
			"state/a.go":           "package state\nfunc f() { go f() }",
			"dlq/a.go":             "package dlq\nimport \"time\"\nvar _ = time.AfterFunc(0, nil)",
			"topology/a.go":        "package topology\nimport \"sync\"\nfunc f() { var wg sync.WaitGroup; wg.Go(f) }",
			"internal/engine/a.go": "package engine\nfunc f() { go f() }",
			"stream/serde/a.go":    "package serde\nfunc f() { go f() }",
			"state/a_test.go":      "package state\nfunc g() { go g() }",
		},
		[]string{
			"dlq/a.go:3: time.AfterFunc outside",
			"state/a.go:2: a go statement outside",
			"stream/serde/a.go:2: a go statement outside",
			"topology/a.go:3: a call of Go outside",
		},
	},
	{
		"clock",
		map[string]string{
			"state/a.go":          "package state\nimport clock \"time\"\nvar _ = clock.Now()\nvar _ clock.Duration",
			"dlq/a.go":            "package dlq\nimport . \"time\"\nvar _ = Now()",
			"state/a_test.go":     "package state\nimport \"time\"\nfunc f() { time.Sleep(1); _ = time.Now() }",
			"state/b_test.go":     "package state\nimport (\"time\"; \"testing/synctest\")\nfunc g() { time.Sleep(1); synctest.Wait() }",
			"internal/kafka/a.go": "package kafka\nimport \"time\"\nfunc (m *machine) step(now time.Time) {}\nfunc (l *loop) step() { _ = time.Now() }",
			"internal/kafka/c.go": "package kafka\nimport \"time\"\nfunc (o *other) Step(now int64) { _ = time.Now() }",
			"internal/kafka/b.go": "package kafka\nimport \"time\"\nfunc (m *machine) plan() { go m.step(); _ = time.Now() }",
			"internal/engine/a.go": "package engine\nimport \"time\"\nfunc (t *Task[K]) run() {\n_ = time.Since(t.start)\n}\n" +
				"func helper() { _ = time.Now() }",
		},
		[]string{
			"dlq/a.go:2: time.. in dlq",
			"internal/engine/a.go:4: time.Since in Task.run, which decides",
			"internal/kafka/b.go:3: a go statement in machine.plan, which decides",
			"internal/kafka/b.go:3: time.Now in machine.plan, which decides",
			"internal/kafka/c.go:3: time.Now in other.Step, which decides",
			"state/a.go:3: time.Now in state",
			"state/a_test.go:3: a test that sleeps",
		},
	},
	{
		"size",
		map[string]string{
			"state/long.go":      "package state" + strings.Repeat("\n", 601),
			"state/long_test.go": "package state" + strings.Repeat("\n", 600),
			"state/f.go":         "package state\nfunc (s *store[V]) f() {" + strings.Repeat("\n", 70) + "}",
			"state/g.go":         "package state\nfunc g() {" + strings.Repeat("\n", 69) + "}",
			"bench/f.go":         "package bench\nfunc f() {" + strings.Repeat("\n", 100) + "}",
		},
		[]string{
			"state/f.go:2: store.f has 71 lines, at most 70",
			"state/long.go: 601 lines, at most 600",
		},
	},
	{
		"comments",
		map[string]string{
			"state/doc.go":          "// Package state remembers.\npackage state",
			"dlq/dlq.go":            "// Package dlq sets aside.\npackage dlq",
			"topology/doc.go":       "package topology",
			"stream/doc.go":         "// The streams.\npackage stream",
			"stream/serde/doc.go":   "// Package serde encodes.\npackage serde",
			"stream/serde/more.go":  "// Package serde decodes.\npackage serde",
			"examples/x/main.go":    "// Command x shows.\npackage main",
			"integration/t_test.go": "// Package integration proves.\npackage integration",
			"integration/u_test.go": "package integration",
		},
		[]string{
			"dlq/dlq.go:1: the package comment belongs into dlq/doc.go",
			"stream/doc.go:1: begin the package comment with \"Package stream\"",
			"stream/serde/doc.go:1: the package comment belongs into stream/serde/doc.go, and only there",
			"topology/doc.go: the package has no comment",
		},
	},
	{
		"output",
		map[string]string{
			"state/a.go":        "package state\nimport (\"fmt\"; \"log\"; \"os\")\nfunc f() {\nfmt.Println()\nlog.Fatalf(\"\")\nos.Exit(1)\n}",
			"state/b.go":        "package state\nimport \"fmt\"\nvar _ = fmt.Sprint()",
			"examples/x/a.go":   "package main\nimport \"fmt\"\nfunc main() { fmt.Println() }",
			"state/stubs/x.txt": "fmt.Println()",
		},
		[]string{
			"state/a.go:4: fmt.Println in the library",
			"state/a.go:5: log.Fatalf in the library",
			"state/a.go:6: os.Exit in the library",
		},
	},
	{
		"words",
		map[string]string{
			"README.md":     "See\n/home/someone/notes.",
			"docs/a.md":     "dir: \"/" + "root/x\"",
			"docs/b.md":     "https://example.com/work/x and ./work/x and $HOME/work/x, a home/work path",
			"state/a.go":    "package state // proxy.golang.org serves it",
			"docs/pic.png":  "\x89PNG\x00 /home/someone",
			".ci/run":       "export GOPROXY=https://goproxy.io",
			"docs/maven.md": "https://repo.maven.apache.org/maven2",
		},
		[]string{
			".ci/run:1: a registry's host",
			"README.md:2: a directory of one machine",
			"docs/a.md:1: a directory of one machine",
			"docs/maven.md:1: a registry's host",
			"state/a.go:1: a registry's host",
		},
	},
	{
		"cases",
		map[string]string{
			"integration/conformance/testdata/cases/a.json": `{"scenarios": [{"name": "FilterTest.testFilter"}, {"name": "derived.count"}]}`,
			"integration/conformance/run.go": "package conformance\nvar a = \"derived.count\"\n// count, filter, derived\n" +
				"func testFilter() {}",
		},
		[]string{
			`integration/conformance/run.go:2: the runner names the case "derived.count"`,
			`integration/conformance/run.go:4: the runner names the case "testFilter"`,
		},
	},
	{
		"cases",
		map[string]string{"integration/conformance/run.go": "package conformance"},
		[]string{"integration/conformance: no cases in"},
	},
	{
		"operators",
		map[string]string{
			"stream/builder.go": "package stream\ntype Builder struct{}\ntype Stream[K, V any] struct{}\n" +
				"func From[K, V any](b *Builder) Stream[K, V] { return Stream[K, V]{} }\n" +
				"func (s Stream[K, V]) Peek() {}\nfunc (s Stream[K, V]) hidden() {}\nfunc Named(s string) anywhere { return 0 }\nfunc Ok() bool { return true }",
			"stream/odd.go":          "package stream\nfunc Odd[K, V any](s *Stream[K, V]) {}",
			"stream/example_test.go": "package stream_test\nfunc ExampleFrom() {\n\t// Output: a\n}\nfunc ExampleOdd() {}",
		},
		[]string{
			"stream/builder.go:5: Stream.Peek has no example",
			"stream/builder.go:7: Named has no example",
			"stream/odd.go:2: Odd has no example",
			"stream/odd.go:2: Odd is in no family",
		},
	},
}

func TestPlantedFaultsAreFound(t *testing.T) {
	found := map[string]bool{}
	for _, p := range planted {
		t.Run(p.rule, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range p.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			m, err := load(fsys)
			if err != nil {
				t.Fatal(err)
			}
			faults, _ := rules[p.rule](m)
			var got []string
			for _, f := range faults {
				got = append(got, f.String())
			}
			slices.Sort(got)
			ok := slices.EqualFunc(got, p.want, strings.HasPrefix)
			if !ok {
				t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(p.want, "\n\t"))
			}
			found[p.rule] = ok
		})
	}
	for name := range rules {
		if _, tried := found[name]; !tried {
			t.Errorf("no fault is planted for the rule %s", name)
		}
	}
}

func TestLongFileIsNoted(t *testing.T) {
	fsys := fstest.MapFS{"state/a.go": {Data: []byte("package state" + strings.Repeat("\n", 301))}}
	m, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if faults, notes := checkSize(m); len(faults) != 0 || len(notes) != 1 {
		t.Errorf("faults %v, notes %v", faults, notes)
	}
}
