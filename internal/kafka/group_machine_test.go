package kafka

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// machineAt drives a machine to a stable membership in generation 5 that owns in/0 and in/1.
func machineAt(t *testing.T, instance string) (*groupMachine, time.Time) {
	t.Helper()
	now := time.Unix(1000, 0)
	cfg := GroupConfig{InstanceID: instance}.withDefaults()
	m := newGroupMachine(&cfg, func(int) time.Duration { return time.Second })
	expect(t, m.Step(now, groupTick{}), "doJoin")
	if instance == "" {
		expect(t, m.Step(now, groupJoined{seq: m.seq, memberID: "m", err: code(codeMemberIDRequired)}), "doJoin")
	}
	expect(t, m.Step(now, groupJoined{seq: m.seq, memberID: "m", generation: 5, leader: true, members: []Member{{ID: "m"}}}), "doPlan")
	a := Assignment{Partitions: []record.TopicPartition{tpOf("in", 0), tpOf("in", 1)}}
	expect(t, m.Step(now, groupPlanned{seq: m.seq, plan: map[string]Assignment{"m": a}}), "doSync")
	expect(t, m.Step(now, groupSynced{seq: m.seq, assignment: a}), "doTake")
	expect(t, m.Step(now, groupHandled{}))
	if m.state != groupStable || !m.committable() {
		t.Fatalf("state %v", m.state)
	}
	return m, now
}

// expect compares the kinds of the actions.
func expect(t *testing.T, got []groupAction, want ...string) {
	t.Helper()
	var names []string
	for _, a := range got {
		names = append(names, reflect.TypeOf(a).Name())
	}
	if fmt.Sprint(names) != fmt.Sprint(want) {
		t.Fatalf("actions %v, want %v", names, want)
	}
}

// G5: a static member that is late to rejoin is still a member, but its partitions have been given away meanwhile.
func TestAMemberThatMissedAGenerationHasLostEverything(t *testing.T) {
	m, now := machineAt(t, "i")
	expect(t, m.Step(now, groupRejoin{}), "doPrepare")
	expect(t, m.Step(now, groupHandled{}), "doJoin")
	if m.committable() {
		t.Fatal("a commit is possible while the group rebalances")
	}
	out := m.Step(now, groupJoined{seq: m.seq, memberID: "m", generation: 7})
	expect(t, out, "doLose")
	if lost := out[0].(doLose).partitions; len(lost) != 2 || m.generation != -1 {
		t.Fatalf("lost %v, generation %d", lost, m.generation)
	}
	expect(t, m.Step(now, groupHandled{}))
	out = m.Step(now.Add(2*time.Second), groupTick{})
	expect(t, out, "doJoin")
	if j := out[0].(doJoin); j.memberID != "m" || j.owned != nil || j.generation != -1 {
		t.Fatalf("joins again with %+v", j)
	}
}

// G2, G3: what is given up is closed before it is given away; a loss meanwhile cancels the handler and loses all.
func TestALossDuringRevoke(t *testing.T) {
	m, now := machineAt(t, "")
	expect(t, m.Step(now, groupBeat{generation: 5, sent: now, err: code(codeRebalance)}), "doPrepare")
	expect(t, m.Step(now, groupHandled{}), "doJoin")
	expect(t, m.Step(now, groupJoined{seq: m.seq, memberID: "m", generation: 6}), "doSync")
	out := m.Step(now, groupSynced{seq: m.seq, assignment: Assignment{Partitions: []record.TopicPartition{tpOf("in", 1)}}})
	expect(t, out, "doRevoke")
	if !m.committable() {
		t.Fatal("Revoked must be able to commit")
	}
	now = now.Add(3 * time.Second)
	expect(t, m.Step(now, groupTick{}), "doBeat") // heartbeats go on
	expect(t, m.Step(now, groupBeat{generation: 6, sent: now, err: code(codeUnknownMember)}), "doCancelHandler")
	expect(t, m.Step(now, groupBeat{generation: 6, sent: now, err: code(codeUnknownMember)})) // G4
	out = m.Step(now, groupHandled{code(codeUnknownMember)})
	expect(t, out, "doLose")
	if lost := out[0].(doLose).partitions; len(lost) != 2 {
		t.Fatalf("lost %v", lost)
	}
	expect(t, m.Step(now, groupStop{}), "doCancelHandler")
	expect(t, m.Step(now, groupHandled{}), "doEnd") // no member id: nothing to leave
}

// A member that stops while its handler works waits for it, then leaves.
func TestStopWaitsForTheHandler(t *testing.T) {
	m, now := machineAt(t, "")
	expect(t, m.Step(now, groupRejoin{}), "doPrepare")
	expect(t, m.Step(now, groupStop{}), "doCancelHandler")
	now = now.Add(3 * time.Second)
	expect(t, m.Step(now, groupTick{}), "doBeat")
	expect(t, m.Step(now, groupHandled{}), "doLeave")
	expect(t, m.Step(now, groupLeft{}), "doEnd")
	expect(t, m.Step(now, groupTick{}))
}
