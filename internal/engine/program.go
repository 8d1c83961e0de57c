package engine

import (
	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
)

// Program is a sub-topology made ready for one task: what the task runs.
type Program struct {
	Node    *node.Task
	Sources map[string]node.Source // by topic
	Infos   []*node.Info           // some may be nil
	Stores  []TaskStore
	Drains  []node.Drain // emission buffers in topological order
	// Path names the nodes from a source to a node, for dead letters. It may be nil.
	Path func(node string) []string
	// Close is called once, when the task ends. It may be nil.
	Close func() error
	// PassThrough, if not empty, names the topic that every record goes to unchanged, with nothing else happening to it.
	PassThrough string
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
