// Bench measures Oxbow against the limit of the machine and against hand-written loops, on one broker, in one run:
//
//	go run ./bench -case consume,pass,count,join,restore -rounds 5 [-json FILE]
//	go run ./bench -case eos -rounds 3        (exactly once against at least once)
//	go run ./bench -case chain,tumbling,hopping,hopping60,session,streamjoin,tablejoin,foreign,suppress,cold -rounds 2 -scale 0.1
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
//
// # How long a run is
//
// 5 000 000 records a case, for every candidate. Count and join meet their 100 000 keys for the first time, fill their tables and end
// with a last commit and a flush of their state: that costs the same however long a run is. A run of 2 000 000, as -scale 0.4 gives,
// takes about a second, and of count's about a quarter is this; one of 5 000 000 is nearer to what an application does all day, and has a commit
// of nearly all keys each second, as that has.
//
// # The cases of the DSL
//
//	chain       filter, mapValues, flatMap, filter, branch, to functions
//	tumbling    count per key and minute
//	hopping     count per key and second, every 500 ms
//	hopping60   count per key and minute, every second: 60 windows a record
//	session     count per key and session, with a gap of 10 s and a grace of 1 s
//	streamjoin  two streams within 10 s, 1 000 000 keys: a record meets its twin and little more. Counted are the records of both
//	tablejoin   two tables of 100 000 keys; one of them is only read at the beginning, within the measurement
//	foreign     100 000 rows, 100 for each key on the right, which changes. Counted are results; joining the rows for the first
//	            time is within the measurement of ours
//	suppress    count per key and 10 s, told once when the window has closed
//	cold        count of as many keys as records, with 64 MiB of cache for 10 000 000 of them
//
// Windows, sessions, suppress, tablejoin and cold write to an output topic; their stores are on disk and in changelogs. The loops
// by hand keep a Go map, and, but for tablejoin, tell nobody; that of cold reads as the limit does, and gets and puts in Pebble.
// What starts an application (group, internal topics) is not within the measurement, its last commit is: small runs pay much for it.
package main
