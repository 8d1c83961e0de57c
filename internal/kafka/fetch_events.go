package kafka

import (
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// fetchEvent is something that happened; see fetchMachine.step.
type fetchEvent interface{ fetchEvent() }

type (
	// fetchAdd subscribes to a partition from an offset, anew if it was there.
	fetchAdd struct {
		tp     record.TopicPartition
		offset int64
	}
	fetchRemove struct{ tp record.TopicPartition }
	fetchPause  struct{ tp record.TopicPartition }
	fetchResume struct{ tp record.TopicPartition }

	// fetchLeader answers a fetchLookup.
	fetchLeader struct {
		tp             record.TopicPartition
		gen            uint64
		node, epoch    int32
		err            error
		fatal, unknown bool // no use to try again; the topic does not exist
	}

	// fetchAnswered brings the answer to a poll. Void parts come back marked skipped.
	fetchAnswered struct {
		poll   *fetchPoll
		answer *fetchAnswer
	}
	// fetchHanded: the answer has gone to the decoder, the poll is over.
	fetchHanded struct{ poll *fetchPoll }
	// fetchDelivered: all parts of the answer have been delivered or dropped.
	fetchDelivered struct {
		poll   *fetchPoll
		answer *fetchAnswer
	}
	// fetchFailed: there is no answer, or none that could be used.
	fetchFailed struct {
		poll *fetchPoll
		kind fetchFailure
		err  error
	}
	// fetchCorrupt: the decoder found damage, and the receiver has been or is being told.
	fetchCorrupt struct {
		tp  record.TopicPartition
		gen uint64
	}
	// fetchTick: the time of wake has come.
	fetchTick struct{}
)

func (fetchAdd) fetchEvent()       {}
func (fetchRemove) fetchEvent()    {}
func (fetchPause) fetchEvent()     {}
func (fetchResume) fetchEvent()    {}
func (fetchLeader) fetchEvent()    {}
func (fetchAnswered) fetchEvent()  {}
func (fetchHanded) fetchEvent()    {}
func (fetchDelivered) fetchEvent() {}
func (fetchFailed) fetchEvent()    {}
func (fetchCorrupt) fetchEvent()   {}
func (fetchTick) fetchEvent()      {}

// fetchFailure tells how a poll failed.
type fetchFailure int

const (
	fetchFailedNetwork   fetchFailure = iota // try again
	fetchFailedMalformed                     // try again, not for ever
	fetchFailedFatal                         // do not try again
)

// maxMalformed is how many senseless answers in a row are taken for a bad connection. More are the broker's.
const maxMalformed = 3

// fetchAction is something to be done.
type fetchAction interface{ fetchAction() }

type (
	// fetchAsk: send this poll.
	fetchAsk struct{ poll *fetchPoll }
	// fetchLookup: find the leader.
	fetchLookup struct {
		tp      record.TopicPartition
		gen     uint64
		refresh bool // not from the cache
	}
	// fetchStop: tell the receiver that the partition has stopped.
	fetchStop struct {
		tp   record.TopicPartition
		gen  uint64
		next int64
		err  error
	}
)

func (fetchAsk) fetchAction()    {}
func (fetchLookup) fetchAction() {}
func (fetchStop) fetchAction()   {}

// fetchTimes are the waits that are not configured.
const (
	// fetchSideWait bounds how long a second partition that becomes ready during a long poll waits for the side slot.
	fetchSideWait = 25 * time.Millisecond
	// fetchHoldWait bounds how long a partition that got nothing waits to be asked in one poll with the others.
	fetchHoldWait = 5 * time.Millisecond
	// fetchBackoff is the first wait after trouble; it doubles up to fetchBackoffMax.
	fetchBackoff    = 20 * time.Millisecond
	fetchBackoffMax = time.Second
	// fetchUnknownAfter is longer than any new topic is unknown to some broker.
	fetchUnknownAfter = time.Minute
)
