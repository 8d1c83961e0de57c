package restore

import "testing"

// The state of a table that is restored from its source topic goes as far as the task has committed, whatever the topic holds.
func TestWhereAJourneyThroughASourceTopicEnds(t *testing.T) {
	const fresh = 99 * hour
	for name, tc := range map[string]struct {
		stored, limit int64
		want          action
		end           int64
	}{
		"nothing stored, nothing committed":     {-1, 5, finish, 5},
		"nothing stored":                        {-1, 40, fetch, 40},
		"behind the group":                      {20, 40, fetch, 40},
		"with the group":                        {40, 40, leave, 40},
		"ahead of the group":                    {60, 40, leave, 40},
		"ahead of the topic":                    {91, 40, wipe, 40},
		"the group is ahead of the topic":       {20, 95, fetch, 90},
		"the group is before the topic's start": {-1, 2, finish, 5},
	} {
		t.Run(name, func(t *testing.T) {
			j := from(tc.stored, fresh)
			j.limited, j.limit = true, tc.limit
			j.must(t, begun{}, ask)
			j.must(t, bounded{5, 90}, tc.want)
			if j.end != tc.end {
				t.Errorf("it ends at %d, want %d", j.end, tc.end)
			}
		})
	}
}
