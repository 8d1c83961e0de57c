package families

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// null stands for a null value.
const null = "-"

// input is a record of one of a family's topics. Times count from a time that is a multiple of every window's size.
type input struct {
	side       int
	key, value string
	time       int64
}

// output is a record that a family writes.
type output struct {
	key, value string
	time       int64
}

func (o output) String() string { return fmt.Sprintf("%s=%s @%d", o.key, o.value, o.time) }

const (
	steps       = 260    // records of a partition, all topics together
	firstTime   = 10_000 // no window begins before 0
	lateMost    = 120    // how far records are out of order, but for a few
	lateFar     = 900    // how far those are
	keysPerPart = 3
)

// draw makes the records of one partition, by topic in their order. Times of a topic are all different, and so are those of two:
// of equal ones it is not defined which goes first. They are even but for the topic's number: bounds of sessions and of what a
// store still holds are odd, so that no record lies exactly on one (where Kafka Streams' stores and nodes disagree).
func draw(r *rand.Rand, f *family, part int) [][]input {
	sides := make([][]input, f.sides)
	used := map[int64]bool{}
	now := int64(firstTime)
	for n := range steps {
		side := r.IntN(f.sides)
		if now += int64(r.IntN(40)); r.IntN(25) == 0 {
			now += int64(400 + r.IntN(1600))
		}
		late := int64(0)
		switch k := r.IntN(20); {
		case k == 0 && !f.punctual:
			late = int64(r.IntN(lateFar))
		case k < 8:
			late = int64(r.IntN(lateMost))
		}
		time := (now-late)/4*4 + 2*int64(side)
		for used[time] {
			time += 4
		}
		used[time] = true
		now = max(now, time)
		in := input{side, fmt.Sprint("k", part+int(f.parts)*r.IntN(keysPerPart)), fmt.Sprint("v", n), time}
		if f.values != nil {
			in.value = f.values(r, side, n)
		}
		if r.IntN(12) == 0 {
			in.value = null
		}
		sides[side] = append(sides[side], in)
	}
	return sides
}

// merged puts the records of one partition into the order in which a task takes them: of the first ones of its topics the
// earliest (F2).
func merged(sides [][]input) (all []input) {
	sides = slices.Clone(sides)
	for {
		best := -1
		for i, s := range sides {
			if len(s) > 0 && (best < 0 || s[0].time < sides[best][0].time) {
				best = i
			}
		}
		if best < 0 {
			return all
		}
		all = append(all, sides[best][0])
		sides[best] = sides[best][1:]
	}
}

// partOf is the partition of the input that an output's key comes from: keys are "k" and a number, and what follows.
func partOf(key string, parts int32) int {
	digits, _, _ := strings.Cut(strings.TrimPrefix(key, "k"), "[")
	n, _ := strconv.Atoi(digits)
	return n % int(parts)
}
