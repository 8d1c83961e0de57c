package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// row is a line of the report: one case with one codec. Figures are records per CPU-second, medians over the rounds.
type row struct {
	Case   string             `json:"case"`
	Codec  string             `json:"codec"`
	Lane   string             `json:"lane"`
	Rounds int                `json:"rounds"`
	Ours   *float64           `json:"ours"`
	Limit  *float64           `json:"limit"`
	Ratio  *float64           `json:"ratio"` // ours to limit, median of the ratios within rounds
	Peers  map[string]float64 `json:"peers"`
	Allocs *float64           `json:"allocs_per_record"` // of ours

	names   []string
	samples map[string][]*outcome // by round; nil where there is no figure
	failed  []error
}

func (r *row) add(name string, round int, o *outcome, err error) {
	if r.samples == nil {
		r.samples = map[string][]*outcome{}
	}
	if r.samples[name] == nil {
		r.names = append(r.names, name)
		r.samples[name] = make([]*outcome, r.Rounds)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: no figure:", err)
		r.failed = append(r.failed, err)
		return
	}
	r.samples[name][round] = o
	fmt.Fprintf(os.Stderr, "%s %s round %d: %-28s %s/CPU-s\n", r.Case, r.Codec, round+1, name, millions(o.perCPU()))
}

// spread is a median with what it is a median of.
type spread struct{ median, min, max float64 }

func spreadOf(values []float64) (s spread, ok bool) {
	if len(values) == 0 {
		return s, false
	}
	slices.Sort(values)
	n := len(values)
	return spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}, true
}

// rate is the spread of a candidate's records per second: of CPU time, or on the clock.
func (r *row) rate(name string, of func(*outcome) float64) (spread, bool) {
	var values []float64
	for _, o := range r.samples[name] {
		if o != nil {
			values = append(values, of(o))
		}
	}
	return spreadOf(values)
}

// ratio is the spread of name's figure to the limit's within the same round.
func (r *row) ratio(name string) (spread, bool) {
	var values []float64
	for i, o := range r.samples[name] {
		if limits := r.samples[limitName]; o != nil && limits != nil && limits[i] != nil {
			values = append(values, o.perCPU()/limits[i].perCPU())
		}
	}
	return spreadOf(values)
}

// sum fills in the figures of the JSON.
func (r *row) sum() {
	r.Peers = map[string]float64{}
	set := func(to **float64, s spread, ok bool) {
		if ok {
			*to = &s.median
		}
	}
	for _, name := range r.names {
		s, ok := r.rate(name, (*outcome).perCPU)
		switch {
		case name == oursName:
			set(&r.Ours, s, ok)
		case name == limitName:
			set(&r.Limit, s, ok)
		case ok:
			r.Peers[name] = s.median
		}
	}
	s, ok := r.ratio(oursName)
	set(&r.Ratio, s, ok)
	s, ok = r.rate(oursName, allocs)
	set(&r.Allocs, s, ok)
}

func allocs(o *outcome) float64 { return float64(o.Mallocs) / float64(o.Records) }

func (r *row) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %s, %s, %d rounds\n", r.Case, r.Codec, r.Lane, r.Rounds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "candidate\trec/CPU-s\tmin .. max\tto limit\tmin .. max\trec/s\tallocs/rec\tRSS MiB")
	for _, name := range r.names {
		s, ok := r.rate(name, (*outcome).perCPU)
		if !ok {
			fmt.Fprintf(t, "%s\tno figure\n", name)
			continue
		}
		wall, _ := r.rate(name, func(o *outcome) float64 { return float64(o.Records) / (float64(o.Wall) / 1e9) })
		a, _ := r.rate(name, allocs)
		rss, _ := r.rate(name, func(o *outcome) float64 { return float64(o.RSS) / 1024 })
		ratio := "\t"
		if q, ok := r.ratio(name); ok && name != limitName {
			ratio = fmt.Sprintf("%.3f\t%.3f .. %.3f", q.median, q.min, q.max)
		}
		fmt.Fprintf(t, "%s\t%s\t%s .. %s\t%s\t%s\t%.4f\t%.0f\n", name, millions(s.median), millions(s.min), millions(s.max),
			ratio, millions(wall.median), a.median, rss.max)
	}
	t.Flush()
}

// millions writes a rate with three digits.
func millions(v float64) string {
	switch {
	case v >= 1e7:
		return fmt.Sprintf("%.1f M", v/1e6)
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	default:
		return fmt.Sprintf("%.0f k", v/1e3)
	}
}

func writeJSON(file string, rows []*row) error {
	for _, r := range rows {
		r.sum()
	}
	b, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
