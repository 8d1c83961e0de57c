package record

import (
	"fmt"
	"strconv"
	"strings"
)

// Raw is a record as it lies in a batch: a view (R1).
type Raw struct {
	Key, Value []byte // nil: null
	Headers    Headers
	Time       int64 // ms since the epoch
	Offset     int64
}

// TopicPartition names a partition.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func (tp TopicPartition) String() string {
	return tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// Coordinates name one record of a topic. Errors begin with them.
type Coordinates struct {
	TopicPartition
	Offset int64
}

func (c Coordinates) String() string {
	return c.TopicPartition.String() + "@" + strconv.FormatInt(c.Offset, 10)
}

// TaskID names a task: a sub-topology and the partition of its input topics.
type TaskID struct {
	Sub, Partition int32
}

// String is Kafka Streams' form, "0_3".
func (id TaskID) String() string {
	return strconv.Itoa(int(id.Sub)) + "_" + strconv.Itoa(int(id.Partition))
}

// Compare orders by sub-topology, then by partition.
func (id TaskID) Compare(other TaskID) int {
	if id.Sub != other.Sub {
		return int(id.Sub) - int(other.Sub)
	}
	return int(id.Partition) - int(other.Partition)
}

// ParseTaskID reads the form that [TaskID.String] writes.
func ParseTaskID(s string) (TaskID, error) {
	sub, part, ok := strings.Cut(s, "_")
	a, err1 := strconv.ParseInt(sub, 10, 32)
	b, err2 := strconv.ParseInt(part, 10, 32)
	if !ok || err1 != nil || err2 != nil || a < 0 || b < 0 {
		return TaskID{}, fmt.Errorf("task id %q: want <sub-topology>_<partition>, as in 0_3", s)
	}
	return TaskID{int32(a), int32(b)}, nil
}
