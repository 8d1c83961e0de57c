package state

import (
	"bytes"
	"fmt"
)

func (k Kind) String() string {
	switch k {
	case KindKeyValue:
		return "key-value"
	case KindWindow:
		return "window"
	case KindSession:
		return "session"
	case KindVersioned:
		return "versioned"
	case KindBuffer:
		return "buffer"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Valid tells whether k is a kind that this version knows.
func (k Kind) Valid() bool { return k >= KindKeyValue && k <= KindBuffer }

// SuffixLen is the length of the time that ends every key of the kind: window start and sequence number (8 + 4 bytes),
// session end and start (8 + 8). What comes before it is the key's prefix, the user's key. Other kinds have none: their whole
// key is prefix.
func (k Kind) SuffixLen() int {
	switch k {
	case KindWindow:
		return 12
	case KindSession:
		return 16
	}
	return 0
}

// Compare orders the keys of a store of this kind, in every engine: by prefix, then by suffix, each bytewise. So all
// times of one user's key lie together, also when that key is the beginning of another one. For a kind without suffix
// it is bytewise order. Keys have passed [Kind.CheckKey].
func (k Kind) Compare(a, b []byte) int {
	n := k.SuffixLen()
	if n == 0 {
		return bytes.Compare(a, b)
	}
	pa, pb := len(a)-n, len(b)-n
	if c := bytes.Compare(a[:pa], b[:pb]); c != 0 {
		return c
	}
	return bytes.Compare(a[pa:], b[pb:])
}

// CheckKey refuses keys and bounds that are too short to have the suffix of their kind.
func (k Kind) CheckKey(key []byte) error {
	if n := k.SuffixLen(); len(key) < n {
		return fmt.Errorf("key %x has %d bytes: keys and bounds of %s stores end in a suffix of %d bytes", key, len(key), k, n)
	}
	return nil
}

// PrefixEnd returns the least key of bytewise order that is greater than all keys that begin with prefix, the upper bound
// of a prefix scan over a kind without suffix. It is nil, no bound, if there is none.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			end := bytes.Clone(prefix[:i+1])
			end[i]++
			return end
		}
	}
	return nil
}

// CheckName applies Kafka's rule for names that become topics and paths: 1 to 249 of the characters a-z, A-Z, 0-9, '.',
// '_' and '-', and neither "." nor "..". what says of which thing the name is.
func CheckName(what, name string) error {
	if name == "" {
		return fmt.Errorf("%s: the name is empty", what)
	}
	if name == "." || name == ".." {
		return fmt.Errorf("%s %q: a name cannot be %q", what, name, name)
	}
	if len(name) > 249 {
		return fmt.Errorf("%s %.40q...: the name has %d characters, at most 249 are allowed", what, name, len(name))
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("%s %q: character %d is not one of a-z, A-Z, 0-9, '.', '_' and '-'", what, name, i+1)
		}
	}
	return nil
}
