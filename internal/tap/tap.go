package tap

import "github.com/oxbow-streams/oxbow/internal/node"

// Changes calls f for each change that the table's node sends on. An old value is there only if something asked for it.
var Changes func(table any, f func(key any, c node.Change[any], time int64))

// OldValues asks the table to send old values. With force it gets a store if that is what it takes.
var OldValues func(table any, force bool)
