package realkafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Login is a user that the SASL_SSL listener lets in, by this mechanism only.
type Login struct {
	Mechanism, User, Password string
}

// Logins are the users of a cluster with Options.Secure.
var Logins = []Login{
	{"PLAIN", "alice", "alice-secret"},
	{"SCRAM-SHA-256", "carol", "carol-secret"},
	{"SCRAM-SHA-512", "bob", "bob-secret"},
}

// TLS is a configuration that trusts the certificate authority of a cluster with Options.Secure. The brokers'
// certificate is for the name localhost and the address 127.0.0.1.
func (c *Cluster) TLS() *tls.Config {
	return &tls.Config{RootCAs: c.authority, MinVersion: tls.VersionTLS12}
}

// secureProperties are what the SASL_SSL listener needs.
func (c *Cluster) secureProperties() map[string]string {
	const (
		plain = "listener.name.sasl_ssl.plain.sasl.jaas.config"
		scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	)
	p := map[string]string{
		"ssl.keystore.type":       "PEM",
		"ssl.keystore.location":   c.keystore,
		"sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		plain:                     "org.apache.kafka.common.security.plain.PlainLoginModule required",
		"listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": scram,
		"listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": scram,
	}
	for _, l := range Logins {
		if l.Mechanism == "PLAIN" {
			p[plain] += fmt.Sprintf(" user_%s=%q", l.User, l.Password)
		}
	}
	p[plain] += ";"
	return p
}

// scramUsers are the arguments of format that create the users of the SCRAM mechanisms.
func scramUsers() []string {
	var args []string
	for _, l := range Logins {
		if l.Mechanism != "PLAIN" {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", l.Mechanism, l.User, l.Password))
		}
	}
	return args
}

// makeCertificates writes a key and certificate for the brokers into dir and returns its path and who signed it.
func makeCertificates(dir string) (keystore string, authority *x509.CertPool, err error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "oxbow test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return "", nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return "", nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", nil, err
	}
	var text []byte
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER})...)
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})...)
	keystore = filepath.Join(dir, "broker.pem")
	if err := os.WriteFile(keystore, text, 0o600); err != nil {
		return "", nil, err
	}
	authority = x509.NewCertPool()
	cert, err := x509.ParseCertificate(caDER)
	if err != nil {
		return "", nil, err
	}
	authority.AddCert(cert)
	return keystore, authority, nil
}
