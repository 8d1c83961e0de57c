package serde

import (
	"encoding/json"
	"errors"
	"fmt"
)

// JSON is the serde of T as encoding/json has it. Fields that T does not know are ignored. The text null is refused: a record
// without a value has a null value, not the text.
func JSON[T any]() Serde[T] { return jsonSerde[T]{} }

type jsonSerde[T any] struct{}

func (jsonSerde[T]) Append(dst []byte, v T) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

var errJSONNull = errors.New("got the text null, want a JSON value: null is a record without a value")

func (jsonSerde[T]) Decode(b []byte) (v T, err error) {
	if string(b) == "null" {
		return v, errJSONNull
	}
	if err = json.Unmarshal(b, &v); err != nil {
		var zero T
		if s := (*json.SyntaxError)(nil); errors.As(err, &s) {
			return zero, fmt.Errorf("not JSON at byte %d of %d: %w", s.Offset, len(b), err)
		}
		return zero, err
	}
	return v, nil
}
