package kafka

import "github.com/twmb/franz-go/pkg/kmsg"

// Action is a set of things to do about an error. None means: give up, and say so.
type Action uint16

const (
	// Retry: the same request may succeed later.
	Retry Action = 1 << iota
	// Refresh: the metadata cache is old.
	Refresh
	// FindCoordinator: the coordinator has moved.
	FindCoordinator
	// Rejoin: the member must join its group again.
	Rejoin
	// ForgetMember: the member id is no longer good; join without one.
	ForgetMember
	// Fenced: another instance has taken this one's place.
	Fenced
	// BadRecord: the broker refuses the record for its own sake.
	BadRecord
	// Denied: a right is missing.
	Denied
	// Abort: the open transaction can only be aborted; the producer goes on.
	Abort
)

// Has tells whether all of b is in a.
func (a Action) Has(b Action) bool { return a&b == b }

type codeInfo struct {
	name   string
	action Action
	hint   string
}

const (
	refresh     = Retry | Refresh
	coordinator = Retry | FindCoordinator
)

// Codes that groups, metadata and administration look at; those of Produce are in codes.go.
const (
	codeOffsetOutOfRange     Code = 1
	codeUnknownTopic         Code = 3
	codeCoordinatorNone      Code = 15
	codeIllegalGeneration    Code = 22
	codeInconsistentProtocol Code = 23
	codeUnknownMember        Code = 25
	codeRebalance            Code = 27
	codeUnsupportedVersion   Code = 35
	codeTopicExists          Code = 36
	codeInvalidPartitions    Code = 37
	codeNotController        Code = 41
	codeSecurityDisabled     Code = 54
	codeMemberIDRequired     Code = 79
	codeFencedInstance       Code = 82
	codeUnstableOffset       Code = 88
)

// Codes that only transactions look at.
const (
	codeInvalidTxnState          Code = 48
	codeInvalidProducerIDMapping Code = 49
	codeTransactionalIDDenied    Code = 53
	codeProducerFenced           Code = 90
	codeTransactionAbortable     Code = 120
)

