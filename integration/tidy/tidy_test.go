package tidy

import (
	"flag"
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
	"operators":  checkOperators,
}

var rewrite = flag.Bool("rewrite", false, "write "+operatorsPage+" anew")

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

// TestOperatorsPage holds docs/operators.md against what it is made of.
func TestOperatorsPage(t *testing.T) {
	m, err := load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	want, page := operatorsDoc(m), "../../"+operatorsPage
	if *rewrite {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("%s is not what its examples say (%v): go test ./integration/tidy -run Operators -rewrite", operatorsPage, err)
	}
}
