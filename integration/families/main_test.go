package families

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/oxbow-streams/oxbow/integration/brokers"
)

func TestMain(m *testing.M) {
	code := brokers.Main(m)
	if code == 0 {
		if err := goleak.Find(goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")); err != nil {
			println("goroutines are left:", err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
