// Package families runs every family of operators with random data on a broker, and holds what they write to plain sequential
// models.
//
//	F1  All families are parts of one application, each with topics of its own. It is stopped in the middle of its input and
//	    started again, then once more over an empty state directory.
//	F2  Everything is written before the application begins. Then the order in which a task takes the records of its topics is
//	    defined, also across a restart: of the first records of all topics, the earliest. So are its outputs: each family writes
//	    exactly what its model does, in that order for each input partition, with the same times, and nothing twice, for the
//	    application is stopped cleanly.
//	F3  Where records cross an internal topic that several tasks write, or that is read beside another topic, Kafka Streams does not
//	    define an order, since what is in the topic depends on how fast the tasks before it are. Such a family is held to the last
//	    value of each key, and its program is one whose last values depend on no order. Other limits stand at the families.
//	F4  The models are written from the rules of the operators. They share the user's functions with the programs, nothing else.
package families
