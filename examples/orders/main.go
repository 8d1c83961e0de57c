// Orders joins orders to users, prices them with a function that can fail, and shows what becomes of records that cannot be
// processed: they are set aside in the application's dead-letter topic, with all that is known of the failure, and the others go
// on.
//
//	go run ./examples/orders
//	go run ./examples/orders -follow    keeps running, so that metrics can be looked at
//	KAFKA_BROKERS=localhost:9092 go run ./examples/orders
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/oxbow-streams/oxbow/examples/internal/cluster"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
)

type (
	Order struct {
		ID, User, Product string
		Amount            int
	}
	User     struct{ Name, Region string }
	Enriched struct {
		Order Order
		User  User
	}
	Priced struct {
		Enriched
		Cents int
	}
)

var prices = map[string]int{"ink": 250, "paper": 40, "pen": 120}

// price can fail in three ways: a product that is not for sale is no use retrying, a panic is a mistake in here.
func price(_ context.Context, _ string, e Enriched) (Priced, error) {
	cents, ok := prices[e.Order.Product]
	if !ok {
		return Priced{}, stream.Permanent(fmt.Errorf("no price for %q", e.Order.Product))
	}
	perRegion := map[string]int{"north": 100, "south": 90}
	return Priced{e, e.Order.Amount * cents * 100 / perRegion[e.User.Region]}, nil // panics where there is no region
}

func topology(t topics) *stream.Builder {
	b := stream.NewBuilder()
	stream.Register(b, serde.JSON[Order]())
	stream.Register(b, serde.JSON[Priced]())

	users := stream.TableFrom(b, t.users, serde.String, serde.JSON[User](), stream.As("users"))
	orders := stream.From(b, t.orders, serde.String, serde.JSON[Order]())
	byUser := stream.SelectKey(orders, func(_ string, o Order) string { return o.User })
	enriched := stream.JoinTable(byUser, users, func(_ string, o Order, u User) Enriched { return Enriched{o, u} },
		stream.WithKey(serde.String))
	priced := stream.TryMapValues(enriched, price, stream.Named("price"),
		stream.OnError(stream.Retry(3, stream.Exponential(50*time.Millisecond, time.Second)), stream.DeadLetter()))
	priced.To(t.priced, stream.WithKey(serde.String))
	return b
}

type topics struct{ app, orders, users, priced string }

var userRows = map[string]User{"ada": {"Ada", "north"}, "bob": {"Bob", "south"}, "eve": {"Eve", "nowhere"}}

// orderRecords has three that cannot be processed: one is no JSON, one has no price, one panics.
var orderRecords = []string{
	`{"ID":"1","User":"ada","Product":"ink","Amount":2}`,
	`{"ID":"2","User":"bob","Product":"pen","Amount":10}`,
	`{"ID":"3","User":"ada","Product":"paper","Amount":`,
	`{"ID":"4","User":"bob","Product":"swan","Amount":1}`,
	`{"ID":"5","User":"eve","Product":"pen","Amount":1}`,
	`{"ID":"6","User":"ada","Product":"paper","Amount":500}`,
}

const poisoned = 3

func main() {
	follow := flag.Bool("follow", false, "keep running, with metrics")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *follow, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "orders:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, follow bool, out, log io.Writer) (err error) {
	c, err := cluster.Start()
	if err != nil {
		return err
	}
	defer c.Close()
	dir, err := os.MkdirTemp("", "orders-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	app := fmt.Sprintf("orders-%d-%d", os.Getpid(), time.Now().UnixNano())
	t := topics{app: app, orders: app + "-orders", users: app + "-users", priced: app + "-priced"}
	if !c.Embedded {
		defer func() { err = errors.Join(err, c.Remove(context.WithoutCancel(ctx), app+"-")) }()
	}
	if err := feed(ctx, c, t); err != nil {
		return err
	}
	running, err := stream.New(topology(t), stream.Config{ApplicationID: app, Brokers: c.Brokers, StateDir: dir,
		CommitInterval: 100 * time.Millisecond, Logger: cluster.Warnings(log), MetricsAddr: "localhost:0"})
	if err != nil {
		return err
	}
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- running.Run(runCtx) }()

	fmt.Fprintln(out, "priced:")
	if err := show(ctx, c, t.priced, len(orderRecords)-poisoned, func(m kafka.Message) { printPriced(out, m) }); err != nil {
		return errors.Join(err, early(ended))
	}
	fmt.Fprintln(out, "\ndead letters:")
	if err := show(ctx, c, app+"-dlq", poisoned, func(m kafka.Message) { printLetter(out, m) }); err != nil {
		return errors.Join(err, early(ended))
	}
	fmt.Fprintf(log, "\nmetrics at http://%s/metrics\n", running.MetricsAddr())
	if follow {
		<-ctx.Done()
	}
	cancel()
	return <-ended
}

// early is why the application ended before it should.
func early(ended <-chan error) error {
	select {
	case err := <-ended:
		return err
	default:
		return nil
	}
}

func feed(ctx context.Context, c *cluster.Cluster, t topics) error {
	if err := c.Create(ctx, 2, t.orders, t.users, t.priced); err != nil {
		return err
	}
	var rows, orders []kafka.Message
	for id, u := range userRows {
		value, err := json.Marshal(u)
		if err != nil {
			return err
		}
		rows = append(rows, kafka.Message{Key: []byte(id), Value: value})
	}
	for i, o := range orderRecords {
		orders = append(orders, kafka.Message{Key: fmt.Append(nil, i+1), Value: []byte(o)})
	}
	// The users come first: a join takes the row that is there when the order is processed.
	if err := c.Write(ctx, t.users, rows...); err != nil {
		return err
	}
	return c.Write(ctx, t.orders, orders...)
}

// show reads a topic until it has seen want messages.
func show(ctx context.Context, c *cluster.Cluster, topic string, want int, f func(kafka.Message)) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	next, seen := map[int]int64{}, 0
	for seen < want {
		ends, err := c.Ends(ctx, topic)
		if err != nil {
			return err
		}
		for p, end := range ends {
			if next[p], err = c.Read(ctx, topic, p, next[p], end, func(m kafka.Message) bool {
				seen++
				f(m)
				return true
			}); err != nil {
				return err
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%s has %d messages, want %d: %w", topic, seen, want, ctx.Err())
		}
	}
	return nil
}

func printPriced(out io.Writer, m kafka.Message) {
	var p Priced
	if err := json.Unmarshal(m.Value, &p); err != nil {
		fmt.Fprintf(out, "  %s\n", m.Value)
		return
	}
	fmt.Fprintf(out, "  order %s of %s: %d × %s = %d.%02d\n", p.Order.ID, p.User.Name, p.Order.Amount, p.Order.Product, p.Cents/100, p.Cents%100)
}

func printLetter(out io.Writer, m kafka.Message) {
	h := map[string]string{}
	for _, x := range m.Headers {
		h[x.Key] = string(x.Value)
	}
	fmt.Fprintf(out, "  %s at %s: %s\n", h["__streams.dlq.stage"], h["__streams.errors.processor.node.id"], h["__streams.errors.message"])
	fmt.Fprintf(out, "    class %s, read from %s/%s@%s, came from %s\n", h["__streams.dlq.class"], h["__streams.errors.topic"],
		h["__streams.errors.partition"], h["__streams.errors.offset"], h["__streams.dlq.origin"])
	fmt.Fprintf(out, "    value %s\n", m.Value)
}
