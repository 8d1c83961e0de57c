package stream_test

import (
	goctx "context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/oxbow-streams/oxbow/stream"
)

// An application that may not write its dead letters does not begin: it says which right is missing.
func TestAppNeedsItsRights(t *testing.T) {
	allow := func(r kmsg.ACLResourceType, name string, op kmsg.ACLOperation, yes bool) kfake.ACL {
		return kfake.ACL{Resource: r, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: op, Allow: yes}
	}
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "in", "out"), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.User("PLAIN", "app", "secret",
			allow(kmsg.ACLResourceTypeTopic, "*", kmsg.ACLOperationAll, true),
			allow(kmsg.ACLResourceTypeGroup, "*", kmsg.ACLOperationAll, true),
			allow(kmsg.ACLResourceTypeCluster, "*", kmsg.ACLOperationAll, true),
			allow(kmsg.ACLResourceTypeTopic, "rights-dlq", kmsg.ACLOperationWrite, false),
			allow(kmsg.ACLResourceTypeTopic, "in", kmsg.ACLOperationRead, false)))
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	c := &cluster{t, k.ListenAddrs()}
	cfg := c.config("rights")
	cfg.SASL = plain.Mechanism{Username: "app", Password: "secret"}
	app, err := stream.New(copying(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := goctx.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err = app.Run(ctx)
	if !errors.As(err, new(*stream.MissingRightError)) {
		t.Fatal(err)
	}
	for _, part := range []string{
		"rights-dlq (dead letter topic): the application's user has no right to write to it: kafka-acls.sh --add --allow-principal " +
			"User:NAME --operation Write --topic rights-dlq",
		"in (source): the application's user has no right to read it",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in the error: %v", part, err)
		}
	}
	if strings.Contains(err.Error(), "out (sink)") {
		t.Error(err)
	}
}

// What an application has counted can be read after its end.
func TestAppStatsStayReadable(t *testing.T) {
	c := newCluster(t, 2, "in", "out")
	app, stop := start(t, copying(), c.config("stats"))
	c.produce("in", numbered(0, 20)...)
	c.read("out", 20)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s := app.Stats()
	if sum := s.Sum(); sum.Consumed != 20 || sum.Completed != 20 || s.State != stream.NotRunning {
		t.Errorf("%v %+v", s.State, sum)
	}
	for _, w := range s.Workers {
		if w.Stale || len(w.Tasks) > 0 {
			t.Errorf("worker %d: stale %v, %d tasks", w.ID, w.Stale, len(w.Tasks))
		}
	}
}
