package tidy

import (
	"go/ast"
	"go/types"
	"io/fs"
	"slices"
	"strings"
)

// operatorDir is the package whose exported functions are the operators.
const operatorDir = "stream"

// seeds are the types that a program begins with. What their functions return, their functions return, and so on, are operators'
// types too.
var seeds = []string{"Builder", "Window", "Gap", "JoinWindow", "UnlimitedWindow"}

// notSteps are types that a program gets in the end: what is done with them is no step.
var notSteps = []string{"App", "Topology"}

// asked is the first parameter of functions that query.
const asked = "Queryable"

// operator is an exported function of package stream, by the name of its example: Stream_Filter, JoinTable.
type operator struct {
	name string
	file *file
	fn   *ast.FuncDecl
	step bool // it adds a step, makes what steps are given, or queries
	more bool // it makes an option or declares a store
}

// checkOperators is Y10: every operator and option has a runnable example, every operator a family that docs/operators.md lists it in.
func checkOperators(m *module) (faults, _ []fault) {
	examples := examplesOf(m)
	for _, op := range operatorsOf(m) {
		if !op.step && !op.more {
			continue
		}
		if examples[op.name] == nil {
			faults = append(faults, m.at(op.file, op.fn.Pos(), "%s has no example: write func Example%s with its // Output: in a "+
				"stream/example_*_test.go, then go test ./integration/tidy -rewrite", functionName(op.fn), op.name))
		}
		if op.step && familyOf(op.file.path) == nil {
			faults = append(faults, m.at(op.file, op.fn.Pos(), "%s is in no family: list its file in integration/tidy/operators_page.go",
				functionName(op.fn)))
		}
	}
	return faults, nil
}

// operatorsOf returns the exported functions of package stream, in the order of files and lines.
func operatorsOf(m *module) (ops []operator) {
	for _, f := range m.files {
		if f.dir != operatorDir || f.test {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() || fn.Recv != nil && !ast.IsExported(receiverName(fn)) {
				continue
			}
			name := fn.Name.Name
			if fn.Recv != nil {
				name = receiverName(fn) + "_" + name
			}
			ops = append(ops, operator{name: name, file: f, fn: fn})
		}
	}
	steps := stepTypes(ops)
	for i := range ops {
		on := subject(ops[i].fn)
		ops[i].step = steps[on] || on == asked && ops[i].fn.Recv == nil || ops[i].fn.Recv == nil && steps[result(ops[i].fn)]
		if made := result(ops[i].fn); ops[i].fn.Recv == nil && (made == seeds[0] || slices.Contains(notSteps, made)) {
			ops[i].step = false // New and NewBuilder: every program has them
		}
		ops[i].more = ops[i].fn.Recv == nil && !ops[i].step && furthers(result(ops[i].fn))
	}
	return ops
}

// furthers tells whether a type is that of an option, which has a small name, or of a store's declaration.
func furthers(made string) bool {
	return strings.HasSuffix(made, "Ref") || made != "" && !ast.IsExported(made) && types.Universe.Lookup(made) == nil
}

// stepTypes are the seeds and what can be made of them.
func stepTypes(ops []operator) map[string]bool {
	made := map[string]bool{}
	for _, t := range seeds {
		made[t] = true
	}
	for {
		before := len(made)
		for _, op := range ops {
			t := result(op.fn)
			if made[subject(op.fn)] && ast.IsExported(t) && !slices.Contains(notSteps, t) {
				made[t] = true
			}
		}
		if len(made) == before {
			return made
		}
	}
}

// subject is the type that a function is about: its receiver's, or else its first parameter's. It is "" for one of another package.
func subject(fn *ast.FuncDecl) string {
	if fn.Recv != nil {
		return receiverName(fn)
	}
	if len(fn.Type.Params.List) == 0 {
		return ""
	}
	return baseName(fn.Type.Params.List[0].Type)
}

func result(fn *ast.FuncDecl) string {
	if fn.Type.Results == nil {
		return ""
	}
	return baseName(fn.Type.Results.List[0].Type)
}

// baseName is the name of a type of the package, without pointer and type arguments.
func baseName(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return baseName(x.X)
	case *ast.IndexExpr:
		return baseName(x.X)
	case *ast.IndexListExpr:
		return baseName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}

// example is a runnable example: its code without the output, and the output.
type example struct {
	about, code, output string
}

// examplesOf finds the examples of package stream that have an output, by the name of what they show.
func examplesOf(m *module) map[string]*example {
	found := map[string]*example{}
	for _, f := range m.files {
		if f.dir != operatorDir || !f.test {
			continue
		}
		src, err := fs.ReadFile(m.fsys, f.path)
		if err != nil {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Example") {
				continue
			}
			body := string(src[m.fset.Position(fn.Body.Lbrace).Offset+1 : m.fset.Position(fn.Body.Rbrace).Offset])
			code, output, ok := strings.Cut(body, "\n\t// Output:")
			if !ok {
				continue
			}
			found[strings.TrimPrefix(fn.Name.Name, "Example")] = &example{
				about: strings.TrimSpace(fn.Doc.Text()), code: unindent(code, "\t"), output: unindent(output, "\t// "),
			}
		}
	}
	return found
}

func unindent(text, indent string) string {
	lines := strings.Split(strings.Trim(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], indent)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}
