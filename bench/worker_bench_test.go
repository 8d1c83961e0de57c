package main

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/oxbow-streams/oxbow/internal/engine"
	"github.com/oxbow-streams/oxbow/internal/kafka"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/oxbow-streams/oxbow/state"
	"github.com/oxbow-streams/oxbow/state/memstore"
	"github.com/oxbow-streams/oxbow/state/pebblestore"
	"github.com/oxbow-streams/oxbow/stream"
	"github.com/oxbow-streams/oxbow/stream/serde"
	"github.com/pierrec/lz4/v4"
)

// BenchmarkWorker is what a worker costs without a broker: the cases of the report from fetched batches to sealed ones. It tells
// the processor time of a record and of a row of a commit apart, and reports the least of its rounds: on a machine that others use
// that repeats where means do not.
func BenchmarkWorker(b *testing.B) {
	for _, codec := range []kafka.Codec{kafka.LZ4, kafka.None} {
		b.Run("consume/"+codec.String(), func(b *testing.B) {
			benchWorker(b, codec, func(s *stream.Builder, sum *uint64) {
				stream.From(s, "in", serde.BytesView, serde.BytesView).ForEach(func(_, v []byte) { *sum += numberOf(v) })
			})
		})
		b.Run("pass/"+codec.String(), func(b *testing.B) {
			benchWorker(b, codec, func(s *stream.Builder, _ *uint64) {
				stream.From(s, "in", serde.BytesView, serde.BytesView).To("out")
			})
		})
		b.Run("count/"+codec.String(), func(b *testing.B) {
			benchWorker(b, codec, func(s *stream.Builder, _ *uint64) {
				stream.From(s, "in", serde.BytesView, serde.BytesView).GroupByKey().Count(stream.As("counts")).ToStream().To("out")
			})
		})
		b.Run("join/"+codec.String(), func(b *testing.B) {
			benchWorker(b, codec, func(s *stream.Builder, sum *uint64) {
				table := stream.TableFrom(s, "table", serde.BytesView, serde.BytesView, stream.As("table"))
				left := stream.From(s, "in", serde.BytesView, serde.BytesView)
				stream.JoinTable(left, table, func(_, l, r []byte) uint64 { return joinSum(l, r) }).ForEach(func(_ []byte, n uint64) { *sum += n })
			})
		})
	}
}

// bundle is how many records a round has. A commit follows, of nearly every key.
const bundle = 500_000

func benchWorker(b *testing.B, codec kafka.Codec, write func(s *stream.Builder, sum *uint64)) {
	var sum uint64
	s := stream.NewBuilder()
	write(s, &sum)
	topo, err := s.Build("app")
	if err != nil {
		b.Fatal(err)
	}
	disk, err := pebblestore.Open(pebblestore.Options{Dir: b.TempDir(), Name: "app"})
	if err != nil {
		b.Fatal(err)
	}
	defer disk.Close()
	l := newFedWorker(b, codec)
	l.shop = &engine.Workshop{Topology: topo, Engine: disk, Memory: memstore.New(), Budget: state.NewBudget(0, 0, 0)}
	l.begin(b)
	for _, topic := range topo.Subs[0].Topics {
		if topic == "table" {
			l.feed(topic, encoded(codec, true, firstTime-3_600_000, keyCount))
		}
	}
	in := encoded(codec, false, firstTime, bundle)
	l.feed("in", in)
	l.commit()
	b.ReportAllocs()
	b.ResetTimer()
	work, commit := math.MaxFloat64, math.MaxFloat64
	for b.Loop() {
		start := cpuNow()
		l.feed("in", in)
		at := cpuNow()
		l.commit()
		work, commit = min(work, at-start), min(commit, cpuNow()-at)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(work/bundle, "cpu-ns/record")
	b.ReportMetric(commit/keyCount, "cpu-ns/row")
}

func cpuNow() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return float64(r.Utime.Nano() + r.Stime.Nano())
}

// loop does for a worker what its runner does, without a broker.
type fedWorker struct {
	b     *testing.B
	codec kafka.Codec
	shop  *engine.Workshop
	w     *engine.Worker
	gens  map[record.TopicPartition]int64
	next  map[record.TopicPartition]int64
	now   int64
}

