// Bench measures Oxbow against the limit of the machine and against hand-written loops, on one broker, in one run:
//
//	go run ./bench -case consume,pass,count,join,restore -rounds 5 [-json FILE]
//
// # Rules
//
//	N1  The unit is records of input per second of CPU time, user and system, of the measured process. The clock starts
//	    at the first record and stops when the last one has been processed, flushed and committed.
//	N2  Each candidate runs in a process of its own, so that it pays for its own garbage only. The broker has a process
//	    of its own too, whose time does not count.
//	N3  Within a round the candidates follow one another on the same data; every other round runs them backwards. What
//	    is reported is the median over rounds, and the median of the ratios within rounds, each with its spread.
//	N4  Answers are checked: records seen, sums of values, contents of the output topic. A wrong one reports no figure.
//	N5  The limit loop is what no client can beat by much: Fetch v12 into one buffer, checksum, decompression into
//	    another, a walk over the records. For pass-through it also produces the same batches, as they came, pipelined.
//
// # The broker
//
// KAFKA_BROKERS=host:port,... names a real cluster. OXBOW_REAL_KAFKA=1 starts one (integration/realkafka says what that
// takes). Else it is kfake, in a process of its own: quick to start, but slow to serve, so that ratios are right and wall
// times are not.
//
// # The data
//
// 4 partitions; 16-byte string keys out of 100 000, partitioned as Java does; values of 100 bytes, 8 of which are the
// number of the record and the rest text like JSON; batches of 128 KiB before compression; event time +1 ms every ten
// records.
package main
