package stream

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"

	"github.com/segmentio/kafka-go/sasl"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/topology"
)

// Codec is a compression of record batches.
type Codec string

// The codecs.
const (
	NoCompression Codec = "none"
	Gzip          Codec = "gzip"
	Snappy        Codec = "snappy"
	LZ4           Codec = "lz4"
	Zstd          Codec = "zstd"
)

// Guarantee says what becomes of a record when something breaks.
type Guarantee int

const (
	// AtLeastOnce: every record is processed. What was processed after the last commit of a task whose instance dies, or loses the
	// task, is processed again, and shows again in topics and state.
	AtLeastOnce Guarantee = iota
	// ExactlyOnce: outputs, dead letters, state and the offsets of inputs become visible together, or not at all, whatever breaks.
	// Readers of the outputs must read committed records (isolation.level=read_committed). What functions do beside Kafka
	// (a call, an e-mail) may happen more than once.
	ExactlyOnce
)

func (g Guarantee) String() string {
	switch g {
	case AtLeastOnce:
		return "at least once"
	case ExactlyOnce:
		return "exactly once"
	}
	return fmt.Sprintf("Guarantee(%d)", int(g))
}

// Config says where an application runs and how. ApplicationID and Brokers are needed; the zero value of every other field is
// its documented default.
type Config struct {
	// ApplicationID names the application: its group, the beginning of its internal topics, its state directory. Letters,
	// digits, '.', '_' and '-'.
	ApplicationID string
	// Brokers are addresses to begin with, as host:port.
	Brokers []string
	// ClientID names this program in the brokers' logs and quotas. Default: the application id.
	ClientID string
	// TLS, if set, is used for every connection.
	TLS *tls.Config
	// SASL, if set, authenticates every connection: kafka-go's mechanisms.
	SASL sasl.Mechanism
	// Dial opens a connection. Default: TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Workers is the number of goroutines that run tasks. Default: GOMAXPROCS.
	Workers int
	// StateDir is where the state of applications is kept, in a directory per application id. Default: oxbow in the user's
	// cache directory.
	StateDir string
	// StateEngine, if set, keeps the stores instead of Pebble in StateDir. The caller closes it.
	StateEngine state.Engine
	// InstanceID makes the instance a static member of the group: a restart within the session time moves no task.
	InstanceID string

	// Guarantee says what becomes of a record when something breaks. Default: AtLeastOnce.
	Guarantee Guarantee
	// CommitInterval is the longest time between two commits. Default 1 s; 100 ms with ExactlyOnce, where a reader of committed
	// records sees nothing before it.
	CommitInterval time.Duration
	// TransactionTimeout is how long a transaction of ExactlyOnce may be open before the brokers abort it. A worker that is stuck in a
	// function for longer does its work again. Default 1 min; the brokers' transaction.max.timeout.ms, 15 min by default, bounds it.
	TransactionTimeout time.Duration
	// MaxTaskIdle is how long a task with several inputs waits for one that is empty although the broker has no more of it.
	// Default 0: not at all. A negative value also does not wait for records that the broker is known to have.
	MaxTaskIdle time.Duration
	// CacheMaxBytes bounds the rows that wait in emission buffers; negative switches emission buffers off. Default 64 MiB.
	CacheMaxBytes int64
	// DirtyMaxBytes bounds state that is not committed; reaching it commits early. Default 64 MiB.
	DirtyMaxBytes int64
	// StateCacheBytes bounds the memory of all stores' caches. Default 256 MiB.
	StateCacheBytes int64

	// Compression of what is written. Default none.
	Compression Codec
	// FetchPartitionBytes is asked per partition and fetch. Default 1 MiB.
	FetchPartitionBytes int
	// FetchBrokerBytes is asked per broker and fetch. Default 16 MiB.
	FetchBrokerBytes int
	// FetchWait is how long a broker waits for records before it answers without. Default 500 ms.
	FetchWait time.Duration
	// MetadataMaxAge is how long a new topic that matches the pattern of a source may go unnoticed. Default 5 min.
	MetadataMaxAge time.Duration
	// MaxUnitBytes bounds what one record may cause to be sent. Default 64 MiB.
	MaxUnitBytes int

	// OffsetReset says where to begin in a topic of which the group has no offset. Default: earliest.
	OffsetReset OffsetPolicy
	// Replication of internal topics. Default: the brokers'.
	Replication int
	// Session is how long the group waits for a silent member. Default 45 s.
	Session time.Duration
	// Heartbeat is the time between two signs of life. Default 3 s.
	Heartbeat time.Duration
	// RebalanceTimeout is how long an instance may take to give up tasks. Default 5 min.
	RebalanceTimeout time.Duration
	// MaxProcessingTime is how long a worker may work on one batch before it counts as stuck: the health check fails and the
	// application stops. Default 5 min.
	MaxProcessingTime time.Duration
	// CallTimeout bounds a call of a function that takes a context. Default 1 min; with ExactlyOnce at most half of
	// TransactionTimeout.
	CallTimeout time.Duration
	// ShutdownTimeout bounds the last commit when Run's context ends. Default 30 s.
	ShutdownTimeout time.Duration

	// OnError is the policy for what fails, where neither node nor topic has one. Default: transient failures are retried for
	// a minute, then, like all others at once, dead-lettered.
	OnError []Rule
	// TopicErrors are policies by source topic.
	TopicErrors map[string][]Rule
	// DeadLetterTopic is where records that fail are set aside. Default: the application id and "-dlq".
	DeadLetterTopic string
	// NoDeadLetters switches dead letters off: what would be set aside stops the application instead.
	NoDeadLetters bool
	// KeepPartial lets a failing record keep the effects it had, as Kafka Streams does.
	KeepPartial bool
	// CheckUnits runs every record, undoes it, runs it again and compares. It is for tests: it costs more than half the speed.
	CheckUnits bool

	// Version of the program, for dead letters. Default: what the Go toolchain has stamped on it.
	Version string
	// Logger gets what no caller can be told. Default: slog.Default().
	Logger *slog.Logger
	// Listener is told of every change of state, in order. It must not block.
	Listener func(from, to State)

	// MetricsAddr, if set, serves /metrics, /livez, /readyz and /startupz there.
	MetricsAddr string
	// MetricsToken, if set, must come with every request for metrics as a bearer token. An address that is not a loopback one
	// needs it.
	MetricsToken string
}

