package kafka

import (
	"context"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// coordinatorKind tells what is coordinated.
type coordinatorKind int8

const (
	coordinatorGroup coordinatorKind = 0
	coordinatorTxn   coordinatorKind = 1
)

func (k coordinatorKind) String() string {
	if k == coordinatorTxn {
		return "transactional id"
	}
	return "group"
}

type coordinatorKey struct {
	kind coordinatorKind
	key  string
}

// coordinatorCache remembers which broker coordinates a group or a transactional id.
type coordinatorCache struct {
	mu    sync.Mutex
	nodes map[coordinatorKey]int32
}

func (k *coordinatorCache) init() { k.nodes = map[coordinatorKey]int32{} }

// coordinator returns the coordinating broker, from the cache or by asking once. On a cold cluster the question
// creates the internal topic, and 15 is answered until that is done.
func (c *Client) coordinator(ctx context.Context, kind coordinatorKind, key string) (int32, error) {
	id := coordinatorKey{kind, key}
	c.coords.mu.Lock()
	node, ok := c.coords.nodes[id]
	c.coords.mu.Unlock()
	if ok {
		return node, nil
	}
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorKey, req.CoordinatorType = key, int8(kind)
	res, err := c.anyExchange(ctx, req)
	if err != nil {
		return 0, err
	}
	r := res.(*kmsg.FindCoordinatorResponse)
	what := fmt.Sprintf("%v %q", kind, key)
	if err := brokerErr(req.Key(), anyBroker, r.ErrorCode, r.ErrorMessage, what); err != nil {
		return 0, err
	}
	if r.NodeID < 0 {
		return 0, &BrokerError{API: req.Key(), Node: anyBroker, Code: codeCoordinatorNone, What: what}
	}
	c.coords.mu.Lock()
	c.coords.nodes[id] = r.NodeID
	c.coords.mu.Unlock()
	return r.NodeID, nil
}

// forgetCoordinator makes the next request look the coordinator up again.
func (c *Client) forgetCoordinator(kind coordinatorKind, key string) {
	c.coords.mu.Lock()
	delete(c.coords.nodes, coordinatorKey{kind, key})
	c.coords.mu.Unlock()
}

// toCoordinator sends one request to the coordinator of key. An error code that the answer has as a whole becomes a
// BrokerError; codes of partitions are the caller's. When an error says that the coordinator may have moved, it is
// forgotten. It does not retry.
func (c *Client) toCoordinator(ctx context.Context, kind coordinatorKind, key string, req kmsg.Request) (kmsg.Response, error) {
	node, err := c.coordinator(ctx, kind, key)
	if err != nil {
		return nil, err
	}
	res, err := c.exchange(ctx, node, req)
	if err == nil {
		err = brokerErr(req.Key(), node, wholeCode(res), nil, fmt.Sprintf("%v %q", kind, key))
	}
	if err != nil {
		c.checkCoordinator(kind, key, err)
		return nil, err
	}
	return res, nil
}

// checkCoordinator forgets the coordinator when err says that it may be another one by now.
func (c *Client) checkCoordinator(kind coordinatorKind, key string, err error) {
	if act := ActionOf(err); act.Has(FindCoordinator) || act.Has(Refresh) {
		c.forgetCoordinator(kind, key)
	}
}

// anyExchange sends a request that any broker can answer: to a bootstrap connection, then to known brokers.
func (c *Client) anyExchange(ctx context.Context, req kmsg.Request) (res kmsg.Response, err error) {
	for _, node := range append([]int32{anyBroker}, c.someBrokers(2)...) {
		if res, err = c.exchange(ctx, node, req); err == nil || !Retriable(err) || ctx.Err() != nil {
			break
		}
	}
	return res, err
}

// wholeCode returns the error code that an answer of a coordinator has as a whole.
func wholeCode(res kmsg.Response) int16 {
	switch r := res.(type) {
	case *kmsg.JoinGroupResponse:
		return r.ErrorCode
	case *kmsg.SyncGroupResponse:
		return r.ErrorCode
	case *kmsg.HeartbeatResponse:
		return r.ErrorCode
	case *kmsg.LeaveGroupResponse:
		return r.ErrorCode
	case *kmsg.OffsetFetchResponse:
		return r.ErrorCode
	case *kmsg.InitProducerIDResponse:
		return r.ErrorCode
	case *kmsg.AddOffsetsToTxnResponse:
		return r.ErrorCode
	case *kmsg.EndTxnResponse:
		return r.ErrorCode
	}
	return 0
}
