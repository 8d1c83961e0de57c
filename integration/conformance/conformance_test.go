package conformance

import (
	"fmt"
	"sort"
	"strings"
	"testing"
)

// count is what was run, by level and family.
type count map[string]int

func (c count) String() string {
	var parts []string
	for k, n := range c {
		parts = append(parts, fmt.Sprintf("%s %d", k, n))
	}
	sort.Strings(parts)
	return strings.Join(parts, ", ")
}

func TestConformance(t *testing.T) { runAll(t, Dir()) }

// TestMore runs cases that were made as the random ones of TestConformance were: its programs with other sizes and inputs, run
// through Kafka Streams 4.3.0.
func TestMore(t *testing.T) { runAll(t, "testdata/more") }

func runAll(t *testing.T, dir string) {
	files, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	held, ran, legacy := 0, count{}, []string{}
	for _, f := range files {
		held += len(f.Scenarios) + len(f.Vectors)
		t.Run(f.Name, func(t *testing.T) {
			for i := range f.Scenarios {
				c := &f.Scenarios[i]
				if c.Level == "legacy" {
					legacy = append(legacy, c.Name)
					continue
				}
				ran[c.Level+" "+f.Family]++
				t.Run(c.Name, func(t *testing.T) { check(t, c) })
			}
			for i, v := range f.Vectors {
				ran["vector "+f.Family]++
				t.Run(fmt.Sprintf("%s-%d", v.Kind, i), func(t *testing.T) {
					if err := checkVector(v); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
	n := len(legacy) // C4
	for _, k := range ran {
		n += k
	}
	if n != held {
		t.Errorf("%d cases were run or counted, the files hold %d", n, held)
	}
	t.Logf("ran: %s", ran)
	t.Logf("legacy, not required, %d: %s", len(legacy), strings.Join(legacy, ", "))
}

func check(t *testing.T, c *Scenario) {
	cfg := configOf(fresh(c.Program))
	if c.Level == "processor" && len(c.Inputs) == 0 {
		if err := checkPunctuationQueue(c); err != nil {
			t.Error(err)
		}
		return
	}
	if c.Level == "store" {
		checkStore(t, c)
		return
	}
	for _, caching := range map[string][]bool{"on": {true}, "off": {false}, "either": {true, false}}[cfg.cache] {
		got, p, failedAt, err := run(c, caching)
		if err != nil {
			t.Errorf("caching %t: %v", caching, err)
			continue
		}
		if want := c.FailsAt; want != nil && failedAt != *want {
			t.Errorf("caching %t: it failed at input %d, want %d", caching, failedAt, *want)
		}
		if d := compare(c.Assertion, lines(c, p, got, false), lines(c, p, c.Expected, true), keyOfLine(c.Assertion)); d != "" {
			t.Errorf("caching %t: %s", caching, d)
		}
	}
}
