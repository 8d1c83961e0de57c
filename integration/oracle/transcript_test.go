package oracle

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

var rewrite = flag.Bool("rewrite", false, "write what is seen into the transcripts")

// A transcript is a text of commands, each with what it brought about indented beneath it:
//
//	program NAME [OPTION...]   starts one of programs; options: uncached, twice, headers (of letters), internal (topics), limit=BYTES
//	TOPIC key=value @ms [x]    a record, - for null, with the header label:x
//	advance DURATION           moves the clock
//	restart, stats, store NAME
//
// A comment says why the rule is as it is.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *rewrite && got != string(want) {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(want) {
				t.Errorf("%s: see the difference with go test ./integration/oracle -run Transcripts -rewrite\n%s", file,
					firstDifference(got, string(want)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i == len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d is\n%s\nwant\n%s", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

// player runs the commands of a transcript.
type player struct {
	t                 *testing.T
	d                 *streamtest.Driver
	inputs            map[string]bool
	headers, internal bool
}

func replay(t *testing.T, script string) string {
	p := &player{t: t}
	var b strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "  ") {
			continue // what was seen
		}
		b.WriteString(line)
		if command := strings.Fields(line); len(command) > 0 && !strings.HasPrefix(line, "#") {
			if err := p.do(command); err != nil {
				fmt.Fprintf(&b, "  error: %v\n", err)
			}
			b.WriteString(p.seen())
			if command[0] == "stats" || command[0] == "store" {
				b.WriteString(p.show(command))
			}
		}
	}
	return b.String()
}

func (p *player) do(c []string) error {
	switch c[0] {
	case "program":
		return p.start(c[1], c[2:])
	case "advance":
		by, err := time.ParseDuration(c[1])
		if err != nil {
			return err
		}
		return p.d.Advance(by)
	case "restart":
		return p.d.Restart()
	case "stats", "store":
		return nil
	}
	key, value, ok := strings.Cut(c[1], "=")
	ms, err := strconv.ParseInt(strings.TrimPrefix(c[2], "@"), 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("%v: want TOPIC key=value @ms", c)
	}
	r := streamtest.RawRecord{Key: null(key), Value: null(value), Time: time.UnixMilli(ms)}
	if len(c) > 3 {
		r.Headers = record.Headers{}.With("label", []byte(c[3]))
	}
	p.inputs[c[0]] = true
	return p.d.PipeBatch(c[0], []streamtest.RawRecord{r})
}

func null(s string) []byte {
	if s == "-" {
		return nil
	}
	return []byte(s)
}

func (p *player) start(name string, options []string) error {
	b := transcriptPrograms[name]
	if b == nil {
		return fmt.Errorf("no program %q", name)
	}
	*p = player{t: p.t, inputs: map[string]bool{}}
	var opts []streamtest.Option
	for _, o := range options {
		switch {
		case o == "uncached":
			opts = append(opts, streamtest.NoCaching())
		case o == "twice":
			opts = append(opts, streamtest.Twice())
		case o == "headers":
			p.headers = true
		case o == "internal":
			p.internal = true
		case strings.HasPrefix(o, "limit="):
			n, err := strconv.Atoi(strings.TrimPrefix(o, "limit="))
			if err != nil {
				return err
			}
			opts = append(opts, streamtest.MaxRecordBytes(n))
		default:
			return fmt.Errorf("no option %q", o)
		}
	}
	p.d = streamtest.New(p.t, b(), opts...)
	return nil
}

// seen shows what was written since the last command: topics in the order of their names, then letters.
func (p *player) seen() string {
	var b strings.Builder
	if p.d == nil {
		return ""
	}
	for _, topic := range p.d.Topics() {
		if topic == streamtest.DeadLetterTopic || p.inputs[topic] || strings.HasPrefix(topic, "test-") && !p.internal {
			continue
		}
		for _, r := range p.d.Drain(topic) {
			fmt.Fprintf(&b, "  %s %s\n", topic, p.record(r))
		}
	}
	for _, l := range p.d.DeadLetters() {
		fmt.Fprintf(&b, "  letter %s\n", p.record(l.RawRecord))
		if !p.headers {
			fmt.Fprintf(&b, "    %s at %s, %s, %s attempts: %s\n", l.Stage(), l.Node(), l.Header("__streams.dlq.class"),
				l.Header("__streams.dlq.attempts"), l.Message())
			continue
		}
		panics := false
		for k, v := range l.Headers.All() {
			v, _, stack := bytes.Cut(v, []byte("goroutine ")) // of a panic
			panics = panics || stack
			if k == "__streams.dlq.fingerprint" && panics {
				v = []byte("(of the stack)")
			}
			text := strings.ReplaceAll(strings.TrimRight(string(v), "\n"), "\n", "\n      ")
			if v == nil {
				text = "(null)"
			}
			fmt.Fprintf(&b, "    %s\n", strings.TrimRight(k+": "+text, " "))
		}
	}
	return b.String()
}

// record shows a record with its own headers.
func (p *player) record(r streamtest.RawRecord) string {
	s := fmt.Sprintf("%s=%s @%d", visible(r.Key), visible(r.Value), r.Time.UnixMilli())
	for k, v := range r.Headers.All() {
		if !strings.HasPrefix(k, "__streams.errors.") && !strings.HasPrefix(k, "__streams.dlq.") {
			s += fmt.Sprintf(" %s:%s", k, v)
		}
	}
	return s
}

// visible shows bytes as text, and numbers as such.
func visible(b []byte) string {
	switch {
	case b == nil:
		return "-"
	case len(b) == 8 && b[0] == 0:
		n, _ := serde.Int64.Decode(b)
		return strconv.FormatInt(n, 10)
	case slices.ContainsFunc(b, func(c byte) bool { return c < ' ' || c > '~' }):
		return fmt.Sprintf("%q", b)
	}
	return string(b)
}

func (p *player) show(c []string) string {
	if c[0] == "stats" {
		s := p.d.Stats()
		return fmt.Sprintf("  consumed %d = completed %d + dead-lettered %d + skipped %d + retrying %d; letters %d, retries %d, punctuations %d\n",
			s.Consumed, s.Completed, s.DeadLettered, s.Skipped, s.Retrying, s.Letters, s.Retries, s.Punctuations)
	}
	rows, err := streamtest.Store(p.d, c[1], serde.Bytes, serde.Bytes)
	if err != nil {
		return fmt.Sprintf("  error: %v\n", err)
	}
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %s=%s", visible(r.Key), visible(r.Value))
		if !r.Time.IsZero() {
			fmt.Fprintf(&b, " @%d", r.Time.UnixMilli())
		}
		b.WriteString("\n")
	}
	if len(rows) == 0 {
		b.WriteString("  (empty)\n")
	}
	return b.String()
}
