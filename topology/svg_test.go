package topology

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the drawings anew")

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s is not what is drawn (%v): look at the difference, then go test ./topology -rewrite\n%s", file, err, got)
	}
}

// sited is what is drawn, with the same sites wherever it is tested.
func sited(t *testing.T) *Topology {
	topo := drawn(t)
	for i, n := range topo.Nodes {
		n.Site = fmt.Sprintf("dir/main.go:%d", i)
	}
	return topo
}

func TestSVG(t *testing.T) { golden(t, "testdata/drawn.svg", sited(t).SVG()) }

func TestJSON(t *testing.T) {
	got := sited(t).JSON()
	golden(t, "testdata/drawn.json", got)
	var any map[string]any
	if err := json.Unmarshal([]byte(got), &any); err != nil {
		t.Error(err)
	}
}

// Whatever the program: the picture is well formed, no box covers another one or leaves its frame, and records go from left to right.
func TestSVGOfAnyProgram(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		topo := randomTopology(t, rng)
		d := xml.NewDecoder(strings.NewReader(topo.SVG()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for _, sub := range topo.Subs {
			s := topo.sketch(sub)
			s.place()
			for i, a := range s.boxes {
				if a.x < 0 || a.y < svgTitle || a.x+a.wide > s.wide || a.y+svgHigh > s.high {
					t.Errorf("%s at %.0f, %.0f leaves the frame of %.0f × %.0f", a.text, a.x, a.y, s.wide, s.high)
				}
				for _, f := range a.from {
					if f.x+f.wide >= a.x {
						t.Errorf("%s is not to the right of %s", a.text, f.text)
					}
				}
				for _, b := range s.boxes[:i] {
					if a.x < b.x+b.wide && b.x < a.x+a.wide && a.y < b.y+svgHigh && b.y < a.y+svgHigh {
						t.Errorf("%s covers %s", a.text, b.text)
					}
				}
			}
		}
	}
}

// randomTopology has sources, processors with stores, and sinks, in any order.
func randomTopology(t *testing.T, rng *rand.Rand) *Topology {
	t.Helper()
	g := NewGraph()
	var ops []*Op
	for i := range 2 + rng.IntN(14) {
		name := fmt.Sprint("step-", i) + strings.Repeat("x", rng.IntN(12))
		var parents []*Op
		for range rng.IntN(3) {
			if len(ops) > 0 {
				parents = append(parents, ops[rng.IntN(len(ops))])
			}
		}
		if len(parents) == 0 {
			spec := &SourceSpec{Topics: []string{fmt.Sprint("in-", i)}}
			ops = append(ops, g.Add(&Op{Source: spec, Write: func(c *Compiler) *Node { return c.Add(NewSource(name, spec, nil)) }}))
			continue
		}
		stores, sink := rng.IntN(3), rng.IntN(4) == 0
		op := g.Add(&Op{Write: func(c *Compiler) *Node {
			if sink {
				c.Add(NewSink(name, fmt.Sprint("out-", i%3), nil), c.Outs(parents...)...)
				return nil
			}
			n := c.Add(NewProcessor(name, nil), c.Outs(parents...)...)
			for s := range stores {
				c.Store(n, &Store{Name: fmt.Sprint("store-", (i+s)%5)})
			}
			return n
		}}, parents...)
		if !sink {
			ops = append(ops, op)
		}
	}
	topo, err := g.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	return topo
}
