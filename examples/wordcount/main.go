// Wordcount counts words, as the first program of every stream processor does.
//
//	go run ./examples/wordcount                       counts a sample on a broker inside the process
//	printf 'a b a\n' | go run ./examples/wordcount    counts standard input
//	go run ./examples/wordcount -follow               keeps running, with metrics
//	KAFKA_BROKERS=localhost:9092 go run ./examples/wordcount    does the same on a real cluster
//
// The counts go to standard output (word, tab, count; highest first, ties by word), a summary to standard error.
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/segmentio/kafka-go"

	"github.com/oxbow-streams/oxbow/examples/internal/cluster"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

//go:embed sample.txt
var sample string

// topology is the program: lines in, a count per word out.
func topology(input, output string) *stream.Builder {
	b := stream.NewBuilder()
	lines := stream.From(b, input, serde.Bytes, serde.String)
	words := stream.FlatMapValues(lines, func(_ []byte, line string) iter.Seq[string] { return split(line) })
	stream.GroupBy(words, func(_ []byte, word string) string { return word }, stream.WithKey(serde.String), stream.WithValue(serde.String)).
		Count(stream.As("counts")).
		ToStream().
		To(output, stream.WithKey(serde.String), stream.WithValue(serde.Int64))
	return b
}

// split yields the words of a line: runs of letters and digits, in lower case.
func split(line string) iter.Seq[string] {
	return strings.FieldsFuncSeq(strings.ToLower(line), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func main() {
	follow := flag.Bool("follow", false, "keep running and counting, with metrics")
	name := flag.String("app", "", "application id; a count of that name is continued. Default: one of its own, removed at the end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *name, *follow, os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "wordcount:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, follow bool, in *os.File, out, log io.Writer) (err error) {
	start := time.Now()
	c, err := cluster.Start()
	if err != nil {
		return err
	}
	defer c.Close()
	j := &job{Cluster: c, app: name, log: log}
	if name == "" {
		j.app = fmt.Sprintf("wordcount-%d-%d", os.Getpid(), start.UnixNano())
		if j.dir, err = os.MkdirTemp("", "wordcount-"); err != nil {
			return err
		}
		defer os.RemoveAll(j.dir)
		if !c.Embedded {
			defer func() { err = errors.Join(err, j.remove()) }()
		}
	}
	if err := c.Create(ctx, 2, j.input(), j.output()); err != nil {
		return err
	}
	if err := j.resume(ctx); err != nil {
		return err
	}
	records, words, err := j.feed(ctx, source(in))
	if err != nil {
		return err
	}
	counts, err := j.count(ctx, words, follow)
	if err != nil {
		return err
	}
	for _, w := range sorted(counts) {
		fmt.Fprintf(out, "%s\t%d\n", w, counts[w])
	}
	dead, err := j.deadLetters(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	fmt.Fprintf(log, "%d records, %d words, %d distinct, %.1f s, %d dead letters\n",
		records, words, len(counts), time.Since(start).Seconds(), dead)
	return nil
}

// source is standard input if that is a pipe or a file, else the sample.
func source(in *os.File) io.Reader {
	if info, err := in.Stat(); err == nil && info.Mode()&os.ModeCharDevice == 0 && (info.Mode().IsRegular() || info.Mode()&os.ModeNamedPipe != 0) {
		return in
	}
	return strings.NewReader(sample)
}

// job is one count.
type job struct {
	*cluster.Cluster
	app, dir string
	log      io.Writer

	counts map[string]int64 // as far as the output topic has been read
	next   map[int]int64
	total  int64 // the sum of all counts that is reached when everything fed is counted
}

func (j *job) input() string  { return j.app + "-input" }
func (j *job) output() string { return j.app + "-output" }

// resume reads what an earlier run of this application has counted.
func (j *job) resume(ctx context.Context) error {
	j.counts, j.next = map[string]int64{}, map[int]int64{}
	if err := j.read(ctx); err != nil {
		return err
	}
	j.total = j.sum()
	return nil
}

func (j *job) sum() (n int64) {
	for _, c := range j.counts {
		n += c
	}
	return n
}

// read follows the output topic to its present end, as any user would: with a plain kafka-go Reader.
func (j *job) read(ctx context.Context) error {
	ends, err := j.Ends(ctx, j.output())
	if err != nil {
		return err
	}
	for p, end := range ends {
		j.next[p], err = j.Read(ctx, j.output(), p, j.next[p], end, func(m kafka.Message) bool {
			j.counts[string(m.Key)] = int64(binary.BigEndian.Uint64(m.Value))
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// feed writes each line as a record. It returns how many there were, and how many words.
func (j *job) feed(ctx context.Context, from io.Reader) (records, words int64, err error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	var batch []kafka.Message
	for lines.Scan() {
		for range split(lines.Text()) {
			words++
		}
		records++
		batch = append(batch, kafka.Message{Value: []byte(lines.Text())})
		if len(batch) == 10_000 {
			if err := j.Write(ctx, j.input(), batch...); err != nil {
				return records, words, err
			}
			batch = batch[:0]
		}
	}
	if err := lines.Err(); err != nil {
		return records, words, fmt.Errorf("line %d of the input: %w", records+1, err)
	}
	if len(batch) > 0 {
		err = j.Write(ctx, j.input(), batch...)
	}
	j.total += words
	return records, words, err
}

// count runs the topology until every word is counted, or with follow until ctx ends.
func (j *job) count(ctx context.Context, words int64, follow bool) (map[string]int64, error) {
	cfg := stream.Config{ApplicationID: j.app, Brokers: j.Brokers, StateDir: j.dir, CommitInterval: 100 * time.Millisecond,
		Logger: cluster.Warnings(j.log)}
	if follow {
		cfg.MetricsAddr = "localhost:0"
	}
	app, err := stream.New(topology(j.input(), j.output()), cfg)
	if err != nil {
		return nil, err
	}
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- app.Run(runCtx) }()
	if follow {
		if err := app.Await(ctx, stream.Running); err != nil {
			return nil, err
		}
		fmt.Fprintf(j.log, "metrics at http://%s/metrics; interrupt to end\n", app.MetricsAddr())
		<-ctx.Done()
	}
	for !follow && j.sum() < j.total {
		select {
		case err := <-ended:
			if err == nil {
				err = context.Cause(ctx)
			}
			return nil, err
		case <-time.After(20 * time.Millisecond):
		}
		if err := j.read(ctx); err != nil {
			break // ctx has ended: what is counted so far is read below
		}
	}
	cancel()
	if err := <-ended; err != nil {
		return nil, err
	}
	return j.counts, j.read(context.WithoutCancel(ctx))
}

func (j *job) deadLetters(ctx context.Context) (n int64, err error) {
	ends, err := j.Ends(ctx, j.app+"-dlq")
	for _, end := range ends {
		n += end
	}
	return n, err
}

// remove deletes the topics of this run.
func (j *job) remove() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return j.Remove(ctx, j.app+"-")
}

func sorted(counts map[string]int64) []string {
	words := make([]string, 0, len(counts))
	for w := range counts {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), strings.Compare(a, b))
	})
	return words
}