func newFedWorker(b *testing.B, codec kafka.Codec) *fedWorker {
	l := &fedWorker{b: b, codec: codec, gens: map[record.TopicPartition]int64{}, next: map[record.TopicPartition]int64{}, now: firstTime}
	return l
}

func (l *fedWorker) begin(b *testing.B) {
	const batch = 128 << 10
	l.w = engine.NewWorker(engine.WorkerConfig{CommitInterval: 1 << 50, InboxBytes: 1 << 40, Linger: 1 << 40,
		Out: engine.OutConfig{BatchBytes: batch, UnitBytes: 64 << 20,
			Topic:     func(string) (engine.TopicInfo, error) { return engine.TopicInfo{Partitions: partitions}, nil },
			Builder:   func(record.TopicPartition) engine.Builder { return &builder1{codec: l.codec} },
			Partition: kafka.Partition,
			Whole:     func(b engine.Batch, from int64) bool { return b.(*batch1).b.Open() == nil },
			Reframe: func(b engine.Batch) (engine.Sealed, bool) {
				k := b.(*batch1).b
				k.Shut()
				return kafka.Reframe(k)
			},
		}}, l.now)
	for p := range int32(partitions) {
		id := record.TaskID{Partition: p}
		prog, err := l.shop.Assemble(id, l.w.Out, l.now)
		if err != nil {
			b.Fatal(err)
		}
		var inputs []record.TopicPartition
		for _, topic := range l.shop.Topology.Subs[0].Topics {
			inputs = append(inputs, record.TopicPartition{Topic: topic, Partition: p})
		}
		t, err := engine.NewTask(engine.TaskConfig{App: "app", ID: id, Program: prog, Out: l.w.Out}, inputs)
		if err != nil {
			b.Fatal(err)
		}
		for _, tp := range inputs {
			if err := t.Seek(tp, 0, ""); err != nil {
				b.Fatal(err)
			}
		}
		l.step(engine.AddTask{Task: t})
		l.step(engine.Restored{ID: id})
		for _, tp := range inputs {
			l.step(engine.Delivered{TP: tp, Generation: l.gens[tp], End: 0})
		}
	}
}

func (l *fedWorker) step(ev engine.Event) {
	l.w.Step(l.now, ev)
	l.obey()
}

func (l *fedWorker) obey() {
	for acts := l.w.Actions(); len(acts) > 0; acts = l.w.Actions() {
		for _, a := range acts {
			switch a := a.(type) {
			case engine.Send:
				a.Batch.(*kafka.OutBatch).Release()
				l.w.Step(l.now, engine.Acked{Sent: a.Sent, Base: 0})
			case engine.CommitOffsets:
				l.w.Step(l.now, engine.OffsetsDone{})
			case engine.Fetch:
				l.gens[a.TP] = a.Generation
			case engine.Failed:
				l.b.Fatal(a.Err)
			}
		}
	}
}

// feed lets the tasks work through batches, an answer of a fetch at a time.
func (l *fedWorker) feed(topic string, sets [][][]byte) {
	const answer = 8
	for at := 0; ; at += answer {
		some := false
		for p, set := range sets {
			if at >= len(set) {
				continue
			}
			some = true
			l.deliver(record.TopicPartition{Topic: topic, Partition: int32(p)}, set[at:min(at+answer, len(set))])
		}
		if !some {
			return
		}
		for more := true; more; {
			_, more = l.w.Work(l.now, 8192)
			l.obey()
		}
	}
}

func (l *fedWorker) deliver(tp record.TopicPartition, raws [][]byte) {
	var list []engine.Batch
	for _, raw := range raws {
		frame := kafka.NewBuffer(0)
		binary.BigEndian.PutUint64(raw, uint64(l.next[tp]))
		next, err := kafka.ParseBatches(tp, frame, raw, l.next[tp], kafka.ParseOptions{}, func(b *kafka.Batch) { list = append(list, &batch1{b: b}) })
		frame.Release()
		if err != nil {
			l.b.Fatal(err)
		}
		l.next[tp] = next
	}
	l.step(engine.Delivered{TP: tp, Generation: l.gens[tp], Batches: list, Next: l.next[tp], End: l.next[tp]})
}

