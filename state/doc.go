// Package state is what a task remembers between records.
package state
