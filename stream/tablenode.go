package stream

import (
	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/topology"
)

// table is what is known of a table while a program is written. Whether it has a store and sends old values is settled when the
// program is complete: later steps may ask for either.
type table[K, V any] struct {
	b       *Builder
	op      *topology.Op
	name    string
	set     settings
	key     serde.Serde[K]
	value   serde.Serde[V]
	sources []*topology.Op

	store   string // name of its store, if it gets one
	stored  bool   // it has one
	lazy    bool   // it gets one when a step needs it
	sendOld bool   // a step needs old values
	reads   string // topic that holds its rows as they are, "" for none

	// Of tables of windows:
	windows    bool       // their store is one of windows
	closeAfter Opt[int64] // how long after its end a window closes, ms; tables that are derived of one have it too
	spec       func() state.Spec
	rows       func(in *topology.Instance) *state.Table[K, V]
	read       func(in *topology.Instance, self *topology.Node) node.Getter[K, V]

	// Of tables without a store, whose rows are computed from those of the tables above:
	oldFrom func(force bool) bool
	stores  func() []string
	history func() bool // they keep older versions
	compute func(in *topology.Instance, self *topology.Node, asOf *int64) node.Getter[K, V]
	joined  bool // of two tables, which must send old values where this one does

	uses func(*topology.Compiler, *topology.Node) // adds the stores that its function opens, nil: none
}

// ownSerde is the serde of an option if it has the right type, else the inherited one. A wrong type is reported by Build.
func ownSerde[T any](given *typedSerde, inherited serde.Serde[T]) serde.Serde[T] {
	if s, ok := given.serde.(serde.Serde[T]); ok {
		return s
	}
	return inherited
}

// enableOld asks the table to send old values. Without force it answers false rather than get a store for it.
func (t *table[K, V]) enableOld(force bool) bool {
	switch {
	case t.sendOld:
		return true
	case t.joined:
		t.oldFrom(true)
	case t.stored:
	case t.lazy:
		if !force {
			return false
		}
		t.stored = true
	default:
		if !t.oldFrom(force) {
			return false
		}
	}
	t.sendOld = true
	return true
}

// storeNames returns the stores that reading a row needs. A table that reads from a topic gets its store by this.
func (t *table[K, V]) storeNames() []string {
	if t.lazy {
		t.stored = true
	}
	if t.stored {
		return []string{t.store}
	}
	return t.stores()
}

// derive begins a table that is computed row by row from another. It has a store only if the user names it.
func derive[K, V, V2 any](up *table[K, V], set settings, prefix string, burns bool) *table[K, V2] {
	g := up.b.graph
	t := &table[K, V2]{b: up.b, set: set, store: set.store, stored: set.named(), sources: up.sources}
	if set.materialized && set.store == "" && (burns || t.stored) {
		t.store = g.StoreName(prefix)
	}
	t.closeAfter = up.closeAfter
	t.key = ownSerde(&t.set.key, up.key)
	t.value = ownSerde[V2](&t.set.value, nil)
	t.oldFrom, t.stores, t.history = up.enableOld, up.storeNames, up.versioned
	t.name = g.NameOr(set.name, prefix)
	return t
}

// finish adds the step. proc makes the node's Proc, of changes of the table above, which sends its own changes to out.
func (t *table[K, V]) finish(above *topology.Op,
	proc func(in *topology.Instance, self *topology.Node, out *node.Emitter[K, V]) any) Table[K, V] {
	t.op = t.b.graph.Add(&topology.Op{Site: t.set.site, Name: t.name, Write: func(c *topology.Compiler) *topology.Node {
		parent := c.Out(above)
		k, v := t.serdes(c)
		n := topology.NewProcessor(t.name, func(in *topology.Instance, self *topology.Node) error {
			in.Attach(parent, self, proc(in, self, t.emitter(in, self, k, v)))
			return nil
		})
		return t.add(c, n, k, v, parent)
	}}, above)
	return Table[K, V]{t}
}

// serdes finds the serdes of the store, if there is one.
func (t *table[K, V]) serdes(c *topology.Compiler) (k serde.Serde[K], v serde.Serde[V]) {
	if t.stored {
		k, v = keySerde(c, t.b, &t.set, t.key), valueSerde(c, t.b, &t.set, t.value)
	}
	return k, v
}

// add adds the table's node, and its store if it has one.
func (t *table[K, V]) add(c *topology.Compiler, n *topology.Node, k serde.Serde[K], v serde.Serde[V],
	parents ...*topology.Node) *topology.Node {
	n.OnError = t.set.policy
	c.Add(n, parents...)
	if t.uses != nil {
		t.uses(c, n)
	}
	t.addStore(c, n, k, v)
	return n
}