// codes is the one table of what an error code means. Where a kind of request differs, apiActions says how.
var codes = map[Code]codeInfo{
	-1:  {"UNKNOWN_SERVER_ERROR", 0, "the broker's log says more"},
	1:   {"OFFSET_OUT_OF_RANGE", 0, ""},
	2:   {"CORRUPT_MESSAGE", Retry, ""},
	3:   {"UNKNOWN_TOPIC_OR_PARTITION", refresh, ""},
	4:   {"INVALID_FETCH_SIZE", 0, ""},
	5:   {"LEADER_NOT_AVAILABLE", refresh, ""},
	6:   {"NOT_LEADER_OR_FOLLOWER", refresh, ""},
	7:   {"REQUEST_TIMED_OUT", Retry, ""},
	8:   {"BROKER_NOT_AVAILABLE", refresh, ""},
	9:   {"REPLICA_NOT_AVAILABLE", refresh, ""},
	10:  {"MESSAGE_TOO_LARGE", BadRecord, "raise max.message.bytes of the topic, or make records smaller"},
	11:  {"STALE_CONTROLLER_EPOCH", Retry, ""},
	12:  {"OFFSET_METADATA_TOO_LARGE", 0, "raise offset.metadata.max.bytes of the brokers"},
	13:  {"NETWORK_EXCEPTION", refresh, ""},
	14:  {"COORDINATOR_LOAD_IN_PROGRESS", coordinator, ""},
	15:  {"COORDINATOR_NOT_AVAILABLE", coordinator, ""},
	16:  {"NOT_COORDINATOR", coordinator, ""},
	17:  {"INVALID_TOPIC_EXCEPTION", 0, "use letters, digits, '.', '_', '-', at most 249; internal topics cannot be changed"},
	18:  {"RECORD_LIST_TOO_LARGE", BadRecord, ""},
	19:  {"NOT_ENOUGH_REPLICAS", Retry, ""},
	20:  {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", Retry, ""},
	21:  {"INVALID_REQUIRED_ACKS", 0, ""},
	22:  {"ILLEGAL_GENERATION", Rejoin, ""},
	23:  {"INCONSISTENT_GROUP_PROTOCOL", 0, "the group has live members that speak another protocol (another application, a Java one, or another version): stop them, or choose another application id"},
	24:  {"INVALID_GROUP_ID", 0, "the group id must not be empty"},
	25:  {"UNKNOWN_MEMBER_ID", Rejoin | ForgetMember, ""},
	26:  {"INVALID_SESSION_TIMEOUT", 0, "choose a session timeout between group.min.session.timeout.ms and group.max.session.timeout.ms of the brokers (6 s to 30 min by default)"},
	27:  {"REBALANCE_IN_PROGRESS", Rejoin, ""},
	28:  {"INVALID_COMMIT_OFFSET_SIZE", 0, "raise offset.metadata.max.bytes of the brokers"},
	29:  {"TOPIC_AUTHORIZATION_FAILED", Denied, "grant the right on the topic"},
	30:  {"GROUP_AUTHORIZATION_FAILED", Denied, "grant READ on the group"},
	31:  {"CLUSTER_AUTHORIZATION_FAILED", Denied, "grant the right on the cluster"},
	32:  {"INVALID_TIMESTAMP", BadRecord, ""},
	33:  {"UNSUPPORTED_SASL_MECHANISM", Denied, ""},
	34:  {"ILLEGAL_SASL_STATE", Denied, ""},
	35:  {"UNSUPPORTED_VERSION", 0, ""},
	36:  {"TOPIC_ALREADY_EXISTS", 0, ""},
	37:  {"INVALID_PARTITIONS", 0, ""},
	38:  {"INVALID_REPLICATION_FACTOR", 0, "no more replicas than there are brokers; −1 takes the brokers' default"},
	39:  {"INVALID_REPLICA_ASSIGNMENT", 0, ""},
	40:  {"INVALID_CONFIG", 0, ""},
	41:  {"NOT_CONTROLLER", refresh, ""},
	42:  {"INVALID_REQUEST", 0, ""},
	43:  {"UNSUPPORTED_FOR_MESSAGE_FORMAT", 0, ""},
	44:  {"POLICY_VIOLATION", 0, ""},
	45:  {"OUT_OF_ORDER_SEQUENCE_NUMBER", 0, ""},
	46:  {"DUPLICATE_SEQUENCE_NUMBER", 0, ""},
	47:  {"INVALID_PRODUCER_EPOCH", Fenced, ""},
	48:  {"INVALID_TXN_STATE", Abort, ""},
	49:  {"INVALID_PRODUCER_ID_MAPPING", Fenced, ""},
	50:  {"INVALID_TRANSACTION_TIMEOUT", 0, "choose a transaction timeout of at most transaction.max.timeout.ms of the brokers (15 min by default)"},
	51:  {"CONCURRENT_TRANSACTIONS", Retry, ""},
	52:  {"TRANSACTION_COORDINATOR_FENCED", coordinator, ""},
	53:  {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", Denied, "grant WRITE on the transactional id"},
	54:  {"SECURITY_DISABLED", 0, ""},
	55:  {"OPERATION_NOT_ATTEMPTED", Retry, ""},
	56:  {"KAFKA_STORAGE_ERROR", refresh, ""},
	57:  {"LOG_DIR_NOT_FOUND", 0, ""},
	58:  {"SASL_AUTHENTICATION_FAILED", Denied, ""},
	59:  {"UNKNOWN_PRODUCER_ID", 0, ""},
	60:  {"REASSIGNMENT_IN_PROGRESS", Retry, ""},
	68:  {"NON_EMPTY_GROUP", 0, "stop the members of the group first"},
	69:  {"GROUP_ID_NOT_FOUND", 0, ""},
	70:  {"FETCH_SESSION_ID_NOT_FOUND", Retry, ""},
	71:  {"INVALID_FETCH_SESSION_EPOCH", Retry, ""},
	72:  {"LISTENER_NOT_FOUND", refresh, "one broker has no listener of the name through which we came: compare the listeners of the brokers"},
	73:  {"TOPIC_DELETION_DISABLED", 0, "set delete.topic.enable=true on the brokers"},
	74:  {"FENCED_LEADER_EPOCH", refresh, ""},
	75:  {"UNKNOWN_LEADER_EPOCH", refresh, ""},
	76:  {"UNSUPPORTED_COMPRESSION_TYPE", 0, ""},
	77:  {"STALE_BROKER_EPOCH", Retry, ""},
	78:  {"OFFSET_NOT_AVAILABLE", Retry, ""},
	79:  {"MEMBER_ID_REQUIRED", Rejoin, ""},
	80:  {"PREFERRED_LEADER_NOT_AVAILABLE", refresh, ""},
	81:  {"GROUP_MAX_SIZE_REACHED", 0, "raise group.max.size of the brokers, or run fewer instances"},
	82:  {"FENCED_INSTANCE_ID", Fenced, "another process runs with the same instance id: give each its own"},
	83:  {"ELIGIBLE_LEADERS_NOT_AVAILABLE", refresh, ""},
	84:  {"ELECTION_NOT_NEEDED", 0, ""},
	85:  {"NO_REASSIGNMENT_IN_PROGRESS", 0, ""},
	86:  {"GROUP_SUBSCRIBED_TO_TOPIC", 0, ""},
	87:  {"INVALID_RECORD", BadRecord, ""},
	88:  {"UNSTABLE_OFFSET_COMMIT", Retry, ""},
	89:  {"THROTTLING_QUOTA_EXCEEDED", Retry, ""},
	90:  {"PRODUCER_FENCED", Fenced, ""},
	100: {"UNKNOWN_TOPIC_ID", refresh, ""},
	103: {"INCONSISTENT_TOPIC_ID", refresh, ""},
	106: {"FETCH_SESSION_TOPIC_ID_ERROR", Retry, ""},
	107: {"INELIGIBLE_REPLICA", 0, ""},
	108: {"NEW_LEADER_ELECTED", refresh, ""},
	109: {"OFFSET_MOVED_TO_TIERED_STORAGE", 0, ""},
	110: {"FENCED_MEMBER_EPOCH", Rejoin | ForgetMember, ""},
	111: {"UNRELEASED_INSTANCE_ID", Retry, ""},
	112: {"UNSUPPORTED_ASSIGNOR", 0, ""},
	113: {"STALE_MEMBER_EPOCH", Rejoin, ""},
	116: {"UNKNOWN_SUBSCRIPTION_ID", 0, ""},
	117: {"TELEMETRY_TOO_LARGE", 0, ""},
	118: {"INVALID_REGISTRATION", 0, ""},
	119: {"INVALID_REGULAR_EXPRESSION", 0, ""},
	120: {"TRANSACTION_ABORTABLE", Abort, ""},
}

// apiActions holds where a kind of request departs from codes.
var apiActions = map[int16]map[Code]Action{
	int16(kmsg.DeleteTopics): {3: 0}, // already gone
	int16(kmsg.OffsetFetch):  {3: 0},
	// Who asks for or changes the configuration of a topic that is not there wants to know.
	int16(kmsg.DescribeConfigs):         {3: 0},
	int16(kmsg.IncrementalAlterConfigs): {3: 0},
	int16(kmsg.CreatePartitions):        {3: 0},
	// Any broker answers these; 15 is "the offsets topic is being created".
	int16(kmsg.FindCoordinator): {14: Retry, 15: Retry, 16: Retry},
	// An unknown server error of a coordinator is its log's trouble most of the time. What it asks for is safe to repeat:
	// an end by the same decision, an id by the id that we have.
	int16(kmsg.InitProducerID): {-1: Retry},
	int16(kmsg.EndTxn):         {-1: Retry},
	// The group has moved on, or we are no longer of it: the offsets are not ours to commit. The producer is all right.
	int16(kmsg.TxnOffsetCommit): {22: Abort | Rejoin, 25: Abort | Rejoin | ForgetMember, 27: Abort | Rejoin, 82: Abort},
	// A metadata request that fails for a topic is repeated as it is; there is nothing to refresh before it.
	int16(kmsg.Metadata): {3: Retry, 5: Retry, 72: Retry},
}

func actionFor(api int16, code Code) Action {
	if a, ok := apiActions[api][code]; ok {
		return a
	}
	return codes[code].action
}
