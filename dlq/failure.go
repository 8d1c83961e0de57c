package dlq

import "strings"

// Stage is where in a record's way it failed. The texts are those of the header __streams.dlq.stage.
type Stage string

// The stages.
const (
	StageDeserializeKey   Stage = "deserialize_key"
	StageDeserializeValue Stage = "deserialize_value"
	StageTimestamp        Stage = "timestamp"
	StageProcess          Stage = "process"
	StagePunctuate        Stage = "punctuate"
	StageState            Stage = "state"
	StageSerializeKey     Stage = "serialize_key"
	StageSerializeValue   Stage = "serialize_value"
	StageProduce          Stage = "produce"
)

// Failure says that a unit failed for its own sake: the record, the user's function or the result is at fault, not the
// world around. Nodes return it; a policy decides what becomes of the unit. Any other error that a node returns is trouble
// of the infrastructure and never a dead letter.
type Failure struct {
	Stage Stage
	Node  string // name of the node that failed
	Topic string // of the sink, for the stages of output
	Err   error  // what the user's function, the serde or the check said
	Panic bool   // Err was made from a panic
	Stack []byte // of a panic
}

func (f *Failure) Error() string {
	var b strings.Builder
	b.WriteString(string(f.Stage))
	if f.Node != "" {
		b.WriteString(" at " + f.Node)
	}
	if f.Topic != "" {
		b.WriteString(" to " + f.Topic)
	}
	b.WriteString(": " + f.Err.Error())
	return b.String()
}

// Unwrap returns what the user's function, the serde or the check said.
func (f *Failure) Unwrap() error { return f.Err }
