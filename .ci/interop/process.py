"""What client suites expect of the broker as a process: `process.py BROKER_BINARY PORT`."""

import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time

from support import (
    ANSWER_SECONDS,
    LISTENING,
    READY,
    Broker,
    Failed,
    Raw,
    arguments,
    expect,
    expect_equal,
    run_checks,
)

# Longest time an orderly end may take, in seconds; one suite waits no longer than 5 s.
ORDERLY_END_SECONDS = 2

BINARY, PORT = arguments()


def run_to_end(*words):
    """Runs the broker's binary with something that ends it; returns (status, stdout, stderr)."""
    try:
        done = subprocess.run([BINARY, *words], capture_output=True, timeout=ANSWER_SECONDS, text=True)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(words)}: still running after {ANSWER_SECONDS} s") from None
    return done.returncode, done.stdout, done.stderr


def version_line_is_that_of_nats_server():
    for flag in ("--version", "-version", "-v"):
        status, out, _ = run_to_end(flag)
        expect_equal(status, 0, f"exit status of {flag}")
        first = out.split("\n")[0]
        expect(re.match(r"nats-server: v(\d+\.\d+\.\d+)", first), f"{flag}: first line is {first!r}")


def log_names_the_address_before_ready():
    with Broker(BINARY, PORT) as broker:
        expect_equal(broker.address, f"127.0.0.1:{PORT}", "address in the log")
        told = next(i for i, line in enumerate(broker.lines) if LISTENING in line)
        ready = next(i for i, line in enumerate(broker.lines) if READY in line)
        expect(told < ready, "the log says ready before it names the address")
        for line in broker.lines[: ready + 1]:
            expect("[INF]" in line or "[WRN]" in line, f"line of another kind: {line!r}")
        with Raw(PORT, {}) as raw:
            expect_equal(raw.info["port"], PORT, "port in INFO")


def port_minus_one_takes_a_free_port_and_names_it():
    with Broker(BINARY, -1) as one, Broker(BINARY, -1) as two:
        expect(one.port > 0 and two.port > 0 and one.port != two.port, f"ports {one.port}, {two.port}")
        for broker in (one, two):
            with Raw(broker.port, {}) as raw:
                expect_equal(raw.info["port"], broker.port, "port in INFO")


def flags_take_one_dash_or_two_and_a_blank_or_equals_sign():
    for words in (
        ["-a", "127.0.0.1", "-p", str(PORT)],
        ["--addr", "127.0.0.1", "--port", str(PORT)],
        ["-addr=127.0.0.1", f"-port={PORT}"],
        ["--net=127.0.0.1", f"--port={PORT}"],
    ):
        # The last flag of a kind wins, so these replace the address that Broker gives.
        with Broker(BINARY, PORT + 1, args=words) as broker:
            expect_equal(broker.address, f"127.0.0.1:{PORT}", f"address with {' '.join(words)}")
            with Raw(PORT, {}) as raw:
                expect_equal(raw.info["port"], PORT, "port in INFO")


def ipv6_address_is_printed_in_brackets():
    with Broker(BINARY, PORT, host="::1") as broker:
        expect_equal(broker.address, f"[::1]:{PORT}", "address in the log")
        with Raw(PORT, {}, host="::1") as raw:
            expect_equal(raw.info["client_ip"], "::1", "client_ip")


def info_has_what_clients_read():
    with Broker(BINARY, PORT), Raw(PORT, {}) as one, Raw(PORT, {}) as two:
        for info in (one.info, two.info):
            expect(isinstance(info["server_id"], str) and info["server_id"], "server_id is empty")
            expect_equal(info["server_name"], info["server_id"], "server_name when none is set")
            expect(re.match(r"v?\d+\.\d+\.\d+", info["version"]), f"version {info['version']!r}")
            expect(isinstance(info["go"], str), "no text for go")
            wanted = {"proto": 1, "headers": True, "max_payload": 1048576, "client_ip": "127.0.0.1"}
            wanted |= {"host": "127.0.0.1", "port": PORT}
            expect_equal({key: info.get(key) for key in wanted}, wanted, "INFO")
            for key in ("auth_required", "tls_required", "tls_verify", "jetstream", "nonce", "connect_urls"):
                expect(not info.get(key), f"{key} is {info.get(key)!r}")
        expect_equal(one.info["server_id"], two.info["server_id"], "server_id of the second client")
        expect(0 < one.info["client_id"] < two.info["client_id"], "client_id does not count up")


