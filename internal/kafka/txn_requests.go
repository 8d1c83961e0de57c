package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions under protocol 2. The broker goes by the version of a request, whatever the cluster's features say.
var (
	endTxnV2          = versionRange{5, 5}
	txnOffsetCommitV2 = versionRange{5, 5}
)

// txnFeature is protocol 2 from level 2 on.
const txnFeature = "transaction.version"

func (p *Producer) txnEnded(e TxnEnd) {
	if p.cfg.Ended != nil {
		p.cfg.Ended(e)
	}
}

// ask makes a call and returns how it ended. It does not retry.
func (p *Producer) ask(ctx context.Context, call *txnCall) (ev txnAnswer) {
	ev.call = call
	switch call.kind {
	case callInit:
		p.askInit(ctx, &ev)
	case callAdd:
		p.askAdd(ctx, &ev)
	case callAddOffsets:
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.cfg.TransactionalID, call.id.id, call.id.epoch
		req.Group = call.who.Group
		p.askCoordinator(ctx, &ev, req)
	case callOffsets:
		p.askOffsets(ctx, &ev)
	case callEnd:
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.cfg.TransactionalID, call.id.id, call.id.epoch
		req.Commit = call.commit
		if res, ok := p.askCoordinator(ctx, &ev, req).(*kmsg.EndTxnResponse); ok {
			ev.id = identity{id: res.ProducerID, epoch: res.ProducerEpoch}
		}
	}
	return ev
}

// askCoordinator sends a request to the transaction's coordinator.
func (p *Producer) askCoordinator(ctx context.Context, ev *txnAnswer, req kmsg.Request) kmsg.Response {
	return p.askThe(ctx, ev, coordinatorTxn, p.cfg.TransactionalID, req)
}

// askThe sends a request to a coordinator and notes how that went. It returns nil if ev.err is set.
func (p *Producer) askThe(ctx context.Context, ev *txnAnswer, kind coordinatorKind, key string, req kmsg.Request) kmsg.Response {
	node, err := p.c.coordinator(ctx, kind, key)
	if err != nil {
		ev.err = err
		return nil
	}
	ours := ourVersions[req.Key()]
	switch {
	case ev.call.v2 && req.Key() == apiEndTxn:
		ours = endTxnV2
	case ev.call.v2 && req.Key() == apiTxnOffsetCommit:
		ours = txnOffsetCommitV2
	}
	res, repeated, err := p.c.exchangeIn(ctx, node, req, ours)
	ev.unknown = repeated
	if err == nil {
		err = brokerErr(req.Key(), node, wholeCode(res), nil, fmt.Sprintf("%v %q", kind, key))
	} else {
		// Only a ConnError knows that nothing was sent; a context that ended does not.
		var conn *ConnError
		var version *VersionError
		notSent := errors.As(err, &version) || errors.As(err, &conn) && (!conn.Sent || conn.API != req.Key())
		ev.unknown = ev.unknown || !notSent
	}
	if err != nil {
		p.c.checkCoordinator(kind, key, err)
		ev.err = err
		return nil
	}
	return res
}

func (p *Producer) askInit(ctx context.Context, ev *txnAnswer) {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &p.cfg.TransactionalID
	req.TransactionTimeoutMillis = int32(p.cfg.TransactionTimeout / time.Millisecond)
	req.ProducerID, req.ProducerEpoch = ev.call.id.id, ev.call.id.epoch
	if !p.cfg.Protocol1 {
		// Asked each time: the cluster may have been upgraded.
		node, err := p.c.coordinator(ctx, coordinatorTxn, p.cfg.TransactionalID)
		var level int16
		if err == nil {
			level, err = p.c.feature(ctx, node, txnFeature)
		}
		if ev.v2, ev.err = level >= 2, err; err != nil {
			p.c.checkCoordinator(coordinatorTxn, p.cfg.TransactionalID, err)
			return
		}
	}
	if res, ok := p.askCoordinator(ctx, ev, req).(*kmsg.InitProducerIDResponse); ok {
		ev.id = identity{id: res.ProducerID, epoch: res.ProducerEpoch}
	}
}

func (p *Producer) askAdd(ctx context.Context, ev *txnAnswer) {
	call := ev.call
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.cfg.TransactionalID, call.id.id, call.id.epoch
	byTopic(ledOf(call.parts), func(topic string, parts []led) {
		t := kmsg.NewAddPartitionsToTxnRequestTopic()
		t.Topic = topic
		for _, part := range parts {
			t.Partitions = append(t.Partitions, part.Partition)
		}
		req.Topics = append(req.Topics, t)
	})
	res, ok := p.askCoordinator(ctx, ev, req).(*kmsg.AddPartitionsToTxnResponse)
	if !ok {
		return
	}
	codes := map[record.TopicPartition]int16{}
	for _, t := range res.Topics {
		for _, part := range t.Partitions {
			codes[record.TopicPartition{Topic: t.Topic, Partition: part.Partition}] = part.ErrorCode
		}
	}
	p.judge(ev, coordinatorTxn, p.cfg.TransactionalID, codes)
}

func (p *Producer) askOffsets(ctx context.Context, ev *txnAnswer) {
	call := ev.call
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.cfg.TransactionalID, call.id.id, call.id.epoch
	req.Group, req.Generation, req.MemberID = call.who.Group, call.who.Generation, call.who.MemberID
	if call.who.InstanceID != "" {
		req.InstanceID = &call.who.InstanceID
	}
	byTopic(ledOf(call.parts), func(topic string, parts []led) {
		t := kmsg.NewTxnOffsetCommitRequestTopic()
		t.Topic = topic
		for _, part := range parts {
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			o := call.offsets[part.TopicPartition]
			// Leader epoch −1: "not known". 0 would make readers of the group suspect a truncated log.
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.Metadata = part.Partition, o.At, -1, &o.Metadata
			t.Partitions = append(t.Partitions, rp)
		}
		req.Topics = append(req.Topics, t)
	})
	res, ok := p.askThe(ctx, ev, coordinatorGroup, call.who.Group, req).(*kmsg.TxnOffsetCommitResponse)
	if !ok {
		return
	}
	codes := map[record.TopicPartition]int16{}
	for _, t := range res.Topics {
		for _, part := range t.Partitions {
			codes[record.TopicPartition{Topic: t.Topic, Partition: part.Partition}] = part.ErrorCode
		}
	}
	p.judge(ev, coordinatorGroup, call.who.Group, codes)
}

// judge makes errors of the codes of partitions. A partition without one has not been dealt with.
func (p *Producer) judge(ev *txnAnswer, kind coordinatorKind, key string, codes map[record.TopicPartition]int16) {
	api := apiAdd
	if ev.call.kind == callOffsets {
		api = apiTxnOffsetCommit
	}
	ev.parts = make([]error, len(ev.call.parts))
	for i, tp := range ev.call.parts {
		code, ok := codes[tp]
		what := fmt.Sprintf("%s, %v %q", tp, kind, key)
		if ev.parts[i] = brokerErr(api, anyBroker, code, nil, what); !ok {
			ev.parts[i] = &ConnError{API: api, Node: anyBroker, Sent: true, Err: errLeftOut}
		}
		p.c.checkCoordinator(kind, key, ev.parts[i])
	}
}

func ledOf(sorted []record.TopicPartition) []led {
	parts := make([]led, len(sorted))
	for i, tp := range sorted {
		parts[i].TopicPartition = tp
	}
	return parts
}
