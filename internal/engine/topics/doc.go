// Package topics sees to the topics of an application: it knows which internal ones it needs and of what kind, checks those
// that exist, and creates those that do not.
//
// [NewPlan] and the methods of [Plan] decide, from what a cluster has, without asking it; [Ensure] asks, creates and waits.
//
//	ready, err := topics.Ensure(ctx, client, topology, topics.Config{})
//	ready.Subs         // for assign.Config.Subs
//	ready.Limits       // what records must keep to, by topic: sinks, repartition topics, changelogs, dead letters, sources
//	ready.DeadLetter   // its name and number of partitions
//
// # Guarantees
//
//	T1  Every source or sink topic that is missing, every internal topic that is wrong and every co-partition fault is
//	    reported at once. Each line names the topic, what was found, what is wanted and the fix.
//	T2  Nothing is created before everything that exists has been found right. What exists is never changed.
//	T3  Names, partition counts and configurations are those of Kafka Streams: a repartition topic has the largest count of
//	    what its writer reads (through chains of them), or that of its co-partition group, or the one that the program has
//	    set; a changelog has one partition per task.
//	T4  Several instances may start at once: a topic that another one has created meanwhile is checked like any other.
//	T5  After Ensure every topic has leaders, and the application has been told by the brokers that it may read what it reads and
//	    write what it writes, dead letters included; brokers that do not tell (before 2.3) find out later.
//
// Kafka Streams checks of an existing internal topic only its number of partitions. Here its configuration is checked too,
// because a changelog that deletes, or a repartition topic that compacts, loses data in silence.
//
// # What it does not do
//
// It does not purge repartition topics, and does not delete or alter topics. Of a source given by a pattern it knows what
// matched when Ensure was called; [Matching] tells what does now. Internal topics behind a pattern that nothing matches are not
// created: how many partitions they get is not known.
package topics
