package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Papers are an authority and what it has signed, as files and as values.
type Papers struct {
	folder    string
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
}

func newPapers(folder string) *Papers {
	p := &Papers{folder: folder}
	p.authority, p.key = p.sign("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	})
	p.sign("server", &x509.Certificate{
		Subject: pkix.Name{CommonName: "server"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	p.sign("client", &x509.Certificate{
		Subject:        pkix.Name{CommonName: "client", Organization: []string{"Acme"}},
		EmailAddresses: []string{"ann@example.org"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return p
}

func (p *Papers) path(name string) string { return filepath.Join(p.folder, name) }

func (p *Papers) sign(name string, what *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	what.SerialNumber = big.NewInt(time.Now().UnixNano())
	what.NotBefore, what.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	parent, signer := p.authority, p.key
	if parent == nil {
		parent, signer = what, key
	}
	der, err := x509.CreateCertificate(rand.Reader, what, parent, &key.PublicKey, signer)
	must(err)
	certificate, err := x509.ParseCertificate(der)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	p.write(name+".pem", "CERTIFICATE", der)
	p.write(name+".key", "PRIVATE KEY", private)
	return certificate, key
}

func (p *Papers) write(name, kind string, der []byte) {
	must(os.WriteFile(p.path(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (p *Papers) read(name string) string {
	text, err := os.ReadFile(p.path(name))
	must(err)
	return string(text)
}

// tls is the block of the broker's configuration.
func (p *Papers) tls(more string) string {
	return fmt.Sprintf("tls { cert_file: %q, key_file: %q, ca_file: %q, %s }\n",
		p.path("server.pem"), p.path("server.key"), p.path("ca.pem"), more)
}

func (p *Papers) trusted() nats.Option { return nats.RootCAs(p.path("ca.pem")) }

func (p *Papers) certificate() nats.Option {
	return nats.ClientCert(p.path("client.pem"), p.path("client.key"))
}

// with runs a broker with this configuration meanwhile.
func with(t *Trial, config func(*Papers) string, run func(b *Broker, p *Papers)) {
	folder, err := os.MkdirTemp("", "interop")
	must(err)
	defer os.RemoveAll(folder)
	papers := newPapers(folder)
	file := papers.path("broker.conf")
	must(os.WriteFile(file, []byte(config(papers)), 0o600))
	broker := &Broker{binary: t.broker.binary, port: t.broker.port + 1, args: []string{"-c", file}}
	broker.start()
	defer broker.kill()
	run(broker, papers)
}

// roundTrip connects, and sends a message to itself.
func roundTrip(url string, options ...nats.Option) {
	nc, err := nats.Connect(url, append(options, nats.Timeout(answerTime), nats.NoReconnect())...)
	must(err)
	defer nc.Close()
	sub := subscribe(nc, "go.trip")
	must(nc.Publish("go.trip", []byte("there and back")))
	message, err := sub.NextMsg(answerTime)
	must(err)
	equal(string(message.Data), "there and back", "payload")
}

// refused fails if the broker lets in who presents this.
func refused(url string, options ...nats.Option) {
	nc, err := nats.Connect(url, append(options, nats.Timeout(answerTime), nats.NoReconnect())...)
	if err == nil {
		nc.Close()
		fail("let in")
	}
}

func users(text string) func(*Papers) string {
	return func(*Papers) string { return "authorization { users: [ " + text + " ] }\n" }
}

func loginByNKey(t *Trial) {
	user, err := nkeys.CreateUser()
	must(err)
	public, err := user.PublicKey()
	must(err)
	other, err := nkeys.CreateUser()
	must(err)
	with(t, users(fmt.Sprintf("{nkey: %s}, {user: ann, password: a}", public)), func(b *Broker, _ *Papers) {
		roundTrip(b.url(), nats.Nkey(public, user.Sign))
		roundTrip(b.url(), nats.UserInfo("ann", "a"))
		refused(b.url(), nats.Nkey(public, other.Sign))
		refused(b.url())
	})
}

func tlsAndMutualTLS(t *Trial) {
	with(t, func(p *Papers) string { return p.tls("") }, func(b *Broker, p *Papers) {
		roundTrip(b.url(), p.trusted())
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			pool := x509.NewCertPool()
			pool.AddCert(p.authority)
			roundTrip(b.url(), nats.Secure(&tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version}))
		}
		refused(b.url())
	})
	with(t, func(p *Papers) string { return p.tls("verify: true") }, func(b *Broker, p *Papers) {
		roundTrip(b.url(), p.trusted(), p.certificate())
		refused(b.url(), p.trusted())
	})
}

func certificateIsTheUser(t *Trial) {
	config := func(p *Papers) string {
		return p.tls("verify_and_map: true") +
			"authorization { users: [ {user: \"ann@example.org\", permissions: {publish: \"go.trip\", subscribe: \"go.trip\"}} ] }\n"
	}
	with(t, config, func(b *Broker, p *Papers) {
		roundTrip(b.url(), p.trusted(), p.certificate())
	})
}

func handshakeFirst(t *Trial) {
	for _, value := range []string{"true", "auto", `"300ms"`} {
		with(t, func(p *Papers) string { return p.tls("handshake_first: " + value) }, func(b *Broker, p *Papers) {
			roundTrip(b.url(), p.trusted(), nats.TLSHandshakeFirst())
			if value == "auto" {
				roundTrip(b.url(), p.trusted())
			}
		})
	}
}

func permissionsAreTold(t *Trial) {
	config := users("{user: ann, password: a, permissions: {publish: {allow: [\"ok.>\"]}, subscribe: {deny: \"secret.>\"}}}")
	with(t, config, func(b *Broker, _ *Papers) {
		told := make(chan error, 16)
		nc, err := nats.Connect(b.url(), nats.UserInfo("ann", "a"), nats.Timeout(answerTime),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))
		must(err)
		defer nc.Close()
		wait := func(what string) {
			select {
			case err := <-told:
				if !errors.Is(err, nats.ErrPermissionViolation) {
					fail("%s: told %v", what, err)
				}
			case <-time.After(answerTime):
				fail("%s: no word", what)
			}
		}
		must(nc.Publish("other", nil))
		wait("a publish to what is not allowed")
		subscribe(nc, "secret.a")
		wait("a subscription to what is denied")
		all := subscribe(nc, ">")
		allowed := subscribe(nc, "ok.a")
		must(nc.Publish("ok.a", []byte("x")))
		must(nc.Publish("secret.b", []byte("x")))
		flush(nc)
		wait("a publish to what is denied")
		equal(payloads(allowed), []string{"x"}, "what is allowed")
		equal(payloads(all), []string{"x"}, "what a wildcard gets")
	})
}

// webSocket is the block of the broker's configuration, on a port beside the broker's.
func webSocket(b int, more string) string {
	return fmt.Sprintf("websocket { listen: \"127.0.0.1:%d\", %s }\n", b+2, more)
}

func webSockets(t *Trial) {
	port := t.broker.port
	url := fmt.Sprintf("127.0.0.1:%d", port+2)
	with(t, func(*Papers) string { return webSocket(port, "no_tls: true, compression: true") }, func(b *Broker, _ *Papers) {
		roundTrip("ws://" + url)
		roundTrip("ws://"+url, nats.Compression(true))
		largeAndMany("ws://" + url)
		largeAndMany("ws://"+url, nats.Compression(true))
		roundTrip(b.url())
	})
	with(t, func(p *Papers) string { return webSocket(port, p.tls("")) }, func(_ *Broker, p *Papers) {
		roundTrip("wss://"+url, p.trusted())
		largeAndMany("wss://"+url, p.trusted())
	})
}

// largeAndMany sends payloads of many sizes to itself.
func largeAndMany(url string, options ...nats.Option) {
	nc, err := nats.Connect(url, append(options, nats.Timeout(answerTime), nats.NoReconnect())...)
	must(err)
	defer nc.Close()
	sub := subscribe(nc, "go.sizes")
	var sent []string
	for _, size := range []int{0, 1, 125, 126, 127, 4096, 65535, 65536, 500_000, 1024 * 1024} {
		payload := make([]byte, size)
		_, err := rand.Read(payload)
		must(err)
		sent = append(sent, string(payload))
	}
	sent = append(sent, numbered(5000, "message")...)
	for _, payload := range sent {
		must(nc.Publish("go.sizes", []byte(payload)))
	}
	for i, payload := range sent {
		message, err := sub.NextMsg(answerTime)
		must(err)
		if string(message.Data) != payload {
			fail("message %d of %d bytes has changed", i, len(payload))
		}
	}
}
