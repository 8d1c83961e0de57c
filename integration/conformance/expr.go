package conformance

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// env holds the variables of an expression, without their $.
type env map[string]any

// eval computes an expression of PROGRAM.md. What is not in the vocabulary, or does not fit, is an error.
func eval(e any, vars env) (any, error) {
	switch x := e.(type) {
	case nil, bool:
		return x, nil
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return i, nil
		}
		return x.Float64()
	case string:
		name, ok := strings.CutPrefix(x, "$")
		if !ok {
			return x, nil
		}
		v, ok := vars[name]
		if !ok {
			return nil, fmt.Errorf("variable $%s is not known here", name)
		}
		return v, nil
	case map[string]any:
		return call(x, vars)
	}
	return nil, fmt.Errorf("%v (%T) is no expression", e, e)
}

func call(x map[string]any, vars env) (any, error) {
	name, _ := x["fn"].(string)
	args, _ := x["args"].([]any)
	for k := range x {
		if k != "fn" && k != "args" && !(k == "table" && name == "lookup") {
			return nil, fmt.Errorf("%s has a field %q that is not in the vocabulary", name, k)
		}
	}
	switch name { // these choose what is evaluated
	case "if":
		return ifThen(args, vars)
	case "repeat":
		return repeat(args, vars)
	}
	vs := make([]any, len(args))
	for i, a := range args {
		v, err := eval(a, vars)
		if err != nil {
			return nil, err
		}
		vs[i] = v
	}
	if name == "lookup" {
		return lookup(x, vs, vars)
	}
	f, ok := functions[name]
	if !ok {
		return nil, fmt.Errorf("function %q is not in the vocabulary", name)
	}
	if f.args >= 0 && len(vs) != f.args || f.args < 0 && len(vs) < -f.args-1 {
		return nil, fmt.Errorf("%s takes %d arguments, got %d", name, f.args, len(vs))
	}
	if !f.nulls {
		for _, v := range vs {
			if v == nil {
				return nil, nil
			}
		}
	}
	v, err := f.call(vs)
	if err != nil {
		return nil, fmt.Errorf("%s%v: %w", name, vs, err)
	}
	return v, nil
}

func ifThen(args []any, vars env) (any, error) {
	if len(args) != 3 {
		return nil, fmt.Errorf("if takes 3 arguments, got %d", len(args))
	}
	cond, err := eval(args[0], vars)
	if err != nil || cond == nil {
		return nil, err
	}
	yes, ok := cond.(bool)
	if !ok {
		return nil, fmt.Errorf("if: %v is no truth value", cond)
	}
	if yes {
		return eval(args[1], vars)
	}
	return eval(args[2], vars)
}

