package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	var err error
	switch {
	case os.Getenv(brokerVariable) != "":
		err = runFake()
	case os.Getenv(jobVariable) != "":
		err = runChild(os.Getenv(jobVariable))
	default:
		err = run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	cases, codecs, only []string
	rounds              int
	scale               float64
	json, profiles      string
}

func parseFlags() (*settings, error) {
	s := &settings{}
	var cs, codecs, only string
	flag.StringVar(&cs, "case", "consume,pass,count,join,restore", "cases to run")
	flag.StringVar(&codecs, "codec", "lz4,none", "compressions of the data")
	flag.StringVar(&only, "only", "", "candidates to run, as limit,ours; all when empty")
	flag.IntVar(&s.rounds, "rounds", 5, "how often each candidate runs")
	flag.Float64Var(&s.scale, "scale", 1, "factor on the number of records of each case")
	flag.StringVar(&s.json, "json", "", "file to write the figures to")
	flag.StringVar(&s.profiles, "profiles", "", "directory for a CPU profile of each measurement")
	flag.Parse()
	if flag.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if s.rounds < 1 || s.scale <= 0 {
		return nil, fmt.Errorf("-rounds %d, -scale %g: both must be positive", s.rounds, s.scale)
	}
	if cs == "eos" {
		cs = "eos-pass,eos-count,eos-shuffle"
	}
	s.cases, s.codecs = strings.Split(cs, ","), strings.Split(codecs, ",")
	if only != "" {
		s.only = strings.Split(only, ",")
	}
	for _, name := range s.cases {
		if _, err := caseNamed(name); err != nil {
			return nil, err
		}
	}
	for _, name := range s.codecs {
		if _, err := codecOf(name); err != nil {
			return nil, fmt.Errorf("-codec: %w", err)
		}
	}
	return s, nil
}

func run() error {
	s, err := parseFlags()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	b, err := startBroker(ctx)
	if err != nil {
		return err
	}
	defer b.stop()
	r := &runner{settings: s, broker: b, loaded: map[string][]int64{}}
	defer r.cleanUp()
	var rows []*row
	var failed []error
	for _, name := range s.cases {
		for _, codec := range s.codecs {
			c, _ := caseNamed(name)
			row, err := r.row(ctx, c, codec)
			if err != nil {
				return fmt.Errorf("%s %s: %w", name, codec, err)
			}
			row.print(os.Stdout)
			rows = append(rows, row)
			failed = append(failed, row.failed...)
		}
	}
	if s.json != "" {
		if err := writeJSON(s.json, rows); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}

// runner runs the rows of a report on one broker.
type runner struct {
	*settings
	broker *broker
	loaded map[string][]int64 // end offsets by topic
	runs   int
}

func (r *runner) count(records int64) int64 { return max(int64(float64(records)*r.scale), 1000) }

// load makes sure that a topic has at least n records. It returns the end offsets of the first n... of all of it.
func (r *runner) load(ctx context.Context, d dataset, n int64) ([]int64, error) {
	if ends, ok := r.loaded[d.topic]; ok {
		return ends, nil
	}
	fmt.Fprintf(os.Stderr, "loading %s with %d records\n", d.topic, n)
	if err := createTopic(ctx, r.broker.addrs, d.topic, d.configs); err != nil {
		return nil, err
	}
	r.loaded[d.topic] = nil
	if err := load(ctx, r.broker.addrs, d, n); err != nil {
		return nil, err
	}
	ends, err := endOffsets(ctx, r.broker.addrs, d.topic)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, e := range ends {
		total += e
	}
	if total != n {
		return nil, fmt.Errorf("%s has %d records after %d were written", d.topic, total, n)
	}
	r.loaded[d.topic] = ends
	return ends, nil
}

func (r *runner) cleanUp() {
	var topics []string
	for t := range r.loaded {
		topics = append(topics, t)
	}
	if err := deleteTopics(context.Background(), r.broker.addrs, topics...); err != nil {
		fmt.Fprintln(os.Stderr, "bench: deleting topics:", err)
	}
}

// row measures one case with one codec.
func (r *runner) row(ctx context.Context, c *benchCase, codec string) (*row, error) {
	records := r.count(c.records)
	in := c.input(codec)
	in.topic += sizeSuffix(c, records)
	if c.cold {
		in.keys = records
	}
	ends, err := r.load(ctx, in, records)
	if err != nil {
		return nil, err
	}
	proto := job{
		Case: c.name, Codec: codec, Brokers: r.broker.addrs, Input: in.topic, Ends: ends,
		Records: records, Keys: keyCount,
	}
	if c.cold {
		proto.Keys = records
	}
	if c.second != nil {
		second := c.second(codec)
		second.topic += sizeSuffix(c, records)
		proto.Table = second.topic
		if proto.TableEnds, err = r.load(ctx, second, records); err != nil {
			return nil, err
		}
	}
	if c.table {
		table := tableTopic(codec)
		proto.Table = table.topic
		if proto.TableEnds, err = r.load(ctx, table, keyCount); err != nil {
			return nil, err
		}
	}
	out := &row{Case: c.name, Codec: codec, Lane: r.broker.lane, Rounds: r.rounds}
	for round := range r.rounds {
		order := slices.Clone(c.candidates)
		if round%2 == 1 {
			slices.Reverse(order) // N3
		}
		for _, k := range order {
			if k.run == nil || !r.wants(k.name) {
				continue
			}
			o, err := r.measure(ctx, c, proto, k.name, round)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			out.add(k.name, round, o, err)
		}
	}
	return out, nil
}

func (r *runner) wants(candidate string) bool {
	if len(r.only) == 0 {
		return candidate != layerName && candidate != scrapedName
	}
	return slices.Contains(r.only, candidate)
}

// sizeSuffix keeps inputs of different sizes apart. The changelog keeps its name, which is the store's.
func sizeSuffix(c *benchCase, records int64) string {
	if c.name == "restore" {
		return ""
	}
	return fmt.Sprintf("-%d", records)
}

// measure runs a candidate once and checks its answer (N4).
func (r *runner) measure(ctx context.Context, c *benchCase, j job, name string, round int) (*outcome, error) {
	r.runs++
	j.Candidate = name
	j.App = fmt.Sprintf("bench-%s-%d-%d", c.name, os.Getpid(), r.runs)
	dir, err := os.MkdirTemp("", "oxbow-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	j.Dir = dir
	if c.output {
		j.Output = j.App + "-out"
		if err := createTopic(ctx, j.Brokers, j.Output, nil); err != nil {
			return nil, err
		}
		defer deleteTopics(context.WithoutCancel(ctx), j.Brokers, j.Output)
	}
	if r.profiles != "" {
		file := fmt.Sprintf("%s-%s-%s-%d.pprof", j.Case, j.Codec, strings.ReplaceAll(strings.ReplaceAll(name, ",", ""), " ", "-"), round)
		if j.CPUProfile, err = filepath.Abs(filepath.Join(r.profiles, file)); err != nil {
			return nil, err
		}
	}
	o, err := measure(ctx, &j)
	if err == nil {
		err = c.check(ctx, &j, o)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s, %s, round %d: %w", j.Case, j.Codec, name, round+1, err)
	}
	return o, nil
}
