package realkafka_test

import (
	"net"
	"time"
)

// serving tells whether something accepts connections at addr.
func serving(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
