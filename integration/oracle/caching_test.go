package oracle

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// What is to be expected of a step's output when updates are deduped.
type stability int

const (
	exact    stability = iota // no table above it: the same records
	eventual                  // the same last value of each key, and no value that was never there
	novel                     // the same last value of each key; groups miss updates in between, so values may be new
	unstable                  // it depends on every single update
)

func stabilityOf(p Program, i int) stability {
	s := p[i]
	of := exact
	for _, j := range s.Of {
		of = max(of, stabilityOf(p, j))
	}
	if of == novel && s.Op != ToStream && s.Op != To {
		return unstable // a group without members may be 0 or not there at all, which what follows tells apart
	}
	switch s.Op {
	case MapValues, Peek, Repartition, To:
		return of
	case ToTable, ToStream, MapTable, FilterTable:
		return max(of, eventual)
	case Count, Reduce, Aggregate, AggregateOpt:
		if of == exact {
			return eventual
		}
	case SumTable:
		if of == eventual {
			return novel
		}
	default:
		if of == exact {
			return exact
		}
	}
	return unstable
}

// With caching, the last value of every key is what it is without, and no value is sent that was never there. In batches, where
// a commit dedups more, too. Functions that fail are left out: what fails then is a row, not a record.
func TestCachingChangesNoLastValue(t *testing.T) {
	deduped := 0
	check(t, 200, func(t *rapid.T) {
		l := limits{poison: true}
		p := drawProgram(t, l)
		inputs := drawInputs(t, p, l, 40)
		want := expected(p, inputs)
		for _, how := range []mode{{}, {batch: 1000}, {restart: true}, {opts: []streamtest.Option{streamtest.Twice()}}} {
			if how.batch > 0 && !oneInputEach(t, p) {
				continue
			}
			got, err := actual(p, inputs, how)
			if err != nil {
				t.Fatalf("%v\n%s%v", err, p, inputs)
			}
			for i, s := range p {
				if s.Op != To {
					continue
				}
				stable := stabilityOf(p, i)
				if why := differ(stable, got.out[s.Topic], want.out[s.Topic]); why != "" {
					t.Fatalf("%s with caching: %s\n%swithout\n%sprogram\n%sinputs %v", s.Topic, why, got, want, p, inputs)
				}
				if stable == eventual && len(got.out[s.Topic]) < len(want.out[s.Topic]) {
					deduped++
				}
			}
		}
	})
	if t.Logf("%d tables sent fewer updates", deduped); deduped == 0 {
		t.Error("no update was ever deduped")
	}
}

// differ says how records with caching break what is expected of them.
func differ(s stability, got, want []Record) string {
	if s == unstable {
		return ""
	}
	if s == exact {
		if !slices.EqualFunc(got, want, func(a, b Record) bool { return a.String() == b.String() }) {
			return "other records"
		}
		return ""
	}
	last := func(list []Record) (map[string]string, map[string]bool) {
		m, all := map[string]string{}, map[string]bool{}
		for _, r := range list {
			k, v := Text(r.Key), Text(r.Value)
			all[k+"="+v] = true
			m[k] = v
			if r.Value == nil || s == novel && v == "0" {
				delete(m, k)
			}
		}
		return m, all
	}
	g, sent := last(got)
	w, had := last(want)
	for _, k := range append(sorted(g), sorted(w)...) {
		if g[k] != w[k] {
			return "the last value of " + k + " is " + g[k] + ", want " + w[k]
		}
	}
	if s == eventual {
		for x := range sent {
			if !had[x] && !strings.HasSuffix(x, "=-") {
				return x + " was never there"
			}
		}
	}
	return ""
}

// oneInputEach tells whether every task reads one topic, so that the order in which it sees its records does not depend on how
// they arrive.
func oneInputEach(t *rapid.T, p Program) bool {
	topo, err := build(p).Build("test")
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range topo.Subs {
		if len(sub.Topics) > 1 {
			return false
		}
	}
	return true
}

// Records that come one by one and records that come in one batch make the same outputs, letters, tables and counts.
func TestBatchesChangeNothing(t *testing.T) {
	batched := 0
	check(t, 100, func(t *rapid.T) {
		l := limits{fails: true, joins: true, order: true, poison: true}
		p := drawProgram(t, l)
		inputs := drawInputs(t, p, l, 40)
		if !oneInputEach(t, p) {
			return
		}
		want := expected(p, inputs)
		got, err := actual(p, inputs, mode{opts: plain, batch: 1000})
		if err != nil {
			t.Fatalf("%v\n%s%v", err, p, inputs)
		}
		// The letters of a task are in order, those of two tasks are not.
		for _, r := range []result{got, want} {
			slices.SortStableFunc(r.letters, func(a, b Letter) int { return strings.Compare(topicOf(a), topicOf(b)) })
		}
		if got.String() != want.String() {
			t.Fatalf("in batches\n%sone by one\n%sprogram\n%sinputs %v", got, want, p, inputs)
		}
		batched++
	})
	if t.Logf("%d programs in batches", batched); batched == 0 {
		t.Error("no program could be run in batches")
	}
}

func topicOf(l Letter) string {
	topic, _, _ := strings.Cut(l.At, "/")
	return topic
}
