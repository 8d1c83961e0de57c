package kafka

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
)

// The vectors come from Kafka's own classes.
func TestPartitionIsJavas(t *testing.T) {
	raw, err := os.ReadFile("testdata/murmur2.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Kind  string
		Input struct {
			KeyUTF8    *string `json:"key_utf8"`
			KeyHex     string  `json:"key_hex"`
			Partitions int32
		}
		Output struct {
			Hash      int32 `json:"hash_int32"`
			Partition int32
		}
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for _, v := range vectors {
		key, err := hex.DecodeString(v.Input.KeyHex)
		if err != nil {
			t.Fatal(err)
		}
		if v.Input.KeyUTF8 != nil {
			key = []byte(*v.Input.KeyUTF8)
		}
		switch v.Kind {
		case "murmur2":
			if got := int32(Murmur2(key)); got != v.Output.Hash {
				t.Errorf("murmur2(%q) = %d, Java has %d", key, got, v.Output.Hash)
			}
		case "partition_for_key":
			if got := Partition(key, v.Input.Partitions); got != v.Output.Partition {
				t.Errorf("partition of %q among %d = %d, Java has %d", key, v.Input.Partitions, got, v.Output.Partition)
			}
		default:
			t.Fatalf("vector of kind %q", v.Kind)
		}
	}
}
