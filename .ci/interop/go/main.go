// The official Go client (nats.go) against a broker: `interop BROKER_BINARY PORT DATA_DIR`.
//
// Nothing here sleeps to wait for the broker. Once the publisher's flush returns the broker has
// taken every message, and once the subscriber's flush returns the client has queued them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// Longest time for one check.
const checkTime = 60 * time.Second

type check struct {
	name string
	run  func(t *Trial)
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: interop BROKER_BINARY PORT DATA_DIR")
		os.Exit(2)
	}
	binary, err := filepath.Abs(os.Args[1])
	must(err)
	port, err := strconv.Atoi(os.Args[2])
	must(err)
	broker := &Broker{binary: binary, port: port}
	passed, failed := 0, 0
	for _, c := range checks {
		if reason := attempt(c, &Trial{broker: broker, data: os.Args[3]}); reason != "" {
			failed++
			fmt.Println("FAIL", c.name, strings.Join(strings.Fields(reason), " "))
			_ = caught(broker.kill)
		} else {
			passed++
			fmt.Println("ok", c.name)
		}
	}
	_ = caught(broker.kill)
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}

// attempt runs one check and returns why it failed.
func attempt(c check, t *Trial) string {
	done := make(chan string, 1)
	go func() {
		reason := caught(func() {
			if !t.broker.running() {
				t.broker.command = nil
				t.broker.start()
			}
			c.run(t)
			if !t.broker.running() {
				fail("the broker has ended")
			}
		})
		if end := caught(t.end); reason == "" {
			reason = end
		}
		done <- reason
	}()
	select {
	case reason := <-done:
		return reason
	case <-time.After(checkTime):
		return fmt.Sprintf("not finished after %v", checkTime)
	}
}

func caught(f func()) (reason string) {
	defer func() {
		if problem := recover(); problem != nil {
			reason = fmt.Sprint(problem)
		}
	}()
	f()
	return ""
}

// Trial holds one check's connections. Whatever goes wrong on them unannounced fails the check.
type Trial struct {
	broker         *Broker
	data           string
	mu             sync.Mutex
	clients        []*nats.Conn
	troubles       []string
	lossIsExpected atomic.Bool
}

func (t *Trial) connect(options ...nats.Option) *nats.Conn {
	options = append([]nats.Option{
		nats.MaxReconnects(-1),
		nats.ReconnectWait(20 * time.Millisecond),
		nats.ReconnectJitter(0, 0),
		nats.SyncQueueLen(16 * 1024),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			t.trouble("error on a connection: %v", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			t.trouble("a connection was lost: %v", err)
		}),
	}, options...)
	nc, err := nats.Connect(t.broker.url(), options...)
	must(err)
	t.mu.Lock()
	t.clients = append(t.clients, nc)
	t.mu.Unlock()
	return nc
}

func (t *Trial) trouble(format string, args ...any) {
	if !t.lossIsExpected.Load() {
		t.mu.Lock()
		t.troubles = append(t.troubles, fmt.Sprintf(format, args...))
		t.mu.Unlock()
	}
}

func (t *Trial) end() {
	t.lossIsExpected.Store(true)
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, nc := range t.clients {
		nc.Close()
	}
	if len(t.troubles) > 0 {
		fail("%s", strings.Join(t.troubles, "; "))
	}
}

func fail(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func equal(found, wanted any, what string) {
	if !reflect.DeepEqual(found, wanted) {
		fail("%s: found %s, expected %s", what, brief(found), brief(wanted))
	}
}

// sameList names the first place where two lists differ, not both lists.
func sameList(found, wanted []string, what string) {
	for i := range min(len(found), len(wanted)) {
		if found[i] != wanted[i] {
			fail("%s: item %d is %s, expected %s", what, i, brief(found[i]), brief(wanted[i]))
		}
	}
	if n := len(found) - len(wanted); n > 0 {
		fail("%s: %d too many, first %s", what, n, brief(found[len(wanted)]))
	} else if n < 0 {
		fail("%s: %d missing, first %s", what, -n, brief(wanted[len(found)]))
	}
}

func brief(value any) string {
	text := fmt.Sprintf("%q", value)
	if len(text) > 300 {
		text = fmt.Sprintf("%s... (%d characters)", text[:300], len(text))
	}
	return text
}

func await[T any](ch <-chan T, what string) T {
	select {
	case value := <-ch:
		return value
	case <-time.After(answerTime):
		fail("no %s within %v", what, answerTime)
		panic("unreachable")
	}
}
