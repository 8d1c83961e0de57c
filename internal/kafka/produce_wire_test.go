package kafka

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Requests of every version we can write are what kmsg reads.
func TestProduceRequestIsWhatOthersRead(t *testing.T) {
	for v := int16(3); v <= 12; v++ {
		r := &produceRequest{}
		for i, tp := range []record.TopicPartition{{Topic: "b", Partition: 2}, {Topic: "a", Partition: 5}, {Topic: "a", Partition: 0}} {
			r.entries = append(r.entries, &entry{part: &partition{tp: tp}, batch: sealed(t, Codec(i), fewRecords(i+1)...)})
		}
		txn := "txn"
		if v%2 == 0 {
			txn = ""
		}
		for range 2 { // the second time in the memory of the first
			body := slices.Concat(r.encode(v, txn, 7*time.Second)...)
			req := kmsg.NewPtrProduceRequest()
			req.SetVersion(v)
			if err := req.ReadFrom(body); err != nil {
				t.Fatalf("v%d: %v", v, err)
			}
			if req.Acks != -1 || req.TimeoutMillis != 7000 || deref(req.TransactionID) != txn || (req.TransactionID == nil) != (txn == "") || len(req.Topics) != 2 {
				t.Fatalf("v%d: %+v", v, req)
			}
			i := 0
			for _, topic := range req.Topics {
				for _, p := range topic.Partitions {
					e := r.entries[i]
					if topic.Topic != e.part.tp.Topic || p.Partition != e.part.tp.Partition || !bytes.Equal(p.Records, wireOf(e.batch, 0)) {
						t.Fatalf("v%d: %s/%d, want %s", v, topic.Topic, p.Partition, e.part.tp)
					}
					i++
				}
			}
			if i != 3 {
				t.Fatalf("v%d: %d batches", v, i)
			}
		}
	}
}

func TestProduceAnswer(t *testing.T) {
	for v := int16(3); v <= 12; v++ {
		in, r := produceAnswer(v), fuzzProduce()
		results := make([]produceResult, 3)
		throttle, ok := r.parseProduce(in, v, results)
		if !ok || throttle != 17 {
			t.Fatalf("v%d: throttle %d, %v", v, throttle, ok)
		}
		for i, res := range results {
			p := r.entries[i].part.tp.Partition
			if !res.answered || res.base != 1000+int64(p) || res.code != int16(p) {
				t.Errorf("v%d: %+v", v, res)
			}
			if v >= 8 && (res.message != "why" || len(res.refused) != 1 || res.refused[0] != RefusedRecord{3, "bad"}) {
				t.Errorf("v%d: %+v", v, res)
			}
		}
		for n := range in {
			if _, ok := r.parseProduce(in[:n], v, make([]produceResult, 3)); ok {
				t.Errorf("v%d: the first %d of %d bytes are taken for an answer", v, n, len(in))
			}
		}
		// An answer about something else is no answer.
		other := &produceRequest{entries: []*entry{{part: &partition{tp: record.TopicPartition{Topic: "c"}}}}}
		results = make([]produceResult, 1)
		if _, ok := other.parseProduce(in, v, results); !ok || results[0].answered {
			t.Errorf("v%d: %+v", v, results[0])
		}
	}
}
