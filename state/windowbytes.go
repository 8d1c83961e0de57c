package state

// AppendWindowKey appends what a window store's changelog has for a key: the key's bytes, the start of the window and a sequence
// number, which only stores that keep duplicates count.
func AppendWindowKey(dst, key []byte, start int64, seq uint32) []byte {
	return appendWindow(append(dst, key...), start, seq)
}

// AppendSessionKey appends what a session store's changelog has for a key: the key's bytes, end and start of the session.
func AppendSessionKey(dst, key []byte, start, end int64) []byte {
	return appendSession(append(dst, key...), start, end)
}
