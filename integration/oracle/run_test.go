package oracle

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// result is all that a run left behind, as text: it is what a difference shows.
type result struct {
	out     map[string][]Record
	letters []Letter
	stores  map[string]string
	counts  Counts
}

func (r result) String() string {
	var b strings.Builder
	for _, t := range sorted(r.out) {
		for _, x := range r.out[t] {
			fmt.Fprintf(&b, "%s: %s\n", t, x)
		}
	}
	for _, l := range r.letters {
		fmt.Fprintf(&b, "letter: %s\n", l)
	}
	for _, s := range sorted(r.stores) {
		fmt.Fprintf(&b, "store %s: %s\n", s, r.stores[s])
	}
	fmt.Fprintf(&b, "%+v\n", r.counts)
	return b.String()
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// expected runs the model.
func expected(p Program, inputs []Input) result {
	m := NewModel(p)
	for _, in := range inputs {
		m.Feed(in)
	}
	r := result{out: m.Out, letters: m.Letters, counts: m.Counts, stores: map[string]string{}}
	for i := range p {
		rows, ok := m.Rows(i)
		if !ok || !hasNamedStore(p, i) {
			continue
		}
		var b strings.Builder
		for _, k := range sorted(rows) {
			fmt.Fprintf(&b, "[%s] ", rows[k])
		}
		r.stores[p.StoreName(i)] = b.String()
	}
	return r
}

// hasNamedStore tells whether a table has a store that can be asked for by name.
func hasNamedStore(p Program, i int) bool {
	switch p[i].Op {
	case TableFrom, ToTable, FilterTable, MapTable:
		return p[i].Store
	}
	return p.IsTable(i)
}

// mode is how a program is run.
type mode struct {
	opts    []streamtest.Option
	restart bool // before every input
	batch   int  // inputs of one topic that come together
}

// actual runs the real thing.
func actual(p Program, inputs []Input, how mode) (r result, err error) {
	d, err := streamtest.Open(build(p), how.opts...)
	if err != nil {
		return r, err
	}
	defer d.Close()
	var gone Counts
	for at := 0; at < len(inputs); {
		if how.restart {
			gone = plus(gone, d)
			if err := d.Restart(); err != nil {
				return r, fmt.Errorf("restart before input %d: %w", at, err)
			}
		}
		n := 1
		for n < how.batch && at+n < len(inputs) && inputs[at+n].Topic == inputs[at].Topic {
			n++
		}
		if err := pipe(d, inputs[at:at+n]); err != nil {
			return r, fmt.Errorf("input %d: %w", at, err)
		}
		at += n
	}
	return collect(d, p, gone)
}

func pipe(d *streamtest.Driver, inputs []Input) error {
	var raw []streamtest.RawRecord
	for _, in := range inputs {
		r := streamtest.RawRecord{Key: bytesOf(in.Key), Value: bytesOf(in.Value), Time: time.UnixMilli(in.Time)}
		if in.Label != "" {
			r.Headers = record.Headers{}.With("label", []byte(in.Label))
		}
		raw = append(raw, r)
	}
	return d.PipeBatch(inputs[0].Topic, raw)
}

func bytesOf(v *string) []byte {
	if v == nil {
		return nil
	}
	return []byte(*v)
}

func textOf(b []byte) *string {
	if b == nil {
		return nil
	}
	return text(string(b))
}

func plus(c Counts, d *streamtest.Driver) Counts {
	s := d.Stats()
	return Counts{c.Consumed + s.Consumed, c.Completed + s.Completed, c.DeadLettered + s.DeadLettered, c.Skipped + s.Skipped}
}

// collect reads what a driver holds. The changelog of every store must fold to its rows.
func collect(d *streamtest.Driver, p Program, gone Counts) (r result, err error) {
	r = result{out: map[string][]Record{}, counts: plus(gone, d), stores: map[string]string{}}
	if n := d.Stats().Retrying; n != 0 {
		return r, fmt.Errorf("%d records wait for a retry", n)
	}
	inputs := map[string]bool{streamtest.DeadLetterTopic: true}
	for _, s := range p {
		if s.Op == From || s.Op == TableFrom {
			inputs[s.Topic] = true
		}
	}
	for _, t := range d.Topics() {
		if inputs[t] || strings.HasPrefix(t, "test-") {
			continue
		}
		for _, x := range d.Drain(t) {
			r.out[t] = append(r.out[t], recordOf(x))
		}
	}
	for _, l := range d.DeadLetters() {
		at := fmt.Sprintf("%s/%s/%s", l.Header("__streams.errors.topic"), l.Header("__streams.errors.partition"),
			l.Header("__streams.errors.offset"))
		rec := recordOf(l.RawRecord)
		if strings.Contains(at, "sumTable") || strings.Contains(at, "concatTable") { // its value is a change, in a form of its own
			rec.Value = nil
		}
		r.letters = append(r.letters, Letter{l.Stage(), l.Node(), l.Header("__streams.dlq.class"), at,
			l.Header("__streams.dlq.origin"), rec})
	}
	for i := range p {
		if !hasNamedStore(p, i) {
			continue
		}
		name := p.StoreName(i)
		if r.stores[name], err = storeOf(d, p[i].Op, name); err != nil {
			return r, err
		}
	}
	return r, nil
}

func recordOf(x streamtest.RawRecord) Record {
	r := Record{Key: textOf(x.Key), Value: textOf(x.Value), Time: x.Time.UnixMilli()}
	var labels []string
	for k, v := range x.Headers.All() {
		if strings.HasPrefix(k, "__streams.errors.") || strings.HasPrefix(k, "__streams.dlq.") {
			continue
		}
		if k != "label" {
			labels = append(labels, k)
		}
		labels = append(labels, string(v))
	}
	r.Label = strings.Join(labels, ",")
	return r
}

// storeOf shows the rows of a store, which must be those of its changelog.
func storeOf(d *streamtest.Driver, op Op, name string) (string, error) {
	if op == Count || op == SumTable {
		return rowsOf(d, name, serde.Int64)
	}
	return rowsOf(d, name, serde.String)
}

func rowsOf[V any](d *streamtest.Driver, name string, values serde.Serde[V]) (string, error) {
	rows, err := streamtest.Store(d, name, serde.String, values)
	if err != nil {
		return "", err
	}
	var b, folded strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "[%s=%v @%d] ", r.Key, r.Value, r.Time.UnixMilli())
	}
	log := map[string]streamtest.RawRecord{}
	for _, x := range d.Drain("test-" + name + "-changelog") {
		log[string(x.Key)] = x
		if x.Value == nil {
			delete(log, string(x.Key))
		}
	}
	for _, k := range sorted(log) {
		v, err := values.Decode(log[k].Value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&folded, "[%s=%v @%d] ", k, v, log[k].Time.UnixMilli())
	}
	if b.String() != folded.String() {
		return "", fmt.Errorf("store %s holds %s, its changelog %s", name, b.String(), folded.String())
	}
	return b.String(), nil
}
