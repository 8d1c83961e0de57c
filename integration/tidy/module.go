package tidy

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// modulePath is what imports of this module begin with.
const modulePath = "github.com/oxbow-streams/oxbow"

// module is the parsed source of the repository.
type module struct {
	fsys  fs.FS
	fset  *token.FileSet
	files []*file
	texts []string // paths of all files, Go or not
}

// file is a Go file of the module.
type file struct {
	path string // from the root, with slashes
	dir  string // its package: "" is the root
	test bool   // it is only compiled into tests
	ast  *ast.File
	size int // lines
}

// fault is a place where a rule is broken, and the way out.
type fault struct {
	path string
	line int // 0: the file as a whole
	text string
}

func (f fault) String() string {
	if f.line == 0 {
		return f.path + ": " + f.text
	}
	return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text)
}

// rule returns the faults of a module. Notes are worth a look, but break nothing.
type rule func(m *module) (faults, notes []fault)

// load parses every Go file below the root of fsys, but nothing in testdata, hidden directories or other modules.
func load(fsys fs.FS) (*module, error) {
	m := &module{fsys: fsys, fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return m.enter(name)
		}
		if !d.Type().IsRegular() || path.Base(name) == ".git" {
			return nil
		}
		m.texts = append(m.texts, name)
		if path.Ext(name) != ".go" || slices.Contains(strings.Split(name, "/"), "testdata") {
			return nil
		}
		return m.parse(name)
	})
	return m, err
}

// enter decides whether the walk goes into a directory.
func (m *module) enter(dir string) error {
	base := path.Base(dir)
	if dir != "." && (base == ".git" || base == "node_modules") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(m.fsys, path.Join(dir, "go.mod")); err == nil && dir != "." {
		return fs.SkipDir // a module of its own has rules of its own
	}
	return nil
}

func (m *module) parse(name string) error {
	src, err := fs.ReadFile(m.fsys, name)
	if err != nil {
		return err
	}
	parsed, err := parser.ParseFile(m.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if dir == "." {
		dir = ""
	}
	m.files = append(m.files, &file{
		path: name, dir: dir, test: strings.HasSuffix(name, "_test.go"), ast: parsed,
		size: strings.Count(string(src), "\n"),
	})
	return nil
}

// at makes a fault of a node's place.
func (m *module) at(f *file, pos token.Pos, format string, args ...any) fault {
	return fault{f.path, m.fset.Position(pos).Line, fmt.Sprintf(format, args...)}
}

// below tells whether dir is one of parents or lies in one.
func below(dir string, parents ...string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return dir == p || strings.HasPrefix(dir, p+"/") })
}

// free are the packages at the top, which use the library as any program would: rules about its inside are not theirs.
var free = []string{"cmd", "console", "examples", "integration", "bench"}

func imported(spec *ast.ImportSpec) string {
	name, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return ""
	}
	return name
}

// calls reports every use of a function of a standard package, by its import's name in the file. Files that rename the
// import are followed; a dot import is reported as itself.
func calls(f *file, pkg string, visit func(name string, n ast.Node)) {
	local := ""
	for _, spec := range f.ast.Imports {
		if imported(spec) == pkg {
			local = path.Base(pkg)
			if spec.Name != nil {
				local = spec.Name.Name
			}
			if local == "." {
				visit(".", spec)
			}
		}
	}
	if local == "" || local == "." {
		return
	}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == local {
				visit(sel.Sel.Name, sel)
			}
		}
		return true
	})
}