func (l *fedWorker) commit() {
	l.step(engine.Request{Number: 1})
	if err := l.w.Err(); err != nil {
		l.b.Fatal(err)
	}
}

type batch1 struct {
	b   *kafka.Batch
	cur kafka.Cursor
}

func (f *batch1) Open(from int64) engine.Cursor { f.cur = f.b.Cursor(from); return &f.cur }
func (f *batch1) NextOffset() int64             { return f.b.NextOffset() }
func (f *batch1) Size() int                     { return f.b.Size() }
func (f *batch1) Release()                      { f.b.Release() }

type builder1 struct {
	kafka.Builder
	codec kafka.Codec
	marks []kafka.Mark
}

func (k *builder1) Append(time int64, key, value []byte, h record.Headers) error {
	_, err := k.Builder.Append(time, key, value, h)
	return err
}
func (k *builder1) Mark() int {
	k.marks = append(k.marks, k.Builder.Mark())
	return len(k.marks) - 1
}
func (k *builder1) Truncate(mark int) {
	k.Builder.Truncate(k.marks[mark])
	k.marks = k.marks[:mark+1]
}
func (k *builder1) Forget()                      { k.marks = k.marks[:0] }
func (k *builder1) Reset()                       { k.Builder.Reset(); k.Forget() }
func (k *builder1) Seal() (engine.Sealed, error) { return k.Builder.Seal(k.codec) }

// encoded is a topic as batches in wire form, by partition.
func encoded(codec kafka.Codec, distinct bool, first, n int64) [][][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	parts := make([]rawBatch, partitions)
	out := make([][][]byte, partitions)
	var key, value []byte
	for i := range n {
		k := i
		if !distinct {
			k = rng.Int64N(keyCount)
		}
		key, value = appendKey(key[:0], k), appendValue(value[:0], i, rng)
		p := kafka.Partition(key, partitions)
		b := &parts[p]
		if len(b.records) > batchBytes-len(key)-len(value)-20 {
			out[p] = append(out[p], b.seal(codec))
		}
		b.add(first+i/10, key, value)
	}
	for p := range parts {
		out[p] = append(out[p], parts[p].seal(codec))
	}
	return out
}

// rawBatch encodes a batch, the plain way.
type rawBatch struct {
	records     []byte
	first, last int64
	count       uint32
	body        []byte
}

func (b *rawBatch) add(time int64, key, value []byte) {
	if b.count == 0 {
		b.first = time
	}
	b.last = time
	r := binary.AppendVarint(append(b.body[:0], 0), time-b.first)
	r = binary.AppendVarint(r, int64(b.count))
	r = append(binary.AppendVarint(r, int64(len(key))), key...)
	r = append(binary.AppendVarint(r, int64(len(value))), value...)
	b.body = append(r, 0)
	b.records = append(binary.AppendVarint(b.records, int64(len(b.body))), b.body...)
	b.count++
}

func (b *rawBatch) seal(codec kafka.Codec) []byte {
	records := b.records
	if codec == kafka.LZ4 {
		var z bytes.Buffer
		w := lz4.NewWriter(&z)
		w.Write(records)
		w.Close()
		records = z.Bytes()
	}
	be := binary.BigEndian
	tail := be.AppendUint16(nil, uint16(codec))
	tail = be.AppendUint32(tail, b.count-1)
	tail = be.AppendUint64(tail, uint64(b.first))
	tail = be.AppendUint64(tail, uint64(b.last))
	tail = append(tail, bytes.Repeat([]byte{0xff}, 14)...) // no producer
	tail = append(be.AppendUint32(tail, b.count), records...)
	raw := be.AppendUint64(nil, 0)
	raw = be.AppendUint32(raw, uint32(9+len(tail)))
	raw = append(raw, 0xff, 0xff, 0xff, 0xff, 2)
	raw = be.AppendUint32(raw, crc32.Checksum(tail, crc32.MakeTable(crc32.Castagnoli)))
	*b = rawBatch{records: b.records[:0], body: b.body}
	return append(raw, tail...)
}
