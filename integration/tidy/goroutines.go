package tidy

import (
	"go/ast"
	"slices"
	"strings"
)

// goroutineOwners are the packages that may start goroutines, and what for. Each go statement there has an end that
// somebody waits for.
var goroutineOwners = map[string]string{
	"internal/kafka":          "the I/O loops of connections",
	"internal/engine":         "workers and what feeds them",
	"internal/engine/restore": "the readers of changelogs",
	"state/pebblestore":       "the periodic flush and the watchdog of commits",
	"internal/metrics":        "the server of metrics and health",
	"stream":                  "the application around the workers",
}

// checkGoroutines is Y3. It knows go statements, and the calls that start goroutines behind a function.
func checkGoroutines(m *module) (faults, _ []fault) {
	starts := map[string][]string{"time": {"AfterFunc"}, "context": {"AfterFunc"}}
	for _, f := range m.files {
		if f.test || below(f.dir, free...) || goroutineOwner(f.dir) {
			continue
		}
		found := func(n ast.Node, what string) {
			faults = append(faults, m.at(f, n.Pos(), "%s outside the packages that own goroutines: return what is to be done "+
				"and let internal/engine do it", what))
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				found(n, "a go statement")
			case *ast.CallExpr:
				// sync.WaitGroup.Go, errgroup.Group.Go: a method Go that takes a function literal or value alone.
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" && len(n.Args) == 1 {
					found(n, "a call of Go")
				}
			}
			return true
		})
		for pkg, names := range starts {
			calls(f, pkg, func(name string, n ast.Node) {
				if strings.Join(names, " ") == name {
					found(n, pkg+"."+name)
				}
			})
		}
	}
	return faults, nil
}

// testSupport are packages that only tests import; a test's goroutines are its own.
var testSupport = []string{"internal/kafka/kafkatest", "state/storetest"}

func goroutineOwner(dir string) bool {
	_, owner := goroutineOwners[dir]
	return owner || slices.Contains(testSupport, dir)
}
