package stream_test

import (
	"bytes"
	goctx "context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

func (c *cluster) admin() *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...))
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// A group whose offsets are gone does not begin anew over state that holds what was read: that would count it twice.
func TestAppKeepsStateWhenOffsetsAreLost(t *testing.T) {
	c := newCluster(t, 1, "in", "out")
	cfg := c.config("expired")
	c.produce("in", "1=a", "2=b")
	_, stop := start(t, counting(), cfg)
	c.read("out", 2)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{"expired"}
	res, err := req.RequestWith(t.Context(), c.admin())
	if err != nil || len(res.Groups) != 1 || res.Groups[0].ErrorCode != 0 {
		t.Fatalf("the group is not deleted: %+v, %v", res, err)
	}
	app, err := stream.New(counting(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := goctx.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = app.Run(ctx)
	if err == nil {
		t.Fatal("it began anew")
	}
	for _, part := range []string{"expired-counts-repartition/0: ", "the group expired has no committed offset",
		"before offset 2", "--to-offset 2 --execute"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, err)
		}
	}
	if n := len(c.read("out", 2)); n != 2 {
		t.Errorf("%d outputs", n)
	}

	// Neither on a new disk: the changelog tells.
	fresh := c.config("expired")
	fresh.StateEngine = nil
	fresh.StateDir = t.TempDir()
	if app, err = stream.New(counting(), fresh); err != nil {
		t.Fatal(err)
	}
	err = app.Run(ctx)
	lost := new(stream.LostOffsetError)
	if !errors.As(err, &lost) || lost.Logged != 2 || !strings.Contains(err.Error(), "was written before, up to offset 2 of its changelog") {
		t.Errorf("on a new disk: %v", err)
	}
}

// lines is a log that a test can wait for.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
	want string
	seen chan struct{} // closed when want has been written
	once sync.Once
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	if strings.Contains(l.text.String(), l.want) {
		l.once.Do(func() { close(l.seen) })
	}
	return len(b), nil
}

// An instance that runs another program than the group's leader gets no tasks, says why, and disturbs nobody.
func TestAppOfAnotherProgramStaysIdle(t *testing.T) {
	c := newCluster(t, 2, "in", "out")
	one, _ := start(t, copying(), c.config("mixed"))
	await(t, one, stream.Running)
	b := stream.NewBuilder()
	stream.From(b, "in", serde.String, serde.String).Filter(func(_, _ string) bool { return true }).To("out")
	log := &lines{want: "runs another topology than the leader", seen: make(chan struct{})}
	cfg := c.config("mixed")
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	other, stop := start(t, b, cfg)
	select {
	case <-log.seen:
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not say why it has no tasks; it logs %s", log.text.String())
	}
	c.produce("in", numbered(0, 20)...)
	for _, r := range c.read("out", 20) {
		if !strings.HasSuffix(string(r.Value), "!") {
			t.Errorf("%s was written by the other program", r.Value)
		}
	}
	if n := other.Stats().Sum().Consumed; n != 0 {
		t.Errorf("it has consumed %d records", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// All that is wrong with the topics is told at once, before anything is made.
func TestAppChecksItsTopics(t *testing.T) {
	c := newCluster(t, 2, "in", "out")
	req := kmsg.NewPtrCreateTopicsRequest()
	for _, wrong := range []struct{ topic, policy string }{
		{"checked-counts-changelog", "delete"}, {"checked-counts-repartition", "compact"}} {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = wrong.topic, 2, 1
		policy := kmsg.NewCreateTopicsRequestTopicConfig()
		policy.Name, policy.Value = "cleanup.policy", kmsg.StringPtr(wrong.policy)
		topic.Configs = append(topic.Configs, policy)
		req.Topics = append(req.Topics, topic)
	}
	if _, err := req.RequestWith(t.Context(), c.admin()); err != nil {
		t.Fatal(err)
	}
	app, err := stream.New(counting(), c.config("checked"))
	if err != nil {
		t.Fatal(err)
	}
	err = app.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "checked-counts-changelog (changelog): cleanup.policy is delete, wanted compact") ||
		!strings.Contains(err.Error(), "checked-counts-repartition (repartition topic): cleanup.policy is compact, wanted delete") {
		t.Errorf("Run returned %v", err)
	}
}
