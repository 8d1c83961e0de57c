package conformance

import (
	"fmt"
	"strings"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// program is a topology under construction. Streams and tables carry any; types says what they are on the wire.
type program struct {
	b       *stream.Builder
	cfg     programConfig
	made    map[string]any // by the step's "as"
	types   map[string]wire
	record  func(Output)
	sources []source
	caching bool

	changes    map[string]*changes              // tables whose changes are inputs, by topic
	windowKeys map[string]serde.Serde[windowed] // of these, those with windows

	nullable map[string]optGrouped // grouped streams that show null values, by their steps

	observesChanges bool // old values are compared too
}

type wire struct{ key, value string }

type source struct {
	topic, pattern string
	wire           wire
}

// programConfig is what a program's first step may say.
type programConfig struct {
	cache       string // "on", "off", "either"
	onError     string // "fail", "continue"
	maxTaskIdle int64
}

// build makes the topology of a case. record is called for each record that an observed step sees.
func build(steps []Step, caching bool, record func(Output)) (p *program, err error) {
	p = &program{b: stream.NewBuilder(), made: map[string]any{}, types: map[string]wire{}, record: record,
		caching: caching, nullable: map[string]optGrouped{}, changes: map[string]*changes{}, windowKeys: map[string]serde.Serde[windowed]{},
		cfg: programConfig{cache: "on", onError: "fail"}}
	for i := range steps {
		s := &steps[i]
		if err := p.step(s); err != nil {
			return nil, fmt.Errorf("step %d (%s %s): %w", i, s.Op, s.As, err)
		}
		if left := s.Unused(); len(left) > 0 {
			return nil, fmt.Errorf("step %d (%s %s): fields %s are not in the vocabulary", i, s.Op, s.As, strings.Join(left, ", "))
		}
	}
	return p, nil
}

// configOf reads the first step of a program, if it is its configuration.
func configOf(steps []Step) (c programConfig) {
	c = programConfig{cache: "on", onError: "fail"}
	if len(steps) > 0 && steps[0].Op == "config" {
		s := &steps[0]
		if v := s.Text("record_cache"); v != "" {
			c.cache = v
		}
		if v := s.Text("on_processing_error"); v != "" {
			c.onError = v
		}
		c.maxTaskIdle = s.Number("max_task_idle_ms", 0)
	}
	return c
}

// ops maps each op to what builds it. An op that is missing here is not in the vocabulary (C1).
var ops map[string]func(p *program, s *Step) (any, error)

func init() {
	ops = map[string]func(p *program, s *Step) (any, error){
		"config": buildConfig,
		"stream": buildStream, "filter": buildFilter(true), "filterNot": buildFilter(false), "map": buildMap,
		"mapValues": buildMapValues, "flatMap": buildFlatMap, "flatMapValues": buildFlatMapValues,
		"selectKey": buildSelectKey, "peek": buildPeek, "merge": buildMerge, "split": buildSplit,
		"repartition": buildRepartition, "to": buildTo, "observe": buildObserve,
		"process": buildProcess, "processValues": buildProcess,
		"table": buildTable, "toTable": buildToTable, "toStream": buildToStream,
		"transformValues": buildTransformValues, "oldValues": buildOldValues,
		"groupByKey": buildGroupByKey, "groupBy": buildGroupBy, "count": buildCount, "reduce": buildReduce,
		"aggregate": buildAggregate, "joinTable": buildJoinTable, "joinForeign": buildJoinForeign,
		"suppress": buildSuppress, "changes": buildChanges,
		"joinTables": buildJoinTables, "windowBy": buildWindowBy, "cogroup": buildCogroup,
	}
}

func (p *program) step(s *Step) error {
	f := ops[s.Op]
	if f == nil {
		return fmt.Errorf("op %q is not in the vocabulary", s.Op)
	}
	made, err := f(p, s)
	if err != nil {
		return err
	}
	if s.As != "" {
		if _, ok := p.made[s.As]; ok {
			return fmt.Errorf("the name %q is taken", s.As)
		}
		p.made[s.As] = made
		p.types[s.As] = wire{s.Key, s.Value}
	}
	return nil
}

func buildConfig(p *program, s *Step) (any, error) {
	p.cfg = configOf([]Step{*s})
	for _, f := range []string{"record_cache", "on_processing_error", "max_task_idle_ms", "upgrade_from"} {
		s.Field(f)
	}
	if p.cfg.cache != "on" && p.cfg.cache != "off" && p.cfg.cache != "either" {
		return nil, fmt.Errorf("record_cache %q", p.cfg.cache)
	}
	if p.cfg.onError != "fail" && p.cfg.onError != "continue" {
		return nil, fmt.Errorf("on_processing_error %q", p.cfg.onError)
	}
	return nil, nil
}

// of returns the only parent of a step, as a T.
func of[T any](p *program, s *Step) (t T, err error) {
	if len(s.Of) != 1 {
		return t, fmt.Errorf("it stands on %d steps, want 1", len(s.Of))
	}
	return parent[T](p, s, 0)
}

func parent[T any](p *program, s *Step, i int) (t T, err error) {
	if i >= len(s.Of) {
		return t, fmt.Errorf("it stands on %d steps only", len(s.Of))
	}
	made, ok := p.made[s.Of[i]]
	if !ok {
		return t, fmt.Errorf("no step %q before it", s.Of[i])
	}
	t, ok = made.(T)
	if !ok {
		return t, fmt.Errorf("%s on %q, which is a %T", s.Op, s.Of[i], made)
	}
	return t, nil
}

// typesOf returns the wire types of a step's first parent.
func (p *program) typesOf(s *Step) wire { return p.types[s.Of[0]] }

// expression takes a field of a step as an expression over variables.
func expression(s *Step, field string) (func(vars env) (any, error), error) {
	e, ok := s.Field(field)
	if !ok {
		return nil, fmt.Errorf("it lacks the field %q", field)
	}
	return func(vars env) (any, error) {
		v, err := eval(e, vars)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		return v, nil
	}, nil
}

// typed is expression with the result made to fit a declared type.
func typed(s *Step, field, typ string) (func(vars env) (any, error), error) {
	f, err := expression(s, field)
	if err != nil {
		return nil, err
	}
	return func(vars env) (any, error) {
		v, err := f(vars)
		if err != nil {
			return nil, err
		}
		return fit(v, typ)
	}, nil
}

// condition is expression for a truth value; null counts as false.
func condition(s *Step, field string) (func(vars env) (bool, error), error) {
	f, err := expression(s, field)
	if err != nil {
		return nil, err
	}
	return func(vars env) (bool, error) {
		v, err := f(vars)
		if err != nil || v == nil {
			return false, err
		}
		b, ok := v.(bool)
		if !ok {
			return false, fmt.Errorf("%s: %v is no truth value", field, v)
		}
		return b, nil
	}, nil
}
