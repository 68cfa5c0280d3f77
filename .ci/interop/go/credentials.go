package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// The program that makes what an operator hands out, for suites of all languages.
const operatorTool = "INTEROP_OPERATOR"

// credentials lets users with files of credentials in, at a broker that keeps accounts in a directory, and has one revoked.
func credentials(t *Trial) {
	tool := os.Getenv(operatorTool)
	if tool == "" {
		fail("%s does not name the operator's tool", operatorTool)
	}
	folder, err := os.MkdirTemp("", "interop")
	must(err)
	defer os.RemoveAll(folder)
	must(exec.Command(tool, folder).Run())
	path := func(name string) string { return filepath.Join(folder, name) }
	broker := &Broker{binary: t.broker.binary, port: t.broker.port + 1, args: []string{"-c", path("broker.conf")}}
	broker.start()
	defer broker.kill()

	told, closed := make(chan error, 16), make(chan struct{})
	client := func(name string, options ...nats.Option) *nats.Conn {
		nc, err := nats.Connect(broker.url(), append(options, nats.UserCredentials(path(name+".creds")),
			nats.Timeout(answerTime), nats.NoReconnect(),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { told <- err }))...)
		must(err)
		return nc
	}
	for _, name := range []string{"ann", "bob", "cleo"} {
		nc := client(name)
		news := subscribe(nc, "cleo.news")
		_, err := nc.Subscribe("cleo.help", func(m *nats.Msg) { must(m.Respond(append([]byte("to "), m.Data...))) })
		must(err)
		must(nc.Publish("cleo.news", []byte("there and back")))
		message, err := news.NextMsg(answerTime)
		must(err)
		equal(string(message.Data), "there and back", "payload")
		answer, err := nc.Request("cleo.help", []byte(name), answerTime)
		must(err)
		equal(string(answer.Data), "to "+name, "answer")
		if name == "cleo" {
			must(nc.Publish("ann.news", nil))
			if err := await(told, "word of a violation"); !errors.Is(err, nats.ErrPermissionViolation) {
				fail("a publish beyond the scope: told %v", err)
			}
		}
		nc.Close()
	}
	refused(broker.url())

	client("bob", nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	ann, system := client("ann"), client("system")
	defer ann.Close()
	defer system.Close()
	token, err := os.ReadFile(path("revoking.jwt"))
	must(err)
	answer, err := system.Request("$SYS.REQ.CLAIMS.UPDATE", token, answerTime)
	must(err)
	if !strings.Contains(string(answer.Data), `"code":200`) {
		fail("the push is answered %s", answer.Data)
	}
	select {
	case <-closed:
	case <-time.After(answerTime):
		fail("who is revoked stays connected")
	}
	if err := await(told, "word of the revocation"); !errors.Is(err, nats.ErrAuthRevoked) {
		fail("who is revoked was told %v", err)
	}
	refused(broker.url(), nats.UserCredentials(path("bob.creds")))
	flush(ann)
}
