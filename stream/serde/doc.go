// Package serde turns keys and values into bytes and back.
package serde
