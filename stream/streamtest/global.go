package streamtest

import (
	"errors"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
)

// A global table is filled by a task as any other, so that what fails there has a policy too. Tasks read what it has committed.

// openGlobals lets tasks read the stores of the global tables.
func (d *Driver) openGlobals() error {
	d.shop.Globals = map[string]node.GlobalView{}
	for _, g := range d.topo.Globals {
		space, err := d.opts.engine.Space(record.TaskID{Sub: int32(g.Sub.ID)})
		if err != nil {
			return err
		}
		d.spaces = append(d.spaces, space)
		store, err := space.Store(g.Store.Name, g.Store.Spec.Kind)
		if err != nil {
			return err
		}
		d.shop.Globals[g.Store.Name] = store
	}
	return nil
}

func (d *Driver) closeGlobals() {
	var errs []error
	for _, s := range d.spaces {
		errs = append(errs, s.Close())
	}
	d.spaces = nil
	if err := errors.Join(errs...); err != nil {
		d.fail(err)
	}
}
