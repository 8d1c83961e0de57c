package sim

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

const (
	application = "swarm"
	partitions  = 4
	keys        = 23
)

// world is a cluster and the instances of one application, in a bubble.
type world struct {
	t         *testing.T
	rnd       *rand.Rand
	net       *kafkatest.Network
	brokers   *kfake.Cluster
	client    *kgo.Client // of the one who feeds and reads
	instances []*instance
	faults    []*kfake.FaultHandle
	fired     map[string]int // by kind of fault
	fed       int
}

// instance is one that can be stopped and started again: its state stays.
type instance struct {
	engine state.Engine
	app    *stream.App // nil: stopped
	stop   context.CancelFunc
	ended  chan error
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 2)), net: &kafkatest.Network{}, fired: map[string]int{}}
	var err error
	w.brokers, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.ListenFn(w.net.Listen), kfake.SeedTopics(partitions, "in", "echo", "totals"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.brokers.Close)
	w.client, err = kgo.NewClient(kgo.SeedBrokers(w.brokers.ListenAddrs()...), kgo.Dialer(w.dial))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	for range 2 {
		in := &instance{engine: memstore.New()}
		t.Cleanup(func() {
			w.end(in)
			if err := in.engine.Close(); err != nil {
				t.Error(err)
			}
		})
		w.instances = append(w.instances, in)
	}
	return w
}

func program() *stream.Builder {
	b := stream.NewBuilder()
	in := stream.From(b, "in", serde.String, serde.String)
	in.To("echo")
	in.GroupByKey().Count(stream.As("counts")).ToStream().To("totals", stream.WithValue(serde.Int64))
	return b
}

func (w *world) start(in *instance) {
	w.t.Helper()
	app, err := stream.New(program(), stream.Config{ApplicationID: application, Brokers: w.brokers.ListenAddrs(), Dial: w.net.Dial,
		StateEngine: in.engine, Workers: 2, CommitInterval: 200 * time.Millisecond, Session: 10 * time.Second, Heartbeat: time.Second,
		RebalanceTimeout: time.Minute, ShutdownTimeout: 5 * time.Minute, Logger: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	in.app, in.stop, in.ended = app, cancel, make(chan error, 1)
	ended := in.ended
	go func() { ended <- app.Run(ctx) }()
}

func (w *world) end(in *instance) {
	w.t.Helper()
	if in.app == nil {
		return
	}
	in.stop()
	in.app = nil
	if err := <-in.ended; err != nil { // a last commit that is refused is none: its successor repeats a part
		w.t.Errorf("clean stop: %v", err)
	}
}

// alive fails the test when an instance has given up by itself: none of the faults here is a reason to.
func (w *world) alive() {
	w.t.Helper()
	for i, in := range w.instances {
		if in.app == nil {
			continue
		}
		select {
		case err := <-in.ended:
			in.app = nil
			w.t.Errorf("instance %d ended by itself: %v", i, err)
		default:
		}
	}
}

// dial gives up in time: franz-go leaves that to its dialer.
func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return w.net.Dial(ctx, network, address)
}

// feed appends inputs; the value counts up.
func (w *world) feed(n int) {
	w.t.Helper()
	var rs []*kgo.Record
	for range n {
		rs = append(rs, &kgo.Record{Topic: "in", Key: fmt.Append(nil, "key-", w.fed%keys), Value: strconv.AppendInt(nil, int64(w.fed), 10)})
		w.fed++
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := w.client.ProduceSync(ctx, rs...).FirstErr(); err != nil {
		w.t.Fatalf("feeding: %v", err)
	}
}

// catchUp waits until all that was fed is committed (P8).
func (w *world) catchUp(patience time.Duration) {
	w.t.Helper()
	var committed int64
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		w.alive()
		if committed = w.committed(); committed == int64(w.fed) || w.t.Failed() {
			return
		}
	}
	var states []any
	for _, in := range w.instances {
		states = append(states, fmt.Sprintf("%+v", in.app.Stats()))
	}
	w.t.Errorf("%v after the last fault %d of %d inputs are committed: %v", patience, committed, w.fed, states)
}

func (w *world) committed() (sum int64) {
	for _, in := range w.instances {
		if in.app == nil {
			continue
		}
		for _, worker := range in.app.Stats().Workers {
			for _, task := range worker.Tasks {
				for _, input := range task.Inputs {
					sum += max(input.Committed, 0)
				}
			}
		}
	}
	return sum
}
