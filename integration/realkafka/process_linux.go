package realkafka

import (
	"os"
	"os/exec"
	"syscall"
)

// tieToParent puts cmd into a process group of its own and has the kernel kill it when the thread that starts it ends.
func tieToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func killGroup(p *os.Process) error {
	return syscall.Kill(-p.Pid, syscall.SIGKILL)
}
