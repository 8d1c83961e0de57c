package assign

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// Name is the protocol that all instances of an application share. It changes only when old and new instances must not
// meet in one group.
const Name = "oxbow-sticky"

// Config is what an Assignor knows of its instance. The functions may be called from any goroutine.
type Config struct {
	Process  [16]byte // of the app instance, kept on its disk; all zero if it has none
	Topology uint64   // see Fingerprint
	Workers  func() int
	// Topics are the names of the source topics to subscribe to.
	Topics func() []string
	// Subs are the sub-topologies with the partition counts of their source topics, as the cluster has them now. They are
	// asked for when this instance leads the group, and by Tasks. A kafka error that is retriable makes the group try again.
	Subs func() ([]Sub, error)
	// State lists the tasks that the disk has state of. nil: none.
	State func() []TaskState
}

// Assignor assigns the tasks of an app among the members of its group. It implements [kafka.Assignor].
type Assignor struct {
	cfg  Config
	last atomic.Pointer[memory]
}

// memory is what an assignment said of the next one.
type memory struct {
	coming     []record.TaskID
	generation int32
}

var _ kafka.Assignor = (*Assignor)(nil)

// New returns the assignor of an instance.
func New(cfg Config) (*Assignor, error) {
	var errs []error
	if cfg.Workers == nil {
		errs = append(errs, errors.New("assign config: Workers is nil: say how many workers the instance runs"))
	}
	if cfg.Topics == nil {
		errs = append(errs, errors.New("assign config: Topics is nil: say which topics the sources read"))
	}
	if cfg.Subs == nil {
		errs = append(errs, errors.New("assign config: Subs is nil: say which sub-topologies there are"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	a := &Assignor{cfg: cfg}
	a.last.Store(&memory{generation: -1})
	return a, nil
}

// Name returns the protocol's name.
func (a *Assignor) Name() string { return Name }

// Subscription says what the leader needs to know of this instance.
func (a *Assignor) Subscription() (topics []string, userData []byte) {
	last := a.last.Load()
	d := SubscriptionData{
		Process: a.cfg.Process, Topology: a.cfg.Topology, Workers: a.cfg.Workers(), Coming: last.coming, ComingOf: last.generation,
	}
	if a.cfg.State != nil {
		d.State = a.cfg.State()
	}
	topics = slices.Sorted(slices.Values(a.cfg.Topics()))
	return slices.Compact(topics), d.Encode(nil)
}

// Assign decides for the group.
func (a *Assignor) Assign(members []kafka.Member) (map[string]kafka.Assignment, error) {
	subs, err := a.cfg.Subs()
	if err != nil {
		return nil, err
	}
	s, err := newShape(subs)
	if err != nil {
		return nil, err
	}
	var list []Member
	var faults []error
	plan := make(map[string]kafka.Assignment, len(members))
	for _, m := range members {
		d, err := DecodeSubscription(m.UserData)
		if err != nil {
			faults = append(faults, fmt.Errorf("member %s: %w", memberName(m), err))
			continue
		}
		if d.Topology != a.cfg.Topology {
			plan[m.ID] = kafka.Assignment{UserData: (&AssignmentData{Refused: OtherTopology}).Encode(nil)}
		}
		// Also of a member that is Excluded: what it owns it has to give up before another gets it.
		list = append(list, Member{
			ID: m.ID, InstanceID: m.InstanceID, Process: d.Process, Workers: d.Workers,
			Owned: s.owned(m.Owned), Generation: m.Generation, Coming: d.Coming, ComingOf: d.ComingOf, State: d.State,
			Excluded: d.Topology != a.cfg.Topology,
		})
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	results, err := Solve(subs, list)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if list[i].Excluded {
			continue
		}
		var tps []record.TopicPartition
		for _, id := range r.Active {
			tps = s.subs[s.index[id.Sub]].Partitions(tps, id.Partition)
		}
		plan[list[i].ID] = kafka.Assignment{Partitions: tps, UserData: (&AssignmentData{Coming: r.Coming}).Encode(nil)}
	}
	return plan, nil
}

// owned turns partitions into the tasks that read them. What no task reads any more is left out: it is not assigned, so
// its owner gives it up.
func (s *shape) owned(tps []record.TopicPartition) (ids []record.TaskID) {
	for _, tp := range tps {
		if id, ok := s.task(tp); ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, record.TaskID.Compare)
	return slices.Compact(ids)
}

func memberName(m kafka.Member) string {
	if m.InstanceID != "" {
		return fmt.Sprintf("%q (instance id %q)", m.ID, m.InstanceID)
	}
	return fmt.Sprintf("%q", m.ID)
}

// Assigned is an assignment in terms of tasks.
type Assigned struct {
	Tasks []Task // by ID
	AssignmentData
}

// Tasks reads what this instance was assigned in a generation, and remembers what is to come. An empty assignment is one
// of no tasks. A refusal is no error: its String says what to do.
func (a *Assignor) Tasks(as kafka.Assignment, generation int32) (Assigned, error) {
	if len(as.Partitions) == 0 && len(as.UserData) == 0 {
		return Assigned{}, nil
	}
	d, err := DecodeAssignment(as.UserData)
	if err != nil {
		return Assigned{}, fmt.Errorf("assignment of generation %d: %w", generation, err)
	}
	subs, err := a.cfg.Subs()
	if err != nil {
		return Assigned{}, err
	}
	tasks, err := Group(subs, as.Partitions)
	if err != nil {
		return Assigned{}, err
	}
	a.last.Store(&memory{d.Coming, generation})
	return Assigned{tasks, d}, nil
}