def probe_connects_disturb_nothing():
    with Broker(BINARY, PORT) as broker, Raw(PORT, {}) as sub, Raw(PORT, {}) as pub:
        sub.send(b"SUB probe.> 1\r\n")
        expect_equal(sub.ping(), [], "answer to SUB")
        for i in range(300):
            probe = socket.create_connection(("127.0.0.1", PORT), timeout=ANSWER_SECONDS)
            if i % 3 == 1:
                expect(probe.recv(4), "no INFO")
            if i % 3 == 2:
                # With no linger the close is a reset instead of an end.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if i % 5 == 0:
                probe.sendall(b"CONNECT {")
            probe.close()
            pub.send(b"PUB probe.%d 3\r\n%03d\r\n" % (i, i))
        expect_equal(pub.ping(), [], "what the publisher is told")
        wanted = [line for i in range(300) for line in (b"MSG probe.%d 1 3" % i, b"%03d" % i)]
        expect_equal(sub.ping(), wanted, "what the subscriber receives")
        expect(broker.process.poll() is None, "the broker has ended")
        for line in broker.lines:
            expect("[ERR]" not in line and "[FTL]" not in line, f"the log says {line!r}")


def sigint_ends_it_quickly():
    ends_quickly_on(signal.SIGINT)


def sigterm_ends_it_quickly():
    ends_quickly_on(signal.SIGTERM)


def ends_quickly_on(number):
    """Clients that are connected, idle or half through a message do not hold it back."""
    broker = Broker(BINARY, PORT).start()
    try:
        with Raw(PORT, {}) as idle, Raw(PORT, {}) as busy, Raw(PORT) as silent:
            busy.send(b"PUB half 1000\r\nabc")
            _, took = broker.end(number)
            expect(took < ORDERLY_END_SECONDS, f"the end took {took:.1f} s")
            for client in (idle, busy, silent):
                try:
                    while client.socket.recv(4096):
                        pass
                except ConnectionResetError:
                    pass
            rebind_at_once()
    finally:
        broker.kill()


def sigkill_leaves_the_port_free_at_once():
    broker = Broker(BINARY, PORT).start()
    try:
        # The killed process closes first, so its end of these connections lingers on the port.
        with Raw(PORT, {}), Raw(PORT, {}):
            broker.kill()
            rebind_at_once()
    finally:
        broker.kill()


def rebind_at_once():
    with Broker(BINARY, PORT), Raw(PORT, {}) as sub:
        sub.send(b"SUB again 1\r\nPUB again 2\r\nhi\r\n")
        expect_equal(sub.ping(), [b"MSG again 1 2", b"hi"], "message of the next broker")


def log_file_holds_the_listening_line():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "broker.log")
        process = subprocess.Popen(
            [BINARY, "-a", "127.0.0.1", "-p", str(PORT), "-l", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            # This is how clients use it: they read the file over and over until the line is there.
            text = read_until(path, LISTENING, process)
            found = re.search(r"client connections on (\S+:\d+)", text)
            expect(found, f"no address in {text!r}")
            expect_equal(found[1], f"127.0.0.1:{PORT}", "address in the file")
            with Raw(int(found[1].rsplit(":", 1)[1]), {}) as raw:
                expect_equal(raw.info["port"], PORT, "port in INFO")
                expect(not raw.info.get("tls_required"), "tls_required")
            read_until(path, READY, process)
        finally:
            process.kill()
            process.wait()


def pid_file_holds_digits_only():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "broker.pid")
        for flag in ("-P", "--pid"):
            with Broker(BINARY, PORT, args=[flag, path]) as broker:
                with open(path, "rb") as file:
                    expect_equal(file.read(), str(broker.process.pid).encode(), f"content with {flag}")


def read_until(path, words, process):
    """Reads a file that another process writes until it holds a whole line with `words`."""
    deadline = time.monotonic() + ANSWER_SECONDS
    text = ""
    while time.monotonic() < deadline:
        expect(process.poll() is None, f"the broker has ended, its log holds {text!r}")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            if any(words in line for line in text.split("\n")[:-1]):
                return text
        # There is no event for a growing file; this is the poll of the suites that read it.
        time.sleep(0.01)
    raise Failed(f"no line {words!r} in the log file, which holds {text!r}")


def port_in_use_is_an_error_that_says_port():
    with Broker(BINARY, PORT) as broker, Raw(PORT, {}) as raw:
        status, out, err = run_to_end("-a", "127.0.0.1", "-p", str(PORT))
        expect(status > 0, f"exit status {status}")
        expect("port" in err.lower() and READY not in err, f"stderr is {err!r}, stdout {out!r}")
        expect_equal(raw.ping(), [], "the first broker is undisturbed")
        expect(broker.process.poll() is None, "the first broker has ended")


def has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


CHECKS = [
    version_line_is_that_of_nats_server,
    log_names_the_address_before_ready,
    port_minus_one_takes_a_free_port_and_names_it,
    flags_take_one_dash_or_two_and_a_blank_or_equals_sign,
    info_has_what_clients_read,
    probe_connects_disturb_nothing,
    sigint_ends_it_quickly,
    sigterm_ends_it_quickly,
    sigkill_leaves_the_port_free_at_once,
    log_file_holds_the_listening_line,
    pid_file_holds_digits_only,
    port_in_use_is_an_error_that_says_port,
]
if has_ipv6():
    CHECKS.append(ipv6_address_is_printed_in_brackets)
else:
    print("not run ipv6_address_is_printed_in_brackets: this machine has no ::1", flush=True)

run_checks(CHECKS)