const (
	mib                       = 1 << 20
	defaultTransactionTimeout = time.Minute
)

// Validate reports every fault of the configuration at once, each with key, value and fix.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("config: "+format, args...)) }
	if c.ApplicationID == "" {
		fault("ApplicationID is empty: name the application; its group and topics are called by it")
	} else if err := state.CheckName("application id", c.ApplicationID); err != nil {
		fault("ApplicationID: %v", err)
	}
	if len(c.Brokers) == 0 {
		fault("Brokers is empty: name at least one broker as host:port")
	}
	for _, n := range []struct {
		name  string
		value int
	}{{"Workers", c.Workers}, {"FetchPartitionBytes", c.FetchPartitionBytes}, {"FetchBrokerBytes", c.FetchBrokerBytes},
		{"MaxUnitBytes", c.MaxUnitBytes}, {"Replication", c.Replication}} {
		if n.value < 0 || n.value > 1<<30 {
			fault("%s = %d: must be from 1 to %d, or 0 for the default", n.name, n.value, 1<<30)
		}
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"CommitInterval", c.CommitInterval}, {"TransactionTimeout", c.TransactionTimeout}, {"FetchWait", c.FetchWait}, {"Session", c.Session}, {"Heartbeat", c.Heartbeat},
		{"RebalanceTimeout", c.RebalanceTimeout}, {"MaxProcessingTime", c.MaxProcessingTime}, {"CallTimeout", c.CallTimeout},
		{"ShutdownTimeout", c.ShutdownTimeout}, {"MetadataMaxAge", c.MetadataMaxAge}} {
		if d.value < 0 || d.value > 0 && d.value < time.Millisecond {
			fault("%s = %s: must be at least 1ms, or 0 for the default", d.name, d.value)
		}
	}
	c.validateTransactions(fault)
	if c.DirtyMaxBytes < 0 || c.StateCacheBytes < 0 {
		fault("DirtyMaxBytes = %d, StateCacheBytes = %d: must not be negative; 0 means the default", c.DirtyMaxBytes, c.StateCacheBytes)
	}
	if _, ok := codecs[c.Compression]; !ok {
		fault("Compression = %q: choose none, gzip, snappy, lz4 or zstd", c.Compression)
	}
	if c.DeadLetterTopic != "" {
		if err := state.CheckName("topic", c.DeadLetterTopic); err != nil {
			fault("DeadLetterTopic: %v", err)
		}
		if c.NoDeadLetters {
			fault("DeadLetterTopic = %q together with NoDeadLetters: leave one of them out", c.DeadLetterTopic)
		}
	}
	return errors.Join(errs...)
}

