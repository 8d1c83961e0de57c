package topology

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// Fault is one mistake in a program.
type Fault struct {
	Site string // file:line of the call at fault
	Text string // what is wrong and how to mend it
}

func (f Fault) Error() string {
	if f.Site == "" {
		return f.Text
	}
	return f.Site + ": " + f.Text
}

// Faults are all the mistakes of a program, in the order of its calls.
type Faults []Fault

func (fs Faults) Error() string {
	if len(fs) == 1 {
		return "topology: " + fs[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "topology: %d faults", len(fs))
	for _, f := range fs {
		b.WriteString("\n  " + f.Error())
	}
	return b.String()
}

// Unwrap lets errors.As find each fault.
func (fs Faults) Unwrap() []error {
	errs := make([]error, len(fs))
	for i, f := range fs {
		errs[i] = f
	}
	return errs
}

const libraryPath = "github.com/oxbow-streams/oxbow/"

// Site returns file:line of the innermost caller outside of the packages that describe topologies.
func Site() string {
	var pcs [24]uintptr
	n := runtime.Callers(2, pcs[:])
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if !insideLibrary(f) {
			return f.File + ":" + strconv.Itoa(f.Line)
		}
		if !more {
			return ""
		}
	}
}

func insideLibrary(f runtime.Frame) bool {
	rest, ok := strings.CutPrefix(f.Function, libraryPath)
	if !ok || strings.HasSuffix(f.File, "_test.go") {
		return false
	}
	return strings.HasPrefix(rest, "stream.") || strings.HasPrefix(rest, "topology.")
}
