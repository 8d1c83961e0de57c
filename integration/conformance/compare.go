package conformance

import (
	"fmt"
	"sort"
	"strings"
)

// compare tells how got differs from what a case expects, "" if it does not. How strictly is said by assertion. Every entry is
// compared in the form of line, which holds what the case gives.
func compare(assertion string, got, want []string, keyOf func(line string) string) string {
	switch assertion {
	case "exact-set", "exact-sequence (suppressed), exact-set (raw)":
		got, want = sorted(got), sorted(want)
	case "map-per-step", "last-per-key", "last-per-key (window)", "final-values":
		got, want = lastOf(got, keyOf), lastOf(want, keyOf)
	case "exact-sequence", "executed-derived", "recorded", "exact-sequence (key, value)", "exact-sequence (values)":
	default:
		return fmt.Sprintf("assertion %q is not in the vocabulary", assertion)
	}
	if strings.Join(got, "\n") == strings.Join(want, "\n") {
		return ""
	}
	return diff(got, want)
}

func sorted(in []string) []string {
	out := append([]string(nil), in...)
	sort.Strings(out)
	return out
}

func lastOf(in []string, keyOf func(string) string) []string {
	last := map[string]string{}
	for _, l := range in {
		last[keyOf(l)] = l
	}
	var out []string
	for _, l := range last {
		out = append(out, l)
	}
	return sorted(out)
}

// diff shows two sequences side by side, with a mark at the first difference.
func diff(got, want []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d came out, %d are expected\n", len(got), len(want))
	at := func(s []string, i int) string {
		if i < len(s) {
			return s[i]
		}
		return "-"
	}
	shown := 0
	for i := range max(len(got), len(want)) {
		if at(got, i) != at(want, i) && shown < 12 {
			fmt.Fprintf(&b, "  %3d got  %s\n      want %s\n", i, at(got, i), at(want, i))
			shown++
		}
	}
	return b.String()
}
