package node

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Instruction is what the right side of a foreign-key join does with a subscription. Values are part of the format.
type Instruction uint8

// The instructions, named as in Kafka Streams.
const (
	DeleteKeyNoPropagate            Instruction = 0 // forget the subscription, answer nothing
	DeleteKeyAndPropagate           Instruction = 1 // forget it, answer null
	PropagateNullIfNoFKValAvailable Instruction = 2 // remember it, answer with the row or null
	PropagateOnlyIfFKValAvailable   Instruction = 3 // remember it, answer if there is a row
)

// Subscription is what the left side of a foreign-key join tells the right side about a row of its own.
type Subscription[K any] struct {
	PrimaryKey  K
	Hash        record.Opt[Hash128] // of the row's value, absent for a deletion
	Instruction Instruction
	Partition   int32 // where the answer goes; −1: by the primary key
}

// Response is what the right side answers.
type Response[R any] struct {
	Hash      record.Opt[Hash128] // of the subscription
	Value     record.Opt[R]       // the right row
	Partition int32               // where to send it; it does not travel
}

// Formats of both: a byte with the version, and a bit that there is no hash. Version 0 of subscriptions has no partition.
const (
	hashIsNull          = 0x80
	subscriptionVersion = 1
	responseVersion     = 0
)

// SubscriptionSerde is how subscriptions travel, in Kafka Streams' format: version and hash-is-null bit, instruction, hash of 16
// bytes if there is one, primary key, partition of 4 bytes.
func SubscriptionSerde[K any](primary serde.Serde[K]) serde.Serde[Subscription[K]] {
	return subscriptionSerde[K]{primary}
}

type subscriptionSerde[K any] struct{ primary serde.Serde[K] }

func appendHash(dst []byte, version byte, h record.Opt[Hash128]) []byte {
	if !h.IsSome() {
		return append(dst, version|hashIsNull)
	}
	return append(dst, version)
}

func appendHashBytes(dst []byte, h record.Opt[Hash128]) []byte {
	if hash, ok := h.Get(); ok {
		dst = binary.BigEndian.AppendUint64(dst, hash[0])
		dst = binary.BigEndian.AppendUint64(dst, hash[1])
	}
	return dst
}

func (s subscriptionSerde[K]) Append(dst []byte, v Subscription[K]) ([]byte, error) {
	b := append(appendHash(dst, subscriptionVersion, v.Hash), byte(v.Instruction))
	b, err := s.primary.Append(appendHashBytes(b, v.Hash), v.PrimaryKey)
	if err != nil {
		return dst, err
	}
	return binary.BigEndian.AppendUint32(b, uint32(v.Partition)), nil
}

// subscriptionView is a subscription with its key still encoded.
type subscriptionView struct {
	primary     []byte
	hash        record.Opt[Hash128]
	instruction Instruction
	partition   int32
}

var errSubscription = errors.New("a subscription of a foreign-key join ends too early")

func viewSubscription(b []byte) (v subscriptionView, err error) {
	if len(b) < 2 {
		return v, errSubscription
	}
	version := b[0] &^ hashIsNull
	if version > subscriptionVersion {
		return v, fmt.Errorf("a subscription of a foreign-key join has version %d, up to %d are known", version, subscriptionVersion)
	}
	if v.instruction = Instruction(b[1]); v.instruction > PropagateOnlyIfFKValAvailable {
		return v, fmt.Errorf("a subscription of a foreign-key join has the instruction %d, up to %d are known", b[1],
			PropagateOnlyIfFKValAvailable)
	}
	hashed := b[0]&hashIsNull == 0
	if v.hash, b, err = cutHash(b[2:], hashed); err != nil {
		return v, err
	}
	v.partition = ByKey
	if version > 0 {
		if len(b) < 4 {
			return v, errSubscription
		}
		v.partition = int32(binary.BigEndian.Uint32(b[len(b)-4:]))
		b = b[:len(b)-4]
	}
	v.primary = b
	return v, nil
}

func cutHash(b []byte, there bool) (h record.Opt[Hash128], rest []byte, err error) {
	if !there {
		return h, b, nil
	}
	if len(b) < 16 {
		return h, nil, errSubscription
	}
	return record.Some(Hash128{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}), b[16:], nil
}

func (s subscriptionSerde[K]) Decode(b []byte) (v Subscription[K], err error) {
	view, err := viewSubscription(b)
	if err != nil {
		return v, err
	}
	v = Subscription[K]{Hash: view.hash, Instruction: view.instruction, Partition: view.partition}
	v.PrimaryKey, err = s.primary.Decode(view.primary)
	return v, err
}

// ResponseSerde is how responses travel, in Kafka Streams' format: version and hash-is-null bit, hash of 16 bytes if there is one,
// the right row's value. A value of no bytes cannot be told from null there, and is null.
func ResponseSerde[R any](value serde.Serde[R]) serde.Serde[Response[R]] {
	return responseSerde[R]{value}
}

type responseSerde[R any] struct{ value serde.Serde[R] }

func (s responseSerde[R]) Append(dst []byte, v Response[R]) ([]byte, error) {
	b := appendHashBytes(appendHash(dst, responseVersion, v.Hash), v.Hash)
	r, ok := v.Value.Get()
	if !ok {
		return b, nil
	}
	b, err := s.value.Append(b, r)
	if err != nil {
		return dst, err
	}
	return b, nil
}

func (s responseSerde[R]) Decode(b []byte) (v Response[R], err error) {
	v.Partition = ByKey
	if len(b) == 0 {
		return v, errors.New("a response of a foreign-key join is empty")
	}
	if version := b[0] &^ hashIsNull; version != responseVersion {
		return v, fmt.Errorf("a response of a foreign-key join has version %d, %d is known", version, responseVersion)
	}
	if v.Hash, b, err = cutHash(b[1:], b[0]&hashIsNull == 0); err != nil || len(b) == 0 {
		return v, err
	}
	r, err := s.value.Decode(b)
	v.Value = record.OptOf(r, err == nil)
	return v, err
}