// validateTransactions holds the times of transactions against one another.
func (c *Config) validateTransactions(fault func(format string, args ...any)) {
	switch c.Guarantee {
	case AtLeastOnce:
		if c.TransactionTimeout != 0 {
			fault("TransactionTimeout = %s without Guarantee: ExactlyOnce: leave one out, or set the other", c.TransactionTimeout)
		}
		return
	case ExactlyOnce:
	default:
		fault("Guarantee = %d: choose AtLeastOnce or ExactlyOnce", int(c.Guarantee))
		return
	}
	timeout := cmp.Or(c.TransactionTimeout, defaultTransactionTimeout)
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"CommitInterval", c.CommitInterval}, {"CallTimeout", c.CallTimeout}} {
		if d.value > timeout/2 {
			fault("%s = %s with TransactionTimeout = %s: at most half of it, or transactions are aborted for their age: shorten the one, "+
				"or lengthen the other", d.name, d.value, timeout)
		}
	}
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// withDefaults returns a copy in which every zero is replaced.
func (c Config) withDefaults() Config {
	orDefault(&c.ClientID, c.ApplicationID)
	orDefault(&c.Workers, runtime.GOMAXPROCS(0))
	if c.Guarantee == ExactlyOnce {
		orDefault(&c.CommitInterval, 100*time.Millisecond)
		orDefault(&c.TransactionTimeout, defaultTransactionTimeout)
		orDefault(&c.CallTimeout, min(time.Minute, c.TransactionTimeout/2))
	}
	orDefault(&c.CommitInterval, time.Second)
	orDefault(&c.CacheMaxBytes, 64*mib)
	orDefault(&c.DirtyMaxBytes, 64*mib)
	orDefault(&c.StateCacheBytes, 256*mib)
	orDefault(&c.FetchPartitionBytes, mib)
	orDefault(&c.FetchBrokerBytes, 16*mib)
	orDefault(&c.FetchWait, 500*time.Millisecond)
	orDefault(&c.MetadataMaxAge, 5*time.Minute)
	orDefault(&c.MaxUnitBytes, 64*mib)
	orDefault(&c.OffsetReset, topology.OffsetEarliest)
	orDefault(&c.MaxProcessingTime, 5*time.Minute)
	orDefault(&c.CallTimeout, time.Minute)
	orDefault(&c.ShutdownTimeout, 30*time.Second)
	orDefault(&c.DeadLetterTopic, c.ApplicationID+"-dlq")
	if c.NoDeadLetters {
		c.DeadLetterTopic = ""
	}
	orDefault(&c.Version, buildVersion())
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// policies makes the app's and the topics' policies.
func (c *Config) policies() (app *dlq.Policy, topics map[string]*dlq.Policy) {
	if len(c.OnError) > 0 {
		app = dlq.NewPolicy(c.OnError...)
	}
	for topic, rules := range c.TopicErrors {
		if topics == nil {
			topics = map[string]*dlq.Policy{}
		}
		topics[topic] = dlq.NewPolicy(rules...)
	}
	return app, topics
}
