package topology

import (
	"fmt"
	"strings"
)

const maxName = 249

// CheckName tells whether name may be part of a topic, as Kafka's rule has it.
func CheckName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("a name must not be empty")
	case name == "." || name == "..":
		return fmt.Errorf("name %q is not allowed by Kafka", name)
	case len(name) > maxName:
		return fmt.Errorf("name %q has %d characters, Kafka allows %d", name, len(name), maxName)
	}
	for _, r := range name {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r) {
			return fmt.Errorf("name %q contains %q: use letters, digits, '.', '_' and '-'", name, r)
		}
	}
	return nil
}

const (
	repartitionSuffix = "-repartition"
	changelogSuffix   = "-changelog"
)

// generated tells whether a repartition topic's name comes from a numbered node, as opposed to the user.
func generated(name string) bool {
	i := strings.LastIndexByte(name, '-')
	if !strings.HasPrefix(name, "KSTREAM") || i < 0 || len(name)-i-1 != 10 {
		return false
	}
	for _, c := range name[i+1:] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
