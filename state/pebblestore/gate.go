package pebblestore

import (
	"sync"
	"time"

	"github.com/oxbow-streams/oxbow/state"
)

// gate counts the calls that are inside of Pebble, which panics when it is called after it was closed.
type gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // made by shut, closed when the last call has left
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return state.ErrClosed
	}
	g.inside++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.empty)
	}
}

// shut lets no call in any more.
func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.empty = make(chan struct{})
	if g.inside == 0 {
		close(g.empty)
	}
}

// wait waits until the last call has left, and tells whether it has before the deadline. Calls into what is frozen never do.
func (g *gate) wait(deadline <-chan time.Time, frozen <-chan struct{}) bool {
	select {
	case <-g.empty:
		return true
	case <-deadline:
		return false
	case <-frozen:
		return false
	}
}
