package stream_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/oxbow-streams/oxbow/stream/streamtest"
)

// driverModes are options under which a program gives the same.
func driverModes(t *rapid.T) (opts []streamtest.Option) {
	if rapid.Bool().Draw(t, "no caching") {
		opts = append(opts, streamtest.NoCaching())
	}
	if rapid.Bool().Draw(t, "twice") {
		opts = append(opts, streamtest.Twice())
	}
	return opts
}

func openRapid(t *rapid.T, write func(b *stream.Builder)) *streamtest.Driver {
	b := stream.NewBuilder()
	write(b)
	d, err := streamtest.Open(b, driverModes(t)...)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestForeignJoinsEqualAModel feeds both tables at random, with restarts in between: what the join says last of each key is the join of
// the two tables as they are.
func TestForeignJoinsEqualAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]string{"inner", "left"}).Draw(t, "kind")
		d := openRapid(t, foreignPrograms[kind])
		defer d.Close()
		orders, products := map[string]string{}, map[string]string{}
		out := map[string]string{}
		keys := rapid.SampledFrom([]string{"a", "b", "aa"})
		for i := range rapid.IntRange(1, 40).Draw(t, "records") {
			topic, table := "orders", orders
			value := rapid.SampledFrom([]string{"-", "-_1", "a_1", "a_2", "b_1", "aa_1", "c_1"}).Draw(t, "order")
			if rapid.Bool().Draw(t, "product") {
				topic, table = "products", products
				value = rapid.SampledFrom([]string{"-", "1", "2"}).Draw(t, "price")
			}
			key := keys.Draw(t, "key")
			at := time.UnixMilli(int64(rapid.IntRange(0, 20).Draw(t, "time")))
			in := streamtest.Input(d, topic, serde.String, serde.Bytes)
			rec := stream.Record[string, []byte]{Key: key, Time: at}
			if value == "-" {
				delete(table, key)
			} else {
				table[key], rec.Value = value, stream.Some([]byte(value))
			}
			if err := in.PipeRecord(rec); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				if err := d.Restart(); err != nil {
					t.Fatal(err)
				}
			}
			for _, r := range d.Drain("out") {
				if r.Value == nil {
					delete(out, string(r.Key))
				} else {
					out[string(r.Key)] = string(r.Value)
				}
			}
			want := joinedTables(orders, products, kind == "left")
			if !maps.Equal(out, want) {
				t.Fatalf("after record %d: %v, want %v", i, out, want)
			}
		}
	})
}

func joinedTables(orders, products map[string]string, left bool) map[string]string {
	want := map[string]string{}
	for k, o := range orders {
		fk, ok := fkOf(k, o).Get()
		p, found := products[fk]
		switch {
		case ok && found:
			want[k] = priced(k, o, p)
		case left:
			want[k] = maybePriced(k, o, stream.None[string]())
		}
	}
	return want
}

// heldRow is a row of the model of suppress.
type heldRow struct {
	key, value string
	order, at  int64
}

// TestSuppressEqualsAModel feeds a suppressed table at random, with restarts in between: the same rows leave at the same records, in the
// same order.
func TestSuppressEqualsAModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := int64(rapid.IntRange(0, 12).Draw(t, "limit"))
		most := rapid.SampledFrom([]int{0, 1, 2, 100}).Draw(t, "most")
		d := openRapid(t, func(b *stream.Builder) {
			held := tableOf(b, "in").SuppressUntilTimeLimit(time.Duration(limit)*time.Millisecond, stream.MaxRecords(most))
			held.ToStream().To("out")
		})
		defer d.Close()
		var rows []heldRow
		now := int64(-1)
		for i := range rapid.IntRange(1, 40).Draw(t, "records") {
			r := heldRow{key: rapid.SampledFrom([]string{"a", "b", "aa", "c"}).Draw(t, "key"), value: fmt.Sprint(i),
				at: int64(rapid.IntRange(0, 40).Draw(t, "time"))}
			r.order, now = r.at, max(now, r.at)
			if n := slices.IndexFunc(rows, func(o heldRow) bool { return o.key == r.key }); n >= 0 {
				r.order = rows[n].order
				rows = slices.Delete(rows, n, n+1)
			}
			at, _ := slices.BinarySearchFunc(rows, r, func(a, b heldRow) int {
				if a.order != b.order {
					return int(a.order - b.order)
				}
				return slices.Compare([]byte(a.key), []byte(b.key))
			})
			rows = slices.Insert(rows, at, r)
			want := ""
			for len(rows) > 0 && (rows[0].order <= now-limit || len(rows) > most) {
				want += fmt.Sprintf("  out %s=%s @%d\n", rows[0].key, rows[0].value, rows[0].at)
				rows = rows[1:]
			}
			if err := streamtest.Input(d, "in", serde.String, serde.String).PipeAt(r.key, r.value, time.UnixMilli(r.at)); err != nil {
				t.Fatal(err)
			}
			if got := written(d); got != want {
				t.Fatalf("after record %d %v:\n%swant\n%s", i, r, got, want)
			}
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				if err := d.Restart(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
