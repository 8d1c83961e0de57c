package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/segmentio/kafka-go/sasl"
	saslplain "github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// selfSigned makes a certificate for 127.0.0.1, or for another name, and a pool that trusts it.
func selfSigned(t testing.TB, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if name == "" {
		tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		tmpl.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func scramOf(t testing.TB, user, pass string) sasl.Mechanism {
	t.Helper()
	m, err := scram.Mechanism(scram.SHA256, user, pass)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every mistake in the security settings is told with what to do about it, and only what may pass is retried.
func TestSecurityMistakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cert, pool := selfSigned(t, "")
		other, otherPool := selfSigned(t, "elsewhere")
		server := &tls.Config{Certificates: []tls.Certificate{cert}}
		client := &tls.Config{RootCAs: pool}
		admin := scramOf(t, "admin", "secret")
		both := []kfake.Opt{kfake.TLS(server), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "admin", "secret")}
		for _, tc := range []struct {
			name   string
			broker []kfake.Opt
			tls    *tls.Config
			sasl   sasl.Mechanism
			answer map[kmsg.Key]int16 // what a broker says that, unlike kfake, does not just hang up
			hint   string             // "" is success
			final  bool
		}{
			{name: "all well", broker: both, tls: client, sasl: admin},
			{name: "wrong password", broker: both, tls: client, sasl: scramOf(t, "admin", "no"), hint: "check user, password"},
			{name: "wrong password, said so", broker: both, tls: client, sasl: admin, answer: map[kmsg.Key]int16{kmsg.SASLAuthenticate: 58}, hint: "check user and password", final: true},
			{name: "another mechanism", broker: both, tls: client, sasl: saslplain.Mechanism{Username: "admin", Password: "secret"},
				answer: map[kmsg.Key]int16{kmsg.SASLHandshake: 33}, hint: "does not offer SASL mechanism PLAIN", final: true},
			{name: "SASL to a port without", broker: both[:1], tls: client, sasl: admin, answer: map[kmsg.Key]int16{kmsg.SASLHandshake: 34}, hint: "leave SASL unset", final: true},
			{name: "CA unknown", broker: both, tls: &tls.Config{RootCAs: otherPool}, sasl: admin, hint: "TLS.RootCAs", final: true},
			{name: "name not in the certificate", broker: []kfake.Opt{kfake.TLS(&tls.Config{Certificates: []tls.Certificate{other}})},
				tls: &tls.Config{RootCAs: otherPool}, hint: "TLS.ServerName", final: true},
			{name: "TLS without SASL", broker: both, tls: client, hint: "does the listener want SASL?"},
			{name: "nothing to a SASL port", broker: both[1:], hint: "does the listener want TLS or SASL?"},
		} {
			f := startFake(t, 1, tc.broker...)
			for key, code := range tc.answer {
				f.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
					f.KeepControl()
					res := req.ResponseKind()
					switch r := res.(type) {
					case *kmsg.SASLHandshakeResponse:
						r.ErrorCode = code
					case *kmsg.SASLAuthenticateResponse:
						r.ErrorCode = code
					}
					return res, nil, true
				})
			}
			c := f.open(t, func(cfg *Config) { cfg.TLS, cfg.SASL = tc.tls, tc.sasl })
			err := c.Refresh(t.Context())
			if tc.hint == "" {
				if err != nil {
					t.Errorf("%s: %v", tc.name, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), tc.hint) || Retriable(err) == tc.final {
				t.Errorf("%s: retriable %v: %v", tc.name, Retriable(err), err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: the error shows the password: %v", tc.name, err)
			}
		}
	})
}

// A connection is replaced before its SASL session ends, so that no request meets the end.
func TestConnectionsAreRenewedBeforeTheSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := startFake(t, 1, kfake.SeedTopics(1, "in"), kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "admin", "secret"),
			kfake.BrokerConfigs(map[string]string{"connections.max.reauth.ms": "10000"}))
		c := f.open(t, func(cfg *Config) { cfg.SASL = scramOf(t, "admin", "secret") })
		before := f.net.Dials()
		for range 60 {
			if _, err := c.exchange(t.Context(), 0, kmsg.NewPtrMetadataRequest()); err != nil {
				t.Fatal(err)
			}
			c.mu.Lock()
			renewed := 0
			for bc := range c.conns {
				if at := bc.renewAt.Load(); at > time.Now().UnixNano() && at <= time.Now().Add(10*time.Second).UnixNano() {
					renewed++
				}
			}
			c.mu.Unlock()
			if renewed == 0 {
				t.Fatal("no connection knows when its session ends")
			}
			time.Sleep(time.Second)
		}
		if n := f.net.Dials() - before; n < 6 || n > 20 {
			t.Fatalf("%d connections in a minute with sessions of 10 s", n)
		}
	})
}
