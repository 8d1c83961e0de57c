package seeds_test

import (
	"testing"

	"github.com/oxbow-streams/oxbow/internal/seeds"
)

func TestSeeds(t *testing.T) {
	for _, v := range []string{seeds.One, seeds.Many, seeds.Base} {
		t.Setenv(v, "")
	}
	fresh, _ := seeds.Of(t, 80)
	if again, n := seeds.Of(t, 80); again == fresh || n != 80 && n != 10 {
		t.Errorf("without variables twice %d, %d seeds", fresh, n)
	}

	t.Setenv(seeds.Base, "5")
	first, _ := seeds.Of(t, 1)
	if again := seeds.Single(t); again != first {
		t.Errorf("from one base %d, then %d", first, again)
	}
	t.Run("other", func(t *testing.T) {
		if other, _ := seeds.Of(t, 1); other == first {
			t.Error("two tests try the same seeds")
		}
	})
	t.Setenv(seeds.Base, "6")
	if other := seeds.Single(t); other == first {
		t.Error("another base gives the same seed")
	}

	t.Setenv(seeds.Many, "7")
	if _, n := seeds.Of(t, 80); n != 7 {
		t.Errorf("%d seeds, not the 7 that were asked for", n)
	}
	if seeds.Alone() {
		t.Error("one seed was asked for before it was")
	}
	t.Setenv(seeds.One, "12")
	if first, n := seeds.Of(t, 80); first != 12 || n != 1 || seeds.Single(t) != 12 || !seeds.Alone() {
		t.Errorf("%d seeds from %d on, not 12 alone", n, first)
	}
}
