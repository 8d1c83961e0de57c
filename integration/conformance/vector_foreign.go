package conformance

import (
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/node"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// foreignVectors are those of foreign-key joins.
var foreignVectors = map[string]func(v Vector) error{
	"murmur3_128": func(v Vector) error {
		want := hashOf(v.output("h"))
		if got := node.Murmur3([]byte(v.Input["data_utf8"].(string))); record.Some(got) != want {
			return fmt.Errorf("%v gives %x, want %v", v.Input, got, want)
		}
		return nil
	},
	"fk_subscription": func(v Vector) error {
		return both(v, node.SubscriptionSerde(serde.String), node.Subscription[string]{PrimaryKey: v.Input["primary_key"].(string),
			Hash: hashOf(v.Input["hash"]), Instruction: node.Instruction(whole(v.Input["instruction"])),
			Partition: int32(whole(v.Input["primary_partition"]))})
	},
	"fk_response": func(v Vector) error {
		value, ok := v.Input["value"].(string)
		return both(v, node.ResponseSerde(serde.String), node.Response[string]{Hash: hashOf(v.Input["hash"]),
			Value: record.OptOf(value, ok), Partition: node.ByKey})
	},
	"fk_combined_key": func(v Vector) error {
		fk, pk := []byte(v.Input["fk"].(string)), []byte(v.Input["pk"].(string))
		key := state.AppendCombinedKey(nil, fk, pk)
		f, p, err := state.SplitCombinedKey(key)
		if err != nil || string(f) != string(fk) || string(p) != string(pk) {
			return fmt.Errorf("%x is taken apart into %q and %q (%v)", key, f, p, err)
		}
		return bytesAre(v, key)
	},
	"fk_combined_key_prefix": func(v Vector) error {
		return bytesAre(v, state.AppendCombinedKey(nil, []byte(v.Input["fk"].(string)), nil))
	},
}

// hashOf reads two int64, or null.
func hashOf(v any) record.Opt[node.Hash128] {
	halves, ok := v.([]any)
	if !ok {
		return record.None[node.Hash128]()
	}
	return record.Some(node.Hash128{uint64(whole(halves[0])), uint64(whole(halves[1]))})
}
