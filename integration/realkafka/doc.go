// Package realkafka runs Apache Kafka 4.3 in KRaft mode for tests and benchmarks: one broker or several, started from
// jars that Maven resolves once, stopped, killed and restarted as a test demands.
//
//	c := realkafka.Start(t, realkafka.Options{Brokers: 1}) // skips unless OXBOW_REAL_KAFKA=1
//	... c.Addrs() ...
//	err := c.Kill(0)    // kill -9
//	err = c.Restart(0)  // the same ports, the same data
//
// A program that is not a test uses [Run] and [Cluster.Close].
//
// # Guarantees
//
//	K1  Without OXBOW_REAL_KAFKA=1, [Start] starts no JVM. With it, missing Java, Maven or jars is a failure.
//	K2  When Start, Run or Restart returns, each of the cluster's running brokers has answered a Metadata request that
//	    lists them all, at their own addresses. A foreign process on the same port is not mistaken for a broker.
//	K3  A broker keeps its ports and its data over Kill, Stop and Restart. Ports are below the range of ephemeral
//	    ports and locked against other processes that use this package.
//	K4  Nothing outlives the cluster: brokers are killed by the test's cleanup, by Close, and, on Linux, by the kernel
//	    when the process that started them dies. Data lies in a temporary directory.
//	K5  A broker that does not get ready, or ends by itself, is an error that carries the end of its log. A failed test
//	    prints the end of every broker's log.
//
// # Where things are
//
// Jars and the class data archive, which halves the start of a JVM, are kept in OXBOW_KAFKA_DIR or, by default, in
// oxbow under the user's cache directory (about 100 MB). Resolving them takes a minute and is locked, so that several
// test binaries may begin at once.
//
// The package does not simulate a slow network, a full disk or a partition between brokers, and it has no client:
// tests bring their own.
package realkafka
