package kafka

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionRange is what we can encode and make sense of. Kafka 2.5 offers at least the minimum of each.
type versionRange struct{ min, max int16 }

// ourVersions is the one table of the versions in use. A request that is not in it goes out in the highest version
// that kmsg and the broker share.
var ourVersions = map[int16]versionRange{
	int16(kmsg.Produce):         {3, 8}, // 3: batches v2; 13 would need topic ids
	int16(kmsg.Fetch):           {11, 12},
	int16(kmsg.ListOffsets):     {4, 7}, // 4: leader epoch; 7: timestamp −3
	int16(kmsg.Metadata):        {7, 12},
	int16(kmsg.OffsetCommit):    {7, 8}, // 7: instance id; 9 is for the newer group protocol
	int16(kmsg.OffsetFetch):     {7, 7}, // 7: require_stable; 8 changes the layout to many groups
	int16(kmsg.FindCoordinator): {1, 3}, // 4 changes the layout to many keys
	int16(kmsg.JoinGroup):       {5, 9}, // 5: instance id; 9: SkipAssignment
	int16(kmsg.Heartbeat):       {3, 4},
	int16(kmsg.LeaveGroup):      {3, 5}, // 3: many members, instance ids
	int16(kmsg.SyncGroup):       {3, 5},
	int16(kmsg.ApiVersions):     {0, 3},
	int16(kmsg.CreateTopics):    {4, 7},
	int16(kmsg.DeleteTopics):    {1, 5}, // 6 changes the layout to topic ids
	int16(kmsg.DeleteRecords):   {1, 2},
	int16(kmsg.InitProducerID):  {1, 4},

	int16(kmsg.OffsetForLeaderEpoch): {3, 4},
	int16(kmsg.AddPartitionsToTxn):   {0, 3}, // 4 is for brokers
	int16(kmsg.AddOffsetsToTxn):      {0, 3},
	int16(kmsg.EndTxn):               {0, 3}, // 5 is transaction protocol 2
	int16(kmsg.TxnOffsetCommit):      {3, 3}, // 3: generation and member; 5 is transaction protocol 2
}

// brokerVersions is what one broker said about itself.
type brokerVersions struct {
	keys     map[int16]versionRange
	features map[string]int16 // finalized features, as transaction.version
}

// version returns the version in which to send a request of that kind to a broker: the highest that both know, and at
// most max. What the broker speaks is asked once and forgotten when its connections fail: it may come back upgraded.
func (c *Client) version(ctx context.Context, node int32, key, max int16) (int16, error) {
	bv, err := c.brokerVersions(ctx, node)
	if err != nil {
		return 0, err
	}
	ours, ok := ourVersions[key]
	if !ok {
		ours = versionRange{0, max}
	}
	ours.max = max
	return bv.pick(node, key, ours)
}

func (bv *brokerVersions) pick(node int32, key int16, ours versionRange) (int16, error) {
	theirs, ok := bv.keys[key]
	if !ok {
		theirs = versionRange{-1, -1}
	}
	v := min(ours.max, theirs.max)
	if v < ours.min || v < theirs.min {
		return 0, &VersionError{API: key, Node: node, Min: ours.min, Max: ours.max, BrokerMin: theirs.min, BrokerMax: theirs.max}
	}
	return v, nil
}

// feature returns the level of a finalized feature of the cluster, 0 when it has none.
func (c *Client) feature(ctx context.Context, node int32, name string) (int16, error) {
	bv, err := c.brokerVersions(ctx, node)
	if err != nil {
		return 0, err
	}
	return bv.features[name], nil
}

func (c *Client) brokerVersions(ctx context.Context, node int32) (*brokerVersions, error) {
	c.mu.Lock()
	bv := c.versions[node]
	c.mu.Unlock()
	if bv != nil {
		return bv, nil
	}
	bv, err := c.askVersions(ctx, node)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.versions[node] = bv
	c.mu.Unlock()
	return bv, nil
}

func (c *Client) forgetVersions(node int32) {
	c.mu.Lock()
	delete(c.versions, node)
	c.mu.Unlock()
}

func (c *Client) askVersions(ctx context.Context, node int32) (*brokerVersions, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "oxbow", "0"
	for v := int16(3); ; v = 0 {
		req.SetVersion(v)
		res := kmsg.NewPtrApiVersionsResponse()
		if err := c.send(ctx, node, req, res, v); err != nil {
			return nil, err
		}
		if Code(res.ErrorCode) == codeUnsupportedVersion && v > 0 {
			continue // a broker older than the question; its answer came in layout 0
		}
		if res.ErrorCode != 0 {
			return nil, brokerErr(req.Key(), node, res.ErrorCode, nil, "")
		}
		bv := &brokerVersions{keys: make(map[int16]versionRange, len(res.ApiKeys)), features: map[string]int16{}}
		for _, k := range res.ApiKeys {
			bv.keys[k.ApiKey] = versionRange{k.MinVersion, k.MaxVersion}
		}
		for _, f := range res.FinalizedFeatures {
			bv.features[f.Name] = f.MaxVersionLevel
		}
		return bv, nil
	}
}
