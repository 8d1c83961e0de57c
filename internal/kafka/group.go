package kafka

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Assignor decides who owns what. It is a client's business: the broker passes bytes through.
type Assignor interface {
	// Name is the protocol that all members must share.
	Name() string
	// Subscription is what the leader gets to know about us. It is asked before every JoinGroup.
	Subscription() (topics []string, userData []byte)
	// Assign is run by the leader. Every member must be in the answer. The partitions a member owns and keeps must not
	// be given to another one at the same time: it gives them up first, then joins again, and then they are free.
	// An error that is [Retriable] makes it run again; any other one ends the membership.
	Assign(members []Member) (map[string]Assignment, error)
}

// Member is a member as the leader sees it.
type Member struct {
	ID         string
	InstanceID string // empty for a dynamic member
	Topics     []string
	Owned      []record.TopicPartition
	Generation int32 // of Owned; −1 if it has none. Of two that claim a partition, the newer generation is right
	UserData   []byte
}

// Assignment is what a member gets.
type Assignment struct {
	Partitions []record.TopicPartition
	UserData   []byte
}

// GroupHandler is told what happens to the membership. Calls come one after the other; heartbeats go on meanwhile. The
// context of a call ends when the membership is lost or Run is to end. An error ends the membership, unless it holds a
// BrokerError that says that the membership is gone: then Lost follows.
type GroupHandler interface {
	// Prepare is called before a JoinGroup: commit now, it is refused afterwards, until Assigned or Revoked is called.
	Prepare(ctx context.Context) error
	// Assigned is called with the whole new assignment.
	Assigned(ctx context.Context, a Assignment, generation int32) error
	// Revoked is called with what has to be given up. When it returns, that is committed and closed. Assigned follows.
	Revoked(ctx context.Context, partitions []record.TopicPartition) error
	// Lost is called with everything owned, after we were fenced or expired: others may own it by now, and no commit
	// is possible.
	Lost(ctx context.Context, partitions []record.TopicPartition)
}

// GroupConfig describes a membership.
type GroupConfig struct {
	Group            string
	InstanceID       string        // static membership, if not empty
	Session          time.Duration // default 45 s
	Heartbeat        time.Duration // default 3 s
	RebalanceTimeout time.Duration // how long a member may take to give up what it must; default 5 min
	Assignor         Assignor
	Handler          GroupHandler
}

// Validate reports every fault at once.
func (c *GroupConfig) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("group config: "+format, args...)) }
	if c.Group == "" {
		fault("Group is empty: give the group a name")
	}
	if len(c.Group) > math.MaxInt16 || len(c.InstanceID) > math.MaxInt16 {
		fault("Group and InstanceID may have %d bytes at most", math.MaxInt16)
	}
	if c.Assignor == nil {
		fault("Assignor is nil: somebody has to decide who owns what")
	}
	if c.Handler == nil {
		fault("Handler is nil: somebody has to take what is assigned")
	}
	d := c.withDefaults()
	for _, t := range []struct {
		name  string
		value time.Duration
	}{{"Session", d.Session}, {"Heartbeat", d.Heartbeat}, {"RebalanceTimeout", d.RebalanceTimeout}} {
		if t.value < time.Millisecond || t.value > math.MaxInt32*time.Millisecond {
			fault("%s = %v: choose from 1 ms to 24 days; 0 means the default", t.name, t.value)
		}
	}
	if d.Heartbeat > d.Session/3 {
		fault("Heartbeat = %v is more than a third of Session = %v: two lost heartbeats would lose the membership; make it shorter", d.Heartbeat, d.Session)
	}
	return errors.Join(errs...)
}

func (c GroupConfig) withDefaults() GroupConfig {
	c.Session = orElse(c.Session, 45*time.Second)
	c.Heartbeat = orElse(c.Heartbeat, 3*time.Second)
	c.RebalanceTimeout = orElse(c.RebalanceTimeout, 5*time.Minute)
	return c
}

// Group is a membership in a group, in the classic protocol with cooperative rebalancing. [Group.Run] drives it.
type Group struct {
	c       *Client
	cfg     GroupConfig
	m       *groupMachine // of the goroutine of Run
	events  chan groupEvent
	kick    chan struct{} // somebody called Rejoin
	over    chan struct{}
	running atomic.Bool
	ident   atomic.Pointer[GroupIdentity]
}

// GroupIdentity is who we are to the coordinator. Transactional offset commits carry it.
type GroupIdentity struct {
	Group, InstanceID, MemberID string
	Generation                  int32
	// Committable is false while no commit can be accepted: before the first assignment, between JoinGroup and
	// SyncGroup, and after a loss.
	Committable bool
}

// NewGroup prepares a membership; [Group.Run] begins it.
func (c *Client) NewGroup(cfg GroupConfig) (*Group, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Group{c: c, cfg: cfg.withDefaults(), events: make(chan groupEvent), kick: make(chan struct{}, 1), over: make(chan struct{})}
	g.m = newGroupMachine(&g.cfg, func(retries int) time.Duration {
		b := c.newBackoff()
		b.n = retries
		return b.next()
	})
	g.publish()
	return g, nil
}

// Identity returns who we are at the moment.
func (g *Group) Identity() GroupIdentity { return *g.ident.Load() }

// MemberID returns the member id, empty before the first join.
func (g *Group) MemberID() string { return g.ident.Load().MemberID }

// Generation returns the generation, −1 for no member.
func (g *Group) Generation() int32 { return g.ident.Load().Generation }

// Rejoin asks for a new assignment: the subscription has changed, or the leader has something new to decide by. A
// follower whose subscription is the same as before gets its old assignment.
func (g *Group) Rejoin() {
	select {
	case g.kick <- struct{}{}:
	default: // one is waiting already
	}
}

func (g *Group) post(ev groupEvent) {
	select {
	case g.events <- ev:
	case <-g.over:
	}
}

// publish lets others see who we are. It is called before the actions of a step are carried out, so that a commit after
// the JoinGroup went out is refused here.
func (g *Group) publish() {
	g.ident.Store(&GroupIdentity{
		Group: g.cfg.Group, InstanceID: g.cfg.InstanceID, MemberID: g.m.memberID,
		Generation: g.m.generation, Committable: g.m.committable(),
	})
}
