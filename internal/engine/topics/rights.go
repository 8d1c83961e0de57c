package topics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/oxbow-streams/oxbow/topology"
)

// MissingRightError says that the application may not do with a topic what it has to.
type MissingRightError struct {
	Topic string
	Role  string // "source", "sink", or that of an internal topic
	Right string // "Read" or "Write"
}

func (e *MissingRightError) Error() string {
	return fmt.Sprintf("%s (%s): the application's user has no right to %s it: kafka-acls.sh --add --allow-principal User:NAME "+
		"--operation %s --topic %s", e.Topic, e.Role, map[string]string{"Read": "read", "Write": "write to"}[e.Right], e.Right, e.Topic)
}

// needs are the rights that an application needs, by topic: of what it reads and writes, with the role that needs it.
func (p *Plan) needs(t *topology.Topology) (read, write map[string]string) {
	read, write = map[string]string{}, map[string]string{}
	_, sinks := Sources(t)
	for _, sub := range p.Subs {
		for _, topic := range sub.Topics {
			read[topic.Name] = "source"
		}
	}
	for _, g := range t.Globals {
		read[g.Topic] = "global table"
	}
	for _, name := range sinks {
		write[name] = "sink"
	}
	for _, w := range p.Internal {
		write[w.Name] = w.Role.String()
		if w.Role != DeadLetters {
			read[w.Name] = w.Role.String()
		}
	}
	return read, write
}

// rights asks whether the application may do all that it has to, before it begins: a dead letter that is refused when it is
// written has nowhere to go.
func (r *Ready) rights(ctx context.Context, admin Admin, t *topology.Topology) error {
	read, write := r.needs(t)
	names := maps.Clone(read)
	maps.Copy(names, write)
	rights, err := admin.Rights(ctx, slices.Sorted(maps.Keys(names))...)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(rights)) {
		may := rights[name]
		if role, ok := read[name]; ok && !may.Read {
			errs = append(errs, &MissingRightError{name, role, "Read"})
		}
		if role, ok := write[name]; ok && !may.Write {
			errs = append(errs, &MissingRightError{name, role, "Write"})
		}
	}
	return errors.Join(errs...)
}
