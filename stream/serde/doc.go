// Package serde turns keys and values into bytes and back.
//
// # Guarantees
//
//	S1  The bytes are those of Kafka's own serializers: text is UTF-8 without a length, numbers are big endian of fixed width,
//	    a bool is one byte, a UUID is its text.
//	S2  Decode answers bytes of the wrong length or form with an error that says what it got and what it wants; it never
//	    panics.
//	S3  Null never reaches a Serde: whoever calls one writes and reads null itself. A type that has a value for null says so
//	    by [Nullable]; [Opt] makes such a type of any other.
//	S4  A Serde holds no state between calls and may be used from any goroutine.
//
// Schema registries, protobuf and Avro are modules of their own.
package serde
