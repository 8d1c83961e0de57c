package brokers

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/integration/realkafka"
)

// Lane is a kind of broker.
type Lane string

// The lanes.
const (
	Fake Lane = "fake"
	Real Lane = "real"
)

// Options say what cluster a scenario needs. The zero value is one broker for it alone.
type Options struct {
	// Brokers is how many there are. Zero is one.
	Brokers int

	// Shared lets real-lane scenarios of the test binary use one broker, which saves two seconds each. The binary's
	// TestMain must call [Main]. It cannot be combined with Brokers, Real or Bounced.
	Shared bool

	// Real is for the real lane: properties, a secure listener. Its Brokers field is set from the above.
	Real realkafka.Options

	// Fake is for the fake lane.
	Fake []kfake.Opt

	// Bounced says that the scenario calls [Cluster.Bounce]: the fake cluster then keeps its data on disk.
	Bounced bool
}

// Cluster is the brokers of one run of a scenario.
type Cluster struct {
	Lane  Lane
	Addrs []string

	Fake *kfake.Cluster     // nil on the real lane
	Real *realkafka.Cluster // nil on the fake lane

	client *kgo.Client // partitions by key, as Java's default
	manual *kgo.Client // partitions by Record.Partition

	options  Options
	fakeOpts []kfake.Opt
}

// Run runs scenario as the sub-test fake, and as the sub-test real where real brokers are required.
func Run(t *testing.T, o Options, scenario func(t *testing.T, c *Cluster)) {
	t.Helper()
	if o.Shared && (o.Bounced || o.Brokers > 1 || o.Real.Secure || len(o.Real.Properties)+len(o.Real.Features) > 0) {
		t.Fatal("brokers: Options.Shared is for one broker without settings that nobody ends: leave it out to have a cluster alone")
	}
	o.Brokers = max(o.Brokers, 1)
	t.Run(string(Fake), func(t *testing.T) { scenario(t, StartFake(t, o)) })
	if realkafka.Required() {
		t.Run(string(Real), func(t *testing.T) { scenario(t, StartReal(t, o)) })
	}
}

// StartFake starts a kfake cluster that ends with the test.
func StartFake(t *testing.T, o Options) *Cluster {
	t.Helper()
	opts := append([]kfake.Opt{kfake.NumBrokers(max(o.Brokers, 1))}, o.Fake...)
	if o.Bounced {
		opts = append(opts, kfake.DataDir(t.TempDir()))
	}
	fake, err := kfake.NewCluster(opts...)
	if err != nil {
		t.Fatalf("brokers: kfake: %v", err)
	}
	c := &Cluster{Lane: Fake, Addrs: fake.ListenAddrs(), Fake: fake, options: o, fakeOpts: opts}
	t.Cleanup(func() { c.Fake.Close() })
	return connect(t, c)
}

// StartReal starts a Kafka cluster that ends with the test, or takes the shared one.
func StartReal(t *testing.T, o Options) *Cluster {
	t.Helper()
	if o.Shared {
		real := shared.get(t)
		return connect(t, &Cluster{Lane: Real, Addrs: real.Addrs(), Real: real})
	}
	o.Real.Brokers = max(o.Brokers, 1)
	real := realkafka.Start(t, o.Real)
	return connect(t, &Cluster{Lane: Real, Addrs: real.Addrs(), Real: real, options: o})
}

func connect(t *testing.T, c *Cluster) *Cluster {
	t.Helper()
	c.client = c.NewClient(t)
	c.manual = c.NewClient(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return c
}

// NewClient returns a franz-go client of the cluster that ends with the test.
func (c *Cluster) NewClient(t testing.TB, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Addrs...)}, opts...)...)
	if err != nil {
		t.Fatalf("brokers: client: %v", err)
	}
	t.Cleanup(client.Close)
	return client
}
