package tidy

import "strings"

// importers says for each dependency which packages of the library may import it, as prefixes of import paths; the
// longest prefix that fits decides. Tests and the packages at the top import what they like of go.mod.
var importers = map[string][]string{
	"github.com/segmentio/kafka-go":      {"internal/kafka"},
	"github.com/segmentio/kafka-go/sasl": {"internal/kafka", "stream"},
	"github.com/twmb/franz-go/pkg/kmsg":  {"internal/kafka"},
	"github.com/klauspost/compress":      {"internal/kafka"},
	"github.com/pierrec/lz4":             {"internal/kafka"},
	"github.com/cockroachdb/pebble":      {"state/pebblestore"},
	"github.com/prometheus":              {"internal/metrics"},
	"pgregory.net/rapid":                 {"state/storetest"},
}

// checkImporters is Y2.
func checkImporters(m *module) (faults, _ []fault) {
	for _, f := range m.files {
		if f.test || below(f.dir, free...) {
			continue
		}
		for _, spec := range f.ast.Imports {
			name := imported(spec)
			host, _, _ := strings.Cut(name, "/")
			if name == modulePath || strings.HasPrefix(name, modulePath+"/") || !strings.Contains(host, ".") {
				continue // ours, or the standard library
			}
			best, found := "", false
			for prefix := range importers {
				if below(name, prefix) && len(prefix) >= len(best) {
					best, found = prefix, true
				}
			}
			switch {
			case !found:
				faults = append(faults, m.at(f, spec.Pos(), "the library does not depend on %s: do without it, or list it "+
					"with its one importer in integration/tidy/importers.go and its reason in docs/decisions.md", name))
			case !below(f.dir, importers[best]...):
				faults = append(faults, m.at(f, spec.Pos(), "only %s imports %s: take an interface of your own, which it "+
					"fulfils", strings.Join(importers[best], " and "), best))
			}
		}
	}
	return faults, nil
}
