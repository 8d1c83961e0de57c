// Package assign decides which member of the group runs which task.
//
// [Solve] is the decision: a pure function of the sub-topologies and of what the members say. [Assignor] puts it behind
// kafka's Assignor: it turns partitions into tasks and back, and writes and reads the user data of both directions.
//
//	a, err := assign.New(assign.Config{...})           // one per app instance, handed to kafka.GroupConfig
//	got, err := a.Tasks(assignment, generation)        // in GroupHandler.Assigned: the tasks, with their partitions
//
// # Guarantees
//
//	A1  A task has at most one owner per generation, and a member that lives keeps it until it has given it up: a task
//	    that is to move is taken from its owner in one generation and given to its new owner in the next. The old owner
//	    asks for that one by joining again; until then the task is in the new owner's Coming list.
//	A2  Balance: a member's number of tasks is its share of all tasks by number of workers, rounded down or up. With equal
//	    workers the counts of two members differ by one at most, in total and in each sub-topology. With unequal ones the
//	    sub-topologies are spread as well as the totals allow.
//	A3  Sticky: an assignment that is balanced does not change. When a member comes or goes, nearly nothing moves but what
//	    goes to or comes from it; the tests say how near.
//	A4  A task without an owner goes to a member that has its state, the one that lags least first, as far as A2 allows; a
//	    member that must give up tasks gives up those first whose state the receiver has.
//	A5  Equal input gives equal output. Members are ordered by instance id, process and member id, so that a restart with a
//	    new member id changes nothing.
//	A6  Any input gives an answer or an error that names the member; nothing panics. User data costs memory in proportion
//	    to its bytes.
//
// # User data
//
// Both directions begin with two bytes: the version of the layout, and the least version a reader must know. Bytes after
// what a reader knows are left unread, so fields can be added at the end. A reader that is too old says so. A first byte of
// 0 is a member of a Java Kafka Streams application, whose versions have four bytes: it is refused by that name. (One that
// speaks only its own protocol is refused by the broker before, with INCONSISTENT_GROUP_PROTOCOL.)
//
// A member that runs another topology than the leader gets no tasks, and is told so ([AssignmentData].Refused).
//
// The package assigns no standby and no warm-up task yet; their lists are in the format and empty.
package assign
