package tap

import "github.com/oxbow-streams/oxbow/internal/node"

// Changes calls f for each change that the table's node sends on. An old value is there only if something asked for it.
var Changes func(table any, f func(key any, c node.Change[any], time int64))

// OldValues asks the table to send old values. With force it gets a store if that is what it takes.
var OldValues func(table any, force bool)

// ChangesFrom makes a table whose changes are what a topic holds: a serde.Serde[node.Change[any]] reads them. keys is a
// serde.Serde[any], or one of windowed keys; values is the serde that steps behind it find.
var ChangesFrom func(builder any, topic string, keys, values, changes any) (table any)

// CloseAfter says of a table of windows how long after their ends they close, in ms.
var CloseAfter func(table any, ms int64)
