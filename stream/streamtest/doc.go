// Package streamtest runs a program in a test: without a broker, on the nodes, stores, units and commits of the runtime.
//
//	b := stream.NewBuilder()
//	stream.From(b, "in", serde.String, serde.String).To("out")
//
//	d := streamtest.New(t, b)
//	in := streamtest.Input(d, "in", serde.String, serde.String)
//	out := streamtest.Output(d, "out", serde.String, serde.String)
//	in.Pipe("k", "v")
//	got, ok := out.Read()
//
// # Guarantees
//
//	D1  Every topic has one partition. An input is processed to its end, through repartition topics too, and committed,
//	    before Pipe returns: rows that wait in emission buffers are in the outputs. [Driver.PipeBatch] commits per batch.
//	D2  Time is the test's: timestamps are what Pipe is told, or the driver's clock, which only [Driver.Advance] moves.
//	D3  What fails goes where its policy says; by default to [Driver.DeadLetters]. A policy that fails, or trouble of the
//	    engine, is the error of the call that met it, and ends the driver.
//	D4  With [Twice] every unit is run, undone and run again, and must give the same: a change that escapes the undo is an
//	    error.
//	D5  A global table has what its topic was told as soon as Pipe returns, as the other tables do.
//
// What it does not do: rebalances, restores, concurrency. Those are the integration tests'.
package streamtest
