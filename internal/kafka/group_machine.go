package kafka

import (
	"errors"
	"slices"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// groupMachine decides what a member of a group does next. It is pure: no goroutine, no socket, no clock. Step takes
// what happened and returns what to do; time is an argument.
//
// # Invariants
//
//	G1  At most one handler call is under way. None begins before the one before has returned.
//	G2  Prepare returns before a JoinGroup of a member that has a generation; Revoked returns before the JoinGroup
//	    that gives the partitions away.
//	G3  Generation ≥ 0 exactly while the coordinator is believed to hold us as a member. When that ends, a running
//	    handler is cancelled, and Lost is called with everything owned before the next JoinGroup.
//	G4  Answers to requests of an earlier attempt (another seq, another generation) change nothing.
//	G5  A member that missed a generation has lost everything, even if the coordinator still knows it.
//	G6  A member that has heard nothing good for a session counts itself out.
type groupMachine struct {
	session, heartbeat, rebalance time.Duration
	static                        bool
	backoff                       func(retries int) time.Duration

	state      groupState
	memberID   string
	generation int32 // −1: no member
	owned      []record.TopicPartition
	taking     Assignment // between Sync and the end of Assigned
	plan       map[string]Assignment
	members    []Member // what the leader assigns to

	seq       int  // of the join, assign or sync that counts
	inflight  bool // and it is under way
	firstJoin bool // it was sent without a member id
	rejoin    bool // join again as soon as the handlers are through
	again     bool // join a second time: a restarted static member is seen by nobody before

	handler   bool // a handler call is under way
	cancelled bool // and has been told to stop
	lost      bool // membership is lost, Lost is still to be called
	stop      bool
	fatal     error

	contact  time.Time // when the request was sent whose answer last proved our membership
	joinSent time.Time
	hbAt     time.Time // next heartbeat
	hbBusy   bool
	retryAt  time.Time
	retries  int
	resyncs  int // SyncGroup was refused for another rebalance, in a row

	out []groupAction
}

type groupState uint8

const (
	groupIdle      groupState = iota // no member; joins at retryAt
	groupPreparing                   // handler Prepare
	groupJoining                     // JoinGroup
	groupAssigning                   // we lead: the assignor works
	groupSyncing                     // SyncGroup
	groupRevoking                    // handler Revoked
	groupTaking                      // handler Assigned
	groupStable
	groupLosing // handler Lost
	groupLeaving
	groupEnded
)

var groupStateNames = [...]string{"idle", "preparing", "joining", "assigning", "syncing", "revoking", "taking", "stable", "losing", "leaving", "ended"}

func (s groupState) String() string { return groupStateNames[s] }

// What can happen.
type groupEvent interface{ groupEvent() }

type (
	groupTick   struct{} // it is time: see wake
	groupRejoin struct{} // somebody asks for a new assignment
	groupStop   struct{}
	groupJoined struct {
		seq        int
		memberID   string // also with MEMBER_ID_REQUIRED
		generation int32
		leader     bool
		skip       bool // we lead, but the group keeps its assignment
		members    []Member
		err        error
	}
	groupPlanned struct {
		seq  int
		plan map[string]Assignment
		err  error
	}
	groupSynced struct {
		seq        int
		assignment Assignment
		err        error
	}
	groupBeat struct {
		generation int32
		sent       time.Time
		err        error
	}
	groupHandled struct{ err error }
	groupLeft    struct{}
)

func (groupTick) groupEvent()    {}
func (groupRejoin) groupEvent()  {}
func (groupStop) groupEvent()    {}
func (groupJoined) groupEvent()  {}
func (groupPlanned) groupEvent() {}
func (groupSynced) groupEvent()  {}
func (groupBeat) groupEvent()    {}
func (groupHandled) groupEvent() {}
func (groupLeft) groupEvent()    {}

// What can be asked for.
type groupAction interface{ groupAction() }

type (
	doJoin struct {
		seq        int
		memberID   string
		generation int32 // of owned; −1 after a loss
		owned      []record.TopicPartition
	}
	doPlan struct {
		seq     int
		members []Member
	}
	doSync struct {
		seq        int
		memberID   string
		generation int32
		plan       map[string]Assignment // of a leader
	}
	doBeat struct {
		memberID   string
		generation int32
	}
	doPrepare struct{}
	doRevoke  struct{ partitions []record.TopicPartition }
	doTake    struct {
		assignment Assignment
		generation int32
	}
	doLose          struct{ partitions []record.TopicPartition }
	doCancelHandler struct{}
	doLeave         struct{ memberID string }
	doEnd           struct{ err error }
)

func (doJoin) groupAction()          {}
func (doPlan) groupAction()          {}
func (doSync) groupAction()          {}
func (doBeat) groupAction()          {}
func (doPrepare) groupAction()       {}
func (doRevoke) groupAction()        {}
func (doTake) groupAction()          {}
func (doLose) groupAction()          {}
func (doCancelHandler) groupAction() {}
func (doLeave) groupAction()         {}
func (doEnd) groupAction()           {}

func newGroupMachine(cfg *GroupConfig, backoff func(int) time.Duration) *groupMachine {
	return &groupMachine{
		session: cfg.Session, heartbeat: cfg.Heartbeat, rebalance: cfg.RebalanceTimeout,
		static: cfg.InstanceID != "", backoff: backoff, generation: -1,
	}
}

// Step takes one event and returns what to do, in order.
func (m *groupMachine) Step(now time.Time, ev groupEvent) []groupAction {
	if m.state == groupEnded {
		return nil
	}
	m.out = nil
	switch e := ev.(type) {
	case groupTick:
	case groupRejoin:
		m.rejoin = true
	case groupStop:
		m.stop = true
	case groupJoined:
		if e.seq == m.seq && !m.stop {
			m.joined(now, e)
		}
	case groupPlanned:
		if e.seq == m.seq && !m.stop {
			m.planned(now, e)
		}
	case groupSynced:
		if e.seq == m.seq && !m.stop {
			m.synced(now, e)
		}
	case groupBeat:
		m.beaten(now, e)
	case groupHandled:
		m.handled(now, e.err)
	case groupLeft:
		m.end()
	}
	m.keepAlive(now)
	m.advance(now)
	return m.out
}

func (m *groupMachine) do(a groupAction) { m.out = append(m.out, a) }

// member tells whether the coordinator is believed to hold us, in a state in which it expects heartbeats.
func (m *groupMachine) member() bool {
	return m.generation >= 0 && m.state != groupJoining && m.state != groupLeaving
}

// committable tells whether offsets can be committed under the current generation: not between JoinGroup and the
// answer to SyncGroup.
func (m *groupMachine) committable() bool {
	return m.member() && m.state != groupAssigning && m.state != groupSyncing
}

// expiry is when we count ourselves out. The coordinator holds a member whose JoinGroup waits, for the whole rebalance.
func (m *groupMachine) expiry() time.Time {
	t := m.contact.Add(m.session)
	if m.state == groupJoining && m.inflight {
		if j := m.joinSent.Add(m.rebalance + m.session); j.After(t) {
			t = j
		}
	}
	return t
}

// wake returns when the next Tick is due; the zero time means that only another event can change something.
func (m *groupMachine) wake() time.Time {
	var at time.Time
	earlier := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if m.generation >= 0 {
		earlier(m.expiry())
	}
	if m.member() && !m.hbBusy {
		earlier(m.hbAt)
	}
	if m.waiting() {
		earlier(m.retryAt)
	}
	return at
}

// waiting tells whether a join, assign or sync is to be repeated at retryAt.
func (m *groupMachine) waiting() bool {
	switch m.state {
	case groupIdle, groupJoining, groupAssigning, groupSyncing:
		return !m.inflight
	}
	return false
}

// keepAlive sends heartbeats and notices the end of a session.
func (m *groupMachine) keepAlive(now time.Time) {
	if m.generation >= 0 && !now.Before(m.expiry()) {
		m.lose(false)
	}
	if m.member() && !m.hbBusy && !now.Before(m.hbAt) {
		m.hbBusy = true
		m.hbAt = now.Add(m.heartbeat)
		m.do(doBeat{m.memberID, m.generation})
	}
}

// advance does what can be done without another event.
func (m *groupMachine) advance(now time.Time) {
	ending := m.stop || m.fatal != nil
	if m.handler {
		if (m.lost || ending) && !m.cancelled {
			m.cancelled = true
			m.do(doCancelHandler{})
		}
		return
	}
	switch {
	case m.state == groupLeaving || m.state == groupEnded:
	case m.lost && len(m.owned) > 0:
		m.lost = false
		m.call(groupLosing, doLose{m.owned})
		m.owned = nil
	case m.lost && !ending:
		m.idle(now)
	case ending:
		m.leave()
	case m.waiting() && !now.Before(m.retryAt):
		m.request(now)
	case m.state == groupStable && (m.rejoin || m.again):
		m.again = false
		m.call(groupPreparing, doPrepare{})
	}
}

// request sends the request of the state.
func (m *groupMachine) request(now time.Time) {
	m.seq++
	m.inflight = true
	switch m.state {
	case groupIdle, groupJoining:
		m.state, m.joinSent, m.rejoin, m.again = groupJoining, now, false, false
		m.firstJoin = m.memberID == ""
		m.do(doJoin{m.seq, m.memberID, m.generation, m.owned})
	case groupAssigning:
		m.do(doPlan{m.seq, m.members})
	case groupSyncing:
		m.do(doSync{m.seq, m.memberID, m.generation, m.plan})
	}
}

// enter goes to a state that sends a request, at once.
func (m *groupMachine) enter(s groupState, now time.Time) {
	m.state, m.inflight, m.retryAt = s, false, now
}

// idle goes back to the start, for a moment: whatever lost the membership may do it again at once.
func (m *groupMachine) idle(now time.Time) {
	m.state, m.inflight, m.lost = groupIdle, false, false
	m.pauseFor(now)
}

// call begins a handler.
func (m *groupMachine) call(s groupState, a groupAction) {
	m.state, m.handler, m.cancelled = s, true, false
	m.do(a)
}

// lose notes that we are no member any more (G3).
func (m *groupMachine) lose(forgetID bool) {
	m.generation, m.lost, m.inflight, m.hbBusy = -1, true, false, false
	m.seq++
	m.plan, m.members = nil, nil
	if forgetID {
		m.memberID = ""
	}
}

// fail ends the membership for good.
func (m *groupMachine) fail(err error) {
	if m.fatal == nil {
		m.fatal = err
	}
}

// refused takes an error of join, assign, sync or heartbeat. It reports whether the same request is to be repeated.
func (m *groupMachine) refused(err error) (again bool) {
	act := ActionOf(err)
	switch {
	case act.Has(Fenced):
		m.lose(false)
		m.fail(err)
	case act.Has(ForgetMember):
		m.lose(true)
	case errors.Is(err, codeIllegalGeneration):
		m.lose(false)
	case act.Has(Retry):
		return true
	default:
		m.fail(err)
	}
	return false
}

func (m *groupMachine) pauseFor(now time.Time) {
	m.retryAt = now.Add(m.backoff(m.retries))
	m.retries++
}

func (m *groupMachine) joined(now time.Time, e groupJoined) {
	m.inflight = false
	switch {
	case e.err == nil:
	case errors.Is(e.err, codeMemberIDRequired):
		m.memberID = e.memberID
		if m.retries > 0 { // it says so again, to one that has an id
			m.pauseFor(now)
			return
		}
		m.retryAt, m.retries = now, 1
		return
	case errors.Is(e.err, codeRebalance), m.refused(e.err):
		m.pauseFor(now)
		return
	default:
		return
	}
	m.memberID, m.contact, m.retries = e.memberID, now, 0
	if m.generation >= 0 && e.generation > m.generation+1 {
		// A generation went by without us. A static member that is late to rejoin stays a member, and what it owns is
		// given to others: to commit it under the new generation would overwrite what they did.
		m.lose(false)
		return
	}
	m.generation = e.generation
	m.hbAt, m.hbBusy = now.Add(m.heartbeat), false
	// Nobody has seen the metadata of a static member that came back: the group goes on as it was. A new one cannot be
	// told from that, unless it leads or founds the group; it joins once more for nothing.
	m.again = m.static && m.firstJoin && (e.skip || (!e.leader && e.generation > 1))
	m.plan = nil
	if m.members = e.members; e.leader && !e.skip {
		m.enter(groupAssigning, now)
	} else {
		m.enter(groupSyncing, now)
	}
}

func (m *groupMachine) planned(now time.Time, e groupPlanned) {
	m.inflight = false
	switch {
	case e.err == nil:
		m.plan, m.members, m.retries = e.plan, nil, 0
		m.enter(groupSyncing, now)
	case Retriable(e.err):
		m.pauseFor(now)
	default:
		m.fail(e.err)
	}
}

func (m *groupMachine) synced(now time.Time, e groupSynced) {
	m.inflight = false
	switch {
	case e.err == nil:
	case errors.Is(e.err, codeRebalance):
		// What was processed since the last Prepare is committed before we join again (G2).
		m.plan = nil
		m.resyncs++
		m.call(groupPreparing, doPrepare{})
		return
	case m.refused(e.err):
		m.pauseFor(now)
		return
	default:
		return
	}
	m.retries, m.resyncs, m.plan, m.taking = 0, 0, nil, e.assignment
	m.contact = now
	var revoked []record.TopicPartition
	for _, tp := range m.owned {
		if !slices.Contains(e.assignment.Partitions, tp) {
			revoked = append(revoked, tp)
		}
	}
	if len(revoked) > 0 {
		m.rejoin = true // so that the leader can give them to others
		m.call(groupRevoking, doRevoke{revoked})
		return
	}
	m.take()
}

func (m *groupMachine) take() {
	m.owned = slices.Clone(m.taking.Partitions)
	m.call(groupTaking, doTake{m.taking, m.generation})
}

func (m *groupMachine) beaten(now time.Time, e groupBeat) {
	if e.generation != m.generation {
		return // G4
	}
	m.hbBusy = false
	if known := e.err == nil || errors.Is(e.err, codeRebalance); known && e.sent.After(m.contact) {
		m.contact = e.sent
	}
	switch {
	case e.err == nil:
	case m.state == groupJoining:
		// The group has moved on or not; the answer to the join tells.
	case errors.Is(e.err, codeRebalance):
		if m.state != groupAssigning && m.state != groupSyncing { // there the answer to the sync tells
			m.rejoin = true
		}
	case m.refused(e.err):
		if soon := now.Add(m.backoff(0)); soon.Before(m.hbAt) {
			m.hbAt = soon
		}
	}
}

func (m *groupMachine) handled(now time.Time, err error) {
	m.handler = false
	if m.lost || m.stop || m.fatal != nil {
		return // advance goes on from there
	}
	if err != nil && m.state != groupLosing {
		switch act := ActionOf(err); {
		case act.Has(Fenced):
			m.lose(false)
			m.fail(err)
		case act.Has(Rejoin):
			m.lose(act.Has(ForgetMember))
		default:
			m.fail(err)
		}
		return
	}
	switch m.state {
	case groupPreparing:
		m.enter(groupJoining, now)
		if m.resyncs > 1 { // no group is that restless
			m.retryAt = now.Add(m.backoff(m.resyncs - 2))
		}
	case groupRevoking:
		m.take()
	case groupTaking:
		m.state = groupStable
	case groupLosing:
		m.idle(now)
	}
}

// leave ends the membership. A static member stays in the group: it may come back within the session.
func (m *groupMachine) leave() {
	m.seq++
	m.inflight = false
	if m.static || m.memberID == "" {
		m.end()
		return
	}
	m.state = groupLeaving
	m.do(doLeave{m.memberID})
}

func (m *groupMachine) end() {
	m.state, m.generation = groupEnded, -1
	m.do(doEnd{m.fatal})
}
