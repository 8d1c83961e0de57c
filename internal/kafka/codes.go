package kafka

// Error codes of Produce and InitProducerId that the producer decides on.
const (
	codeUnknownServerError          = -1
	codeCorruptMessage              = 2
	codeUnknownTopicOrPartition     = 3
	codeLeaderNotAvailable          = 5
	codeNotLeader                   = 6
	codeRequestTimedOut             = 7
	codeBrokerNotAvailable          = 8
	codeReplicaNotAvailable         = 9
	codeMessageTooLarge             = 10
	codeNetworkException            = 13
	codeCoordinatorLoading          = 14
	codeCoordinatorNotAvailable     = 15
	codeNotCoordinator              = 16
	codeRecordListTooLarge          = 18
	codeNotEnoughReplicas           = 19
	codeNotEnoughReplicasAfterWrite = 20
	codeInvalidTimestamp            = 32
	codeOutOfOrderSequence          = 45
	codeDuplicateSequence           = 46
	codeInvalidProducerEpoch        = 47
	codeConcurrentTransactions      = 51
	codeKafkaStorageError           = 56
	codeUnknownProducerID           = 59
	codeListenerNotFound            = 72
	codeFencedLeaderEpoch           = 74
	codeUnknownLeaderEpoch          = 75
	codeInvalidRecord               = 87
	codeThrottlingQuotaExceeded     = 89
	codeUnknownTopicID              = 100
)
