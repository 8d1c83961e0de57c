package tidy

import (
	"slices"
	"strings"
)

// layers are the packages of the library from the bottom up. A package may import those of the lines above its own.
var layers = [][]string{
	{"internal/invariant"},
	{"internal/seeds"},
	{"internal/record"},
	{"stream/serde"},
	{"state"},
	{"state/storetest"},
	{"state/memstore", "state/pebblestore"},
	{"dlq"},
	{"internal/node"},
	{"internal/tap"},
	{"topology"},
	{"internal/kafka", "internal/metrics"},
	{"internal/kafka/kafkatest"},
	{"internal/engine/assign"},
	{"internal/engine/topics", "internal/engine/restore"},
	{"internal/engine"},
	{"stream"},
	{"stream/streamtest"},
}

func layerOf(dir string) int {
	return slices.IndexFunc(layers, func(line []string) bool { return slices.Contains(line, dir) })
}

// checkLayers is Y1. Tests may import what they like.
func checkLayers(m *module) (faults, _ []fault) {
	for _, f := range m.files {
		if f.test || below(f.dir, free...) {
			continue
		}
		own := layerOf(f.dir)
		if own < 0 {
			faults = append(faults, fault{f.path, 0, "its package has no layer: say in integration/tidy/layers.go where it " +
				"stands, as docs/architecture.md has it"})
			continue
		}
		for _, spec := range f.ast.Imports {
			other, ours := strings.CutPrefix(imported(spec), modulePath+"/")
			if !ours {
				continue
			}
			if rank := layerOf(other); rank < 0 || rank >= own {
				faults = append(faults, m.at(f, spec.Pos(), "%s imports %s, which is not below it: declare an interface "+
					"where it is called, or move what both need down", f.dir, other))
			}
		}
	}
	return faults, nil
}
