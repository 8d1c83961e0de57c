package state

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// limit is how many bytes the key and value of a changelog record may have together; 0 for no limit. A write that would make a
// larger one fails when it is made, as the fault of its record: at the commit it would be nobody's.
//
// Values of a fixed size are not measured, unless the limit is so low that their keys alone may reach it.
type limit int

// lowLimit is one that keys of the length that slots hold, and small values, may reach.
const lowLimit = 4 << 10

// check refuses a row that is too large.
func (l limit) check(task record.TaskID, store string, key []byte, value int) error {
	if l <= 0 || len(key)+value <= int(l) {
		return nil
	}
	return &CodecError{task, store, "encode value", append([]byte(nil), key...), fmt.Errorf(
		"%d bytes of key and value, the changelog topic takes %d (max.message.bytes)", len(key)+value, int(l))}
}

// low tells whether every write has to be measured.
func (l limit) low() bool { return l > 0 && l < lowLimit }

// checkDecoded refuses a value that is kept decoded, if its row is too large. size is its encoded length, −1 if it was not encoded.
func (c *core[K, V]) checkDecoded(i uint32, v *V, size int) error {
	s := c.dec.slot(i)
	if size < 0 {
		// Encodings of strings may be longer than the strings: 6 bytes for one in JSON.
		if !c.limit.low() && s.klen != longKey && (c.dec.plain || c.dec.sizes != nil && 8*stringBytes(v, c.dec.sizes)+lowLimit < int(c.limit)) {
			return nil
		}
		b, err := c.tryEncode(*v)
		if err != nil {
			return err
		}
		size = len(b)
	}
	return c.limit.check(c.task, c.name, c.dec.keyOf(s), size)
}
