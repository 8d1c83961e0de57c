package dlq

// Policy says what becomes of a unit that failed.
type Policy struct{}
