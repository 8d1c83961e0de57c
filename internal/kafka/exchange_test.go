package kafka

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oxbow-streams/oxbow/internal/kafka/kafkatest"
	"github.com/oxbow-streams/oxbow/internal/record"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// rawBroker answers ApiVersions and Metadata as a broker does, and everything else as the test says, in bytes.
type rawBroker struct {
	net      kafkatest.Network
	client   *Client
	listener net.Listener
	wg       sync.WaitGroup
	// answer returns the frame to send, size included; nil is none. stay=false closes the connection afterwards.
	answer func(conn int, key, version int16, corr int32, body []byte) (frame []byte, stay bool)
	tweak  func(*kmsg.ApiVersionsResponse)
}

func startRaw(t testing.TB, b *rawBroker) *rawBroker {
	t.Helper()
	var err error
	if b.listener, err = b.net.Listen("tcp", "127.0.0.1:9092"); err != nil {
		t.Fatal(err)
	}
	b.wg.Go(func() {
		for i := 0; ; i++ {
			c, err := b.listener.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(i, c) })
		}
	})
	b.client, err = Open(Config{Brokers: []string{"127.0.0.1:9092"}, Dial: b.net.Dial, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.client.Close()
		b.listener.Close()
		b.net.Cut("")
		b.wg.Wait()
	})
	return b
}

func (b *rawBroker) serve(i int, c net.Conn) {
	defer c.Close()
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			return
		}
		req := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, req); err != nil {
			return
		}
		key, version := int16(binary.BigEndian.Uint16(req)), int16(binary.BigEndian.Uint16(req[2:]))
		corr := int32(binary.BigEndian.Uint32(req[4:]))
		frame, stay := []byte(nil), true
		switch kmsg.Key(key) {
		case kmsg.ApiVersions:
			res := kmsg.NewPtrApiVersionsResponse()
			res.SetVersion(version)
			for k := range int16(50) {
				res.ApiKeys = append(res.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: k, MinVersion: 0, MaxVersion: 12})
			}
			if b.tweak != nil {
				b.tweak(res)
			}
			frame = frameWith(corr, false, res.AppendTo(nil))
		case kmsg.Metadata:
			res := kmsg.NewPtrMetadataResponse()
			res.SetVersion(version)
			nb := kmsg.NewMetadataResponseBroker()
			nb.NodeID, nb.Host, nb.Port = 1, "127.0.0.1", 9092
			res.Brokers = append(res.Brokers, nb)
			frame = frameWith(corr, res.IsFlexible(), res.AppendTo(nil))
		default:
			frame, stay = b.answer(i, key, version, corr, req[8:])
		}
		if _, err := c.Write(frame); err != nil || !stay {
			return
		}
	}
}

func frameWith(corr int32, flexible bool, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 4), uint32(corr))
	if flexible {
		b = append(b, 0)
	}
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func heartbeat() *kmsg.HeartbeatRequest {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Group, r.MemberID = "g", "m"
	return r
}

func heartbeatBody(version int16) []byte {
	r := kmsg.NewPtrHeartbeatResponse()
	r.SetVersion(version)
	r.ErrorCode = 27
	return r.AppendTo(nil)
}

func TestMalformedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &rawBroker{}
		startRaw(t, b)
		for _, tc := range []struct {
			name string
			want string // "" is success
			give func(version int16, corr int32) ([]byte, bool)
		}{
			{"as it should be", "", func(v int16, id int32) ([]byte, bool) { return frameWith(id, true, heartbeatBody(v)), true }},
			{"unknown tags in the header", "", func(v int16, id int32) ([]byte, bool) {
				return frameWith(id, false, append([]byte{2, 7, 3, 'a', 'b', 'c', 9, 0}, heartbeatBody(v)...)), true
			}},
			{"another correlation id", "came for request", func(v int16, id int32) ([]byte, bool) { return frameWith(id+1, true, heartbeatBody(v)), true }},
			{"size of 2 GiB", "MaxResponseBytes", func(v int16, id int32) ([]byte, bool) {
				return append(binary.BigEndian.AppendUint32(nil, math.MaxInt32), make([]byte, 8)...), true
			}},
			{"negative size", "MaxResponseBytes", func(v int16, id int32) ([]byte, bool) {
				return append(binary.BigEndian.AppendUint32(nil, 1<<31), make([]byte, 8)...), true
			}},
			{"size too small", "MaxResponseBytes", func(v int16, id int32) ([]byte, bool) { return []byte{0, 0, 0, 3, 0, 0, 0, 0}, true }},
			{"ends in the header", "unexpected EOF", func(v int16, id int32) ([]byte, bool) { return []byte{0, 0, 0}, false }},
			{"ends in the body", "unexpected EOF", func(v int16, id int32) ([]byte, bool) { return frameWith(id, true, heartbeatBody(v))[:11], false }},
			{"body too short", "does not parse", func(v int16, id int32) ([]byte, bool) { return frameWith(id, true, []byte{0}), true }},
			{"tags without end", "malformed tagged fields", func(v int16, id int32) ([]byte, bool) {
				return frameWith(id, false, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}), true
			}},
			{"tag longer than the answer", "malformed tagged fields", func(v int16, id int32) ([]byte, bool) { return frameWith(id, false, []byte{1, 1, 0x7f}), true }},
		} {
			b.answer = func(_ int, _, version int16, corr int32, _ []byte) ([]byte, bool) { return tc.give(version, corr) }
			res, err := b.client.exchange(t.Context(), 1, heartbeat())
			switch {
			case tc.want == "" && (err != nil || res.(*kmsg.HeartbeatResponse).ErrorCode != 27):
				t.Errorf("%s: %+v, %v", tc.name, res, err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("%s: %v", tc.name, err)
			}
			var frame *FrameError
			if errors.As(err, &frame) && Retriable(err) != frame.OutOfStep {
				t.Errorf("%s: a broken answer is no reason to ask again, but for that to another request: %v", tc.name, err)
			}
			if tc.name == "another correlation id" && !Retriable(err) {
				t.Errorf("%s: a new connection mends it: %v", tc.name, err)
			}
		}
	})
}

