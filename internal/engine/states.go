package engine

import (
	"fmt"
	"sync"
)

// State is the state of an application.
type State int32

// The states, with Kafka Streams' names.
const (
	StateCreated State = iota
	StateRebalancing
	StateRunning
	StatePendingShutdown
	StateNotRunning
	StateError
)

var stateNames = [...]string{"CREATED", "REBALANCING", "RUNNING", "PENDING_SHUTDOWN", "NOT_RUNNING", "ERROR"}

func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return fmt.Sprintf("State(%d)", int32(s))
	}
	return stateNames[s]
}

// next says which states may follow one.
var next = map[State][]State{
	StateCreated:         {StateRebalancing, StateError},
	StateRebalancing:     {StateRunning, StatePendingShutdown, StateError},
	StateRunning:         {StateRebalancing, StatePendingShutdown, StateError},
	StatePendingShutdown: {StateNotRunning, StateError},
}

// states holds the state of an application and tells its listener, in order.
type states struct {
	mu       sync.Mutex
	now      State
	wasUp    bool
	changed  chan struct{} // closed at every change
	listener func(from, to State)
}

func (s *states) init(listener func(from, to State)) {
	s.listener, s.changed = listener, make(chan struct{})
}

// to changes the state if it may follow the present one. The listener is called before it returns.
func (s *states) to(state State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ok := range next[s.now] {
		if ok != state {
			continue
		}
		from := s.now
		s.now = state
		s.wasUp = s.wasUp || state == StateRunning
		close(s.changed)
		s.changed = make(chan struct{})
		if s.listener != nil {
			s.listener(from, state)
		}
		return
	}
}

func (s *states) get() (now State, wasUp bool, changed <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now, s.wasUp, s.changed
}

// State returns the state of the application, and a channel that is closed when it changes.
func (a *App) State() (State, <-chan struct{}) {
	now, _, changed := a.states.get()
	return now, changed
}

// Ready returns an error if the application is not RUNNING.
func (a *App) Ready() error {
	if now, _, _ := a.states.get(); now != StateRunning {
		return fmt.Errorf("%s", now)
	}
	return nil
}

// Started returns an error if the application has not been RUNNING yet.
func (a *App) Started() error {
	if now, wasUp, _ := a.states.get(); !wasUp {
		return fmt.Errorf("%s, has not been RUNNING yet", now)
	}
	return nil
}
