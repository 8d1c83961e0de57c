package tidy

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const runnerDir = "integration/conformance"

// checkCases is Y9: a runner that knew a case by name could answer it without running the operators.
func checkCases(m *module) (faults, _ []fault) {
	if !slices.ContainsFunc(m.files, func(f *file) bool { return below(f.dir, runnerDir) }) {
		return nil, nil // no runner, nothing to look for: its own lane misses it
	}
	names, err := caseNames(m)
	if err != nil {
		return []fault{{runnerDir, 0, err.Error()}}, nil
	}
	for _, name := range m.texts {
		if path.Ext(name) != ".go" || !below(path.Dir(name), runnerDir) || strings.Contains(name, "/testdata/") {
			continue
		}
		text, err := fs.ReadFile(m.fsys, name)
		if err != nil {
			faults = append(faults, fault{name, 0, err.Error()})
			continue
		}
		for n, line := range strings.Split(string(text), "\n") {
			for word := range names {
				if strings.Contains(line, word) {
					faults = append(faults, fault{name, n + 1, fmt.Sprintf("the runner names the case %q: build every case from "+
						"its program alone", word)})
				}
			}
		}
	}
	return faults, nil
}

// caseNames are the names of all cases, and the parts of them that are nobody's word but theirs.
func caseNames(m *module) (map[string]bool, error) {
	names := map[string]bool{}
	for _, name := range m.texts {
		if !below(path.Dir(name), runnerDir+"/testdata") || path.Ext(name) != ".json" {
			continue
		}
		text, err := fs.ReadFile(m.fsys, name)
		if err != nil {
			return nil, err
		}
		var family struct {
			Scenarios []struct{ Name string }
		}
		if err := json.Unmarshal(text, &family); err != nil {
			continue // not a family of cases
		}
		for _, s := range family.Scenarios {
			if s.Name == "" {
				continue
			}
			names[s.Name] = true
			for part := range strings.SplitSeq(s.Name, ".") {
				ours := strings.HasPrefix(part, "test") || strings.HasPrefix(part, "should") || strings.HasSuffix(part, "Test")
				if ours && len(part) > 8 {
					names[part] = true
				}
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no cases in %s/testdata: keep a copy of the cases there", runnerDir)
	}
	return names, nil
}
