package main

import (
	"context"
	"fmt"
	"slices"
)

// job is what a child process is told to do.
type job struct {
	Case, Codec, Candidate string

	Brokers    []string
	Input      string  // topic
	Ends       []int64 // of Input's partitions
	Table      string  // topic of the table side of a join, else empty
	TableEnds  []int64
	Output     string // topic to write to, else empty
	App        string // application or group id, new for each run
	Dir        string // empty directory
	Records    int64  // in Input
	Keys       int64
	CPUProfile string // file, or empty
}

// outcome is what a child process says at its end.
type outcome struct {
	Records int64  `json:"records"` // seen
	Sum     uint64 `json:"sum"`     // what the case adds up; see checks
	CPU     int64  `json:"cpu"`     // ns
	Wall    int64  `json:"wall"`    // ns
	Mallocs uint64 `json:"mallocs"`
	RSS     int64  `json:"rss"` // KiB, at its highest
	Error   string `json:"error,omitempty"`
}

func (o *outcome) perCPU() float64 {
	if o.CPU <= 0 {
		return 0
	}
	return float64(o.Records) / (float64(o.CPU) / 1e9)
}

// loop is a candidate: it does the work of a case, and tells the meter when it sees the first record and when all is
// done. It returns how many records it saw and the sum that the case checks.
type loop func(ctx context.Context, j *job, m *meter) (records int64, sum uint64, err error)

// candidate is one of the loops of a case. The order is that of a round.
type candidate struct {
	name string
	run  loop
}

const (
	limitName   = "limit"
	oursName    = "ours"
	layerName   = "fetcher" // ours without an engine; only where -only names it
	scrapedName = "scraped" // ours with its metrics served and read every second; only where -only names it
)

// benchCase is a row of the report.
type benchCase struct {
	name       string
	records    int64 // by default
	input      func(codec string) dataset
	table      bool                       // needs the table topic
	second     func(codec string) dataset // in its place: as many records as the input
	cold       bool                       // has as many keys as records
	output     bool                       // needs an output topic
	candidates []candidate
	check      func(ctx context.Context, j *job, o *outcome) error // in the parent
}

// allCases are the rows that a report may have, in their order.
func allCases() []benchCase { return slices.Concat(cases, dslCases, guaranteeCases) }

func caseNamed(name string) (*benchCase, error) {
	all := allCases()
	i := slices.IndexFunc(all, func(c benchCase) bool { return c.name == name })
	if i < 0 {
		var names []string
		for _, c := range all {
			names = append(names, c.name)
		}
		return nil, fmt.Errorf("-case %q: want some of %v, separated by commas", name, names)
	}
	return &all[i], nil
}

func (c *benchCase) candidate(name string) loop {
	for _, k := range c.candidates {
		if k.name == name {
			return k.run
		}
	}
	return nil
}
