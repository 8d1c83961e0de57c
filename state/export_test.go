package state

// KeepLeast sets how many rows a store may have cached whatever the limit says.
func (b *Budget) KeepLeast(n int) { b.least = n }
