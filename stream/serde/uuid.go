package serde

import (
	"encoding/hex"
	"fmt"
)

// UUID is a universally unique identifier.
type UUID [16]byte

// UUIDText is the serde of UUIDs as Kafka's UUIDSerializer writes them: 36 characters.
var UUIDText Serde[UUID] = uuidSerde{}

// String returns the form 123e4567-e89b-12d3-a456-426614174000.
func (u UUID) String() string { return string(u.append(nil)) }

func (u UUID) append(dst []byte) []byte {
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, u[:n])
		copy(u[:], u[n:])
	}
	return dst
}

// ParseUUID reads the form that [UUID.String] writes.
func ParseUUID(s string) (u UUID, err error) { return parseUUID([]byte(s)) }

func parseUUID(b []byte) (u UUID, err error) {
	if len(b) != 36 {
		return u, wrongLength(len(b), 36)
	}
	at := 0
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			if b[0] != '-' {
				return UUID{}, fmt.Errorf("got %q where a UUID has '-'", b[0])
			}
			b = b[1:]
		}
		if _, err := hex.Decode(u[at:at+n], b[:2*n]); err != nil {
			return UUID{}, fmt.Errorf("not a UUID: %w", err)
		}
		at, b = at+n, b[2*n:]
	}
	return u, nil
}

type uuidSerde struct{}

func (uuidSerde) Append(dst []byte, v UUID) ([]byte, error) { return v.append(dst), nil }
func (uuidSerde) Decode(b []byte) (UUID, error)             { return parseUUID(b) }