func TestReadGrowingAllocatesWhatHasCome(t *testing.T) {
	const claim = 100 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := readGrowing(bytes.NewReader(make([]byte, 10)), claim); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 { // others may allocate at the same time
		t.Errorf("%d bytes for an answer of 10 that claimed to have %d", n, claim)
	}
	b := &countingReader{left: claim}
	got, err := readGrowing(b, claim)
	if err != nil || len(got) != claim || b.left != 0 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

type countingReader struct{ left int }

func (r *countingReader) Read(b []byte) (int, error) {
	n := min(len(b), r.left)
	r.left -= n
	return n, nil
}

// A cancel ends the I/O at once, and afterwards nobody touches the caller's buffer.
func TestCancelIsPromptAndFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &rawBroker{}
		half := make(chan struct{}, 1)
		f.answer = func(_ int, _, _ int16, corr int32, _ []byte) ([]byte, bool) {
			half <- struct{}{}
			return append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 4+100), uint32(corr)), make([]byte, 50)...), true
		}
		startRaw(t, f)
		ctx, cancel := context.WithCancel(t.Context())
		buf := bytes.Repeat([]byte{0xAA}, 100)
		done := make(chan error)
		go func() {
			_, err := f.client.exchangeRaw(ctx, 1, int16(kmsg.Fetch), 4, false, [][]byte{{1}, {2}}, func(n int) ([]byte, error) { return buf[:n], nil })
			done <- err
		}()
		<-half
		synctest.Wait() // the first half is in
		start := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || Retriable(err) || time.Since(start) > 0 {
			t.Fatalf("after %v: %v", time.Since(start), err)
		}
		for i := range buf {
			buf[i] = 0xBB
		}
		time.Sleep(time.Minute)
		if !bytes.Equal(buf, bytes.Repeat([]byte{0xBB}, 100)) {
			t.Fatal("the buffer was written after the call had returned")
		}
	})
}

// A connection that the broker closed while it idled is replaced without a word; a request that was lost on a new
// connection is not repeated.
func TestOnlyStaleConnectionsAreReplacedSilently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &rawBroker{}
		var seen atomic.Int32
		var hangUp atomic.Bool
		f.answer = func(_ int, _, version int16, corr int32, _ []byte) ([]byte, bool) {
			seen.Add(1)
			if hangUp.Load() {
				return nil, false
			}
			return frameWith(corr, true, heartbeatBody(version)), false // answers, then closes
		}
		startRaw(t, f)
		for range 5 {
			if _, err := f.client.exchange(t.Context(), 1, heartbeat()); err != nil {
				t.Fatal(err)
			}
		}
		if seen.Load() != 5 {
			t.Fatalf("5 requests, %d came", seen.Load())
		}
		hangUp.Store(true)
		_, err := f.client.exchange(t.Context(), 1, heartbeat())
		var ce *ConnError
		if !errors.As(err, &ce) || !ce.Sent || !Retriable(err) || seen.Load() != 6 {
			t.Fatalf("%v; %d came, want 6", err, seen.Load())
		}
	})
}

func TestThrottleIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &rawBroker{}
		f.answer = func(_ int, _, version int16, corr int32, _ []byte) ([]byte, bool) {
			r := kmsg.NewPtrHeartbeatResponse()
			r.SetVersion(version)
			r.ThrottleMillis = 5000
			return frameWith(corr, true, r.AppendTo(nil)), true
		}
		startRaw(t, f)
		for i := range 3 {
			start := time.Now()
			if _, err := f.client.exchange(t.Context(), 1, heartbeat()); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); i > 0 && took != 5*time.Second {
				t.Fatalf("request %d went out after %v, the broker asked for 5s", i, took)
			}
		}
		start := time.Now()
		if _, err := f.client.exchange(t.Context(), 1, kmsg.NewPtrMetadataRequest()); err != nil || time.Since(start) > 0 {
			t.Fatalf("another kind of request waited %v, %v", time.Since(start), err)
		}
	})
}

