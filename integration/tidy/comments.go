package tidy

import (
	"maps"
	"path"
	"slices"
	"strings"
)

// checkComments is Y6. Programs, examples and packages of tests alone say it in any of their files.
func checkComments(m *module) (faults, _ []fault) {
	packages := map[string][]*file{}
	for _, f := range m.files {
		packages[f.dir] = append(packages[f.dir], f)
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		files := packages[dir]
		library := !below(dir, free...) && slices.ContainsFunc(files, func(f *file) bool { return !f.test })
		var documented []string
		for _, f := range files {
			if f.ast.Doc != nil && strings.TrimSpace(f.ast.Doc.Text()) != "" {
				documented = append(documented, f.path)
			}
		}
		name := path.Join(dir, "doc.go")
		switch {
		case len(documented) == 0:
			faults = append(faults, fault{name, 0, "the package has no comment: say what it is for, what it guarantees by " +
				"number, and what it does not do"})
		case library && (len(documented) != 1 || documented[0] != name):
			faults = append(faults, fault{documented[0], 1, "the package comment belongs into " + name + ", and only there"})
		case library && !strings.HasPrefix(docOf(files, name), "Package "):
			faults = append(faults, fault{name, 1, "begin the package comment with \"Package " + path.Base(dir) + "\""})
		}
	}
	return faults, nil
}

func docOf(files []*file, name string) string {
	for _, f := range files {
		if f.path == name {
			return f.ast.Doc.Text()
		}
	}
	return ""
}
