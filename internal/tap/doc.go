// Package tap lets the repository's own tests see what flows between the nodes of tables, which users cannot.
//
// The functions are set by package stream. They take a stream.Table[any, any].
package tap
