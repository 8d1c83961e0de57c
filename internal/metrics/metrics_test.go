package metrics

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden file of names")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// M2: names are a contract with dashboards.
func TestNamesGolden(t *testing.T) {
	const file = "testdata/names.txt"
	if *rewrite {
		if err := os.WriteFile(file, []byte(Names()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if Names() != string(want) {
		t.Errorf("names of metrics changed; if that is meant, run go test ./internal/metrics -rewrite and say so in CHANGELOG.md:\n%s", Names())
	}
	for _, f := range families {
		if (f.kind == counter) != strings.HasSuffix(f.name, "_total") {
			t.Errorf("%s: a counter ends in _total, nothing else does", f.name)
		}
		if f.help == "" || !strings.HasPrefix(f.name, "oxbow_") {
			t.Errorf("family %q lacks its help or prefix", f.name)
		}
	}
}

// docs/metrics.md tells what there is.
func TestTableGolden(t *testing.T) {
	const file = "../../docs/metrics.md"
	if *rewrite {
		if err := os.WriteFile(file, []byte(Table()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != Table() {
		t.Errorf("docs/metrics.md is not what go test ./internal/metrics -rewrite makes (%v)", err)
	}
}

type fixed struct {
	s   Snapshot
	err error
}

func (f *fixed) Metrics() *Snapshot { return &f.s }
func (f *fixed) Live() error        { return f.err }
func (f *fixed) Ready() error       { return nil }
func (f *fixed) Started() error     { return nil }

func TestWorkersAreFolded(t *testing.T) {
	src := &fixed{}
	var h Histogram
	h.Observe(0.002)
	h.Observe(-1)
	h.Observe(1e9)
	for range 2 { // two workers
		src.s.Add(SourceRecords, 3, "orders", "0")
		src.s.AddHistogram(CommitSeconds, h)
	}
	src.s.Add(SourceRecords, 1, "orders", "1")
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCollector(src))
	want := `# HELP oxbow_source_records_total Records processed by input partition.
# TYPE oxbow_source_records_total counter
oxbow_source_records_total{partition="0",topic="orders"} 6
oxbow_source_records_total{partition="1",topic="orders"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), SourceRecords.Name()); err != nil {
		t.Error(err)
	}
	got, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range got {
		if f.GetName() == CommitSeconds.Name() && f.Metric[0].Histogram.GetSampleCount() != 6 {
			t.Errorf("histogram of %d samples, want 6", f.Metric[0].Histogram.GetSampleCount())
		}
	}
}

func TestEndpoints(t *testing.T) {
	for _, c := range []struct{ addr, token, want string }{
		{"0.0.0.0:0", "", "reachable from other machines"},
		{"example.com:0", "", "reachable from other machines"},
		{"nonsense", "", "host:port"},
	} {
		if l, err := Listen(c.addr, c.token); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Listen(%q, %q) = %v, %v; want an error with %q", c.addr, c.token, l, err, c.want)
		}
	}
	l, err := Listen("localhost:0", "s3cret")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	app := &fixed{err: errors.New("worker 1 has made no progress for 5m0s")}
	app.s.Add(Consumed, 7)
	go func() { ended <- Serve(ctx, l, "s3cret", Handler(app, app)) }()
	get := func(path, token string) (int, string) {
		req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+path, nil)
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(b)
	}
	for _, c := range []struct {
		path, token string
		code        int
		text        string
	}{
		{"/metrics", "", 401, "token"},
		{"/metrics", "wrong", 401, "token"},
		{"/metrics", "s3cret", 200, "oxbow_records_consumed_total 7"},
		{"/livez", "s3cret", 503, "no progress"},
		{"/readyz", "s3cret", 200, "ok"},
		{"/startupz", "s3cret", 200, "ok"},
		{"/debug/pprof", "s3cret", 404, ""},
	} {
		if code, body := get(c.path, c.token); code != c.code || !strings.Contains(body, c.text) {
			t.Errorf("GET %s with token %q: %d %q, want %d with %q", c.path, c.token, code, body, c.code, c.text)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}
