package stream_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/oxbow-streams/oxbow/dlq"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// driverTranscripts runs testdata/NAME.txt through the driver: "program P" begins one of programs, "in TOPIC KEY=VALUE @TIME" pipes a
// record, and the lines below, with two spaces before them, are what it writes to user topics and the dead letters. "#" lines say
// why. -update writes the results anew.
//
// Every program runs as it is, with each unit undone and run again, and with a restart after each record: all three give the same.
func driverTranscripts(t *testing.T, name string, programs map[string]func(b *stream.Builder)) {
	path := filepath.Join("testdata", name+".txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, mode := range []struct {
		name    string
		opts    []streamtest.Option
		restart bool
	}{{name: "plain"}, {name: "undone and run again", opts: []streamtest.Option{streamtest.Twice()}}, {name: "restarted", restart: true}} {
		t.Run(mode.name, func(t *testing.T) {
			var got strings.Builder
			var d *streamtest.Driver
			for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
				if strings.HasPrefix(line, "  ") {
					continue
				}
				got.WriteString(line + "\n")
				word, rest, _ := strings.Cut(line, " ")
				switch word {
				case "program":
					write := programs[rest]
					if write == nil {
						t.Fatalf("%s: there is no program %q", path, rest)
					}
					seen[rest] = true
					b := stream.NewBuilder()
					write(b)
					opts := append([]streamtest.Option{streamtest.NoCaching(), streamtest.OnError(dlq.DeadLetter())}, mode.opts...)
					d = streamtest.New(t, b, opts...)
				case "in":
					got.WriteString(pipeLine(t, d, rest))
					if mode.restart {
						if err := d.Restart(); err == nil {
							got.WriteString(written(d))
						}
					}
				}
			}
			if mode.name == "plain" && *update {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				text = []byte(got.String())
			}
			if got.String() != string(text) {
				t.Errorf("%s: got\n%s", path, firstDifference(got.String(), string(text)))
			}
		})
	}
	for p := range programs {
		if !seen[p] {
			t.Errorf("%s lacks the program %q", path, p)
		}
	}
}

// firstDifference shows where two texts part.
func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		at := func(l []string) string {
			if i < len(l) {
				return l[i]
			}
			return "(end)"
		}
		if at(g) != at(w) {
			return fmt.Sprintf("%s\n%s\nwant\n%s", strings.Join(g[max(i-4, 0):min(i, len(g))], "\n"), at(g), at(w))
		}
	}
	return ""
}

// pipeLine pipes "TOPIC KEY=VALUE @TIME" and returns what comes of it.
func pipeLine(t *testing.T, d *streamtest.Driver, line string) string {
	w := strings.Fields(line)
	if len(w) != 3 || d == nil {
		t.Fatalf("%q: want TOPIC KEY=VALUE @TIME, behind a program", line)
	}
	k, v, ok := strings.Cut(w[1], "=")
	ms, err := strconv.ParseInt(strings.TrimPrefix(w[2], "@"), 10, 64)
	if !ok || err != nil {
		t.Fatalf("%q: want TOPIC KEY=VALUE @TIME", line)
	}
	bytesOf := func(s string) []byte {
		if s == "-" {
			return nil
		}
		return []byte(s)
	}
	err = streamtest.Input(d, w[0], serde.Bytes, serde.Bytes).PipeRaw(bytesOf(k), bytesOf(v), time.UnixMilli(ms), stream.Headers{})
	out := written(d)
	if err != nil {
		out += "  stops: " + err.Error() + "\n"
	}
	return out
}

// written returns what was written to the topics of the user since the last call.
func written(d *streamtest.Driver) string {
	var out strings.Builder
	for _, topic := range d.Topics() {
		if !strings.HasPrefix(topic, "out") {
			continue
		}
		for _, r := range d.Drain(topic) {
			fmt.Fprintf(&out, "  %s %s=%s @%d\n", topic, keyText(r.Key), text(r.Value), r.Time.UnixMilli())
		}
	}
	for _, l := range d.DeadLetters() {
		at := "a row of no record"
		if topic := l.Header("__streams.errors.topic"); topic != "" {
			at = fmt.Sprintf("%s/%s@%s", topic, l.Header("__streams.errors.partition"), l.Header("__streams.errors.offset"))
		}
		fmt.Fprintf(&out, "  dead letter %s=%s of %s, %s at %s: %s\n", keyText(l.Key), printable(l.Value), at, l.Stage(), l.Node(), l.Message())
	}
	return out.String()
}

// keyText shows a key, of a window as key[start.
func keyText(b []byte) string {
	if n := len(b) - 8; n >= 0 && strings.IndexByte(string(b), 0) >= 0 {
		k, err := serde.TimeWindowed(serde.String, time.Millisecond).Decode(b)
		if err == nil {
			return fmt.Sprintf("%s[%d", k.Key, k.Start.UnixMilli())
		}
	}
	return text(b)
}

// printable shows bytes that are no text as hexadecimal.
func printable(b []byte) string {
	if strings.ContainsFunc(string(b), func(r rune) bool { return r < ' ' || r == utf8.RuneError }) {
		return fmt.Sprintf("%x", b)
	}
	return text(b)
}
