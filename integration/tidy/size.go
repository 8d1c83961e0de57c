package tidy

import (
	"fmt"
	"go/ast"
	"strings"
)

const (
	fileLines     = 600 // no file is longer
	goodFileLines = 300 // above it, a note
	functionLines = 70
)

// longFunctions are the functions that may be longer, with the reason. The list only shrinks.
var longFunctions = map[string]string{}

// checkSize is Y5. Functions of tests and of the packages at the top may be long: they tell a story from top to bottom.
func checkSize(m *module) (faults, notes []fault) {
	seen := map[string]bool{}
	for _, f := range m.files {
		switch {
		case f.size > fileLines:
			faults = append(faults, fault{f.path, 0, fmt.Sprintf("%d lines, at most %d: one idea a file, so move one out",
				f.size, fileLines)})
		case f.size > goodFileLines:
			notes = append(notes, fault{f.path, 0, fmt.Sprintf("%d lines: is it still one idea?", f.size)})
		}
		if f.test || below(f.dir, free...) {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			lines := m.fset.Position(fn.End()).Line - m.fset.Position(fn.Pos()).Line + 1
			name := f.path + ":" + functionName(fn)
			_, allowed := longFunctions[name]
			seen[name] = true
			switch {
			case lines > functionLines && !allowed:
				faults = append(faults, m.at(f, fn.Pos(), "%s has %d lines, at most %d: keep its branches here and move the "+
					"straight parts out", functionName(fn), lines, functionLines))
			case lines <= functionLines && allowed:
				faults = append(faults, m.at(f, fn.Pos(), "%s has %d lines now: take it off longFunctions", functionName(fn), lines))
			}
		}
	}
	for name := range longFunctions {
		if file, _, _ := strings.Cut(name, ":"); !seen[name] {
			faults = append(faults, fault{file, 0, "take " + name + " off longFunctions: it is gone"})
		}
	}
	return faults, notes
}

func functionName(fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return fn.Name.Name
	}
	return receiverName(fn) + "." + fn.Name.Name
}
