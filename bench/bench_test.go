package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets this binary be the processes that a run starts.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(brokerVariable) != "":
		if err := runFake(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case os.Getenv(jobVariable) != "":
		if err := runChild(os.Getenv(jobVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		os.Exit(m.Run())
	}
}

func newRunner(t *testing.T, s *settings) (*runner, context.Context) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	b, err := startFake(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.stop)
	return &runner{settings: s, broker: b, loaded: map[string][]int64{}}, ctx
}

// Every candidate of every case gives a right answer on a small input, in both codecs of the report.
func TestCandidatesAreRight(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	r, ctx := newRunner(t, &settings{rounds: 1, scale: 0.004})
	var rows []*row
	all := allCases()
	for i := range all {
		codec := []string{"lz4", "none"}[i%2]
		row, err := r.row(ctx, &all[i], codec)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range row.failed {
			t.Error(err)
		}
		rows = append(rows, row)
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	if err := writeJSON(file, rows); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var figures []struct {
		Case  string
		Limit float64
		Ours  *float64
		Ratio *float64
		Peers map[string]float64
	}
	if err := json.Unmarshal(b, &figures); err != nil {
		t.Fatal(err)
	}
	for i, f := range figures {
		if f.Case != all[i].name || f.Limit <= 0 || (len(all[i].candidates) > 2) != (len(f.Peers) > 0) {
			t.Errorf("%+v", f)
		}
		if has := all[i].candidate(oursName) != nil; has != (f.Ours != nil) || has != (f.Ratio != nil) {
			t.Errorf("%s: ours %v, ratio %v", f.Case, f.Ours, f.Ratio)
		}
	}
}

// A loop that loses a record has no figure.
func TestWrongAnswersHaveNoFigure(t *testing.T) {
	r, ctx := newRunner(t, &settings{rounds: 1, scale: 0.0002, only: []string{limitName}})
	c := cases[0]
	c.check = checkSum(func(j *job) uint64 { return sumTo(j.Records) + 1 })
	row, err := r.row(ctx, &c, "none")
	if err != nil {
		t.Fatal(err)
	}
	row.sum()
	if row.Limit != nil || len(row.failed) != 1 || !strings.Contains(row.failed[0].Error(), "want 1000 with") {
		t.Errorf("limit %v, failed %v", row.Limit, row.failed)
	}
}
