// Package stream is what a program of Oxbow is written and run with: streams, tables and the steps between them.
//
//	b := stream.NewBuilder()
//	words := stream.FlatMapValues(stream.From(b, "lines", serde.String, serde.String),
//		func(_, line string) iter.Seq[string] { return strings.FieldsSeq(line) })
//	counts := stream.GroupBy(words, func(_, word string) string { return word }).Count(stream.As("counts"))
//	counts.ToStream().To("word-counts")
//
// A step that keeps its types is a method, one that changes them a function with the stream first. Functions take the key first.
// Plain functions cannot fail; their Try twins take a context and return an error, which meets the policy of the step ([OnError]).
// A panic in either is caught.
//
// # Guarantees
//
//	D1  Absence is typed. A record with a null value passes steps that keep the key untouched and unseen (Split sends it to
//	    Otherwise), is not shown to Peek and ForEach, and is dropped and counted by steps that make a new key of it; it is
//	    written as null. A null key is the zero K to functions and stays null. [Nullable] and [NullableKeys] show both.
//	D2  Mistakes are collected and returned by Build and New, all at once, each with file and line of the call and its fix.
//	    Serdes come from the call, else from where the stream was read, else from [Register]; none is a mistake.
//	D3  Names and numbers of steps, stores and topics, sub-topologies and the text of Describe are those of Kafka Streams.
//	D4  A key-changing step costs nothing by itself: a repartition topic is put in where a later step needs equal keys together.
//	D5  A table has a store, and keeps old values, only if a step needs it or the user names it.
//	D6  What a record has changed in stores, topics and timers is undone if it fails. Fields of a user's processor are not.
//	D7  Per record the steps allocate nothing of their own.
//
// The package starts no goroutine on the way of a record and talks to no broker: that is the engine's.
package stream
