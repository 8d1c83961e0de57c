package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// runLimit is how long one measurement may take.
const runLimit = 10 * time.Minute

// runChild is the main function of a measured process: it does one job and writes its outcome to standard output.
func runChild(spec string) error {
	var j job
	if err := json.Unmarshal([]byte(spec), &j); err != nil {
		return err
	}
	c, err := caseNamed(j.Case)
	if err != nil {
		return err
	}
	run := c.candidate(j.Candidate)
	if run == nil {
		return fmt.Errorf("case %s has no candidate %q", j.Case, j.Candidate)
	}
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	var m meter
	if j.CPUProfile != "" {
		if m.profile, err = os.Create(j.CPUProfile); err != nil {
			return err
		}
	}
	var o outcome
	records, sum, err := run(ctx, &j, &m)
	m.stop(&o)
	o.Records, o.Sum = records, sum
	if err != nil {
		o.Error = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// measure runs a job in a process of its own.
func measure(ctx context.Context, j *job) (*outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	spec, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(spec))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("the measured process: %w", err)
	}
	var o outcome
	if err := json.Unmarshal(out.Bytes(), &o); err != nil {
		return nil, fmt.Errorf("the measured process said %q: %w", out.Bytes(), err)
	}
	if o.Error != "" {
		return nil, fmt.Errorf("%s", o.Error)
	}
	return &o, nil
}
