package kafka

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives the pauses between retries: exponential with jitter, so that clients that failed together do not
// come back together.
type backoff struct {
	first, max time.Duration
	rand       func() float64
	n          int // retries so far
}

// next returns the pause before the next retry.
func (b *backoff) next() time.Duration {
	d := b.max
	if b.n < 30 && b.first<<b.n < b.max {
		d = b.first << b.n
	}
	b.n++
	// Half of the step is kept as a floor: a pause near zero would spin against a broker that answers at once.
	return d/2 + time.Duration(b.rand()*float64(d/2))
}

func (c *Client) newBackoff() backoff {
	r := c.cfg.Rand
	if r == nil {
		r = rand.Float64
	}
	return backoff{first: c.cfg.RetryBackoff, max: c.cfg.MaxRetryBackoff, rand: r}
}

// pause waits d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retry runs f until it succeeds, fails for good, or ctx ends. Before each retry it does what the error asks for:
// pause, and metadata of topics when the error says that the cache is old.
func (c *Client) retry(ctx context.Context, f func(ctx context.Context) error, topics ...string) error {
	b := c.newBackoff()
	for {
		err := f(ctx)
		act := ActionOf(err)
		if err == nil || !act.Has(Retry) {
			return err
		}
		if pause(ctx, b.next()) != nil {
			return err // what went wrong says more than that time ran out
		}
		if act.Has(Refresh) && len(topics) > 0 {
			if rerr := c.Refresh(ctx, topics...); rerr != nil && !Retriable(rerr) {
				return rerr
			}
		}
	}
}
