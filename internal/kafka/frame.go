package kafka

import (
	"encoding/binary"
	"fmt"
	"io"
)

// appendHead writes size, header and correlation id of a request whose body has that many bytes. The header is
// version 1, or 2 when flexible; the client id is never compact.
func appendHead(b []byte, key, version int16, id int32, client string, flexible bool, body int) []byte {
	head := 2 + 2 + 4 + 2 + len(client)
	if flexible {
		head++
	}
	b = binary.BigEndian.AppendUint32(b, uint32(head+body))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = binary.BigEndian.AppendUint16(b, uint16(len(client)))
	b = append(b, client...)
	if flexible {
		b = append(b, 0) // no tagged fields
	}
	return b
}

// readFrame reads one answer whole, so that the connection stays at a frame boundary. The size is checked before
// anything is allocated for it.
func readFrame(r io.Reader, id int32, limit int, alloc func(int) ([]byte, error)) ([]byte, error) {
	var head [8]byte
	if n, err := io.ReadFull(r, head[:]); err != nil {
		if n == 0 {
			return nil, err
		}
		return nil, fmt.Errorf("in the header of the answer: %w", err)
	}
	size := int64(int32(binary.BigEndian.Uint32(head[:])))
	if size < 4 || size > int64(limit) {
		return nil, &FrameError{Reason: fmt.Sprintf("answer of %d bytes: between 4 and %d (MaxResponseBytes) are accepted", size, limit)}
	}
	if got := int32(binary.BigEndian.Uint32(head[4:])); got != id {
		return nil, &FrameError{OutOfStep: true, Reason: fmt.Sprintf("answer to request %d came for request %d", got, id)}
	}
	n := int(size) - 4
	if alloc == nil {
		return readGrowing(r, n)
	}
	b, err := alloc(n)
	if err != nil {
		return nil, err
	}
	if len(b) < n {
		return nil, fmt.Errorf("buffer of %d bytes for an answer of %d", len(b), n)
	}
	b = b[:n]
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("in an answer of %d bytes: %w", n, noEOF(err))
	}
	return b, nil
}

const growStep = 1 << 20

// readGrowing reads n bytes, and allocates no more than twice what has come, plus a step.
func readGrowing(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, min(n, growStep))
	for at := 0; ; {
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return nil, fmt.Errorf("in an answer of %d bytes: %w", n, noEOF(err))
		}
		if at = len(b); at == n {
			return b, nil
		}
		next := make([]byte, min(n, 2*at))
		copy(next, b)
		b = next
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// skipTags cuts the tagged fields of a response header (version 1) off b.
func skipTags(b []byte) ([]byte, error) {
	n, b, ok := cutUvarint(b)
	for ; ok && n > 0; n-- {
		var size uint64
		if _, b, ok = cutUvarint(b); !ok {
			break
		}
		if size, b, ok = cutUvarint(b); !ok || size > uint64(len(b)) {
			ok = false
			break
		}
		b = b[size:]
	}
	if !ok {
		return nil, &FrameError{Reason: "the header of the answer has malformed tagged fields"}
	}
	return b, nil
}

func cutUvarint(b []byte) (uint64, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}
