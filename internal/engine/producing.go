package engine

import (
	"errors"
	"fmt"

	"github.com/oxbow-streams/oxbow/internal/kafka"
)

// openProducer gives a worker what it produces with: at least once one producer for all of them, exactly once one of its own, since a
// producer has one transaction at a time.
func (r *runner) openProducer() {
	if !r.w.cfg.Transactional {
		r.produce.Store(r.app.producer)
		return
	}
	r.openTransactional(fmt.Sprintf("%s-%s-%d", r.app.cfg.App, r.app.cfg.Instance, r.id))
}

// openTransactional begins to produce under a transactional id. It is the same after a restart, so that what the process before has
// left open is aborted at once. A producer that was fenced is followed by one with an id of its own: what the other one does with the
// old id does not matter, the group says who has which task.
func (r *runner) openTransactional(id string) {
	a := r.app
	cfg := kafka.ProducerConfig{Codec: a.cfg.Codec, TransactionalID: id, TransactionTimeout: a.cfg.TransactionTimeout, Ended: r.transactionEnded}
	if a.cfg.DeadLetters != "" {
		cfg.AddAlone = []string{a.cfg.DeadLetters}
	}
	p := a.client.NewProducer(cfg, acked)
	r.produce.Store(p)
	a.spawn(func() {
		err := p.Run(a.ioCtx)
		var fenced *kafka.FencedError
		if !errors.As(err, &fenced) {
			a.end(tooOld(err))
			return
		}
		a.log.Warn("a producer was fenced: its worker goes on with another one", "worker", r.id, "err", err)
		r.box.post(func() { r.openTransactional(fmt.Sprintf("%s-%s-%d-%08x", a.cfg.App, a.cfg.Instance, r.id, salt())) })
	})
}

// tooOld says what a version that is missing means.
func tooOld(err error) error {
	var v *kafka.VersionError
	if errors.As(err, &v) {
		return fmt.Errorf("exactly once needs brokers of version 2.5 or later (KIP-447): %w", err)
	}
	return err
}

func (r *runner) flush() {
	if p := r.produce.Load(); p != nil {
		p.Flush()
	}
}

// full tells whether so much waits to be acknowledged, or for a transaction to end, that no more output may be made.
func (r *runner) full() bool {
	p := r.produce.Load()
	if p == nil { // of global stores
		return false
	}
	most := r.app.cfg.MaxBuffered
	if r.w.cfg.Transactional {
		most /= r.app.cfg.Workers
	}
	return p.Buffered()+r.w.Out.Held() > most
}

// buffered is how many bytes of output are not acknowledged.
func (a *App) buffered() (n int) {
	if a.producer != nil {
		return a.producer.Buffered()
	}
	for _, r := range a.allRunners() {
		if p := r.produce.Load(); p != nil {
			n += p.Buffered()
		}
	}
	return n
}

// sentBy is the tag of a batch: who sent it.
type sentBy struct {
	to   *runner
	sent *Sent
}

// acked brings the outcome of a batch back to the worker that sent it. It runs on the producer's goroutine.
func acked(a kafka.Ack) {
	by, ok := a.Batch.Tag.(sentBy)
	if !ok {
		return
	}
	ev := Acked{Sent: by.sent, Base: a.BaseOffset, Err: a.Err}
	for _, r := range a.Refused {
		ev.Refused = append(ev.Refused, Refusal{r.Index, fmt.Errorf("%s: %w", r.Message, a.Err)})
	}
	by.to.box.post(ev)
}
