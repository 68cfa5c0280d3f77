package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Longest time for one answer. Reaching it is a failure, never a way to wait.
const answerTime = 10 * time.Second

// Broker is one broker process that the checks start, stop and restart on the same port.
type Broker struct {
	binary  string
	port    int
	args    []string
	command *exec.Cmd
	ended   chan struct{}
}

// start returns once the broker's log says that it is ready.
func (b *Broker) start() {
	b.command = exec.Command(b.binary, append([]string{"-a", "127.0.0.1", "-p", fmt.Sprint(b.port)}, b.args...)...)
	log, err := b.command.StderrPipe()
	must(err)
	must(b.command.Start())
	ready := make(chan bool, 1)
	ended := make(chan struct{})
	b.ended = ended
	var mu sync.Mutex
	var lines []string
	command := b.command
	go func() {
		scanner := bufio.NewScanner(log)
		for scanner.Scan() {
			mu.Lock()
			lines = append(lines, scanner.Text())
			mu.Unlock()
			if strings.Contains(scanner.Text(), "Server is ready") {
				ready <- true
			}
		}
		_ = command.Wait()
		close(ended)
	}()
	why := "the broker did not become ready"
	select {
	case <-ready:
		return
	case <-ended:
		why = "the broker ended"
	case <-time.After(answerTime):
	}
	b.kill()
	mu.Lock()
	defer mu.Unlock()
	fail("%s; its log: %s", why, strings.Join(lines, " / "))
}

func (b *Broker) running() bool {
	if b.command == nil {
		return false
	}
	select {
	case <-b.ended:
		return false
	default:
		return true
	}
}

func (b *Broker) stop() { b.end(syscall.SIGTERM) }
func (b *Broker) kill() { b.end(syscall.SIGKILL) }

func (b *Broker) end(number syscall.Signal) {
	if b.command == nil {
		return
	}
	_ = b.command.Process.Signal(number)
	ended := b.ended
	b.command = nil
	select {
	case <-ended:
	case <-time.After(answerTime):
		fail("the broker is still running after %v", number)
	}
}

func (b *Broker) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", b.port) }

// Raw is a client that is nothing but a socket.
type Raw struct {
	conn   net.Conn
	reader *bufio.Reader
}

func rawClient(b *Broker, options map[string]any) *Raw {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.port))
	must(err)
	must(conn.SetDeadline(time.Now().Add(answerTime)))
	r := &Raw{conn, bufio.NewReader(conn)}
	info := r.line()
	if !strings.HasPrefix(info, "INFO {") {
		fail("first line is %q", info)
	}
	all := map[string]any{"verbose": false, "pedantic": false}
	for k, v := range options {
		all[k] = v
	}
	text, err := json.Marshal(all)
	must(err)
	r.send("CONNECT " + string(text) + "\r\n")
	equal(r.ping(), []string(nil), "lines after CONNECT")
	return r
}

func (r *Raw) send(text string) {
	_, err := io.WriteString(r.conn, text)
	must(err)
}

// line is the next line without its CR LF.
func (r *Raw) line() string {
	line, err := r.reader.ReadString('\n')
	if err != nil {
		fail("the broker closed the connection after %q: %v", line, err)
	}
	return strings.TrimSuffix(line, "\r\n")
}

// ping makes a round trip and returns the lines that came before the answer.
func (r *Raw) ping() (lines []string) {
	r.send("PING\r\n")
	for {
		switch line := r.line(); line {
		case "PONG":
			return lines
		case "PING":
			r.send("PONG\r\n")
		default:
			lines = append(lines, line)
		}
	}
}

// expectEnd fails if the broker says anything before it closes.
func (r *Raw) expectEnd() {
	rest, err := io.ReadAll(r.reader)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		fail("the broker did not close the connection")
	}
	equal(string(rest), "", "bytes before the close")
}

// Recorder dials for a client and keeps what the broker said.
type Recorder struct {
	mu   sync.Mutex
	said bytes.Buffer
}

func (r *Recorder) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, answerTime)
	if err != nil {
		return nil, err
	}
	return &recorded{conn, r}, nil
}

func (r *Recorder) count(line string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range strings.Split(r.said.String(), "\r\n") {
		if l == line {
			n++
		}
	}
	return n
}

type recorded struct {
	net.Conn
	recorder *Recorder
}

func (c *recorded) Read(data []byte) (int, error) {
	n, err := c.Conn.Read(data)
	c.recorder.mu.Lock()
	c.recorder.said.Write(data[:n])
	c.recorder.mu.Unlock()
	return n, err
}
