package state

// KeepLeast sets how many rows a store may have cached whatever the limit says.
func (b *Budget) KeepLeast(n int) { b.least = n }

// LoadMost sets how many rows of a run are loaded at once, until the test ends.
func LoadMost(t interface{ Cleanup(func()) }, n int) {
	was := loadMost
	loadMost = n
	t.Cleanup(func() { loadMost = was })
}
