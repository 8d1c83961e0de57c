package stream_test

import (
	goctx "context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/oxbow-streams/oxbow/internal/metrics"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

// mayBeZero are the families that the script leaves at zero, with the reason.
var mayBeZero = map[string]string{
	"oxbow_source_lag_records":           "all was processed",
	"oxbow_source_buffered_bytes":        "all was processed",
	"oxbow_producer_buffered_bytes":      "all was acknowledged",
	"oxbow_retry_pending":                "no unit waits at the end",
	"oxbow_store_dirty_bytes":            "all was committed",
	"oxbow_restore_remaining_records":    "restores have ended; the samples go with them",
	"oxbow_engine_compaction_debt_bytes": "too little state for a compaction",
}

// everything is a program that touches every family: a repartition, a join, a count, functions that fail.
func everything() *stream.Builder {
	b := stream.NewBuilder()
	users := stream.TableFrom(b, "users", serde.String, serde.String, stream.As("users-store"))
	byUser := stream.SelectKey(from(b, "orders"), func(_, v string) string { k, _, _ := strings.Cut(v, " "); return k })
	joined := stream.JoinTable(byUser, users, func(_, order, user string) string { return order + user })
	stream.TryMapValues(joined, func(_ context, _, v string) (string, error) {
		switch {
		case strings.Contains(v, "unpriced"):
			return "", errors.New("no price")
		case strings.Contains(v, "ignored"):
			return "", stream.Skip
		}
		return v, nil
	}, stream.Named("price"), stream.OnError(stream.Retry(1, stream.Exponential(time.Millisecond, time.Millisecond)),
		stream.DeadLetter())).To("priced")
	from(b, "clicks").GroupByKey().Count(stream.As("counts")).ToStream().To("counted", stream.WithValue[int64](serde.Int64))
	return b
}

// Every family has a source: after a scripted run none is zero but those that are listed, with their reasons.
func TestMetricsOfARun(t *testing.T) {
	c := newCluster(t, 2, "users", "orders", "clicks", "priced", "counted")
	cfg := c.config("measured")
	cfg.MetricsAddr = "localhost:0"
	c.produce("users", "zzada=zzAda", "zzbob=zzBob")
	play := func() {
		c.produce("orders", "zz1=zzada pen", "zz2=zzbob unpriced", "zz3=zzbob ignored", "zz4=zzbob ink")
		c.produce("clicks", "zzk=zz", "zzl=zz", "zzk=zz")
		c.produceNullKey("clicks", "zz")
	}
	play()
	_, stop := start(t, everything(), cfg)
	c.read("priced", 2)
	c.read("counted", 2)
	c.read("measured-dlq", 1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	cfg.StateDir = t.TempDir() // what is on the old disk is restored
	app, _ := start(t, everything(), cfg)
	ctx, cancel := goctx.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := app.Await(ctx, stream.Running); err != nil {
		t.Fatal(err)
	}
	play()
	c.read("priced", 4)
	c.read("measured-dlq", 2)

	// What is counted after the outputs, like a commit, comes a little later.
	var sums map[string]float64
	var body string
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for missing := []string{"?"}; ; {
		body = scrape(ctx, t, app, "/metrics")
		sums = sumFamilies(t, body)
		if missing = zeros(sums); len(missing) == 0 && sums["oxbow_records_consumed_total"] >= 4+3+4+1 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("zero, and not in mayBeZero: %v\n%s", missing, body)
		}
	}
	checkIdentities(t, sums)
	if i := strings.Index(body, "zz"); i >= 0 {
		t.Errorf("a key or value in a label: %s", body[max(i-80, 0):i+20])
	}
	if n := strings.Count(body, "\n"); n > 600 {
		t.Errorf("%d lines of metrics", n)
	}
	for _, path := range []string{"/livez", "/readyz", "/startupz"} {
		if got := scrape(ctx, t, app, path); got != "ok\n" {
			t.Errorf("%s: %q", path, got)
		}
	}
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(app.Collector())
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func checkIdentities(t *testing.T, sums map[string]float64) {
	t.Helper()
	consumed := sums["oxbow_records_consumed_total"]
	if ended := sums["oxbow_records_completed_total"] + sums["oxbow_records_dead_lettered_total"] + sums["oxbow_records_skipped_total"]; consumed != ended {
		t.Errorf("consumed %v, ended %v", consumed, ended)
	}
	if got := sums["oxbow_source_records_total"]; got != consumed {
		t.Errorf("consumed %v, by input %v", consumed, got)
	}
	if got := sums["oxbow_dlq_records_total"]; got != sums["oxbow_records_dead_lettered_total"] {
		t.Errorf("dead-lettered %v, letters %v", sums["oxbow_records_dead_lettered_total"], got)
	}
	if got := sums["oxbow_errors_total"]; got != sums["oxbow_retries_total"]+sums["oxbow_records_dead_lettered_total"]+sums["oxbow_records_skipped_total"] {
		t.Errorf("%v errors, %v retries", got, sums["oxbow_retries_total"])
	}
}

// zeros lists the families of the golden file that are zero and must not be.
func zeros(sums map[string]float64) (names []string) {
	for line := range strings.Lines(metrics.Names()) {
		name, _, _ := strings.Cut(line, "{")
		key := name
		if strings.HasSuffix(line, "histogram\n") {
			key += "_count"
		}
		if _, ok := mayBeZero[name]; !ok && sums[key] == 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// sumFamilies adds up the samples of each name.
func sumFamilies(t *testing.T, body string) map[string]float64 {
	sums := map[string]float64{}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name, _, _ := strings.Cut(line[:i], "{")
		sums[name] += v
	}
	return sums
}

func scrape(ctx goctx.Context, t *testing.T, app *stream.App, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+app.MetricsAddr()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v %s", path, res.Status, err, b)
	}
	return string(b)
}

func (c *cluster) produceNullKey(topic, value string) {
	c.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.addrs...))
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(c.t.Context(), &kgo.Record{Topic: topic, Value: []byte(value)}).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}
