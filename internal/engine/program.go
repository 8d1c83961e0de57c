package engine

import (
	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/topology"
)

// Program is a sub-topology made ready for one task: what the task runs.
type Program struct {
	Node   *node.Task
	Source func(topic string) node.Source // nil: the sub-topology does not read it
	Infos  []*node.Info                   // some may be nil
	Stores []TaskStore
	Drains []node.Drain // emission buffers in topological order
	Time   *int64       // where the time of the record in work is put; nil: nowhere

	// Path names the nodes from a source to a node, for dead letters. It may be nil.
	Path func(node string) []string
	// PassThrough tells whether records of a topic go straight into another one. It may be nil.
	PassThrough func(topic string) (topology.PassThrough, bool)
	// Init is called before the first unit, and again when the task starts anew. It may be nil.
	Init func() error
	// Close is called once, when the task ends. It may be nil.
	Close func() error
}

// Defaults that apply where neither node nor topic has a policy.
type policies struct {
	app   *dlq.Policy
	topic map[string]*dlq.Policy
	node  map[string]*dlq.Policy
}

func (p *policies) of(f *dlq.Failure, topic string) *dlq.Policy {
	if pol := p.node[f.Node]; pol != nil {
		return pol
	}
	if pol := p.topic[topic]; pol != nil {
		return pol
	}
	return p.app
}
