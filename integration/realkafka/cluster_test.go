package realkafka_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"

	"github.com/oxbow-streams/oxbow/integration/realkafka"
)

func TestMain(m *testing.M) {
	if os.Getenv("OXBOW_REALKAFKA_ORPHAN") == "1" {
		orphan() // this process is the child of TestBrokersDieWithTheirParent
		return
	}
	goleak.VerifyTestMain(m)
}

// client returns a kgo client that ends with the test.
func client(t *testing.T, addrs []string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addrs...)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t *testing.T, c *kgo.Client, name string, partitions int32) {
	t.Helper()
	req := kmsg.NewPtrCreateTopicsRequest()
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, -1
	req.Topics = append(req.Topics, topic)
	req.TimeoutMillis = 30_000
	resp, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if code := resp.Topics[0].ErrorCode; code != 0 {
		t.Fatalf("create %s: error %d", name, code)
	}
}

func produce(t *testing.T, c *kgo.Client, topic string, from, to int) {
	t.Helper()
	var records []*kgo.Record
	for i := from; i < to; i++ {
		records = append(records, &kgo.Record{Topic: topic, Key: []byte(strconv.Itoa(i)), Value: []byte("v" + strconv.Itoa(i))})
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// expect reads want records of topic from its start and fails unless each number below want came exactly once.
func expect(t *testing.T, addrs []string, topic string, want int, opts ...kgo.Opt) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := client(t, addrs, append(opts, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	seen := map[string]string{}
	for n := 0; n < want; {
		fetches := c.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("%d of %d records: %v", n, want, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { n++; seen[string(r.Key)] = string(r.Value) })
	}
	for i := range want {
		if k := strconv.Itoa(i); seen[k] != "v"+k {
			t.Errorf("key %s has value %q", k, seen[k])
		}
	}
}

func TestOneBroker(t *testing.T) {
	k := realkafka.Start(t, realkafka.Options{})
	c := client(t, k.Addrs())
	createTopic(t, c, "numbers", 3)
	produce(t, c, "numbers", 0, 100)
	expect(t, k.Addrs(), "numbers", 100)

	if err := k.Kill(0); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(0); err != nil {
		t.Fatal(err)
	}
	expect(t, k.Addrs(), "numbers", 100) // what was acknowledged outlives kill -9
	produce(t, c, "numbers", 100, 150)

	if err := k.Stop(0); err != nil {
		t.Fatal(err)
	}
	if err := k.Restart(0); err != nil {
		t.Fatal(err)
	}
	expect(t, k.Addrs(), "numbers", 150)

	if err := k.Kill(1); err == nil || !strings.Contains(err.Error(), "no broker 1") {
		t.Errorf("killing a broker that does not exist: %v", err)
	}
}

func TestThreeBrokers(t *testing.T) {
	k := realkafka.Start(t, realkafka.Options{Brokers: 3})
	c := client(t, k.Addrs())
	createTopic(t, c, "numbers", 6)
	produce(t, c, "numbers", 0, 100)
	if err := k.Kill(1); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "numbers", 100, 200) // the other two take over its leaders
	if err := k.Restart(1); err != nil {
		t.Fatal(err)
	}
	expect(t, k.Addrs(), "numbers", 200)
}

func TestSecureListener(t *testing.T) {
	k := realkafka.Start(t, realkafka.Options{Secure: true})
	createTopic(t, client(t, k.Addrs()), "numbers", 1)
	mechanisms := map[string]func(user, password string) sasl.Mechanism{
		"PLAIN": func(u, p string) sasl.Mechanism { return plain.Auth{User: u, Pass: p}.AsMechanism() },
		"SCRAM-SHA-256": func(u, p string) sasl.Mechanism {
			return scram.Auth{User: u, Pass: p}.AsSha256Mechanism()
		},
		"SCRAM-SHA-512": func(u, p string) sasl.Mechanism {
			return scram.Auth{User: u, Pass: p}.AsSha512Mechanism()
		},
	}
	for i, login := range realkafka.Logins {
		t.Run(login.Mechanism, func(t *testing.T) {
			as := func(password string) []kgo.Opt {
				return []kgo.Opt{
					kgo.DialTLSConfig(k.TLS()),
					kgo.SASL(mechanisms[login.Mechanism](login.User, password)),
				}
			}
			produce(t, client(t, k.SecureAddrs(), as(login.Password)...), "numbers", 10*i, 10*i+10)
			expect(t, k.SecureAddrs(), "numbers", 10*i+10, as(login.Password)...)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := client(t, k.SecureAddrs(), as("wrong")...).Ping(ctx)
			if err == nil || !strings.Contains(err.Error(), "SASL_AUTHENTICATION_FAILED") {
				t.Errorf("with a wrong password: %v", err)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	k := realkafka.Start(t, realkafka.Options{
		Features:   []string{"transaction.version=1"},
		Properties: map[string]string{"auto.create.topics.enable": "true", "num.partitions": "7"},
	})
	c := client(t, k.Addrs(), kgo.AllowAutoTopicCreation())
	produce(t, c, "implied", 0, 1)
	meta := kmsg.NewPtrMetadataRequest()
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr("implied")
	meta.Topics = append(meta.Topics, topic)
	resp, err := meta.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(resp.Topics[0].Partitions); n != 7 {
		t.Errorf("%d partitions, the properties say 7", n)
	}
	versions, err := kmsg.NewPtrApiVersionsRequest().RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range versions.FinalizedFeatures {
		if f.Name == "transaction.version" && f.MaxVersionLevel != 1 {
			t.Errorf("transaction.version is %d, the features say 1", f.MaxVersionLevel)
		}
	}
}

// A broker that cannot start says why; the words are the broker's own.
func TestBrokerThatCannotStart(t *testing.T) {
	if !realkafka.Required() {
		t.Skip("needs a real broker: OXBOW_REAL_KAFKA=1 runs it")
	}
	k, err := realkafka.Run(t.Context(), realkafka.Options{Properties: map[string]string{"num.io.threads": "none"}})
	if err == nil {
		k.Close()
		t.Fatal("started with num.io.threads=none")
	}
	if !strings.Contains(err.Error(), "num.io.threads") {
		t.Errorf("the error does not name the property: %v", err)
	}
}

// orphan starts a broker, says where it lies, and dies without a chance to clean up.
func orphan() {
	k, err := realkafka.Run(context.Background(), realkafka.Options{Dir: os.Getenv("OXBOW_REALKAFKA_DIR")})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("broker at", k.Addrs()[0])
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		fmt.Println(err)
	}
	select {}
}

func TestBrokersDieWithTheirParent(t *testing.T) {
	if !realkafka.Required() {
		t.Skip("needs a real broker: OXBOW_REAL_KAFKA=1 runs it")
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "OXBOW_REALKAFKA_ORPHAN=1", "OXBOW_REALKAFKA_DIR="+dir)
	out, err := cmd.Output()
	_, addr, found := strings.Cut(strings.TrimSpace(string(out)), "broker at ")
	if !found {
		t.Fatalf("the child did not start a broker: %v\n%s", err, out)
	}
	deadline := time.Now().Add(30 * time.Second)
	for serving(addr) {
		if time.Now().After(deadline) {
			t.Fatalf("the broker at %s outlived its parent", addr)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "broker-1", "broker.log")); err != nil {
		t.Errorf("its log: %v", err)
	}
}