func repeat(args []any, vars env) (any, error) {
	if len(args) != 2 {
		return nil, fmt.Errorf("repeat takes 2 arguments, got %d", len(args))
	}
	n, err := eval(args[0], vars)
	if err != nil || n == nil {
		return nil, err
	}
	count, err := integer(n)
	if err != nil {
		return nil, err
	}
	inner := env{}
	for k, v := range vars {
		inner[k] = v
	}
	out := list{}
	for i := range count {
		inner["i"] = i
		v, err := eval(args[1], inner)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func lookup(x map[string]any, vs []any, vars env) (any, error) {
	table, ok := x["table"].(map[string]any)
	if !ok || len(vs) != 1 {
		return nil, fmt.Errorf("lookup takes 1 argument and a table")
	}
	if vs[0] == nil {
		return nil, nil
	}
	return eval(table[text(vs[0])], vars)
}

// function is a row of the table of functions. args < 0: at least −args−1.
type function struct {
	args  int
	nulls bool // is called with nulls; without it one null makes the result null
	call  func([]any) (any, error)
}

var functions = map[string]function{
	"concat": {-1, true, func(v []any) (any, error) {
		var b strings.Builder
		for _, x := range v {
			b.WriteString(text(x))
		}
		return b.String(), nil
	}},
	"add": {-3, false, func(v []any) (any, error) {
		return fold(v, func(a, b int64) int64 { return a + b }, func(a, b float64) float64 { return a + b })
	}},
	"mul": {2, false, func(v []any) (any, error) {
		return fold(v, func(a, b int64) int64 { return a * b }, func(a, b float64) float64 { return a * b })
	}},
	"sub": {2, false, func(v []any) (any, error) {
		return fold(v, func(a, b int64) int64 { return a - b }, func(a, b float64) float64 { return a - b })
	}},
	"mod": {2, false, func(v []any) (any, error) {
		a, b, err := twoIntegers(v)
		if err != nil || b == 0 {
			return nil, fmt.Errorf("%v mod %v", v[0], v[1])
		}
		return a % b, nil
	}},
	"int": {1, false, func(v []any) (any, error) {
		switch x := v[0].(type) {
		case string:
			return box(strconv.ParseInt(x, 10, 64))
		case float64:
			return int64(x), nil
		}
		return box(integer(v[0]))
	}},
	"str":    {1, false, func(v []any) (any, error) { return text(v[0]), nil }},
	"length": {1, false, func(v []any) (any, error) { return int64(len(utf16.Encode([]rune(text(v[0]))))), nil }},
	"part": {3, false, func(v []any) (any, error) {
		i, err := integer(v[2])
		parts := strings.Split(text(v[0]), text(v[1]))
		if err != nil || i < 0 || i >= int64(len(parts)) {
			return nil, err
		}
		return parts[i], nil
	}},
	"substr": {3, false, func(v []any) (any, error) {
		from, to, err := twoIntegers(v[1:])
		u := utf16.Encode([]rune(text(v[0])))
		n := int64(len(u))
		from, to = min(max(from, 0), n), min(max(to, 0), n)
		if err != nil || from >= to {
			return "", err
		}
		return string(utf16.Decode(u[from:to])), nil
	}},
	"charDiff": {2, false, func(v []any) (any, error) {
		a, b := utf16.Encode([]rune(text(v[0]))), utf16.Encode([]rune(text(v[1])))
		if len(a) == 0 || len(b) == 0 {
			return nil, fmt.Errorf("no character")
		}
		return int64(a[0]) - int64(b[0]), nil
	}},
	"remove": {2, false, func(v []any) (any, error) { return strings.ReplaceAll(text(v[0]), text(v[1]), ""), nil }},
	"orElse": {2, true, func(v []any) (any, error) {
		if v[0] == nil {
			return v[1], nil
		}
		return v[0], nil
	}},
	"eq": {2, true, func(v []any) (any, error) {
		if v[0] == nil || v[1] == nil {
			return v[0] == nil && v[1] == nil, nil
		}
		return text(v[0]) == text(v[1]), nil
	}},
	"eqFold": {2, true, func(v []any) (any, error) {
		return v[0] != nil && v[1] != nil && strings.EqualFold(text(v[0]), text(v[1])), nil
	}},
	"lt": {2, true, func(v []any) (any, error) {
		if v[0] == nil || v[1] == nil {
			return false, nil
		}
		a, b, err := twoIntegers(v)
		return a < b, err
	}},
	"startsWith": {2, true, func(v []any) (any, error) {
		return v[0] != nil && v[1] != nil && strings.HasPrefix(text(v[0]), text(v[1])), nil
	}},
	"contains": {2, true, func(v []any) (any, error) {
		return v[0] != nil && v[1] != nil && strings.Contains(text(v[0]), text(v[1])), nil
	}},
	"isNull": {1, true, func(v []any) (any, error) { return v[0] == nil, nil }},
	"not": {1, false, func(v []any) (any, error) {
		b, ok := v[0].(bool)
		if !ok {
			return nil, fmt.Errorf("%v is no truth value", v[0])
		}
		return !b, nil
	}},
	"pair": {2, true, func(v []any) (any, error) { return pair{v[0], v[1]}, nil }},
	"list": {-1, true, func(v []any) (any, error) { return list(v), nil }},
}

func box[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func integer(v any) (int64, error) {
	if n, ok := v.(int64); ok {
		return n, nil
	}
	return 0, fmt.Errorf("%v (%T) is no integer", v, v)
}

func twoIntegers(v []any) (a, b int64, err error) {
	if a, err = integer(v[0]); err == nil {
		b, err = integer(v[1])
	}
	return a, b, err
}

func fold(v []any, whole func(a, b int64) int64, float func(a, b float64) float64) (any, error) {
	acc := v[0]
	for _, x := range v[1:] {
		a, aInt := acc.(int64)
		b, bInt := x.(int64)
		if aInt && bInt {
			acc = whole(a, b)
			continue
		}
		f, err := float64Of(acc)
		if err != nil {
			return nil, err
		}
		g, err := float64Of(x)
		if err != nil {
			return nil, err
		}
		acc = float(f, g)
	}
	return acc, nil
}

func float64Of(v any) (float64, error) {
	switch n := v.(type) {
	case int64:
		return float64(n), nil
	case float64:
		return n, nil
	}
	return 0, fmt.Errorf("%v (%T) is no number", v, v)
}
