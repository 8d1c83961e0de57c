package state

import (
	"bytes"
	"testing"
)

// FuzzHistory: no bytes make the reader of a row of versions panic, and a row that it takes is written again byte for byte.
func FuzzHistory(f *testing.F) {
	f.Add([]byte{})
	f.Add(newHistory(nil, 5, 5, nil))
	h := history(newHistory(nil, 5, 9, []byte("v")))
	f.Add([]byte(h.addNewest(nil, 20, 30, []byte("w"))))
	f.Add([]byte(h.addOldest(nil, 1, nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		h := history(b)
		if h.check() != nil {
			return
		}
		var again history
		end := h.end()
		for at := historyHead; at < len(h); at = h.after(at) {
			if again == nil {
				again = newHistory(nil, h.from(at), end, h.value(at))
			} else {
				again = again.splice(nil, len(again), len(again), h.from(at), h.value(at))
			}
			if h.from(at) < end {
				if got, to := h.find(h.from(at)); got != at || to != end {
					t.Fatalf("the version from %d to %d at %d is found at %d, to %d", h.from(at), end, at, got, to)
				}
			}
			end = h.from(at)
		}
		if !bytes.Equal(again, h) {
			t.Fatalf("%x is written again as %x", b, again)
		}
	})
}
