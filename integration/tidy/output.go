package tidy

import (
	"go/ast"
	"slices"
	"strings"
)

// checkOutput is Y7: what there is to say goes to the *slog.Logger of the configuration, and what goes wrong is an error.
func checkOutput(m *module) (faults, _ []fault) {
	for _, f := range m.files {
		if f.test || below(f.dir, free...) {
			continue
		}
		calls(f, "fmt", func(name string, n ast.Node) {
			if strings.HasPrefix(name, "Print") {
				faults = append(faults, m.at(f, n.Pos(), "fmt.%s in the library: use the Config's *slog.Logger", name))
			}
		})
		calls(f, "log", func(name string, n ast.Node) {
			if slices.ContainsFunc([]string{"Print", "Fatal", "Panic"}, func(p string) bool { return strings.HasPrefix(name, p) }) {
				faults = append(faults, m.at(f, n.Pos(), "log.%s in the library: use the Config's *slog.Logger", name))
			}
		})
		calls(f, "os", func(name string, n ast.Node) {
			if name == "Exit" {
				faults = append(faults, m.at(f, n.Pos(), "os.Exit in the library: return an error; the program decides"))
			}
		})
	}
	return faults, nil
}
