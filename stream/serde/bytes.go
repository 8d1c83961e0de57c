package serde

// String is the serde of UTF-8 text. It copies, and does not check the encoding (as Kafka's StringSerializer).
var String Serde[string] = stringSerde{}

// Bytes is the serde of bytes. Decode copies.
var Bytes Serde[[]byte] = bytesSerde{}

// BytesView is the serde of bytes that are not copied: what Decode returns aliases the fetched batch and may be used only
// until the function that got it returns. Tests with the race detector overwrite released batches.
var BytesView Serde[[]byte] = viewSerde{}

type stringSerde struct{}

func (stringSerde) Append(dst []byte, v string) ([]byte, error) { return append(dst, v...), nil }
func (stringSerde) Decode(b []byte) (string, error)             { return string(b), nil }

type bytesSerde struct{}

func (bytesSerde) Append(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (bytesSerde) Decode(b []byte) ([]byte, error)      { return append(make([]byte, 0, len(b)), b...), nil }

type viewSerde struct{}

func (viewSerde) Append(dst, v []byte) ([]byte, error) { return append(dst, v...), nil }
func (viewSerde) Decode(b []byte) ([]byte, error)      { return b, nil }
