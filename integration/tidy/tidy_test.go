package tidy

import (
	"os"
	"testing"
)

// rules are all rules, by the name of their sub-test.
var rules = map[string]rule{
	"layers":     checkLayers,
	"importers":  checkImporters,
	"goroutines": checkGoroutines,
	"clock":      checkClock,
	"size":       checkSize,
	"comments":   checkComments,
	"output":     checkOutput,
	"words":      checkWords,
	"cases":      checkCases,
}

func TestRepository(t *testing.T) {
	m, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.files) < 20 {
		t.Fatalf("found %d Go files: is this the root of the repository?", len(m.files))
	}
	for name, check := range rules {
		t.Run(name, func(t *testing.T) {
			faults, notes := check(m)
			for _, f := range faults {
				t.Error(f)
			}
			for _, n := range notes {
				t.Log(n)
			}
		})
	}
}
