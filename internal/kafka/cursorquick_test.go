package kafka

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// The quick way of the cursor and the slow one read the same records, out of the same bytes, whole or damaged, and stop at the
// same place.
func TestCursorQuickIsSlow(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	quick := 0
	for range 3000 {
		var b Builder
		count := 1 + rng.IntN(90)
		large := rng.IntN(4) == 0
		for i := range count {
			key, value := make([]byte, rng.IntN(70)), make([]byte, rng.IntN(150))
			var h record.Headers
			switch rng.IntN(30) {
			case 0:
				key = nil
			case 1:
				value = nil
			case 2:
				h = record.Headers{}.With("h", []byte("v"))
			case 3:
				value = make([]byte, 8100+rng.IntN(200))
			}
			time := int64(1000 + i)
			if large {
				time += rng.Int64N(1 << 20)
			}
			if _, err := b.Append(time, key, value, h); err != nil {
				t.Fatal(err)
			}
		}
		o, err := b.Seal(None)
		if err != nil {
			t.Fatal(err)
		}
		records := bytes.Clone(o.records)
		if rng.IntN(2) == 0 {
			for range 1 + rng.IntN(4) {
				records[rng.IntN(len(records))] = byte(rng.IntN(256))
			}
		}
		if rng.IntN(4) == 0 {
			records = records[:rng.IntN(len(records)+1)]
		}
		batch := &Batch{tp: orders3}
		one := Cursor{buf: records, left: int32(count), last: -1, maxDelta: int64(count - 1), base: 50, baseTime: 1000, timeMask: -1,
			from: 50 + rng.Int64N(3), batch: batch}
		two := one
		for {
			var r, s record.Raw
			if c := one; c.quick(&r) {
				quick++
			}
			ok, err := one.Next(&r)
			ok2, err2 := two.slow(&s)
			if ok != ok2 || (err == nil) != (err2 == nil) || err != nil && err.Error() != err2.Error() {
				t.Fatalf("at %d: quick %v, %v; slow %v, %v", two.pos, ok, err, ok2, err2)
			}
			if !ok {
				break
			}
			if !bytes.Equal(r.Key, s.Key) || (r.Key == nil) != (s.Key == nil) || !bytes.Equal(r.Value, s.Value) ||
				(r.Value == nil) != (s.Value == nil) || r.Time != s.Time || r.Offset != s.Offset || r.Headers.Len() != s.Headers.Len() ||
				one.pos != two.pos || one.left != two.left || one.last != two.last || cap(r.Value) != cap(s.Value) {
				t.Fatalf("at %d: quick %+v, slow %+v", two.pos, r, s)
			}
		}
	}
	if quick < 10_000 {
		t.Errorf("%d records were read the quick way", quick)
	}
}
