package topics

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// Found is a topic as a cluster has it.
type Found struct {
	Partitions int32 // 0: there is no such topic
	// Configs are its configurations; nil if they may not be read.
	Configs map[string]string
}

// defaultMaxMessage is what brokers have where nothing is set.
const defaultMaxMessage = 1048588

// Limits are what the broker demands of records of a topic. Checking them before a record is sent is cheaper than having a
// commit refused for it.
type Limits struct {
	Known           bool // false: the configurations may not be read, and the rest is the brokers' defaults
	Partitions      int32
	MaxMessageBytes int32
	// Compacted topics refuse records without a key.
	Compacted bool
	// LogAppendTime: the broker replaces the times of records.
	LogAppendTime bool
	// A record's time may lie that far before and after the broker's, in ms.
	MaxBefore, MaxAfter int64
	// DeleteRetention says how long a deletion can be read after it may have been compacted away, in ms.
	DeleteRetention int64
}

// LimitsOf reads the limits of a topic.
func LimitsOf(f Found) Limits {
	l := Limits{
		Known: f.Configs != nil, Partitions: f.Partitions, MaxMessageBytes: defaultMaxMessage,
		MaxBefore: math.MaxInt64, MaxAfter: math.MaxInt64, DeleteRetention: 24 * 3600 * 1000,
	}
	if n, ok := number(f.Configs, maxMessageBytes); ok && n >= 0 && n <= math.MaxInt32 {
		l.MaxMessageBytes = int32(n)
	}
	l.Compacted = slices.Contains(policies(f.Configs[cleanupPolicy]), "compact")
	l.LogAppendTime = f.Configs[timestampType] == "LogAppendTime"
	// Brokers before 3.6 have one limit for both directions.
	if n, ok := number(f.Configs, "message.timestamp.difference.max.ms"); ok && n >= 0 {
		l.MaxBefore, l.MaxAfter = n, n
	}
	if n, ok := number(f.Configs, "message.timestamp.before.max.ms"); ok && n >= 0 {
		l.MaxBefore = n
	}
	if n, ok := number(f.Configs, "message.timestamp.after.max.ms"); ok && n >= 0 {
		l.MaxAfter = n
	}
	if n, ok := number(f.Configs, deleteRetention); ok && n >= 0 {
		l.DeleteRetention = n
	}
	return l
}

func number(configs map[string]string, key string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(configs[key]), 10, 64)
	return n, err == nil
}

// policies reads a cleanup policy, a set.
func policies(value string) (set []string) {
	for p := range strings.SplitSeq(value, ",") {
		if p = strings.TrimSpace(p); p != "" {
			set = append(set, p)
		}
	}
	slices.Sort(set)
	return slices.Compact(set)
}
