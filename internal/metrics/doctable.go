package metrics

import (
	"fmt"
	"strings"
)

// Table lists every family as a table in Markdown, in their order: the text of docs/metrics.md.
func Table() string {
	var b strings.Builder
	b.WriteString("# Metrics\n\nServed at `/metrics` of `Config.MetricsAddr`, and collected by `App.Collector`. Labels are bounded: topics, partitions,\n" +
		"nodes, stores, workers, stages, classes; never keys or values. Made by `go test ./internal/metrics -rewrite`.\n\n" +
		"| Name | Kind | Labels | What |\n|---|---|---|---|\n")
	for _, f := range families {
		labels := ""
		if len(f.labels) > 0 {
			labels = "`" + strings.Join(f.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, f.kind, labels, f.help)
	}
	return b.String()
}

func (k kind) String() string { return [...]string{"counter", "gauge", "histogram"}[k] }
