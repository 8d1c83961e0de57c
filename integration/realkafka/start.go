package realkafka

import (
	"os"
	"testing"
)

// Required tells whether tests on a real broker have to run: OXBOW_REAL_KAFKA is 1.
func Required() bool { return os.Getenv(enableVariable) == "1" }

// Start starts a cluster that ends with the test. It skips the test where real brokers are not [Required], and fails it
// where they are and cannot be started.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	if !Required() {
		t.Skipf("needs a real broker: %s=1 runs it", enableVariable)
	}
	c, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			c.LogTails(t)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// LogTails prints the end of every broker's log to the test's.
func (c *Cluster) LogTails(t testing.TB) {
	t.Helper()
	for _, b := range c.brokers {
		t.Logf("end of the log of broker %d (%s):\n%s", b.id, b.addr(), b.logTail())
	}
}
