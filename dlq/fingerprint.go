package dlq

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`"[^"]*"|'[^']*'|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|\b0x[0-9a-fA-F]+\b|\d+`)

// Fingerprint groups failures of one cause: 64 bits over stage, node, the types in the error's chain, the message without
// what varies (quoted parts, ids, digits) and, for a panic, the function that panicked. In hex.
func Fingerprint(f *Failure) string {
	var types []string
	for err := f.Err; err != nil; err = unwrap(err) {
		types = append(types, typeName(err))
	}
	text := fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%s", f.Stage, f.Node, strings.Join(types, ">"),
		variable.ReplaceAllString(f.Err.Error(), "#"), panicFunction(f.Stack))
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// typeName is the error's Go type with its package's path: encoding/json.SyntaxError.
func typeName(err error) string {
	t := reflect.TypeOf(err)
	if t == nil {
		return "nil"
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.PkgPath() == "" {
		return t.String()
	}
	return t.PkgPath() + "." + t.Name()
}

func innermost(err error) error {
	for {
		next := unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// unwrap is errors.Unwrap that follows the first branch of a joined error.
func unwrap(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		if errs := many.Unwrap(); len(errs) > 0 {
			return errs[0]
		}
		return nil
	}
	return errors.Unwrap(err)
}

// panicFunction finds the function below the runtime's frames of a stack trace.
func panicFunction(stack []byte) string {
	lines := strings.Split(string(stack), "\n")
	after := false
	for _, l := range lines {
		switch {
		case strings.HasPrefix(l, "panic("):
			after = true
		case after && l != "" && l[0] != '\t' && !strings.HasPrefix(l, "runtime."):
			name, _, _ := strings.Cut(l, "(0x")
			return strings.TrimSuffix(name, "(...)")
		}
	}
	return ""
}

// stackText is what the header __streams.errors.stacktrace holds: the chain of errors, the way through the nodes, and the
// stack of a panic.
func stackText(c Case) string {
	var b strings.Builder
	for err := c.Failure.Err; err != nil; err = unwrap(err) {
		fmt.Fprintf(&b, "%s: %s\n", typeName(err), err)
	}
	for i := len(c.Path) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "\tat %s\n", c.Path[i])
	}
	b.Write(c.Failure.Stack)
	return b.String()
}
