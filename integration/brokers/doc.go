// Package brokers runs a scenario on every kind of broker there is, and does for it what a user's programs and tools
// would do around the application under test: create topics, produce, read, look at groups.
//
//	brokers.Run(t, brokers.Options{}, func(t *testing.T, c *brokers.Cluster) {
//		c.CreateTopic(t, "in", 4)
//		c.Produce(t, &kgo.Record{Topic: "in", Key: []byte("k"), Value: []byte("v")})
//		... run an application on c.Addrs ...
//		c.Await(t, "out", brokers.Count(1))
//	})
//
// # Lanes
//
//	fake  kfake in this process, over loopback: always
//	real  Apache Kafka in processes of its own (integration/realkafka): with OXBOW_REAL_KAFKA=1
//
// A scenario is written once and becomes a sub-test for each lane. What only one kind can do is under [Cluster.Fake]
// and [Cluster.Real], of which one is nil.
//
// # Guarantees
//
//	B1  A helper that fails ends the test and says which topic, partition or group it was about. None waits for ever.
//	B2  Read returns every record below the end of the topic as it was when Read was called, transaction markers and
//	    compacted offsets passed over, in the order of partition and offset.
//	B3  Nothing of a cluster outlives its sub-test. With Options.Shared the real broker lives until [Main] returns;
//	    topics and groups of one test are then seen by the next, so names must differ.
//
// The client behind the helpers is franz-go's, so that a mistake in internal/kafka cannot hide itself.
package brokers
