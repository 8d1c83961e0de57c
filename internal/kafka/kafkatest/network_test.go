package kafkatest

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func connect(t *testing.T, n *Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		got <- c
	}()
	client, err = n.Dial(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	return client, <-got
}

func TestDelayKeepsOrderAndTakesTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Network
		c, s := connect(t, &n)
		d := 3 * time.Second
		n.Delay(func(string) time.Duration { d -= time.Second; return d }) // later bytes would overtake
		start := time.Now()
		for _, x := range []string{"a", "b", "c"} {
			if _, err := c.Write([]byte(x)); err != nil {
				t.Fatal(err)
			}
		}
		b := make([]byte, 3)
		if _, err := io.ReadFull(s, b); err != nil || string(b) != "abc" {
			t.Fatalf("read %q, %v", b, err)
		}
		if took := time.Since(start); took != 2*time.Second {
			t.Fatalf("took %v, want 2s", took)
		}
	})
}

func TestCutIsSeenByBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Network
		c, s := connect(t, &n)
		for _, x := range []net.Conn{c, s} {
			go func() {
				if _, err := x.Read(make([]byte, 1)); err != io.EOF {
					t.Errorf("a read that was pending: %v, want EOF", err)
				}
			}()
		}
		synctest.Wait()
		if n.Conns() != 1 || n.Cut("") != 1 || n.Conns() != 0 {
			t.Fatalf("connections after the cut: %d", n.Conns())
		}
		for _, x := range []net.Conn{c, s} {
			if _, err := x.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
				t.Fatalf("write after the cut: %v", err)
			}
		}
	})
}

func TestCloseLetsTheOtherSideReadOn(t *testing.T) {
	var n Network
	c, s := connect(t, &n)
	c.Write([]byte("last words"))
	c.Close()
	b, err := io.ReadAll(s)
	if string(b) != "last words" || err != nil {
		t.Fatalf("read %q, %v", b, err)
	}
}

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Network
		c, _ := connect(t, &n)
		c.SetDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read: %v", err)
		}
		c.SetDeadline(time.Time{})
		if k, err := c.Write(make([]byte, pipeSize)); k != pipeSize || err != nil {
			t.Fatalf("write of a full buffer: %d, %v", k, err)
		}
		c.SetWriteDeadline(time.Now().Add(time.Second))
		if k, err := c.Write([]byte("x")); k != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("write into a full buffer: %d, %v", k, err)
		}
	})
}

func TestRefuseAndSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n Network
		l, _ := n.Listen("tcp", "localhost:9000")
		defer l.Close()
		if _, err := n.Listen("tcp", "127.0.0.1:9000"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("second listener: %v", err)
		}
		n.Refuse("localhost:9000", true)
		if _, err := n.Dial(t.Context(), "tcp", "localhost:9000"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("dial to a refused address: %v", err)
		}
		n.Silence("localhost:9000", true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "tcp", "localhost:9000"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial to a silent address: %v", err)
		}
		n.Silence("localhost:9000", false)
		c, s := connect(t, &n)
		n.Silence(c.RemoteAddr().String(), true)
		if k, err := c.Write([]byte("lost")); k != 4 || err != nil {
			t.Fatalf("write to a silent address: %d, %v", k, err)
		}
		s.SetReadDeadline(time.Now().Add(time.Hour))
		if k, err := s.Read(make([]byte, 4)); k != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("swallowed bytes arrived: %d, %v", k, err)
		}
	})
}
