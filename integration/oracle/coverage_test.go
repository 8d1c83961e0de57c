package oracle

import (
	"slices"
	"strings"
	"testing"
)

// coverage counts what the programs of a test have shown.
type coverage map[string]int

func (c coverage) note(p Program, r result) {
	for _, s := range p {
		c["op "+string(s.Op)]++
	}
	for _, l := range r.letters {
		c["letter "+l.Stage+" "+l.Class]++
		if strings.HasSuffix(strings.Split(l.At, "/")[0], "-repartition") {
			c["letter of a record of an internal topic"]++
		}
	}
	for _, records := range r.out {
		c["outputs"] += len(records)
	}
	c["skipped records"] += int(r.counts.Skipped)
}

// report prints what was seen. What never happened was not shown.
func (c coverage) report(t *testing.T) {
	t.Helper()
	want := []string{"letter deserialize_key poison", "letter deserialize_key panic", "letter deserialize_value poison",
		"letter deserialize_value panic", "letter timestamp poison", "letter process permanent", "letter process panic",
		"letter serialize_value permanent", "letter serialize_value panic", "letter of a record of an internal topic",
		"skipped records", "outputs"}
	for _, op := range slices.Concat(onStreams, onTables, []Op{From, TableFrom, Branch}) {
		want = append(want, "op "+string(op))
	}
	for _, k := range want {
		t.Logf("%6d %s", c[k], k)
		if c[k] == 0 && !t.Failed() {
			t.Errorf("%s: never seen, so nothing is shown about it: raise OXBOW_SEEDS or mend the generator", k)
		}
	}
}
