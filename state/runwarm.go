package state

import (
	"hash/maphash"
	"unsafe"
)

// runsAhead is what has been announced to a store of windows or sessions: see foresight. Its keys are those of the user.
type runsAhead struct {
	groups [2]expectedRuns
	now    int
}

type expectedRuns struct {
	hashes [WarmMost]uint32
	runs   [WarmMost]uint32 // noSlot: the key had no run
	at, n  int
}

// warmRuns is warm by the user's keys: it fetches their runs, and the last rows of those announced before them.
func (c *cache[X]) warmRuns(keys [][]byte) {
	var want lines
	x := c.byKey
	w, mask := &x.ahead.groups[x.ahead.now], uint32(len(x.index)-1)
	x.ahead.now ^= 1
	w.at, w.n = 0, min(len(keys), WarmMost)
	for j, k := range keys[:w.n] {
		h := uint32(maphash.Bytes(c.seed, k))
		w.hashes[j&(WarmMost-1)] = h
		want[j&(WarmMost-1)] = unsafe.Pointer(&x.index[h&mask])
	}
	prefetch(&want, w.n)
	c.warmLast(&x.ahead.groups[x.ahead.now])
	n := 0
	for j := range w.n {
		i, ok := x.probe(w.hashes[j&(WarmMost-1)])
		if !ok {
			i = noSlot
		} else {
			want[n&(WarmMost-1)] = unsafe.Pointer(&x.list[i])
			n++
		}
		w.runs[j&(WarmMost-1)] = i
	}
	prefetch(&want, n)
}

// warmLast fetches the last rows of runs that warmRuns has found.
func (c *cache[X]) warmLast(w *expectedRuns) {
	var want lines
	n := 0
	for _, i := range w.runs[:w.n] {
		if i == noSlot {
			continue
		}
		if r := &c.byKey.list[i]; r.n > 0 {
			want[n&(WarmMost-1)] = unsafe.Pointer(c.slot(r.slot))
			n++
		}
	}
	prefetch(&want, n)
}

// probe returns the run that most likely is that of a key with a hash.
func (x *runs) probe(hash uint32) (n uint32, ok bool) {
	mask := uint32(len(x.index) - 1)
	for p := hash & mask; x.index[p] != 0; p = (p + 1) & mask {
		if e := x.index[p]; (e^hash)&^mask == 0 {
			return e&mask - 1, true
		}
	}
	return 0, false
}

// nextRun returns the run of a key that warmRuns has announced, if its turn has come.
func (c *cache[X]) nextRun(key []byte) (n uint32, ok bool) {
	a := &c.byKey.ahead
	w := &a.groups[a.now]
	if w.at >= w.n {
		a.now ^= 1
		if w = &a.groups[a.now]; w.at >= w.n {
			return 0, false
		}
	}
	n = w.runs[w.at&(WarmMost-1)]
	if n == noSlot || !c.isRun(n, key) {
		return 0, false
	}
	w.at++
	return n, true
}

// resume is that of foresight.
func (a *runsAhead) resume(hash uint32) {
	w := &a.groups[a.now]
	for j := w.at; j < min(w.n, w.at+skipTo); j++ {
		if w.hashes[j&(WarmMost-1)] == hash {
			w.at = j + 1
			return
		}
	}
}
