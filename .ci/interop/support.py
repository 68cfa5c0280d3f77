"""What the Python suites share: a broker they start and stop, a raw client, a recording relay,
and the printing of results.

Nothing here sleeps to wait for the broker. A start ends with the broker's own log line, and
"everything has arrived" is established by a round trip: once the publisher's PING is answered the
broker has taken every message, and once the subscriber's PING is answered the subscriber has them.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

# Longest time for one answer, in seconds. Reaching it is a failure, never a way to wait.
ANSWER_SECONDS = 10
# Longest time for one check, in seconds.
CHECK_SECONDS = 60

LISTENING = "Listening for client connections on "
READY = "Server is ready"


class Failed(Exception):
    """A check found something other than what it expects."""


def expect(condition, reason):
    if not condition:
        raise Failed(reason)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Failed(f"{what}: found {brief(found)}, expected {brief(wanted)}")


def brief(value):
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}... ({len(text)} characters)"


def expect_same_list(found, wanted, what):
    """Compares two lists and names the first place where they differ, not both lists."""
    for i, (a, b) in enumerate(zip(found, wanted)):
        if a != b:
            raise Failed(f"{what}: item {i} is {brief(a)}, expected {brief(b)}")
    if len(found) > len(wanted):
        raise Failed(f"{what}: {len(found) - len(wanted)} too many, first {brief(found[len(wanted)])}")
    if len(found) < len(wanted):
        raise Failed(f"{what}: {len(wanted) - len(found)} missing, first {brief(wanted[len(found)])}")


class Broker:
    """One broker process. `start` returns once its log says that it is ready."""

    def __init__(self, binary, port, args=(), host="127.0.0.1"):
        self.binary = binary
        self.host = host
        self.port = port
        self.args = list(args)
        self.process = None
        self.lines = []

    def start(self):
        expect(self.process is None, "the broker is already running")
        command = [self.binary, "-a", self.host, "-p", str(self.port), *self.args]
        self.lines = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        news = threading.Condition()
        ended = []

        def read(stream, lines):
            for line in stream:
                with news:
                    lines.append(line.decode("utf-8", "replace").rstrip("\r\n"))
                    news.notify_all()
            with news:
                ended.append(True)
                news.notify_all()

        threading.Thread(target=read, args=(self.process.stderr, self.lines), daemon=True).start()
        with news:
            news.wait_for(lambda: ended or any(READY in line for line in self.lines), ANSWER_SECONDS)
            lines = list(self.lines)
        if not any(READY in line for line in lines):
            self.kill()
            raise Failed(f"the broker did not become ready; its log: {' / '.join(lines) or 'empty'}")
        self.address = next((l.split(LISTENING)[1] for l in lines if LISTENING in l), None)
        if self.address is None:
            self.kill()
            raise Failed(f"no line {LISTENING!r} before {READY!r}: {' / '.join(lines)}")
        self.port = int(self.address.rsplit(":", 1)[1])
        return self

    def end(self, number, seconds=ANSWER_SECONDS):
        """Sends the signal and waits for the end; returns (exit status, seconds taken)."""
        process, self.process = self.process, None
        began = time.monotonic()
        process.send_signal(number)
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed(f"still running {seconds} s after {signal.Signals(number).name}") from None
        return status, time.monotonic() - began

    def stop(self):
        if self.process is not None:
            self.end(signal.SIGTERM)

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def url(self):
        return f"nats://{self.address}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()


class Raw:
    """A client that is nothing but a socket: what it sends and reads are the bytes on the wire."""

    def __init__(self, port, connect=None, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), timeout=ANSWER_SECONDS)
        self.held = b""
        line = self.line()
        expect(line.startswith(b"INFO {"), f"first line is {line!r}")
        self.info = json.loads(line[5:])
        if connect is not None:
            options = {"verbose": False, "pedantic": False, **connect}
            self.send(f"CONNECT {json.dumps(options)}\r\n".encode())
            self.ping()

    def send(self, data):
        self.socket.sendall(data)

    def line(self):
        """The next line without its CR LF."""
        while b"\r\n" not in self.held:
            self.more()
        line, self.held = self.held.split(b"\r\n", 1)
        return line

    def exactly(self, count):
        while len(self.held) < count:
            self.more()
        data, self.held = self.held[:count], self.held[count:]
        return data

    def more(self):
        data = self.socket.recv(65536)
        expect(data, f"the broker closed the connection, last bytes {self.held!r}")
        self.held += data

    def ping(self):
        """A round trip; every line that comes before the answer is returned."""
        self.send(b"PING\r\n")
        lines = []
        while True:
            line = self.line()
            if line == b"PONG":
                return lines
            if line == b"PING":
                self.send(b"PONG\r\n")
                continue
            lines.append(line)

    def expect_end(self):
        """The broker closes; anything it still says is a failure."""
        try:
            rest = self.held + self.socket.recv(65536)
        except ConnectionResetError:
            rest = self.held
        expect_equal(rest, b"", "bytes before the close")

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Relay:
    """Passes one connection on to the broker and keeps what the broker said."""

    def __init__(self, port):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self.listener.getsockname()[1]}"
        self.said = bytearray()
        threading.Thread(target=self._serve, args=(port,), daemon=True).start()

    def _serve(self, port):
        client, _ = self.listener.accept()
        self.listener.close()
        broker = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=self._copy, args=(client, broker, None), daemon=True).start()
        self._copy(broker, client, self.said)

    @staticmethod
    def _copy(source, target, record):
        try:
            while data := source.recv(65536):
                if record is not None:
                    record += data
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def lines(self):
        return bytes(self.said).split(b"\r\n")


class Results:
    """Prints one line per check and the totals at the end."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def ok(self, name):
        self.passed += 1
        print(f"ok {name}", flush=True)

    def fail(self, name, reason):
        self.failed += 1
        print(f"FAIL {name} {' '.join(str(reason).split())}", flush=True)

    def end(self):
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


def reason_of(error):
    return str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"


async def await_checks(checks, *args):
    """Awaits one check after the other, each for a bounded time; none stops the next."""
    results = Results()
    for check in checks:
        try:
            await asyncio.wait_for(check(*args), CHECK_SECONDS)
            results.ok(check.__name__)
        except Exception as error:
            results.fail(check.__name__, reason_of(error))
    results.end()


def run_checks(checks, *args):
    """Runs plain functions one after the other, each under an alarm; none stops the next."""
    results = Results()

    def too_late(*_):
        raise Failed(f"not finished after {CHECK_SECONDS} s")

    signal.signal(signal.SIGALRM, too_late)
    for check in checks:
        signal.alarm(CHECK_SECONDS)
        try:
            check(*args)
            signal.alarm(0)
            results.ok(check.__name__)
        except Exception as error:
            signal.alarm(0)
            results.fail(check.__name__, reason_of(error))
    results.end()


def arguments():
    """`SUITE BROKER_BINARY PORT`; the suite may use PORT and the nine ports above it."""
    if len(sys.argv) != 3:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} BROKER_BINARY PORT")
    return os.path.abspath(sys.argv[1]), int(sys.argv[2])
