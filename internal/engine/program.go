package engine

import (
	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// Program is a sub-topology made ready for one task: what the task runs.
type Program struct {
	Node     *node.Task
	Sources  map[string]node.Source // by topic
	Infos    []*node.Info           // some may be nil
	Stores   []TaskStore
	Emitters []Emitter // in topological order
	Timers   Timers    // nil: no punctuation
	// Path names the nodes from a source to a node, for dead letters. It may be nil.
	Path func(node string) []string
	// Close is called once, when the task ends. It may be nil.
	Close func() error
	// PassThrough, if not empty, names the topic that every record goes to unchanged, with nothing else happening to it.
	PassThrough string
}

// Timers are the punctuations of a task.
type Timers interface {
	// Next returns the stream time and the wall time at which the next one is due, math.MaxInt64 for none.
	Next() (stream, wall int64)
	// Due makes a punctuation that is due the current one and moves it to its next time.
	Due(stream, wall int64) (Punctuation, bool)
}

// Punctuation is one call of a user's punctuator: a unit.
type Punctuation interface {
	Info() *node.Info
	Time() int64
	Fire() error
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

// Emitter holds rows of a table that go downstream at the next commit.
type Emitter interface {
	// Next returns the oldest row that waits, nil if there is none. It stays until it is dropped.
	Next() (Row, error)
}

// Row is one waiting row: a unit.
type Row interface {
	// Input is what a dead letter shows: the coordinates of the record that the row comes from, and the row's bytes.
	Input() node.Input
	// Emit sends the row on.
	Emit() error
	// Drop ends the row, sent or not.
	Drop()
}

// Store is what a task sees of a store, whatever its types.
type Store interface {
	record.Undoer
	Name() string
	DirtyBytes() int
	Freeze(b state.Batch, log Changelog) error
	Applied()
	Reset()
	Close() error
}

// Changelog takes what a commit writes to a changelog topic.
type Changelog interface {
	Append(time int64, key, value []byte, h record.Headers) error
}
