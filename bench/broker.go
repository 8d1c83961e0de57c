package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/oxbow-streams/oxbow/integration/realkafka"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Environment variables that tell a child process what it is.
const (
	jobVariable    = "OXBOW_BENCH_JOB"
	brokerVariable = "OXBOW_BENCH_BROKER"
)

// broker is the cluster of a run.
type broker struct {
	lane  string // kfake, kafka
	addrs []string
	stop  func()
}

// startBroker takes the cluster that the environment names, or starts one.
func startBroker(ctx context.Context) (*broker, error) {
	if named := os.Getenv("KAFKA_BROKERS"); named != "" {
		return &broker{"kafka", strings.Split(named, ","), func() {}}, nil
	}
	if realkafka.Required() {
		c, err := realkafka.Run(ctx, realkafka.Options{Brokers: 1})
		if err != nil {
			return nil, err
		}
		return &broker{"kafka", c.Addrs(), func() { c.Close() }}, nil
	}
	return startFake(ctx)
}

// startFake starts this program again, as a broker. It ends when its standard input does, so it cannot outlive us.
func startFake(ctx context.Context) (*broker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), brokerVariable+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop := func() {
		in.Close()
		cmd.Wait()
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return nil, fmt.Errorf("the broker process: %w", err)
	}
	return &broker{"kfake", strings.Split(strings.TrimSpace(line), ","), stop}, nil
}

// runFake is the main function of the broker process.
func runFake() error {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.DefaultNumPartitions(partitions))
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(strings.Join(c.ListenAddrs(), ","))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
