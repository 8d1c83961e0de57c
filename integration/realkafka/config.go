package realkafka

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Options say what cluster to start. The zero value is one broker with a plaintext listener.
type Options struct {
	// Brokers is how many brokers there are, each also a controller. Zero is one. More than one needs about 300 MB of
	// memory each; topics are then replicated to up to three of them.
	Brokers int

	// Secure adds a SASL_SSL listener to each broker: [Cluster.SecureAddrs], [Cluster.TLS] and [Logins].
	Secure bool

	// Properties are set in server.properties over the defaults of this package.
	Properties map[string]string

	// Features are the feature levels to format with, such as transaction.version=1. Empty means the newest.
	Features []string

	// HeapMB bounds the heap of each broker. Zero is 256.
	HeapMB int

	// Dir is where data and logs go. Empty means a temporary directory, which Close removes.
	Dir string
}

func (o Options) withDefaults() (Options, error) {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if o.HeapMB == 0 {
		o.HeapMB = 256
	}
	if o.Brokers < 1 || o.Brokers > 9 {
		return o, fmt.Errorf("real kafka: Options.Brokers is %d: give 1 to 9", o.Brokers)
	}
	if o.HeapMB < 128 {
		return o, fmt.Errorf("real kafka: Options.HeapMB is %d: a broker needs 128 at least", o.HeapMB)
	}
	return o, nil
}

// properties is the server.properties of broker b of c. Times are short, so that what a test waits for (a first join,
// the end of a dead broker's session, the abort of a transaction) happens soon.
func (c *Cluster) properties(b *broker) string {
	n := len(c.brokers)
	replicas, isr, partitions := min(n, 3), min(n, 2), min(n, 3)
	voters := make([]string, n)
	for i, v := range c.brokers {
		voters[i] = fmt.Sprintf("%d@127.0.0.1:%d", v.id, v.controllerPort)
	}
	plain := fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", b.port)
	listeners, advertised := plain, plain
	if c.options.Secure {
		listeners += fmt.Sprintf(",SASL_SSL://127.0.0.1:%d", b.securePort)
		advertised += fmt.Sprintf(",SASL_SSL://localhost:%d", b.securePort)
	}
	p := map[string]string{
		"process.roles":                                               "broker,controller",
		"node.id":                                                     strconv.Itoa(b.id),
		"controller.quorum.voters":                                    strings.Join(voters, ","),
		"controller.listener.names":                                   "CONTROLLER",
		"controller.quorum.election.timeout.ms":                       "500",
		"controller.quorum.fetch.timeout.ms":                          "1000",
		"listeners":                                                   fmt.Sprintf("%s,CONTROLLER://127.0.0.1:%d", listeners, b.controllerPort),
		"advertised.listeners":                                        advertised,
		"inter.broker.listener.name":                                  "PLAINTEXT",
		"listener.security.protocol.map":                              "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
		"log.dirs":                                                    filepath.Join(b.dir, "data"),
		"auto.create.topics.enable":                                   "false", // kfake has it so, and a misspelt name shall be seen
		"default.replication.factor":                                  strconv.Itoa(replicas),
		"min.insync.replicas":                                         strconv.Itoa(isr),
		"offsets.topic.replication.factor":                            strconv.Itoa(replicas),
		"offsets.topic.num.partitions":                                strconv.Itoa(partitions),
		"transaction.state.log.replication.factor":                    strconv.Itoa(replicas),
		"transaction.state.log.min.isr":                               strconv.Itoa(isr),
		"transaction.state.log.num.partitions":                        strconv.Itoa(partitions),
		"group.initial.rebalance.delay.ms":                            "0",
		"group.min.session.timeout.ms":                                "500",
		"broker.session.timeout.ms":                                   "1000",
		"broker.heartbeat.interval.ms":                                "200",
		"log.cleaner.backoff.ms":                                      "200",
		"log.cleaner.dedupe.buffer.size":                              "16777216", // 128 MB by default, half of the heap
		"num.network.threads":                                         "2",
		"num.io.threads":                                              "4",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
	}
	if c.options.Secure {
		maps.Copy(p, c.secureProperties())
	}
	maps.Copy(p, c.options.Properties)
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&text, "%s=%s\n", key, p[key])
	}
	return text.String()
}
