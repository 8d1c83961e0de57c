package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/brokers"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/internal/seeds"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const killPartitions = 2

// TestKill kills an application with -9 while it has work that is not committed, again and again: every input is processed at
// least once, in order; what is processed twice lies behind the last commit (P2, P3); the state on disk is at every reopening the
// fold of the changelog up to its stored offset (P4).
func TestKill(t *testing.T) { testKill(t, false) }

// TestKillExactlyOnce is the same exactly once: a reader of committed records sees each input once, in order, and counts that go up by
// what came; what is in the changelog is what is in the state (P1).
func TestKillExactlyOnce(t *testing.T) { testKill(t, true) }

func testKill(t *testing.T, exactlyOnce bool) {
	loops := seeds.Count(t, seeds.Loops, 3)
	seed := seeds.Single(t)
	brokers.Run(t, brokers.Options{Shared: true}, func(t *testing.T, c *brokers.Cluster) {
		t.Logf("seed %d, %d loops", seed, loops)
		k := &killer{t: t, c: c, exactlyOnce: exactlyOnce, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), points: map[string]int{},
			app: fmt.Sprintf("kill-%s-%d", c.Lane, time.Now().UnixNano())}
		for _, topic := range []string{"in", "echo", "counts"} {
			c.CreateTopic(t, topic, killPartitions)
		}
		for i := range loops {
			k.kill(i)
			k.checkState()
		}
		k.finish()
		if exactlyOnce {
			k.checkExactly()
		} else {
			k.checkEcho()
		}
		k.checkState()
		t.Logf("%d kills: %v", loops, k.points)
		for _, topic := range append([]string{"in", "echo", "counts"}, k.app+"-counts-changelog", k.app+"-dlq") {
			c.DeleteTopics(t, topic)
		}
	})
}

type killer struct {
	t *testing.T
	c *brokers.Cluster

	exactlyOnce bool

	rnd    *rand.Rand
	app    string
	dir    string
	fed    int
	points map[string]int    // kills by step
	kills  []map[int32]int64 // committed offsets at each kill, by partition
}

// feedUntil appends inputs until stop is closed: the value counts up, so that the order of a partition can be checked.
func (k *killer) feedUntil(stop <-chan struct{}) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(k.c.Addrs...))
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		var rs []*kgo.Record
		for range 50 {
			rs = append(rs, &kgo.Record{Topic: "in", Key: fmt.Append(nil, "key-", k.fed%97), Value: strconv.AppendInt(nil, int64(k.fed), 10)})
			k.fed++
		}
		if err := client.ProduceSync(context.Background(), rs...).FirstErr(); err != nil {
			return err
		}
		select {
		case <-stop:
			return nil
		default:
		}
	}
}

// start runs the child. With a static membership its successor need not wait for the session to end.
func (k *killer) start() (*exec.Cmd, *bufio.Scanner) {
	cfg, err := json.Marshal(childConfig{App: k.app, Instance: "one", StateDir: k.dir, Brokers: k.c.Addrs,
		ExactlyOnce: k.exactlyOnce})
	if err != nil {
		k.t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(cfg))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = cmd.Process.Kill() })
	return cmd, bufio.NewScanner(out)
}

// kill waits for work that is not committed and kills the child then, at a status line chosen by chance.
func (k *killer) kill(loop int) {
	cmd, lines := k.start()
	stop, fed := make(chan struct{}), make(chan error, 1)
	go func() { fed <- k.feedUntil(stop) }()
	defer func() {
		close(stop)
		if err := <-fed; err != nil {
			k.t.Errorf("loop %d: feeding: %v", loop, err)
		}
	}()
	wait := k.rnd.IntN(60)
	var s status
	for lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			k.t.Fatalf("loop %d: status %q: %v", loop, lines.Text(), err)
		}
		if s.Processed > s.Committed {
			if wait--; wait < 0 {
				break
			}
		}
	}
	if s.Processed <= s.Committed {
		k.t.Fatalf("loop %d: the child ended before it had anything uncommitted (%+v): %v", loop, s, cmd.Wait())
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		k.t.Fatal(err)
	}
	for lines.Scan() {
	}
	_ = cmd.Wait()
	k.points[s.Step]++
	if k.exactlyOnce { // the group's offsets may be pending until the transaction is aborted, by the next start
		k.t.Logf("loop %d: killed in commit step %q with %d processed, %d committed then", loop, s.Step, s.Processed, s.Committed)
		return
	}
	committed := map[int32]int64{}
	for p, o := range k.c.GroupOffsets(k.t, k.app)["in"] {
		committed[p] = o.Offset
	}
	var sum int64
	for _, o := range committed {
		sum += max(o, 0)
	}
	k.kills = append(k.kills, committed)
	k.t.Logf("loop %d: killed in commit step %q with %d processed, %d committed then, %d in the group", loop, s.Step, s.Processed, s.Committed, sum)
}

// finish lets the application work off everything, and stops it cleanly.
func (k *killer) finish() {
	cmd, lines := k.start()
	var s status
	for lines.Scan() {
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			k.t.Fatal(err)
		}
		if s.Committed == int64(k.fed) {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		k.t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		k.t.Fatalf("clean stop: %v", err)
	}
	if s.Committed != int64(k.fed) {
		k.t.Fatalf("%d inputs, %d committed at the end", k.fed, s.Committed)
	}
}

