package kafka

import (
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// ProducerConfig configures a producer. The zero value is complete: idempotent, acks from all replicas in sync.
type ProducerConfig struct {
	// MaxInFlight is the number of requests on their way to one broker. 0: 5, which is also the most.
	MaxInFlight int
	// RequestBytes bounds a produce request; a single batch may exceed it. 0: 1 MiB.
	RequestBytes int
	// DeliveryTimeout bounds the time from Send to the end of all resends. Past it the batch fails, because a broker
	// that has forgotten the producer meanwhile would append a resend twice. 0: 5 minutes.
	DeliveryTimeout time.Duration
	// Codec compresses batches that have to be split because the broker finds them too large.
	Codec Codec

	// TransactionalID makes the producer transactional: batches belong to the open transaction, which begins with the
	// first of them, and which End ends. Of two producers with the same id, the one that began to Run later works.
	TransactionalID string
	// TransactionTimeout is how long a transaction may be open before the coordinator aborts it. 0: one minute.
	TransactionTimeout time.Duration
	// Ended is called by Run for every End. It must not block for long.
	Ended func(TxnEnd)
	// AddAlone are topics that become part of a transaction by requests of their own, so that a right that is missing for
	// one of them shows as such. Only protocol 1 has these requests.
	AddAlone []string
	// Protocol1 keeps to transaction protocol 1 where brokers offer 2 (KIP-890) as well.
	Protocol1 bool
}

// Ack is the outcome of a batch. Acks of a partition come in the order of its Sends.
type Ack struct {
	Batch      *OutBatch // valid during the callback; its memory is reused afterwards
	TP         record.TopicPartition
	BaseOffset int64           // of the first record; −1 if the broker did not say
	Err        error           // nil: appended
	Refused    []RefusedRecord // if Err is a *RefusedError
}

// RefusedRecord is a record that the broker refused for its own sake.
type RefusedRecord struct {
	Index   int // in the batch
	Message string
}

// RefusedError says that the broker refused a batch for the sake of its records: too large, timestamp out of range, no
// key on a compacted topic. Nothing of the batch has been appended.
type RefusedError struct {
	TP      record.TopicPartition
	Code    int16
	Message string
	Records []RefusedRecord // the ones at fault, as far as the broker named them
}

func (e *RefusedError) Error() string {
	reason := map[int16]string{
		codeMessageTooLarge:    "record too large for max.message.bytes of the topic",
		codeRecordListTooLarge: "batch larger than a segment of the topic",
		codeInvalidTimestamp:   "timestamp outside message.timestamp.before.max.ms and message.timestamp.after.max.ms of the topic",
		codeInvalidRecord:      "invalid record (a compacted topic wants a key)",
	}[e.Code]
	if e.Message != "" {
		reason += ": " + e.Message
	}
	return fmt.Sprintf("%s: produce: broker refuses the batch (code %d): %s", e.TP, e.Code, reason)
}

// ProduceError says that a batch was not appended, or, if Unknown, that nobody can tell.
type ProduceError struct {
	TP      record.TopicPartition
	Code    int16 // the broker's last answer; 0 if there was none
	Unknown bool  // the batch may have been appended
	Cause   error
}

func (e *ProduceError) Error() string {
	outcome := "not appended"
	if e.Unknown {
		outcome = "outcome unknown"
	}
	if e.Code != 0 {
		return fmt.Sprintf("%s: produce: %s: %v (code %d)", e.TP, outcome, e.Cause, e.Code)
	}
	return fmt.Sprintf("%s: produce: %s: %v", e.TP, outcome, e.Cause)
}

func (e *ProduceError) Unwrap() error { return e.Cause }
