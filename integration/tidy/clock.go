package tidy

import (
	"go/ast"
	"go/token"
	"slices"
)

// timeless are the packages in which time is an argument.
var timeless = []string{
	"internal/record", "stream/serde", "state", "state/memstore", "dlq", "internal/node", "topology", "stream/streamtest",
	"internal/engine/assign",
}

// machines are, by package, the types that decide: none of their methods may read a clock or start a goroutine. Types
// that have a method step or Step which takes the time belong to them without being listed.
var machines = map[string][]string{
	"internal/kafka":  nil,
	"internal/engine": {"Task", "Out", "Worker"},
}

// clocks are the functions of package time that read a clock or wait for one.
var clocks = []string{".", "Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// checkClock is Y4. In tests a sleep is only allowed where time is virtual: a test that waits for real time is slow on a
// good day and fails on a bad one.
func checkClock(m *module) (faults, _ []fault) {
	for _, f := range m.files {
		switch {
		case f.test:
			faults = append(faults, sleeps(m, f)...)
		case slices.Contains(timeless, f.dir):
			calls(f, "time", func(name string, n ast.Node) {
				if slices.Contains(clocks, name) {
					faults = append(faults, m.at(f, n.Pos(), "time.%s in %s, where time is an argument: take it from the caller",
						name, f.dir))
				}
			})
		}
	}
	for dir, listed := range machines {
		faults = append(faults, checkMachines(m, dir, listed)...)
	}
	return faults, nil
}

func sleeps(m *module, f *file) (faults []fault) {
	virtual := slices.ContainsFunc(f.ast.Imports, func(s *ast.ImportSpec) bool { return imported(s) == "testing/synctest" })
	if virtual || f.dir == "integration/sim" { // everything there runs in one bubble
		return nil
	}
	calls(f, "time", func(name string, n ast.Node) {
		if name == "Sleep" {
			faults = append(faults, m.at(f, n.Pos(), "a test that sleeps: wait for a signal, or run it in testing/synctest"))
		}
	})
	return faults
}

// checkMachines looks at the methods of the types of dir that decide.
func checkMachines(m *module, dir string, listed []string) (faults []fault) {
	types := slices.Clone(listed)
	methods := map[string][]*ast.FuncDecl{}
	home := map[*ast.FuncDecl]*file{}
	for _, f := range m.files {
		if f.dir != dir || f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Body == nil {
				continue
			}
			receiver := receiverName(fn)
			methods[receiver], home[fn] = append(methods[receiver], fn), f
			if isStep(fn) && !slices.Contains(types, receiver) {
				types = append(types, receiver)
			}
		}
	}
	for _, name := range types {
		for _, fn := range methods[name] {
			f := home[fn]
			bad := func(pos token.Pos, what string) {
				faults = append(faults, m.at(f, pos, "%s in %s.%s, which decides: take the time and return the action", what,
					name, fn.Name.Name))
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if g, ok := n.(*ast.GoStmt); ok {
					bad(g.Pos(), "a go statement")
				}
				return true
			})
			calls(f, "time", func(fun string, n ast.Node) {
				if slices.Contains(clocks, fun) && n.Pos() >= fn.Body.Pos() && n.End() <= fn.Body.End() {
					bad(n.Pos(), "time."+fun)
				}
			})
		}
	}
	return faults
}

// isStep tells whether fn is step(now time.Time, ...) or the like. A step without the time is the loop's around it.
func isStep(fn *ast.FuncDecl) bool {
	if fn.Name.Name != "step" && fn.Name.Name != "Step" {
		return false
	}
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool {
		switch t := p.Type.(type) {
		case *ast.SelectorExpr:
			return t.Sel.Name == "Time"
		default:
			return len(p.Names) > 0 && p.Names[0].Name == "now"
		}
	})
}

// receiverName is the type of a method's receiver, without star and type parameters.
func receiverName(fn *ast.FuncDecl) string {
	t := fn.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
