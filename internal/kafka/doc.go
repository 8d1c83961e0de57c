// Package kafka speaks to brokers: connections, metadata, record batches, fetch, produce, group membership, offsets and
// administration. It is the only importer of kafka-go and kmsg.
//
// # Guarantees
//
//	K1  Every request has a deadline, a broker id, a negotiated version and a checked frame. Throttle times are
//	    honoured, per broker and kind of request. There is no call that can wait for ever.
//	K2  A context that ends ends the I/O under it, and no buffer of the caller is touched after a call returned.
//	K3  An error is typed: a [BrokerError] says what the broker answered, a [ConnError] says that there was no answer.
//	    What to do about a code is decided in one table (actions.go), per kind of request.
//	K4  Routing is by broker id, from a metadata cache of our own. Leader epochs never go back for the same topic.
//	K5  A connection that the broker closed while it idled is replaced silently. One whose SASL session is about to end
//	    is replaced before that.
//	K6  No answer makes the client panic or allocate more than it has received, plus a constant, unless a configured
//	    limit allows it.
//	K7  Decisions that outlive a request (group membership) are pure machines: Step(event) returns actions. The
//	    goroutines around them only do I/O and measure time.
//	K8  A member's partitions are committed before it asks to join again, and are given up only after its handler has
//	    returned. Heartbeats go on meanwhile.
//	K9  A [Batch] is read where it lies in its answer: a walk copies nothing and allocates nothing per record. Its
//	    checksum has been verified, every count and length is checked against the bytes that are left, decompression
//	    is bounded, and the next offset comes from the header. A batch that cannot be read is a [CorruptError] with
//	    coordinates. Views die with the last Release; test builds overwrite the memory then.
//	K10 A [Producer] appends each batch at most once, and in the order of Send per partition, over every retry, lost
//	    answer and moved leader (the rules S1 to S6 are the sequencer's, a pure machine). A batch that is not
//	    acknowledged as appended says whether it may be in the log.
//	K11 A [Fetcher] delivers each partition's records once, in order, from the offset it was given, over moved leaders
//	    and lost answers (the rules M1 to M6 are those of its machine). Nothing of a partition is delivered after
//	    Remove has returned; a resumed partition waits for no long poll. What stops a partition is told after its
//	    data, typed: [OffsetOutOfRangeError], confirmed by the current leader, [CorruptError], [FetchError].
//	K12 A transactional [Producer] shows the batches and offsets of a transaction together or not at all, also when
//	    requests turn up late, the coordinator aborts by age, or another producer takes over. What it says of an end is
//	    true, and it says when it cannot know (the rules T1 to T7 are the transactor's, a pure machine).
//
// # What it does not do
//
// It decides nothing about tasks, stores or dead letters; it does not choose who owns a partition (an [Assignor] does);
// it resets no offset by itself. It does not use kafka-go's Reader, Writer, ConsumerGroup or Client: those lose, repeat
// or invent records on compacted and transactional topics. From kafka-go it takes the connection pool (Transport)
// and SASL; compression comes from the libraries that kafka-go uses, called without its stream readers.
package kafka
