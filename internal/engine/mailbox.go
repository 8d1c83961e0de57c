package engine

import "sync"

// mailbox is the one way into a worker's goroutine: events and calls, in order. It is bounded by what senders may have on
// their way: partitions with full inboxes are not fetched, and acknowledgements are at most as many as batches were sent.
type mailbox struct {
	mu    sync.Mutex
	list  []any // Event, or func() to be called
	wake  chan struct{}
	ended bool
}

func newMailbox() *mailbox { return &mailbox{wake: make(chan struct{}, 1)} }

// post returns false if nobody reads any more.
func (m *mailbox) post(items ...any) bool {
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return false
	}
	m.list = append(m.list, items...)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
	return true
}

// take empties the mailbox into a list.
func (m *mailbox) take(into []any) []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.list
	m.list = into[:0]
	return taken
}

// end refuses what comes from now on, and returns what is left.
func (m *mailbox) end() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
	left := m.list
	m.list = nil
	return left
}
