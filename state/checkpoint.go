package state

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/internal/record"
)

// Checkpoint is the text that Kafka Streams keeps beside its stores as .checkpoint: up to which offset of its changelog each of
// them goes. Oxbow commits offsets together with the rows; the text is for tools that hand state over, or compare it.
func Checkpoint(offsets map[record.TopicPartition]int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n%d\n", checkpointVersion, len(offsets))
	for _, tp := range slices.SortedFunc(maps.Keys(offsets), func(x, y record.TopicPartition) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	}) {
		fmt.Fprintf(&b, "%s %d %d\n", tp.Topic, tp.Partition, offsets[tp])
	}
	return b.String()
}

const checkpointVersion = 0

// ParseCheckpoint reads what [Checkpoint] or Kafka Streams has written.
func ParseCheckpoint(text string) (map[record.TopicPartition]int64, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 2 || lines[0] != strconv.Itoa(checkpointVersion) {
		return nil, fmt.Errorf("checkpoint: version %q, want %d", lines[0], checkpointVersion)
	}
	if n, err := strconv.Atoi(lines[1]); err != nil || n != len(lines)-2 {
		return nil, fmt.Errorf("checkpoint: it announces %q lines and has %d: it was not written to its end", lines[1], len(lines)-2)
	}
	offsets := make(map[record.TopicPartition]int64, len(lines)-2)
	for i, line := range lines[2:] {
		word := strings.Split(line, " ")
		if len(word) != 3 {
			return nil, fmt.Errorf("checkpoint: line %d: %q, want topic, partition and offset", i+3, line)
		}
		p, err := strconv.ParseInt(word[1], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: line %d: partition %q: %w", i+3, word[1], err)
		}
		at, err := strconv.ParseInt(word[2], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("checkpoint: line %d: offset %q: %w", i+3, word[2], err)
		}
		offsets[record.TopicPartition{Topic: word[0], Partition: int32(p)}] = at
	}
	return offsets, nil
}