// addStore adds the table's store, if it has one, or connects the node with it.
func (t *table[K, V]) addStore(c *topology.Compiler, n *topology.Node, k serde.Serde[K], v serde.Serde[V]) {
	if !t.windows {
		refuseWindowOptions(c, &t.set)
	} else if t.set.history != nil {
		c.Fault("%s: Versioned is for tables without windows: leave it out", t.set.call)
	}
	if !t.stored {
		return
	}
	storable(c, t.set.call, k, v)
	var spec state.Spec
	switch {
	case t.spec != nil:
		spec = t.spec()
	case t.set.history != nil:
		spec = state.VersionedSpec(t.store, k, v, state.VersionedConfig{History: t.set.history.Milliseconds()})
	default:
		spec = state.TableSpec(t.store, k, v)
	}
	spec.InMemory, spec.Logged = t.set.inMemory, !t.set.noChangelog
	spec.Buffered = t.set.emit == EmitDeduped && t.set.history == nil
	reads := ""
	if spec.FromSource != nil {
		reads = t.reads
	}
	c.Store(n, &topology.Store{Name: t.store, Spec: spec, Identity: t, Reads: reads})
}

// refuseWindowOptions finds options that only tables of windows have.
func refuseWindowOptions(c *topology.Compiler, set *settings) {
	refuse := func(option string, given bool) {
		if given {
			c.Fault("%s: %s is for tables of windows: use WindowBy or SessionBy before, or leave it out", set.call, option)
		}
	}
	refuse("EmitOnClose", set.emit == EmitOnClose)
	refuse("Retention", set.retention.IsSome())
	refuse("ExpireOnJump", set.expireOnJump)
}

// storable finds keys and values that a store cannot tell from absence.
func storable[K, V any](c *topology.Compiler, call string, k serde.Serde[K], v serde.Serde[V]) {
	if _, ok := k.(serde.Nullable[K]); ok {
		c.Fault("%s: keys of type %s may be null, which a table has no row for: use PresentKeys before", call, typeName[K]())
	}
	if _, ok := v.(serde.Nullable[V]); ok {
		c.Fault("%s: values of type %s may be null, which a table cannot keep: use Present before, or the Opt twin of the step",
			call, typeName[V]())
	}
}

// versioned tells whether the table keeps older versions of its rows, or can compute them.
func (t *table[K, V]) versioned() bool {
	switch {
	case t.set.history != nil:
		return true
	case t.stored || t.history == nil:
		return false
	}
	return t.history()
}

// open returns the table's store in a task, nil if it has none or a versioned one.
func (t *table[K, V]) open(in *topology.Instance) *state.Table[K, V] {
	switch {
	case !t.stored || t.set.history != nil:
		return nil
	case t.rows != nil:
		return t.rows(in)
	}
	return in.Store(t.store).(*state.Table[K, V])
}

// emitter makes what sends the table's changes on.
func (t *table[K, V]) emitter(in *topology.Instance, self *topology.Node, k serde.Serde[K], v serde.Serde[V]) *node.Emitter[K, V] {
	e := t.sender(in, self, k, v)
	if t.stored && t.set.history == nil {
		in.AddDrain(e)
	}
	return e
}

// sender is an emitter whose buffer, if it has one, is emptied by another one of the table.
func (t *table[K, V]) sender(in *topology.Instance, self *topology.Node, k serde.Serde[K], v serde.Serde[V]) *node.Emitter[K, V] {
	e := node.NewEmitter(in.Task, in.Info(self), t.open(in), t.stored && in.Buffered(t.store), t.sendOld,
		topology.After[K, node.Change[V]](in, self)).Describes(k, v)
	if t.stored && t.set.history != nil {
		e.Versions(in.Store(t.store).(*state.Versioned[K, V]))
	}
	return e
}

// getter makes what reads the table's rows in a task: as they are, or, unless asOf is nil and if the table is versioned, as they
// were at that time.
func (t *table[K, V]) getter(in *topology.Instance, asOf *int64) node.Getter[K, V] {
	self := in.Node(t.name)
	switch {
	case t.read != nil:
		return t.read(in, self)
	case t.stored && t.set.history != nil:
		return node.VersionedGetter(in.Task, in.Info(self), in.Store(t.store).(*state.Versioned[K, V]), asOf)
	case t.stored:
		return node.StoreGetter(in.Task, in.Info(self), t.open(in))
	}
	return t.compute(in, self, asOf)
}
