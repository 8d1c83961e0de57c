package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// File is a file of cases.
type File struct {
	Name      string
	Family    string     `json:"family"`
	Scenarios []Scenario `json:"scenarios"`
	Vectors   []Vector   `json:"vectors"`
}

// Scenario is a case.
type Scenario struct {
	Name      string   `json:"name"`
	Level     string   `json:"level"`
	Program   []Step   `json:"program"`
	Inputs    []Input  `json:"inputs"`
	Expected  []Output `json:"expected"`
	Assertion string   `json:"assertion"`
	FailsAt   *int     `json:"fails_at_input"`
	Ops       []Fields `json:"ops"`
}

// Vector is a call of a pure function.
type Vector struct {
	Kind   string `json:"kind"`
	Input  Fields `json:"input"`
	Output any    `json:"output"` // an object, or a list
}

// Input is a record to pipe in, or an advance of the wall clock.
type Input struct {
	Topic    string            `json:"topic"`
	Key      any               `json:"key"`
	Value    any               `json:"value"`
	OldValue any               `json:"old_value"`
	Time     int64             `json:"ts"`
	Window   *[2]int64         `json:"window"`
	Headers  []json.RawMessage `json:"headers"`
	Advance  *int64            `json:"advance_wall_clock_ms"`
}

// Output is a record that came out.
type Output struct {
	After    int               `json:"after_input"`
	Sink     string            `json:"sink"`
	Key      any               `json:"key"`
	Value    any               `json:"value"`
	OldValue any               `json:"old_value"`
	Time     int64             `json:"ts"`
	Window   *[2]int64         `json:"window"`
	Headers  []json.RawMessage `json:"headers"`
}

// Fields are the fields of an object, each to be asked for by name, so that one nobody asked for can be found (C1).
type Fields map[string]any

// Step is a step of a program.
type Step struct {
	Op, As string
	Of     []string
	Key    string
	Value  string
	Rest   Fields

	used map[string]bool
}

// UnmarshalJSON keeps the fields of the step's op apart from those that all steps have.
func (s *Step) UnmarshalJSON(b []byte) error {
	var common struct {
		Op    string   `json:"op"`
		As    string   `json:"as"`
		Of    []string `json:"of"`
		Key   string   `json:"key"`
		Value string   `json:"value"`
	}
	if err := decode(b, &common); err != nil {
		return err
	}
	*s = Step{Op: common.Op, As: common.As, Of: common.Of, Key: common.Key, Value: common.Value, used: map[string]bool{}}
	if err := decode(b, &s.Rest); err != nil {
		return err
	}
	for _, k := range []string{"op", "as", "of", "key", "value"} {
		delete(s.Rest, k)
	}
	return nil
}

// Field returns a field of the step and notes that it was looked at.
func (s *Step) Field(name string) (v any, ok bool) {
	s.used[name] = true
	v, ok = s.Rest[name]
	return v, ok
}

// Text, Number, Bool and Object are Field for one type; absent is the zero value.
func (s *Step) Text(name string) string { v, _ := s.Field(name); t, _ := v.(string); return t }

// Number returns a whole number, or def if the field is absent.
func (s *Step) Number(name string, def int64) int64 {
	v, ok := s.Field(name)
	if !ok {
		return def
	}
	return whole(v)
}

// Bool returns a truth value, or def if the field is absent.
func (s *Step) Bool(name string, def bool) bool {
	v, ok := s.Field(name)
	if !ok {
		return def
	}
	return v.(bool)
}

// Unused names the fields that nobody looked at.
func (s *Step) Unused() []string {
	var out []string
	for k := range s.Rest {
		if !s.used[k] {
			out = append(out, k)
		}
	}
	sort.Strings(out)
	return out
}

// Dir is where the cases are: CONFORMANCE_DIR, or the copy in the repository.
func Dir() string {
	if d := os.Getenv("CONFORMANCE_DIR"); d != "" {
		return d
	}
	return filepath.Join("testdata", "cases")
}

// Load reads every file of cases in dir, in order of name.
func Load(dir string) ([]File, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s holds no *.json: set CONFORMANCE_DIR to a directory of cases", dir)
	}
	var files []File
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f := File{Name: strings.TrimSuffix(filepath.Base(name), ".json")}
		if err := decode(b, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// decode keeps numbers as they are written: whole numbers of 64 bits must not become floats.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

func whole(v any) int64 {
	switch n := v.(type) {
	case json.Number:
		if i, err := n.Int64(); err == nil {
			return i
		}
	case int64:
		return n
	}
	panic(fmt.Sprintf("%v (%T) is not a whole number", v, v))
}