// checkEcho compares the echo with the input, record by record.
func (k *killer) checkEcho() {
	in, echo := byPartition(k.c.Read(k.t, "in")), byPartition(k.c.Read(k.t, "echo"))
	twice := 0
	for p, records := range in {
		at := map[string]int64{}
		for i, r := range records {
			at[string(r.Value)] = int64(i)
		}
		next, back := int64(0), 0
		for _, e := range echo[p] {
			i, ok := at[string(e.Value)]
			if !ok {
				k.t.Fatalf("echo/%d@%d: %q was never put in", p, e.Offset, e.Value)
			}
			switch {
			case i == next:
			case i < next && k.explains(p, i):
				twice += int(next - i)
				back++
			default:
				k.t.Fatalf("echo/%d@%d: input %d after %d: lost, out of order, or repeated without a kill that explains it (kills %v)",
					p, e.Offset, i, next-1, k.kills)
			}
			next = i + 1
		}
		if next != int64(len(records)) {
			k.t.Errorf("partition %d: %d inputs, the echo ends behind %d", p, len(records), next)
		}
		if back > len(k.kills) {
			k.t.Errorf("partition %d went back %d times with %d kills", p, back, len(k.kills))
		}
	}
	k.t.Logf("%d inputs, %d processed twice", k.fed, twice)
}

// checkExactly compares what a reader of committed records sees with the input: record by record, and count by count.
func (k *killer) checkExactly() {
	in, echo := byPartition(k.c.Read(k.t, "in")), byPartition(k.c.ReadCommitted(k.t, "echo"))
	want := map[string]int64{}
	for p, records := range in {
		for i, r := range records {
			want[string(r.Key)]++
			if i < len(echo[p]) && string(echo[p][i].Value) != string(r.Value) {
				k.t.Fatalf("partition %d: record %d of the echo is %s, not %s: lost, doubled, or out of order", p, i, echo[p][i].Value, r.Value)
			}
		}
		if len(echo[p]) != len(records) {
			k.t.Errorf("partition %d: %d inputs, %d in the echo", p, len(records), len(echo[p]))
		}
	}
	got := map[string]int64{}
	for _, r := range k.c.ReadCommitted(k.t, "counts") {
		n, err := serde.Int64.Decode(r.Value)
		if err != nil || n <= got[string(r.Key)] {
			k.t.Fatalf("counts/%d@%d: %s has %d after %d, %v", r.Partition, r.Offset, r.Key, n, got[string(r.Key)], err)
		}
		got[string(r.Key)] = n
	}
	if !maps.Equal(got, want) {
		k.t.Errorf("counts are %v, want %v", got, want)
	}
	k.t.Logf("%d inputs, 0 lost, 0 processed twice, %d records of aborted transactions and markers in the echo", k.fed,
		ends(k.c.Ends(k.t, "echo"))-k.fed)
}

func ends(by map[int32]int64) (n int) {
	for _, end := range by {
		n += int(end)
	}
	return n
}

// explains tells whether a repetition from offset i on begins at a committed offset of a kill.
func (k *killer) explains(p int32, i int64) bool {
	for _, committed := range k.kills {
		if o, ok := committed[p]; ok && max(o, 0) == i || !ok && i == 0 {
			return true
		}
	}
	return false
}

// checkState reopens the state directory and compares each store with its changelog (P4).
func (k *killer) checkState() {
	if _, err := os.Stat(filepath.Join(k.dir, k.app)); err != nil {
		k.t.Fatalf("no state directory: %v", err)
	}
	log := byPartition(k.c.ReadCommitted(k.t, k.app+"-counts-changelog"))
	engine, err := pebblestore.Open(pebblestore.Options{Dir: k.dir, Name: k.app})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() {
		if err := engine.Close(); err != nil {
			k.t.Error(err)
		}
	}()
	for p := range int32(killPartitions) {
		if err := foldEquals(engine, record.TaskID{Partition: p}, log[p]); err != nil {
			k.t.Fatalf("task 0_%d: %v", p, err)
		}
	}
}

// foldEquals compares the store of a task with its changelog up to the stored offset.
func foldEquals(engine state.Engine, id record.TaskID, log []*kgo.Record) error {
	space, err := engine.Space(id)
	if err != nil {
		return err
	}
	defer space.Close()
	o, _, err := space.Offset("counts")
	if err != nil {
		return err
	}
	want := map[string]int64{}
	for _, r := range log {
		if r.Offset >= o.Changelog {
			continue
		}
		n, err := serde.Int64.Decode(r.Value)
		if err != nil {
			return err
		}
		want[string(r.Key)] = n
	}
	store, err := space.Store("counts", state.KindKeyValue)
	if err != nil {
		return err
	}
	it, err := store.Iter(nil, nil, false)
	if err != nil {
		return err
	}
	defer it.Close()
	got := map[string]int64{}
	for it.Next() {
		n, err := serde.Int64.Decode(it.Value()[8:]) // behind the timestamp
		if err != nil {
			return err
		}
		got[string(it.Key())] = n
	}
	if !maps.Equal(got, want) {
		return fmt.Errorf("the store has %d rows, the changelog up to %d folds to %d: %v, want %v", len(got), o.Changelog, len(want), got, want)
	}
	return it.Err()
}

func byPartition(rs []*kgo.Record) map[int32][]*kgo.Record {
	m := map[int32][]*kgo.Record{}
	for _, r := range rs {
		m[r.Partition] = append(m[r.Partition], r)
	}
	return m
}
