package topics

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// WrongTopicError is an internal topic that exists and cannot serve as what it is for.
type WrongTopicError struct {
	Topic  string
	Role   Role
	What   string // the configuration, or "partitions"
	Found  string
	Wanted string
	Why    string
	Fix    string
}

func (e *WrongTopicError) Error() string {
	return fmt.Sprintf("%s (%s): %s is %s, wanted %s: %s; %s", e.Topic, e.Role, e.What, e.Found, e.Wanted, e.Why, e.Fix)
}

// Missing returns what has to be created.
func (p *Plan) Missing(found map[string]Found) (missing []Wanted) {
	for _, w := range p.Internal {
		if found[w.Name].Partitions == 0 {
			missing = append(missing, w)
		}
	}
	return missing
}

// Check compares the internal topics that exist with what is wanted. Every fault is reported, as *[WrongTopicError].
func (p *Plan) Check(found map[string]Found) error {
	var errs []error
	for _, w := range p.Internal {
		if f := found[w.Name]; f.Partitions > 0 {
			for _, e := range check(w, f) {
				errs = append(errs, e)
			}
		}
	}
	return errors.Join(errs...)
}

// checker collects the faults of one topic.
type checker struct {
	Wanted
	found    Found
	policies []string
	faults   []*WrongTopicError
}

func check(w Wanted, f Found) []*WrongTopicError {
	c := &checker{Wanted: w, found: f, policies: policies(f.Configs[cleanupPolicy])}
	if f.Partitions != w.Partitions && w.Role != DeadLetters { // letters go to the source's partition modulo the count
		c.fault("partitions", fmt.Sprint(f.Partitions), fmt.Sprint(w.Partitions),
			"its count follows from those of the topics that the program reads",
			"if theirs have changed, change them back; else stop all instances, delete the internal topics and the state of "+
				"the application and start it anew, or choose another application id")
	}
	if f.Configs == nil {
		c.fault("configuration", "not readable", "readable", "it decides whether data stays",
			"grant DESCRIBE_CONFIGS on the topic")
		return c.faults
	}
	switch w.Role {
	case Repartition:
		c.repartition()
	case Changelog:
		c.changelog()
	case DeadLetters:
		c.deadLetters()
	}
	if w.Role != DeadLetters && f.Configs[timestampType] == "LogAppendTime" {
		c.set(timestampType, createTime, "the broker would replace the records' times by its own")
	}
	return c.faults
}

func (c *checker) has(policy string) bool { return slices.Contains(c.policies, policy) }

func (c *checker) fault(what, found, wanted, why, fix string) {
	c.faults = append(c.faults, &WrongTopicError{c.Name, c.Role, what, found, wanted, why, fix})
}

// set reports a configuration that is to be set to another value.
func (c *checker) set(key, wanted, why string) {
	value := wanted
	if strings.Contains(value, ",") {
		value = "[" + value + "]" // kafka-configs takes lists in brackets
	}
	c.fault(key, c.value(key), wanted, why,
		fmt.Sprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s", c.Name, key, value))
}

func (c *checker) value(key string) string {
	if v, ok := c.found.Configs[key]; ok {
		return v
	}
	return "not set"
}

// atLeast reports a number that is less than what is wanted; −1 is no limit where forever says so.
func (c *checker) atLeast(key string, forever bool, why string) {
	wanted, ok := number(c.Configs, key)
	if !ok {
		return
	}
	n, ok := number(c.found.Configs, key)
	if !ok || forever && n < 0 {
		return
	}
	if n < wanted || forever && wanted < 0 {
		c.set(key, c.Configs[key], why)
	}
}

func (c *checker) repartition() {
	if c.has("compact") {
		c.set(cleanupPolicy, "delete", "compaction would take records away before they are processed")
	}
	if c.has("delete") {
		c.keepAll("records would be deleted before they are processed; they are purged once they are")
	}
}

// keepAll demands that nothing is deleted for its age or for the size of the log.
func (c *checker) keepAll(why string) {
	for _, key := range []string{retentionMs, retentionBytes} {
		if n, ok := number(c.found.Configs, key); ok && n >= 0 {
			c.set(key, "-1", why)
		}
	}
}

func (c *checker) changelog() {
	wanted := policies(c.Configs[cleanupPolicy])
	if len(wanted) == 1 && wanted[0] == "delete" {
		wanted = nil // the user's own choice for a store that has no use of compaction
	}
	switch {
	case slices.Contains(wanted, "compact") && !slices.Contains(wanted, "delete"):
		if c.has("delete") {
			c.set(cleanupPolicy, "compact", "deletion by age would take rows of the store away")
		} else if !c.has("compact") {
			c.set(cleanupPolicy, "compact", "without compaction it grows for ever")
		}
	case c.has("delete"):
		c.atLeast(retentionMs, true, "rows that the store still holds would be deleted")
		if n, ok := number(c.found.Configs, retentionBytes); ok && n >= 0 {
			c.set(retentionBytes, "-1", "rows that the store still holds would be deleted")
		}
	}
	if c.has("compact") {
		c.atLeast(minCompactionLag, false, "versions that the store still holds would be compacted away")
	}
	c.atLeast(maxMessageBytes, false, "rows of that size would be refused")
}

func (c *checker) deadLetters() {
	if c.has("compact") {
		c.set(cleanupPolicy, "delete", "dead letters have the key of their record, if any: compaction takes letters away and refuses those without a key")
	}
	c.atLeast(maxMessageBytes, false, "a dead letter is its record and up to 64 KiB more")
}

// describe says how to create a topic by hand.
func describe(w Wanted) string {
	var b strings.Builder
	fmt.Fprintf(&b, "kafka-topics.sh --create --topic %s --partitions %d", w.Name, w.Partitions)
	for _, k := range slices.Sorted(maps.Keys(w.Configs)) {
		v := w.Configs[k]
		if strings.Contains(v, ",") {
			v = "[" + v + "]"
		}
		fmt.Fprintf(&b, " --config %s=%s", k, v)
	}
	return b.String()
}
