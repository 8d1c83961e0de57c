package families

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/stream"
)

// family is a part of the program, over topics of its own, and the model of what it writes.
type family struct {
	name     string
	sides    int   // topics that it reads
	parts    int32 // of each
	punctual bool  // no record is late by more than lateMost
	values   func(r *rand.Rand, side, n int) string
	build    func(b *stream.Builder, p place)
	model    func(in []input) []output // of one partition, in the order in which its task takes the records

	last      bool // only the last value of each key is defined (F3)
	unordered bool // the outputs are defined, but not their order
}

// place tells a family where it reads and writes.
type place struct {
	app, name string
	base      int64 // ms: what times count from
}

func (p place) in(side int) string { return fmt.Sprintf("%s-%s-in%d", p.app, p.name, side) }
func (p place) out() string        { return fmt.Sprintf("%s-%s-out", p.app, p.name) }

func families() (all []*family) {
	for _, list := range [][]*family{statelessFamilies, windowFamilies, sessionFamilies, cogroupFamilies, joinFamilies, tableFamilies, suppressFamilies} {
		all = append(all, list...)
	}
	for _, f := range all {
		f.sides, f.parts = max(f.sides, 1), max(f.parts, 1)
	}
	return all
}

// TestFamilies is F1 to F3.
func TestFamilies(t *testing.T) {
	seed := seeds.Single(t)
	brokers.Run(t, brokers.Options{}, func(t *testing.T, c *brokers.Cluster) {
		w := &world{t: t, c: c, app: fmt.Sprintf("families-%d", time.Now().UnixNano()%1_000_000),
			base: time.Now().Add(-time.Hour).Truncate(1000 * time.Second).UnixMilli(), all: families(), reads: map[string]bool{},
			want: map[*family][][]output{}}
		w.feed(rand.New(rand.NewPCG(seed, 1)))
		dir := t.TempDir()
		w.run(dir, false)
		w.run(dir, false)
		w.run(t.TempDir(), true)
		for _, f := range w.all {
			t.Run(f.name, func(t *testing.T) { w.compare(t, f) })
		}
		if letters := c.Read(t, w.app+"-dlq"); len(letters) > 0 {
			t.Errorf("%d dead letters, the first is %v", len(letters), letters[0])
		}
	})
}

type world struct {
	t     *testing.T
	c     *brokers.Cluster
	app   string
	base  int64
	all   []*family
	total int64
	left  int64                  // records that no run has taken
	reads map[string]bool        // the topics of inputs
	want  map[*family][][]output // by partition
}

func (w *world) place(f *family) place { return place{w.app, f.name, w.base} }

// feed writes all records of all families, in small batches, so that a task waits for more of one topic while it has another.
func (w *world) feed(r *rand.Rand) {
	client := w.c.NewClient(w.t, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1<<10),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	var records []*kgo.Record
	add := func(topic string, part int32, in input) {
		rec := &kgo.Record{Topic: topic, Partition: part, Key: []byte(in.key), Value: []byte(in.value), Timestamp: time.UnixMilli(w.base + in.time)}
		if in.value == null {
			rec.Value = nil
		}
		records = append(records, rec)
	}
	for _, f := range w.all {
		p := w.place(f)
		for side := range f.sides {
			w.reads[p.in(side)] = true
			w.c.CreateTopic(w.t, p.in(side), f.parts)
		}
		w.c.CreateTopic(w.t, p.out(), 1)
		for part := range f.parts {
			sides := draw(r, f, int(part))
			for side, ins := range sides {
				for _, in := range ins {
					add(p.in(side), part, in)
					w.total++
				}
			}
			w.want[f] = append(w.want[f], f.model(merged(sides)))
		}
	}
	w.left = w.total
	w.c.CreateTopic(w.t, w.app+"-shops", 1, "cleanup.policy=compact")
	for k, v := range shops {
		add(w.app+"-shops", 0, input{key: k, value: v})
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// run runs the application until it has taken some of the records that are left, or all, and stops it.
func (w *world) run(dir string, all bool) {
	t := w.t
	b := stream.NewBuilder()
	for _, f := range w.all {
		f.build(b, w.place(f))
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, err := stream.New(b, stream.Config{ApplicationID: w.app, Brokers: w.c.Addrs, StateDir: dir, Workers: 2, CacheMaxBytes: -1,
		CommitInterval: 50 * time.Millisecond, FetchWait: 20 * time.Millisecond, FetchPartitionBytes: 1, Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	limit := time.After(time.Minute)
	for end := false; !end; {
		select {
		case err := <-done:
			t.Fatalf("the application has ended: %v", err)
		case <-limit:
			t.Fatalf("%d of %d records in a minute", w.taken(a), w.left)
		case <-every.C:
			if all {
				end = w.taken(a) >= w.left && w.through()
			} else {
				end = w.taken(a) >= min(w.total/3, w.left/2)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatalf("stop: %v", err)
	}
	w.left -= w.taken(a)
	t.Logf("a run took %d of %d records", w.taken(a), w.total)
}

// taken is how many records a run has read.
func (w *world) taken(a *stream.App) (n int64) {
	for _, worker := range a.Stats().Workers {
		for tp, in := range worker.Tally.Inputs {
			if w.reads[tp.Topic] {
				n += in.Records
			}
		}
	}
	return n
}

// through tells whether the group has committed the ends of all topics, first of those at the beginning.
func (w *world) through() bool {
	committed := w.c.GroupOffsets(w.t, w.app)
	for _, topic := range w.c.Topics(w.t) {
		of, read := committed[topic]
		if !read {
			if w.reads[topic] {
				return false
			}
			continue
		}
		for part, end := range w.c.Ends(w.t, topic) {
			if of[part].Offset < end {
				return false
			}
		}
	}
	return true
}

func (w *world) compare(t *testing.T, f *family) {
	got := make([][]output, f.parts)
	for _, r := range w.c.Read(t, w.place(f).out()) {
		o := output{string(r.Key), string(r.Value), r.Timestamp.UnixMilli() - w.base}
		if r.Value == nil {
			o.value = null
		}
		part := partOf(o.key, f.parts)
		got[part] = append(got[part], o)
	}
	said := 0
	for part := range got {
		g, m := lines(f, got[part]), lines(f, w.want[f][part])
		said += len(m)
		for i := range max(len(g), len(m)) {
			if i >= len(g) || i >= len(m) || g[i] != m[i] {
				t.Errorf("partition %d: %d outputs, the model has %d; at %d\n%s\nwant\n%s", part, len(g), len(m), i, around(g, i), around(m, i))
				break
			}
		}
	}
	if said == 0 {
		t.Error("the model writes nothing: the family shows nothing")
	}
}

// lines are outputs as they are compared: in their order if it is defined, or the last value of each key.
func lines(f *family, outs []output) (list []string) {
	if !f.last {
		for _, o := range outs {
			list = append(list, o.String())
		}
		if f.unordered {
			slices.Sort(list)
		}
		return list
	}
	last := map[string]string{}
	for _, o := range outs {
		last[o.key] = o.value
	}
	for k, v := range last {
		if v != null {
			list = append(list, k+"="+v)
		}
	}
	slices.Sort(list)
	return list
}

func around(lines []string, i int) string {
	return strings.Join(lines[min(max(0, i-3), len(lines)):min(len(lines), i+4)], "\n")
}
