package node

import (
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
)

// closing sends windows on that have closed.
//
//	C1  Each is a unit inside that of the record that closed it: one that fails is undone and set aside alone, under no
//	    coordinates since many records made it, and neither comes back nor blames the record.
//	C2  Up to which time windows have been sent on is kept across restarts, under the name of the store as Kafka Streams does,
//	    and is undone with the record.
//	C3  A row is sent with its own timestamp, a session with its end, and with the headers of the record that closed it. There is
//	    no old value.
//	C4  A row that cannot be read is a unit as the others are, and fails by itself: those after it are sent all the same.
//
// closing is the Due of its node, filled anew for each window.
type closing[K, A any] struct {
	task *Task
	out  *Emitter[record.Windowed[K], A]
	done *Clock // windows that had closed by then have been sent on
	rec  Rec[record.Windowed[K], A]
	err  error      // why the row cannot be read
	kept record.Raw // it, as it is kept
}

func newClosing[K, A any](t *Task, at *Info, store string, out *Emitter[record.Windowed[K], A]) *closing[K, A] {
	return &closing[K, A]{task: t, out: out, done: t.NewClock(store)}
}

// send sends the rows of a cursor on, and closes it.
func (c *closing[K, A]) send(rows *state.Cursor[record.Windowed[K], A], h record.Headers) error {
	defer rows.Close()
	for {
		if rows.Next() {
			c.rec = Rec[record.Windowed[K], A]{Key: rows.Key(), Value: rows.Value(), Time: rows.Time(), Headers: h}
			c.err = nil
		} else if c.err = rows.Err(); c.err == nil || !rows.Skip() {
			return c.task.stateError(c.out.at, c.err)
		} else {
			key, value := rows.Raw()
			c.kept = record.Raw{Key: key, Value: value, Time: rows.Time(), Offset: -1, Headers: h}
		}
		if err := c.task.Emit(c); err != nil {
			return err
		}
	}
}

// Info implements [Due].
func (c *closing[K, A]) Info() *Info { return c.out.at }

// Emit implements [Due].
func (c *closing[K, A]) Emit() error {
	if c.err != nil {
		c.task.At, c.task.Doing = c.out.at, DoingState
		return c.task.stateError(c.out.at, c.err)
	}
	return c.out.send(c.rec.Key, Change[A]{New: record.Some(c.rec.Value)}, c.rec.Time, c.rec.Headers)
}

// Input implements [Due].
func (c *closing[K, A]) Input() Input {
	raw := c.kept
	if c.err == nil {
		raw = c.out.describe(c.rec.Key, record.Some(c.rec.Value), c.rec.Time, c.rec.Headers)
	}
	return Input{Coordinates: NoCoordinates(), Raw: &raw}
}
