package kafka

import (
	"context"
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Rights are what the brokers let this client do with a topic. Known is false if they do not say: then the others are true.
type Rights struct{ Known, Read, Write bool }

// operations that are not told are the smallest number.
const notTold = math.MinInt32

// Rights asks what may be done with topics. Those that do not exist, or may not be seen, are left out.
func (c *Client) Rights(ctx context.Context, topics ...string) (map[string]Rights, error) {
	rights := make(map[string]Rights, len(topics))
	if len(topics) == 0 {
		return rights, nil
	}
	err := c.retry(ctx, func(ctx context.Context) error {
		req := kmsg.NewPtrMetadataRequest()
		req.AllowAutoTopicCreation = false
		req.IncludeTopicAuthorizedOperations = true
		for i := range topics {
			t := kmsg.NewMetadataRequestTopic()
			t.Topic = &topics[i]
			req.Topics = append(req.Topics, t)
		}
		res, err := ask[*kmsg.MetadataResponse](ctx, c, anyBroker, req)
		if err != nil {
			return err
		}
		for _, t := range res.Topics {
			if t.ErrorCode == 0 {
				rights[deref(t.Topic)] = rightsOf(t.AuthorizedOperations)
			}
		}
		return nil
	})
	return rights, err
}

func rightsOf(operations int32) Rights {
	if operations == notTold {
		return Rights{Read: true, Write: true}
	}
	may := func(op kmsg.ACLOperation) bool { return operations>>op&1 != 0 }
	return Rights{Known: true, Read: may(kmsg.ACLOperationRead), Write: may(kmsg.ACLOperationWrite)}
}
