package engine

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// OffsetMetadata is the text that is committed with an offset, in the layout that Kafka Streams reads: version 2, the
// partition time, then named numbers.
type OffsetMetadata struct {
	Time  int64 // partition time, −1 for none
	Named map[string]int64
}

const metadataVersion = 2

var errMetadata = errors.New("cut short")

func (m OffsetMetadata) Encode() string {
	b := append(make([]byte, 0, 16), metadataVersion)
	b = binary.BigEndian.AppendUint64(b, uint64(m.Time))
	if len(m.Named) > 0 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.Named)))
		names := make([]string, 0, len(m.Named))
		for name := range m.Named {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			b = binary.BigEndian.AppendUint32(b, uint32(len(name)))
			b = append(b, name...)
			b = binary.BigEndian.AppendUint64(b, uint64(m.Named[name]))
		}
	}
	return base64.StdEncoding.EncodeToString(b)
}

// DecodeOffsetMetadata reads what Encode writes, and Kafka Streams' version 1. Empty text is no metadata. An error leaves the
// offset valid: the caller may go on with partition time −1, as Kafka Streams does.
func DecodeOffsetMetadata(text string) (OffsetMetadata, error) {
	none := OffsetMetadata{Time: -1}
	if text == "" {
		return none, nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return none, fmt.Errorf("offset metadata: %w", err)
	}
	if len(b) < 9 {
		return none, fmt.Errorf("offset metadata of %d bytes: %w", len(b), errMetadata)
	}
	if b[0] != 1 && b[0] != metadataVersion {
		return none, fmt.Errorf("offset metadata: version %d, known are 1 and 2", b[0])
	}
	m := OffsetMetadata{Time: int64(binary.BigEndian.Uint64(b[1:]))}
	if rest := b[9:]; b[0] == metadataVersion && len(rest) > 0 {
		if m.Named, err = decodeNamed(rest); err != nil {
			return none, err
		}
	}
	return m, nil
}

func decodeNamed(b []byte) (map[string]int64, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("offset metadata: %w", errMetadata)
	}
	n := binary.BigEndian.Uint32(b)
	b = b[4:]
	if uint64(n)*12 > uint64(len(b)) {
		return nil, fmt.Errorf("offset metadata: %d entries in %d bytes", n, len(b))
	}
	named := make(map[string]int64, n)
	for range n {
		if len(b) < 12 {
			return nil, fmt.Errorf("offset metadata: %w", errMetadata)
		}
		size := binary.BigEndian.Uint32(b)
		b = b[4:]
		if uint64(size)+8 > uint64(len(b)) {
			return nil, fmt.Errorf("offset metadata: name of %d bytes: %w", size, errMetadata)
		}
		named[string(b[:size])] = int64(binary.BigEndian.Uint64(b[size:]))
		b = b[size+8:]
	}
	return named, nil
}
