package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/oxbow-streams/oxbow/stream/serde"
)

// Values inside a program are nil, string, int64, float64, bool, []byte, pair and list. Streams carry them as any; what they are
// on the wire is said by the types of the program.

type pair struct{ key, value any }

type list []any

// fit turns the result of an expression into a value of a declared type. What does not fit is an error, never cut.
func fit(v any, typ string) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch typ {
	case "string":
		if s, ok := v.(string); ok {
			return s, nil
		}
	case "int64", "int32":
		if n, ok := v.(int64); ok && (typ == "int64" || n >= math.MinInt32 && n <= math.MaxInt32) {
			return n, nil
		}
	case "float64":
		switch n := v.(type) {
		case float64:
			return n, nil
		case int64:
			return float64(n), nil
		}
	case "bytes":
		switch b := v.(type) {
		case []byte:
			return b, nil
		case string:
			return []byte(b), nil
		}
	default:
		return nil, fmt.Errorf("type %q is not in the vocabulary", typ)
	}
	return nil, fmt.Errorf("%v (%T) is no %s", v, v, typ)
}

// parse turns a literal of a case (an input's key or value) into a value of a declared type.
func parse(v any, typ string) (any, error) {
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil {
			return fit(i, typ)
		}
		f, err := n.Float64()
		if err != nil {
			return nil, err
		}
		return fit(f, typ)
	}
	return fit(v, typ)
}

// text is how a value prints: null, numbers in decimal.
func text(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case string:
		return x
	case int64:
		return strconv.FormatInt(x, 10)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(x)
	case []byte:
		return string(x)
	}
	panic(fmt.Sprintf("%T does not print", v))
}

// same compares a value that came out with a literal of a case.
func same(got, want any, typ string) bool {
	w, err := parse(want, typ)
	if err != nil {
		return false
	}
	if got == nil || w == nil {
		return got == nil && w == nil
	}
	return text(got) == text(w)
}

// dynamic is the serde of a declared type over any.
type dynamic struct{ typ string }

func (d dynamic) Append(dst []byte, v any) ([]byte, error) {
	switch d.typ {
	case "string":
		s, ok := v.(string)
		if !ok {
			return dst, fmt.Errorf("%v (%T) is no string", v, v)
		}
		return serde.String.Append(dst, s)
	case "int64":
		n, ok := v.(int64)
		if !ok {
			return dst, fmt.Errorf("%v (%T) is no int64", v, v)
		}
		return serde.Int64.Append(dst, n)
	case "int32":
		n, ok := v.(int64)
		if !ok || n < math.MinInt32 || n > math.MaxInt32 {
			return dst, fmt.Errorf("%v (%T) is no int32", v, v)
		}
		return serde.Int32.Append(dst, int32(n))
	case "float64":
		f, ok := v.(float64)
		if !ok {
			return dst, fmt.Errorf("%v (%T) is no float64", v, v)
		}
		return serde.Float64.Append(dst, f)
	case "bytes":
		b, ok := v.([]byte)
		if !ok {
			return dst, fmt.Errorf("%v (%T) is no bytes", v, v)
		}
		return serde.Bytes.Append(dst, b)
	}
	return dst, fmt.Errorf("type %q is not in the vocabulary", d.typ)
}

func (d dynamic) Decode(b []byte) (any, error) {
	switch d.typ {
	case "string":
		return boxed(serde.String.Decode(b))
	case "int64":
		return boxed(serde.Int64.Decode(b))
	case "int32":
		n, err := serde.Int32.Decode(b)
		return int64(n), err
	case "float64":
		return boxed(serde.Float64.Decode(b))
	case "bytes":
		return boxed(serde.Bytes.Decode(b))
	}
	return nil, fmt.Errorf("type %q is not in the vocabulary", d.typ)
}

func boxed[T any](v T, err error) (any, error) { return v, err }

// inner returns T of windowed<T>.
func inner(typ string) (string, bool) {
	t, ok := strings.CutPrefix(typ, "windowed<")
	return strings.TrimSuffix(t, ">"), ok
}
