package brokers

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/oxbow-streams/oxbow/integration/realkafka"
)

// shared is the real broker that scenarios with Options.Shared use, started by the first of them.
var shared sharedCluster

type sharedCluster struct {
	mu      sync.Mutex
	managed bool // Main runs the tests
	cluster *realkafka.Cluster
	err     error
}

func (s *sharedCluster) get(t *testing.T) *realkafka.Cluster {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.managed {
		t.Fatal("brokers: Options.Shared needs func TestMain(m *testing.M) { os.Exit(brokers.Main(m)) }")
	}
	if s.cluster == nil && s.err == nil {
		s.cluster, s.err = realkafka.Run(context.Background(), realkafka.Options{})
	}
	if s.err != nil {
		t.Fatal(s.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.cluster.LogTails(t)
		}
	})
	return s.cluster
}

// Main runs the tests of a binary and closes the broker they shared. It returns the exit code for os.Exit.
func Main(m *testing.M) int {
	shared.mu.Lock()
	shared.managed = true
	shared.mu.Unlock()
	code := m.Run()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.cluster != nil {
		if err := shared.cluster.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	return code
}
