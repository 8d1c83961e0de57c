package topology

import "testing"

// A step that is reached past the step that changed the keys keeps a topic of its own; one that is not gives it up.
func TestMergedOnlyWhereAllComesThrough(t *testing.T) {
	for _, c := range []struct {
		name   string
		around bool
		want   int
	}{{"all through", false, 1}, {"another way", true, 2}} {
		t.Run(c.name, func(t *testing.T) {
			g := NewGraph()
			g.Optimize(MergeRepartitions)
			node := func(name string) func(*Compiler) *Node {
				return func(c *Compiler) *Node {
					n := NewProcessor(name, nil)
					var above []*Node
					for _, p := range c.links[c.op].parents {
						above = append(above, c.Out(p))
					}
					return c.Add(n, above...)
				}
			}
			spec := &SourceSpec{Topics: []string{"in"}}
			source := g.Add(&Op{Source: spec, Write: func(c *Compiler) *Node { return c.Add(NewSource("source", spec, nil)) }})
			key := g.Add(&Op{Changes: ChangesKeys, Write: node("key")}, source)
			topic := func(name string, parents ...*Op) {
				r := &Op{Source: &SourceSpec{Topics: []string{name + "-repartition"}}, Repartition: true, Movable: true}
				r.Write = func(c *Compiler) *Node {
					n := c.Repartition(Repartition{name + "-repartition", name + "-f", name + "-k", name + "-s"})
					c.Internal(n.Topic, nil)
					c.Add(NewSink(n.Sink, n.Topic, nil), c.Out(c.links[c.op].parents[0]))
					return c.Add(NewSource(n.Source, r.Source, nil))
				}
				g.Add(r, parents...)
				g.Add(&Op{Write: node(name)}, r)
			}
			topic("one", key)
			between := []*Op{key}
			if c.around {
				between = append(between, source)
			}
			topic("two", g.Add(&Op{Write: node("between")}, between...))
			topo, err := g.Build("app")
			if err != nil {
				t.Fatal(err)
			}
			if len(topo.Internals) != c.want {
				t.Errorf("%d repartition topics, want %d\n%s", len(topo.Internals), c.want, topo.Describe())
			}
		})
	}
}
