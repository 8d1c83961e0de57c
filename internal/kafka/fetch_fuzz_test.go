package kafka

import (
	"runtime/metrics"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// fuzzPoll is what the fuzzed answers are answers to.
func fuzzPoll() *fetchPoll {
	return &fetchPoll{parts: []fetchPollPart{
		{tp: part("a", 0), offset: 5}, {tp: part("a", 1)}, {tp: part("b", 7), offset: 1 << 40},
	}}
}

// fuzzAnswer encodes a sound answer to fuzzPoll, as kmsg does.
func fuzzAnswer(version int16, records []byte) []byte {
	res := kmsg.NewPtrFetchResponse()
	res.SetVersion(version)
	for _, p := range fuzzPoll().parts {
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.Partition, rp.HighWatermark, rp.LogStartOffset = p.tp.Partition, 99, 3
		rp.RecordBatches = records
		rp.AbortedTransactions = append(rp.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: 4, FirstOffset: 6})
		rp.UnknownTags.Set(9, []byte("new"))
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic = p.tp.Topic
		rt.Partitions = append(rt.Partitions, rp)
		res.Topics = append(res.Topics, rt)
	}
	return res.AppendTo(nil)
}

// allocated returns the bytes that this process has allocated so far.
func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// FuzzFetchResponse: no answer makes the parser panic, read beyond its input, move a position back, or take more memory
// than its input justifies.
func FuzzFetchResponse(f *testing.F) {
	set := append(canned(LZ4, 5, 3, 0, 1, "x", "y").raw, canned(None, 9, 0, attrTransactional, 4, "z").raw...)
	for v := int16(fetchMinVersion); v <= fetchMaxVersion; v++ {
		f.Add(v, fuzzAnswer(v, set))
		f.Add(v, fuzzAnswer(v, nil))
		f.Add(v, fuzzAnswer(v, set[:len(set)-3]))
	}
	// The killers: counts and lengths of 2^31, null topics, tags without end.
	f.Add(int16(12), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(int16(11), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff})
	f.Add(int16(11), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff})
	f.Add(int16(12), []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, version int16, in []byte) {
		version = fetchMinVersion + (version&0x7fff)%(fetchMaxVersion-fetchMinVersion+1)
		q, a := fuzzPoll(), &fetchAnswer{}
		before := allocated()
		err := parseFetchAnswer(in, version, q, a)
		if took := allocated() - before; took > uint64(16*len(in)+1<<20) {
			t.Errorf("%d bytes allocated for %d", took, len(in))
		}
		if err != nil {
			return
		}
		for i := range a.parts {
			p := &a.parts[i]
			if p.next < q.parts[i].offset || p.needBytes < 0 || len(p.records) > len(in) {
				t.Errorf("%+v", p)
			}
			n := 0
			p.aborted.all(func(int64, int64) { n++ })
			if n != p.aborted.n {
				t.Errorf("%d of %d aborted transactions", n, p.aborted.n)
			}
		}
	})
}

// Every cut-off answer is malformed, and every sound one is read as kmsg wrote it.
func TestFetchAnswerCutOff(t *testing.T) {
	set := canned(None, 5, 3, 0, 1, "x", "y").raw
	for v := int16(fetchMinVersion); v <= fetchMaxVersion; v++ {
		in, q, a := fuzzAnswer(v, set), fuzzPoll(), &fetchAnswer{}
		if err := parseFetchAnswer(in, v, q, a); err != nil {
			t.Fatalf("v%d: %v", v, err)
		}
		p := a.parts[0]
		if !p.present || p.high != 99 || p.next != 9 || len(p.records) != len(set) || p.aborted.n != 1 {
			t.Errorf("v%d: %+v", v, p)
		}
		if v >= 5 && p.logStart != 3 {
			t.Errorf("v%d: log start %d", v, p.logStart)
		}
		for n := range in {
			if err := parseFetchAnswer(in[:n], v, q, a); err == nil {
				t.Errorf("v%d: the first %d of %d bytes are taken for an answer", v, n, len(in))
			}
		}
	}
}
