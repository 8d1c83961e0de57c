//go:build !linux

package realkafka

import (
	"os"
	"os/exec"
)

// tieToParent can do nothing here: a parent that is killed leaves its brokers behind.
func tieToParent(*exec.Cmd) {}

func killGroup(p *os.Process) error { return p.Kill() }
