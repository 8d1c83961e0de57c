package engine

import "fmt"

// NotRunningError says that the application is not in a state in which it has any task.
type NotRunningError struct {
	Err   error
	Ended bool // it has run, and does not any more
}

func (e *NotRunningError) Error() string {
	if e.Ended {
		return "the state cannot be read: the application has ended: make and run a new one"
	}
	return fmt.Sprintf("the state cannot be read: the application does not run (%v): query it between the start of Run and its end", e.Err)
}

func (e *NotRunningError) Unwrap() error { return e.Err }

// StoreNotHereError says that a partition of a store, or all of it, is not in this instance.
type StoreNotHereError struct {
	Store      string
	Partition  int32   // −1: none is here
	Partitions int32   // in all instances
	Here       []int32 // in this instance, those that are restoring included
}

func (e *StoreNotHereError) Error() string {
	if e.Partition < 0 {
		return fmt.Sprintf("store %s: none of its %d partitions is in this instance: ask another one, or wait until the group has "+
			"settled", e.Store, e.Partitions)
	}
	return fmt.Sprintf("store %s: partition %d of %d is not in this instance, which has %v: ask the instance that has it, or wait "+
		"until the group has settled", e.Store, e.Partition, e.Partitions, e.Here)
}

// RestoringError says that a partition of a store is here, but does not hold all of its state yet.
type RestoringError struct {
	Store     string
	Partition int32
}

func (e *RestoringError) Error() string {
	return fmt.Sprintf("store %s: partition %d is being restored from its changelog: wait until the application is RUNNING, or read "+
		"what is there with the option Stale", e.Store, e.Partition)
}
