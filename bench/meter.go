package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

// meter measures this process between the first record and the end (N1).
type meter struct {
	once    sync.Once
	cpu     time.Duration
	wall    time.Time
	mallocs uint64
	profile *os.File
	done    *outcome // what end has measured
}

// first is called when there is a record, as often as convenient.
func (m *meter) first() {
	m.once.Do(func() {
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		m.mallocs = s.Mallocs
		if m.profile != nil {
			if err := pprof.StartCPUProfile(m.profile); err != nil {
				panic(err)
			}
		}
		m.wall, m.cpu = time.Now(), processTime()
	})
}

// end ends the measurement where something follows that is not to be measured: a check of the answer.
func (m *meter) end() {
	var o outcome
	m.measure(&o)
	m.done = &o
}

// stop tells what was measured, until end if that was called.
func (m *meter) stop(o *outcome) {
	if m.done != nil {
		*o = *m.done
		return
	}
	m.measure(o)
}

func (m *meter) measure(o *outcome) {
	o.CPU = int64(processTime() - m.cpu)
	o.Wall = int64(time.Since(m.wall))
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	o.Mallocs = s.Mallocs - m.mallocs
	if m.profile != nil {
		pprof.StopCPUProfile()
		m.profile.Close()
	}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		o.RSS = r.Maxrss
	}
}

// processTime is the CPU time of all threads of this process so far, user and system.
func processTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
