package realkafka

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// Ports come from below the range from which systems take the local ends of connections: while a killed broker is
// down, nobody's outgoing connection can take its port.
const (
	firstPort = 20000
	lastPort  = 31999
)

// reservation is ports that no other user of this package gets until they are released.
type reservation struct {
	ports   []int
	unlocks []func()
}

// reservePorts finds n ports on which nothing listens and locks them, by a file each in the system's temporary
// directory.
func reservePorts(n int) (*reservation, error) {
	dir := filepath.Join(os.TempDir(), "oxbow-ports")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("real kafka: port locks: %w", err)
	}
	r := &reservation{}
	for attempt := 0; len(r.ports) < n; attempt++ {
		if attempt == 1000 {
			r.release()
			return nil, fmt.Errorf("real kafka: found %d of %d free ports in %d-%d", len(r.ports), n, firstPort, lastPort)
		}
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		unlock, err := tryLockFile(filepath.Join(dir, strconv.Itoa(port)))
		if err != nil {
			continue // held by another cluster
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			unlock()
			continue // some program listens there
		}
		l.Close()
		r.ports = append(r.ports, port)
		r.unlocks = append(r.unlocks, unlock)
	}
	return r, nil
}

func (r *reservation) release() {
	for _, unlock := range r.unlocks {
		unlock()
	}
	r.unlocks = nil
}
