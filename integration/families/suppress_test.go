package families

import (
	"cmp"
	"slices"

	"github.com/oxbow-streams/oxbow/stream"
)

const holdBack = 301

var suppressFamilies = []*family{
	{
		name: "suppress-until-closed", parts: 2,
		build: func(b *stream.Builder, p place) {
			writeWindows(stream.SuppressUntilWindowCloses(tumbling.reduce(b, p)), p)
		},
		model: func(in []input) []output {
			var held suppressed
			for _, c := range tumbling.model(in, false) {
				o := output{windowKey(c.key, c.start, c.end), c.value, c.time}
				held.take(o, c.end, tumbling.grace)
			}
			return held.out
		},
	},
	{
		name: "suppress-for-a-time", parts: 2,
		build: func(b *stream.Builder, p place) {
			write(table(b, p.in(0)).SuppressUntilTimeLimit(ms(holdBack)).ToStream(), p)
		},
		model: func(in []input) []output {
			var held suppressed
			for _, r := range in {
				held.take(output{r.key, r.value, r.time}, r.time, holdBack)
			}
			return held.out
		},
	},
}

// suppressed are updates that are held back, by the time of the first of each row, until the latest update is past that by some time.
type suppressed struct {
	now  int64
	rows []held
	out  []output
}

type held struct {
	output
	place int64
}

func (s *suppressed) take(o output, place, wait int64) {
	s.now = max(s.now, o.time)
	if i := slices.IndexFunc(s.rows, func(h held) bool { return h.key == o.key }); i >= 0 {
		s.rows[i].output = o
	} else {
		s.rows = append(s.rows, held{o, place})
		slices.SortStableFunc(s.rows, func(a, b held) int { return cmp.Or(cmp.Compare(a.place, b.place), cmp.Compare(a.key, b.key)) })
	}
	for len(s.rows) > 0 && s.rows[0].place <= s.now-wait {
		s.out = append(s.out, s.rows[0].output)
		s.rows = s.rows[1:]
	}
}
