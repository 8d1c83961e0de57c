package topology

import (
	"regexp"
	"strings"
	"testing"
)

func drawn(t *testing.T) *Topology {
	t.Helper()
	g := NewGraph()
	spec := &SourceSpec{Topics: []string{"in"}}
	source := g.Add(&Op{Source: spec, Write: func(c *Compiler) *Node { return c.Add(NewSource("source", spec, nil)) }})
	g.Add(&Op{Write: func(c *Compiler) *Node {
		n := c.Add(NewProcessor("count", nil), c.Out(source))
		c.Store(n, &Store{Name: "counts"})
		c.Add(NewSink("sink", "out", nil), n)
		return c.Add(NewSink("anywhere", "", nil), n)
	}}, source)
	pattern := &SourceSpec{Pattern: regexp.MustCompile(`a"b.*`)}
	g.Add(&Op{Source: pattern, Write: func(c *Compiler) *Node { return c.Add(NewSource("some", pattern, nil)) }})
	topo, err := g.Build("app")
	if err != nil {
		t.Fatal(err)
	}
	return topo
}

func TestDOT(t *testing.T) {
	got := drawn(t).DOT()
	for _, want := range []string{
		"subgraph cluster_1 {", `"store counts" [label="counts", shape=cylinder];`, `"topic in" -> "source";`, `"source" -> "count";`,
		`"count" -> "store counts" [style=dashed, dir=none];`, `"sink" -> "topic out";`, `"anywhere" -> "topic topics chosen per record";`,
		`"topic topics matching a\"b.*" -> "some";`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%s is there %d times, want once\n%s", want, strings.Count(got, want), got)
		}
	}
}

func TestMermaid(t *testing.T) {
	want := `flowchart LR
  subgraph s0 ["Sub-topology 0"]
    n0(["source"])
    n1(["count"])
    n2(["sink"])
    n3(["anywhere"])
    n4[("counts")]
  end
  subgraph s1 ["Sub-topology 1"]
    n5(["some"])
  end
  n6["in"]
  n7["out"]
  n8["topics chosen per record"]
  n9["topics matching a#quot;b.*"]
  n6 --> n0
  n0 --> n1
  n1 --> n2
  n1 --> n3
  n1 -.- n4
  n2 --> n7
  n3 --> n8
  n9 --> n5
`
	if got := drawn(t).Mermaid(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
