// Package tidy holds the rules of this repository that neither the compiler nor a linter knows, as tests.
//
//	Y1  Layers: a package imports only packages below it (layers.go).
//	Y2  Dependencies: each big one has a single importer; a new one is a decision, not an accident (importers.go).
//	Y3  Goroutines are started only where somebody owns them (goroutines.go).
//	Y4  Time is an argument: packages and state machines that decide read no clock (clock.go).
//	Y5  Files have at most 600 lines, functions of the library 70 (size.go).
//	Y6  Every package says in doc.go what it is (comments.go).
//	Y7  The library prints nothing and ends no process (output.go).
//	Y8  Nothing in the repository names a machine's directories or a registry's host (words.go).
//	Y9  The conformance runner knows no case by name (cases.go).
//	Y10 Every operator and option of package stream has a runnable example, and docs/operators.md is made of them (operators.go).
//
// A fault names the file and line and says what to do about it. Each rule is shown to find a planted fault
// (planted_test.go), so that a rule that went blind is noticed.
package tidy
