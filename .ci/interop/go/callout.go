package main

import (
	"fmt"
	"slices"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// decide is what the service answers about a client: a user's claims that are changed, or why it stays out.
type decide func(asked *jwt.AuthorizationRequest, user *jwt.UserClaims) string

// Decider is a service that decides about clients, written with the official packages.
type Decider struct {
	issuer nkeys.KeyPair
	xkey   nkeys.KeyPair
	sealed bool
	asked  chan *jwt.AuthorizationRequest
}

func newDecider(sealed bool) *Decider {
	issuer, err := nkeys.CreateAccount()
	must(err)
	xkey, err := nkeys.CreateCurveKeys()
	must(err)
	return &Decider{issuer, xkey, sealed, make(chan *jwt.AuthorizationRequest, 64)}
}

// config is the broker's, with the service as the user auth.
func (d *Decider) config() string {
	xkey := ""
	if d.sealed {
		xkey = ", xkey: " + publicKey(d.xkey)
	}
	return fmt.Sprintf("accounts { AUTH { users: [ {user: auth, password: a} ] }, APP {} }\n"+
		"authorization { timeout: 2, auth_callout { issuer: %s, account: AUTH, auth_users: [ auth ]%s } }\n",
		publicKey(d.issuer), xkey)
}

// serve answers until its connection is closed.
func (d *Decider) serve(url string, decide decide, options ...nats.Option) *nats.Conn {
	nc, err := nats.Connect(url, append(options, nats.UserInfo("auth", "a"), nats.Timeout(answerTime))...)
	must(err)
	_, err = nc.Subscribe("$SYS.REQ.USER.AUTH", func(m *nats.Msg) {
		data, from := m.Data, m.Header.Get("Nats-Server-Xkey")
		if from != "" {
			opened, err := d.xkey.Open(data, from)
			if err != nil {
				fmt.Println("a request is not opened:", err)
				return
			}
			data = opened
		}
		request, err := jwt.DecodeAuthorizationRequestClaims(string(data))
		if err != nil {
			fmt.Println("a request is not read:", err)
			return
		}
		user := jwt.NewUserClaims(request.UserNkey)
		user.Audience = "APP"
		answer := jwt.NewAuthorizationResponseClaims(request.UserNkey)
		answer.Audience = request.Server.ID
		if answer.Error = decide(&request.AuthorizationRequest, user); answer.Error == "" {
			answer.Jwt, err = user.Encode(d.issuer)
			must(err)
		}
		text, err := answer.Encode(d.issuer)
		must(err)
		response := []byte(text)
		if from != "" {
			response, err = d.xkey.Seal(response, from)
			must(err)
		}
		d.asked <- &request.AuthorizationRequest
		must(m.Respond(response))
	})
	must(err)
	flush(nc)
	return nc
}

func publicKey(pair nkeys.KeyPair) string {
	text, err := pair.PublicKey()
	must(err)
	return text
}

func calloutDecides(t *Trial) {
	for _, sealed := range []bool{false, true} {
		decider := newDecider(sealed)
		with(t, func(*Papers) string { return decider.config() }, func(b *Broker, _ *Papers) {
			service := decider.serve(b.url(), func(asked *jwt.AuthorizationRequest, user *jwt.UserClaims) string {
				if asked.ConnectOptions.Password != "good" {
					return "no such user"
				}
				user.Name = asked.ConnectOptions.Username
				user.Pub.Allow.Add("go.>")
				return ""
			})
			defer service.Close()
			roundTrip(b.url(), nats.UserInfo("joe", "good"), nats.Name("trip"))
			asked := <-decider.asked
			equal(asked.ClientInformation.User, "joe", "user")
			equal(asked.ClientInformation.Kind, "Client", "kind")
			equal(asked.ConnectOptions.Name, "trip", "name")
			equal(asked.Server.XKey != "", sealed, "xkey of the server")
			refused(b.url(), nats.UserInfo("joe", "bad"))
			refused(b.url())
			nc, err := nats.Connect(b.url(), nats.UserInfo("joe", "good"), nats.Timeout(answerTime))
			must(err)
			defer nc.Close()
			told := make(chan error, 1)
			nc.SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err })
			must(nc.Publish("other", nil))
			equal((<-told).Error(), "nats: permissions violation: Permissions Violation for Publish to \"other\"", "what is told")
		})
	}
}

func calloutByTLS(t *Trial) {
	decider := newDecider(false)
	config := func(p *Papers) string { return p.tls("verify: true") + decider.config() }
	with(t, config, func(b *Broker, p *Papers) {
		options := []nats.Option{p.trusted(), p.certificate()}
		everybody := func(*jwt.AuthorizationRequest, *jwt.UserClaims) string { return "" }
		service := decider.serve(b.url(), everybody, options...)
		defer service.Close()
		roundTrip(b.url(), append(options, nats.UserInfo("joe", "good"))...)
		asked := <-decider.asked
		if asked.TLS == nil || len(asked.TLS.VerifiedChains) == 0 {
			fail("no certificate is told: %v", asked.TLS)
		}
		pem := asked.TLS.VerifiedChains[0][0]
		own := p.read("client.pem")
		equal(pem, own, "certificate")
		if !slices.Contains([]string{"1.2", "1.3"}, asked.TLS.Version) {
			fail("version %q", asked.TLS.Version)
		}
	})
}
