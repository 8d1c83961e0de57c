// Package kafkaclient proves internal/kafka on whole brokers, fake and real: topics, offsets, group membership, security,
// and what happens when brokers go away. What can be proved with a faked broker and a virtual clock is in internal/kafka
// itself; here is what a fake may have wrong.
//
//	C1  Members share the partitions, one owner each; a static member that restarts moves nothing, and the leader sees
//	    what it has to say.
//	C2  A commit that was confirmed is read back, whoever reads it, and brokers that die in between change nothing.
//
// It tests neither the codec nor the producer nor the fetcher.
package kafkaclient
