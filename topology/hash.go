package topology

import (
	"crypto/sha256"
	"encoding/hex"
)

// Hash names the topology by its description: two instances with different hashes run different programs.
func (t *Topology) Hash() string {
	sum := sha256.Sum256([]byte(t.Describe()))
	return hex.EncodeToString(sum[:6])
}
