package state

// What the cache knows of a key. All of it is undone with a unit, slotRef and slotOver aside, which are hints.
const (
	slotUsed     uint64 = 1 << iota // the slot has a key
	slotPresent                     // the key has a value
	slotUnknown                     // not looked up in the engine: neither present nor absent
	slotDirty                       // the next Freeze writes it
	slotPinned                      // frozen, but not in the engine yet
	slotInEngine                    // the engine or the frozen batch has the key, or may have it
	slotNoted                       // downstream must see it at the next drain
	slotOld                         // the value last emitted downstream is in old
	slotRef                         // used since the clock's hand last passed
	slotOver                        // of windows and sessions: to be forgotten when what it was frozen with is in the engine

	slotBusy = slotDirty | slotPinned | slotNoted // cannot be forgotten

	slotSeq = 24 // the bits from here hold the sequence number of the last note
	seqMask = ^uint64(1<<slotSeq - 1)
)

const (
	inlineKey = 23  // bytes of key in the slot itself
	longKey   = 255 // length mark of a key in the arena: key[0:8] is its span
)

// slot is what the cache keeps of a key: state and emission buffer of a row in one cache line, if X has 8 bytes.
// X is a decoded value or the span of an encoded one.
type slot[X any] struct {
	key    [inlineKey]byte
	klen   uint8
	meta   uint64
	ts     int64 // of the value; of a deleted one the time of its deletion
	noteTs int64 // of the last note
	val    X
	old    X // last emitted downstream, if slotOld
}

// chunkLen slots are allocated together: growth copies nothing and slots never move.
const chunkLen = 512

type chunk[X any] [chunkLen]slot[X]
