package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Code is an error code of the protocol. 0 is success.
type Code int16

// String returns the name of the code as Kafka's documentation has it.
func (c Code) String() string {
	if i, ok := codes[c]; ok {
		return i.name
	}
	return "code " + strconv.Itoa(int(c))
}

// BrokerError is what a broker answered.
type BrokerError struct {
	API     int16  // kind of request
	Node    int32  // the broker that said so; −1 when any was asked
	Code    Code   // why
	Message string // the broker's own words, if it sent some
	What    string // what it was about: topic/partition, group, topic; may be empty
}

func (e *BrokerError) Error() string {
	var b strings.Builder
	if e.What != "" {
		b.WriteString(e.What + ": ")
	}
	fmt.Fprintf(&b, "%s to %s: %s (%d)", apiName(e.API), nodeName(e.Node), e.Code, int16(e.Code))
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if h := codes[e.Code].hint; h != "" {
		b.WriteString(": " + h)
	}
	return b.String()
}

// Action tells what may be done about the error.
func (e *BrokerError) Action() Action { return actionFor(e.API, e.Code) }

// Is makes errors.Is(err, Code) work.
func (e *BrokerError) Is(target error) bool { c, ok := target.(Code); return ok && c == e.Code }

// Error makes a Code usable as the target of errors.Is.
func (c Code) Error() string { return c.String() }

// brokerErr returns nil for code 0.
func brokerErr(api int16, node int32, code int16, message *string, what string) error {
	if code == 0 {
		return nil
	}
	e := &BrokerError{API: api, Node: node, Code: Code(code), What: what}
	if message != nil {
		e.Message = *message
	}
	return e
}

// ConnError is a request without an answer: it may or may not have been carried out.
type ConnError struct {
	API  int16
	Node int32
	Sent bool   // false: certainly not carried out
	Hint string // what to look at
	Err  error
}

func (e *ConnError) Error() string {
	s := fmt.Sprintf("%s to %s: %v", apiName(e.API), nodeName(e.Node), e.Err)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

func (e *ConnError) Unwrap() error { return e.Err }

// Action is retry, except for what no retry can mend: certificates and credentials.
func (e *ConnError) Action() Action {
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	var rec tls.RecordHeaderError
	var code kafkago.Error
	var frame *FrameError
	switch {
	case errors.As(e.Err, &cert), errors.As(e.Err, &host), errors.As(e.Err, &rec), errors.As(e.Err, &frame) && !frame.OutOfStep:
		return 0
	case errors.As(e.Err, &code) && (code == kafkago.SASLAuthenticationFailed || code == kafkago.UnsupportedSASLMechanism || code == kafkago.IllegalSASLState):
		return 0
	case errors.Is(e.Err, ErrClosed):
		return 0
	}
	return Retry | Refresh
}

// FrameError is an answer that cannot be one: wrong correlation id, impossible or refused size, bytes that do not parse.
// The connection it came over is closed.
type FrameError struct {
	Reason string
	Err    error // may be nil
	// OutOfStep says that it is the answer to another request: one that came twice, or late. A new connection mends that.
	OutOfStep bool
}

func (e *FrameError) Error() string {
	if e.Err != nil {
		return e.Reason + ": " + e.Err.Error()
	}
	return e.Reason
}
func (e *FrameError) Unwrap() error { return e.Err }

// VersionError says that the broker and this client have no version of a request in common.
type VersionError struct {
	API                  int16
	Node                 int32
	Min, Max             int16 // ours
	BrokerMin, BrokerMax int16 // −1: the broker does not know the request
}

func (e *VersionError) Error() string {
	if e.BrokerMax < 0 {
		return fmt.Sprintf("%s to %s: the broker does not know this request: Kafka 2.5 or newer is needed", apiName(e.API), nodeName(e.Node))
	}
	return fmt.Sprintf("%s to %s: it speaks versions %d to %d, we %d to %d: use a broker from Kafka 2.5 on, or a newer Oxbow",
		apiName(e.API), nodeName(e.Node), e.BrokerMin, e.BrokerMax, e.Min, e.Max)
}

// ErrClosed is returned by every call after Close.
var ErrClosed = errors.New("kafka client is closed")

// ActionOf tells what may be done about err: the actions of the BrokerError or ConnError in its chain, else none. A
// context that ended asks for nothing.
func ActionOf(err error) Action {
	var a interface{ Action() Action }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &a):
		return a.Action()
	}
	return 0
}

// Retriable tells whether the same request may succeed later.
func Retriable(err error) bool { return ActionOf(err).Has(Retry) }

// connHint says what to look at when a connection fails in a way that has an everyday cause.
func connHint(err error, cfg *Config, fresh bool) string {
	var cert *tls.CertificateVerificationError
	var host x509.HostnameError
	var rec tls.RecordHeaderError
	var code kafkago.Error
	switch {
	case errors.As(err, &host):
		return "the broker's certificate is for another name: let the broker advertise a name that is in the certificate, or set TLS.ServerName"
	case errors.As(err, &cert):
		return "the broker's certificate is signed by a CA that TLS.RootCAs does not hold: add it"
	case errors.As(err, &rec):
		return "the broker's listener does not speak TLS: leave TLS unset, or use the port of its TLS listener"
	case errors.As(err, &code) && code == kafkago.SASLAuthenticationFailed:
		return "the broker refused the credentials: check user and password, and that this user exists for mechanism " + mechanismName(cfg)
	case errors.As(err, &code) && code == kafkago.UnsupportedSASLMechanism:
		return "the broker's listener does not offer SASL mechanism " + mechanismName(cfg) + ": use one of its sasl.enabled.mechanisms"
	case errors.As(err, &code) && code == kafkago.IllegalSASLState:
		return "the broker's listener does not use SASL: leave SASL unset, or use the port of its SASL listener"
	case err != nil && strings.Contains(err.Error(), "expecting TLS"):
		return "the broker's listener speaks TLS: set TLS"
	case fresh && isEOF(err) && cfg.TLS == nil && cfg.SASL == nil:
		return "the broker closed a new connection without a word: does the listener want TLS or SASL?"
	case fresh && isEOF(err) && cfg.SASL == nil:
		return "the broker closed a new connection without a word: does the listener want SASL?"
	case fresh && isEOF(err) && cfg.SASL != nil:
		return "the broker closed a new connection: if it goes on, check user, password and mechanism " + mechanismName(cfg)
	}
	return ""
}

func mechanismName(cfg *Config) string {
	if cfg.SASL == nil {
		return "none"
	}
	return cfg.SASL.Name()
}

// nodeName names a broker in errors; requests to any broker begin at the bootstrap addresses.
func nodeName(node int32) string {
	if node < 0 {
		return "the cluster"
	}
	return "broker " + strconv.Itoa(int(node))
}

// apiName is the name of a kind of request.
func apiName(key int16) string {
	if n := kmsg.NameForKey(key); n != "Unknown" && n != "" {
		return n
	}
	return "request " + strconv.Itoa(int(key))
}

func isContextErr(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
