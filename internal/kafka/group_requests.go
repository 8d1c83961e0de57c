package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const protocolType = "consumer"

func (g *Group) instance() *string {
	if g.cfg.InstanceID == "" {
		return nil
	}
	return &g.cfg.InstanceID
}

func groupAsk[R kmsg.Response](ctx context.Context, g *Group, req kmsg.Request) (R, error) {
	res, err := g.c.toCoordinator(ctx, coordinatorGroup, g.cfg.Group, req)
	r, _ := res.(R)
	return r, err
}

func (g *Group) join(ctx context.Context, a doJoin) groupJoined {
	req := kmsg.NewPtrJoinGroupRequest()
	req.Group, req.MemberID, req.InstanceID, req.ProtocolType = g.cfg.Group, a.memberID, g.instance(), protocolType
	req.SessionTimeoutMillis = int32(g.cfg.Session / time.Millisecond)
	req.RebalanceTimeoutMillis = int32(g.cfg.RebalanceTimeout / time.Millisecond)
	topics, userData := g.cfg.Assignor.Subscription()
	p := kmsg.NewJoinGroupRequestProtocol()
	p.Name = g.cfg.Assignor.Name()
	p.Metadata = appendSubscription(nil, &Member{Topics: topics, UserData: userData, Owned: a.owned, Generation: a.generation})
	req.Protocols = append(req.Protocols, p)

	node, err := g.c.coordinator(ctx, coordinatorGroup, g.cfg.Group)
	if err != nil {
		return groupJoined{seq: a.seq, err: err}
	}
	r, err := ask[*kmsg.JoinGroupResponse](ctx, g.c, node, req)
	if err == nil {
		err = brokerErr(req.Key(), node, r.ErrorCode, nil, fmt.Sprintf("group %q", g.cfg.Group))
	}
	if err != nil {
		g.c.checkCoordinator(coordinatorGroup, g.cfg.Group, err)
		out := groupJoined{seq: a.seq, err: err}
		if r != nil {
			out.memberID = r.MemberID // comes with MEMBER_ID_REQUIRED
		}
		return out
	}
	return g.joinAnswer(a.seq, node, r)
}

func (g *Group) joinAnswer(seq int, node int32, r *kmsg.JoinGroupResponse) groupJoined {
	out := groupJoined{
		seq: seq, memberID: r.MemberID, generation: r.Generation, skip: r.SkipAssignment,
		leader: r.LeaderID == r.MemberID && r.MemberID != "",
	}
	bad := func(format string, args ...any) groupJoined {
		return groupJoined{seq: seq, err: &ConnError{API: r.Key(), Node: node, Sent: true, Err: &FrameError{Reason: fmt.Sprintf(format, args...)}}}
	}
	if r.MemberID == "" || r.Generation < 0 {
		return bad("member id %q with generation %d", r.MemberID, r.Generation)
	}
	for _, jm := range r.Members {
		m, err := readSubscription(jm.ProtocolMetadata)
		if err != nil {
			// The leader cannot assign to a member it does not understand. It is no member of ours: say so.
			return bad("the metadata of member %q is no ConsumerProtocolSubscription (%v): stop that member, or choose another group", jm.MemberID, err)
		}
		m.ID, m.InstanceID = jm.MemberID, deref(jm.InstanceID)
		out.members = append(out.members, m)
	}
	return out
}

// plan runs the assignor and checks what it decided.
func (g *Group) plan(members []Member) (map[string]Assignment, error) {
	plan, err := g.cfg.Assignor.Assign(members)
	if err != nil {
		return nil, fmt.Errorf("assignor %s: %w", g.cfg.Assignor.Name(), err)
	}
	for _, m := range members {
		if _, ok := plan[m.ID]; !ok {
			return nil, fmt.Errorf("assignor %s: leaves out member %q", g.cfg.Assignor.Name(), m.ID)
		}
	}
	if len(plan) > len(members) {
		return nil, fmt.Errorf("assignor %s: assigns to %d members, the group has %d", g.cfg.Assignor.Name(), len(plan), len(members))
	}
	return plan, checkPlan(plan)
}

func (g *Group) sync(ctx context.Context, a doSync) groupSynced {
	req := kmsg.NewPtrSyncGroupRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = g.cfg.Group, a.memberID, a.generation, g.instance()
	req.ProtocolType, req.Protocol = kmsg.StringPtr(protocolType), kmsg.StringPtr(g.cfg.Assignor.Name())
	for id, as := range a.plan {
		ga := kmsg.NewSyncGroupRequestGroupAssignment()
		ga.MemberID, ga.MemberAssignment = id, appendAssignment(nil, &as)
		req.GroupAssignment = append(req.GroupAssignment, ga)
	}
	r, err := groupAsk[*kmsg.SyncGroupResponse](ctx, g, req)
	if err != nil {
		return groupSynced{seq: a.seq, err: err}
	}
	as, err := readAssignment(r.MemberAssignment)
	if err != nil {
		err = &ConnError{API: req.Key(), Node: anyBroker, Sent: true, Err: &FrameError{Reason: "our assignment does not parse", Err: err}}
	}
	return groupSynced{a.seq, as, err}
}

func (g *Group) beat(ctx context.Context, a doBeat) error {
	// A connection that went silent must not cost the session.
	ctx, cancel := context.WithTimeoutCause(ctx, max(g.cfg.Session/3, g.cfg.Heartbeat), errNoBeat)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID, req.Generation, req.InstanceID = g.cfg.Group, a.memberID, a.generation, g.instance()
	_, err := groupAsk[*kmsg.HeartbeatResponse](ctx, g, req)
	if err != nil && errors.Is(context.Cause(ctx), errNoBeat) {
		err = &ConnError{API: req.Key(), Node: anyBroker, Sent: true, Err: errNoBeat}
		g.c.forgetCoordinator(coordinatorGroup, g.cfg.Group)
	}
	return err
}

var errNoBeat = errors.New("no answer in time")

func (g *Group) leaveGroup(ctx context.Context, memberID string) error {
	req := kmsg.NewPtrLeaveGroupRequest()
	req.Group = g.cfg.Group
	m := kmsg.NewLeaveGroupRequestMember()
	m.MemberID, m.InstanceID, m.Reason = memberID, g.instance(), kmsg.StringPtr("the instance stops")
	req.Members = append(req.Members, m)
	_, err := groupAsk[*kmsg.LeaveGroupResponse](ctx, g, req)
	return err
}
