package oracle

import (
	"flag"
	"io"
	"log/slog"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// check runs a property n times, more where OXBOW_SEEDS says so. A failure prints its seed and shrinks.
func check(t *testing.T, n int, property func(t *rapid.T)) {
	t.Helper()
	n = seeds.Count(t, seeds.Many, n)
	t.Logf("%d programs", n)
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	defer checks.Set(before) // was valid
	if err := checks.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, property)
}

var plain = []streamtest.Option{streamtest.NoCaching()}

// compare runs a program one way and holds it against what is expected.
func compare(t *rapid.T, p Program, inputs []Input, what string, want result, how mode) {
	got, err := actual(p, inputs, how)
	if err != nil {
		t.Fatalf("%s: %v\n%s%v", what, err, p, inputs)
	}
	if got.String() != want.String() {
		t.Fatalf("%s gives\n%swant\n%sprogram\n%sinputs %v", what, got, want, p, inputs)
	}
}

// Outputs, dead letters, tables, their changelogs and the counts of a random program are those of the model, whatever fails.
func TestProgramsEqualTheModel(t *testing.T) {
	seen := coverage{}
	check(t, 400, func(t *rapid.T) {
		l := limits{fails: rapid.Bool().Draw(t, "failing"), joins: true, order: true, poison: true}
		p := drawProgram(t, l)
		inputs := drawInputs(t, p, l, 40)
		want := expected(p, inputs)
		if c := want.counts; c.Consumed != c.Completed+c.DeadLettered+c.Skipped {
			t.Fatalf("the model loses records: %+v", c)
		}
		compare(t, p, inputs, "the program", want, mode{opts: plain})
		seen.note(p, want)
	})
	seen.report(t)
}

// A unit that was undone and run again, a restart before every record, and another engine of stores change nothing.
func TestProgramsAreTheSameInEveryMode(t *testing.T) {
	check(t, 100, func(t *rapid.T) {
		l := limits{fails: true, joins: true, order: true, poison: true}
		p := drawProgram(t, l)
		inputs := drawInputs(t, p, l, 20)
		want := expected(p, inputs)
		compare(t, p, inputs, "undone and run again", want, mode{opts: []streamtest.Option{streamtest.NoCaching(), streamtest.Twice()}})
		compare(t, p, inputs, "restarted before each input", want, mode{opts: plain, restart: true})
		if rapid.IntRange(0, 3).Draw(t, "disk") == 0 {
			onDisk(t, p, inputs, want)
		}
	})
}

func onDisk(t *rapid.T, p Program, inputs []Input, want result) {
	e, err := pebblestore.Open(pebblestore.Options{Dir: "state", Name: "test", FS: vfs.NewMem(), CacheBytes: 1 << 20,
		MemtableBytes: 1 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	compare(t, p, inputs, "on disk, restarted", want, mode{opts: []streamtest.Option{streamtest.NoCaching(), streamtest.Engine(e)},
		restart: true})
}
