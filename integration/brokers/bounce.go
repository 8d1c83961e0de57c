package brokers

import (
	"net"
	"strconv"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Bounce takes brokers away and brings them back at the same addresses, with all that they had acknowledged: on the real
// lane broker i is killed with -9 and started again; on the fake lane, which cannot lose a single broker, all of them go.
// It returns when they answer. The scenario sets Options.Bounced.
func (c *Cluster) Bounce(t testing.TB, i int) {
	t.Helper()
	if !c.options.Bounced {
		t.Fatal("brokers: set Options.Bounced for a scenario that calls Bounce")
	}
	if c.Real != nil {
		if err := c.Real.Kill(i); err != nil {
			t.Fatal(err)
		}
		if err := c.Real.Restart(i); err != nil {
			t.Fatal(err)
		}
		return
	}
	ports := make([]int, len(c.Addrs))
	for j, addr := range c.Addrs {
		_, port, err := net.SplitHostPort(addr)
		if err == nil {
			ports[j], err = strconv.Atoi(port)
		}
		if err != nil {
			t.Fatalf("brokers: address %q: %v", addr, err)
		}
	}
	c.Fake.Close()
	opts := append(c.fakeOpts[:len(c.fakeOpts):len(c.fakeOpts)], kfake.Ports(ports...))
	c.await(t, "the fake brokers' ports", func() bool {
		fake, err := kfake.NewCluster(opts...)
		if err != nil {
			return false // a connection of somebody else may hold a port for a moment
		}
		c.Fake = fake
		return true
	})
}