func TestVersionsAreNegotiated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &rawBroker{}
		var got atomic.Int32
		f.answer = func(_ int, _, version int16, corr int32, _ []byte) ([]byte, bool) {
			got.Store(int32(version))
			return frameWith(corr, version >= 4, heartbeatBody(version)), true
		}
		f.tweak = func(r *kmsg.ApiVersionsResponse) {
			r.ApiKeys[kmsg.Heartbeat].MaxVersion = 3
			r.ApiKeys[kmsg.JoinGroup].MaxVersion = 4
			r.ApiKeys[kmsg.SyncGroup].MinVersion = 6
			r.ApiKeys = append(r.ApiKeys[:kmsg.CreateTopics], r.ApiKeys[kmsg.CreateTopics+1:]...)
		}
		startRaw(t, f)
		ctx := t.Context()
		if _, err := f.client.exchange(ctx, 1, heartbeat()); err != nil || got.Load() != 3 {
			t.Fatalf("version %d, %v", got.Load(), err)
		}
		for _, req := range []kmsg.Request{kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrCreateTopicsRequest()} {
			_, err := f.client.exchange(ctx, 1, req)
			var ve *VersionError
			if !errors.As(err, &ve) || Retriable(err) {
				t.Errorf("%s: %v", kmsg.NameForKey(req.Key()), err)
			}
		}
		if v, err := f.client.version(ctx, 1, int16(kmsg.Fetch), 11); err != nil || v != 11 {
			t.Errorf("fetch: %d, %v", v, err)
		}
	})
}

// The oldest brokers that are supported, and the next ones.
func TestOldBrokers(t *testing.T) {
	for name, v := range map[string]*kversion.Versions{"2.5": kversion.V2_5_0(), "2.8": kversion.V2_8_0(), "3.6": kversion.V3_6_0()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := startFake(t, 3, kfake.MaxVersions(v))
				if _, err := f.client.CreateTopics(t.Context(), NewTopic{Name: "in", Partitions: 4}); err != nil {
					t.Fatal(err)
				}
				produceRecords(t, f, tpOf("in", 0), 1, 2)
				a, b := f.member(t, f.client, "", 4), f.member(t, f.open(t, nil), "i", 4)
				settled(t, 4, a, b)
				want := map[record.TopicPartition]Offset{tpOf("in", 0): {At: 2}}
				if err := a.Commit(t.Context(), want); err != nil {
					t.Fatal(err)
				}
				if got, err := b.Committed(t.Context(), []record.TopicPartition{tpOf("in", 0)}); err != nil || got[tpOf("in", 0)].At != 2 {
					t.Fatalf("committed: %v, %v", got, err)
				}
				if got, err := f.client.ListOffsets(t.Context(), map[record.TopicPartition]int64{tpOf("in", 0): LatestOffset}, ReadCommitted); err != nil || got[tpOf("in", 0)].Offset != 2 {
					t.Fatalf("offsets: %v, %v", got, err)
				}
				if _, err := f.client.DeleteRecords(t.Context(), map[record.TopicPartition]int64{tpOf("in", 0): 1}); err != nil {
					t.Fatal(err)
				}
				if _, err := f.client.DescribeTopicConfigs(t.Context(), "in"); err != nil {
					t.Fatal(err)
				}
				if err := f.client.DeleteTopics(t.Context(), "in"); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// The request header is the one that kmsg's own formatter writes.
func TestRequestHeader(t *testing.T) {
	for _, client := range []string{"", "oxbow", strings.Repeat("x", 300)} {
		for key := range int16(70) {
			req := kmsg.RequestForKey(key)
			if req == nil || key == 7 { // 7, ControlledShutdown, has a header of its own in version 0
				continue
			}
			for v := range req.MaxVersion() + 1 {
				req.SetVersion(v)
				body := req.AppendTo(nil)
				want := kmsg.NewRequestFormatter(kmsg.FormatterClientID(client)).AppendRequest(nil, req, 77)
				got := append(appendHead(nil, key, v, 77, client, req.IsFlexible(), len(body)), body...)
				if !bytes.Equal(got, want) {
					t.Fatalf("%s v%d:\n got %x\nwant %x", kmsg.NameForKey(key), v, got, want)
				}
			}
		}
	}
}

func TestClosedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(1, "in"))
		if err := f.client.Refresh(t.Context(), "in"); err != nil {
			t.Fatal(err)
		}
		f.net.Silence(f.ListenAddrs()[0], true)
		done := make(chan error)
		go func() { done <- f.client.Refresh(t.Context(), "in") }()
		synctest.Wait()
		start := time.Now()
		f.client.Close()
		if err := <-done; !errors.Is(err, ErrClosed) || Retriable(err) || time.Since(start) > 0 {
			t.Fatalf("a request under way: %v after %v", err, time.Since(start))
		}
		if err := f.client.Refresh(t.Context(), "in"); !errors.Is(err, ErrClosed) {
			t.Fatalf("a request afterwards: %v", err)
		}
		if _, err := f.client.exchange(t.Context(), 0, heartbeat()); !errors.Is(err, ErrClosed) {
			t.Fatalf("a request afterwards: %v", err)
		}
		f.client.Close()
		if n := f.net.Conns(); n != 0 {
			t.Fatalf("%d connections are left", n)
		}
	})
}
