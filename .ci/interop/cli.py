"""The `nats` command against a broker: `cli.py BROKER_BINARY PORT`, the command in $NATS_CLI."""

import json
import os
import re
import subprocess
import tempfile
import time

from support import ANSWER_SECONDS, Broker, Raw, arguments, expect, expect_equal, expect_same_list, run_checks

# Longest time for one command, in seconds.
COMMAND_SECONDS = 30
PROBE = "probe"


class Cli:
    """Runs the command with settings of its own, away from those of the user."""

    def __init__(self, broker, home):
        self.command = os.environ.get("NATS_CLI", "nats")
        self.broker = broker
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("NATS_")},
            "HOME": home,
            "XDG_CONFIG_HOME": os.path.join(home, "config"),
            "NO_COLOR": "1",
        }
        self.running = []

    def start(self, *words):
        process = subprocess.Popen(
            [self.command, "--server", self.broker.url, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.running.append(process)
        return process

    def finish(self, process, status=0):
        """Waits for the end; returns (stdout, stderr)."""
        try:
            out, err = (text.decode() for text in process.communicate(timeout=COMMAND_SECONDS))
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = (text.decode() for text in process.communicate())
            expect(False, f"{words_of(process)} did not end; it printed {out[-200:]!r} {err[-200:]!r}")
        expect_equal(process.returncode, status, f"{words_of(process)} with {err[-300:]!r}: exit status")
        return out, err

    def run(self, *words, status=0):
        return self.finish(self.start(*words), status)

    def raw(self):
        return Raw(self.broker.port, {"headers": True, "no_responders": True})

    def wait_for_interest(self, subject):
        """Publishes a probe until the broker no longer says that it has no receiver.

        The one that gets through is the first message of the subscription.
        """
        inbox = b"_INBOX.probe"
        deadline = time.monotonic() + ANSWER_SECONDS
        with self.raw() as raw:
            raw.send(b"SUB %s 1\r\n" % inbox)
            while True:
                raw.send(f"PUB {subject} {inbox.decode()} {len(PROBE)}\r\n{PROBE}\r\n".encode())
                if not any(line.startswith(b"NATS/1.0 503") for line in raw.ping()):
                    return
                expect(time.monotonic() < deadline, f"no subscription to {subject}")

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        self.running.clear()


def words_of(process):
    return f"`nats {' '.join(process.args[3:])}`"


def pub_reaches_sub(cli):
    sub = cli.start("sub", "cli.basic.>", "--raw", "--count", "4")
    cli.wait_for_interest("cli.basic.probe")
    cli.run("pub", "cli.basic.one", "hello world")
    cli.run("pub", "cli.basic.two.three", "žluťoučký kůň 🐎")
    cli.run("pub", "cli.elsewhere", "not for the subscription")
    cli.run("pub", "cli.basic.four", "end")
    out, _ = cli.finish(sub)
    expect_same_list(out.split("\n")[:-1], [PROBE, "hello world", "žluťoučký kůň 🐎", "end"], "lines")


def pub_counts_its_messages(cli):
    with cli.raw() as raw:
        raw.send(b"SUB cli.count 1\r\n")
        raw.ping()
        cli.run("pub", "cli.count", "number {{Count}}", "--count", "50")
        wanted = []
        for i in range(1, 51):
            text = f"number {i}"
            wanted += [f"MSG cli.count 1 {len(text)}".encode(), text.encode()]
        expect_same_list(raw.ping(), wanted, "lines")


def pub_sends_headers(cli):
    sub = cli.start("sub", "cli.headers", "--count", "2")
    cli.wait_for_interest("cli.headers")
    with cli.raw() as raw:
        raw.send(b"SUB cli.headers 1\r\n")
        raw.ping()
        cli.run("pub", "cli.headers", "data", "-H", "Key:one", "-H", "Key:two", "-H", "Name:žluť")
        # The order of different keys is the publisher's whim; that of equal keys is not.
        block = ["NATS/1.0", "Key: one", "Key: two", "Name: žluť"]
        size = len("\r\n".join([*block, "", ""]).encode())
        lines = [line.decode() for line in raw.ping()]
        expect_equal(lines[:2], [f"HMSG cli.headers 1 {size} {size + 4}", block[0]], "first lines")
        expect_equal(sorted(lines[2:5]), block[1:], "header lines")
        expect(lines.index("Key: one") < lines.index("Key: two"), f"order of {lines[2:5]}")
        expect_equal(lines[5:], ["", "data"], "last lines")
    out, _ = cli.finish(sub)
    shown = out.split(f"{PROBE}\n")[1].splitlines()
    for line in ("Key: one", "Key: two", "Name: žluť", "data"):
        expect_equal(shown.count(line), 1, f"lines {line!r} in {shown}")


def request_gets_its_reply(cli):
    reply = cli.start("reply", "cli.service.*", "re: {{Request}}")
    cli.wait_for_interest("cli.service.probe")
    for text in ("first", "grüße", "third"):
        out, _ = cli.run("request", "cli.service.x", text, "--raw")
        expect_equal(out.rstrip("\n"), f"re: {text}", "output of request")
    expect(reply.poll() is None, f"{words_of(reply)} has ended")


def responders_in_a_group_answer_each_request_once(cli):
    replies = [cli.start("reply", "cli.shared", "--echo", "--queue", "q") for _ in range(2)]
    cli.wait_for_interest("cli.shared")
    with cli.raw() as raw:
        raw.send(b"SUB cli.shared 1\r\nSUB _INBOX.> 2\r\n")
        raw.ping()
        for i in range(20):
            out, _ = cli.run("request", "cli.shared", f"request {i}", "--raw")
            expect_equal(out.rstrip("\n"), f"request {i}", "output of request")
        seen = [line for line in raw.ping() if line.startswith(b"request ")]
        wanted = [text for i in range(20) for text in [f"request {i}".encode()] * 2]
        expect_same_list(seen, wanted, "requests and replies on the wire")
    for process in replies:
        expect(process.poll() is None, f"{words_of(process)} has ended")


def request_without_responder_is_told_so(cli):
    began = time.monotonic()
    _, err = cli.run("request", "cli.nobody", "question", "--timeout", f"{COMMAND_SECONDS}s")
    expect("No responders are available" in err, f"it printed {err!r}")
    expect(time.monotonic() - began < COMMAND_SECONDS / 2, "the answer came late")


def rtt_is_measured(cli):
    out, _ = cli.run("rtt", "--json", "5")
    results = [result for server in json.loads(out) for result in server["results"]]
    expect(results, f"no results in {out!r}")
    for result in results:
        expect(0 < result["rtt"] < 1_000_000_000, f"{result['rtt']} ns")
        expect_equal(result["address"], cli.broker.url, "address")


def a_health_check_finds_the_broker_well(cli):
    out, _ = cli.run("server", "check", "connection")
    expect(out.startswith("OK Connection OK:connected to " + cli.broker.url), f"it printed {out!r}")
    out, _ = cli.run("server", "check", "connection", "--format", "json")
    found = json.loads(out)
    expect_equal(found["status"], "OK", "status")
    expect_equal([value["name"] for value in found["perf_data"]], ["connect_time", "rtt", "request_time"], "measured")
    out, _ = cli.run("server", "check", "connection", "--format", "prometheus")
    expect('_status_code{item="Connection",status="OK"} 0' in out, f"it printed {out!r}")
    # No client connects within a nanosecond; the exit codes are those that monitoring plugins have.
    cli.run("server", "check", "connection", "--connect-warn", "1ns", "--connect-critical", "20s", status=1)
    cli.run("server", "check", "connection", "--connect-warn", "1ns", "--connect-critical", "1ns", status=2)


def a_health_check_of_a_service_tells_whether_it_answers(cli):
    cli.start("reply", "cli.checked", "well")
    cli.wait_for_interest("cli.checked")
    check = ["server", "check", "request", "--subject", "cli.checked"]
    out, _ = cli.run(*check, "--match-payload", "well")
    expect(out.startswith("OK cli.checked "), f"it printed {out!r}")
    out, _ = cli.run(*check, "--match-payload", "^ill$", status=2)
    expect(out.startswith("CRITICAL cli.checked "), f"it printed {out!r}")
    out, _ = cli.run("server", "check", "request", "--subject", "cli.nobody", status=2)
    expect("no responders available" in out, f"it printed {out!r}")


def account_info_tells_of_the_connection(cli):
    out, _ = cli.run("account", "info")
    with cli.raw() as raw:
        info = raw.info
    found = dict(re.findall(r"^ +([A-Z][\w ]+): (.*)$", out, re.M))
    for name, wanted in (
        ("Client IP", "127.0.0.1"),
        ("Headers Supported", "true"),
        ("Maximum Payload", "1.0 MiB"),
        ("Connected Server ID", info["server_id"]),
        ("Connected Server Version", info["version"]),
        ("TLS Connection", "no"),
    ):
        expect_equal(found.get(name), wanted, name)
    expect("JetStream is not supported" in out, f"it printed {out!r}")


def who_is_not_in_the_system_account_learns_nothing_of_servers(cli):
    """As with a nats-server whose user is not in the system account: here no user is."""
    out, err = cli.run("server", "check", "server", "--name", "x", status=2)
    expect("no responders available" in out, f"it printed {out!r} {err!r}")


def bench_pub_and_sub_lose_nothing(cli):
    count, size = 100_000, 128
    sub = cli.start("bench", "sub", "cli.bench", "--msgs", str(count + 1), "--size", f"{size}B", "--no-progress")
    cli.wait_for_interest("cli.bench")
    with cli.raw() as raw:
        raw.send(b"SUB cli.bench 1\r\n")
        raw.ping()
        pub = cli.start(
            "bench", "pub", "cli.bench", "--clients", "2", "--msgs", str(count), "--size", f"{size}B", "--no-progress"
        )
        line = b"MSG cli.bench 1 %d" % size
        for i in range(count):
            found = raw.line()
            while found == b"PING":
                raw.send(b"PONG\r\n")
                found = raw.line()
            expect_equal(found, line, f"control line {i}")
            expect_equal(raw.exactly(size + 2)[-2:], b"\r\n", f"end of message {i}")
        for process, role in ((pub, "publisher"), (sub, "subscriber")):
            out, _ = cli.finish(process)
            rate = re.search(rf"Core NATS {role}\b.* stats: ([\d,]+) msgs/sec", out)
            expect(rate and int(rate[1].replace(",", "")) > 0, f"no rate of the {role} in {out!r}")
        expect_equal(raw.ping(), [], "messages too many")


def bench_service_answers_every_request(cli):
    cli.start("bench", "service", "serve", "cli.bench.service", "--no-progress")
    cli.wait_for_interest("cli.bench.service")
    with cli.raw() as raw:
        raw.send(b"SUB cli.bench.service 1\r\n")
        raw.ping()
        out, _ = cli.run("bench", "service", "request", "cli.bench.service", "--msgs", "2000", "--no-progress")
        rate = re.search(r"requester stats: ([\d,]+) msgs/sec", out)
        expect(rate and int(rate[1].replace(",", "")) > 0, f"no rate in {out!r}")
        seen = [line for line in raw.ping() if line.startswith(b"MSG ")]
        expect_equal(len(seen), 2000, "requests on the wire")


CHECKS = [
    pub_reaches_sub,
    pub_counts_its_messages,
    pub_sends_headers,
    request_gets_its_reply,
    responders_in_a_group_answer_each_request_once,
    request_without_responder_is_told_so,
    rtt_is_measured,
    a_health_check_finds_the_broker_well,
    a_health_check_of_a_service_tells_whether_it_answers,
    account_info_tells_of_the_connection,
    who_is_not_in_the_system_account_learns_nothing_of_servers,
    bench_pub_and_sub_lose_nothing,
    bench_service_answers_every_request,
]


def tidy(check):
    """The check, followed by the end of whatever it left running."""

    def run(cli):
        if cli.broker.process is None or cli.broker.process.poll() is not None:
            cli.broker.process = None
            cli.broker.start()
        try:
            check(cli)
            expect(cli.broker.process.poll() is None, "the broker has ended")
        finally:
            cli.end()

    run.__name__ = check.__name__
    return run


def main():
    binary, port = arguments()
    broker = Broker(binary, port)
    with tempfile.TemporaryDirectory() as home:
        try:
            run_checks([tidy(check) for check in CHECKS], Cli(broker, home))
        finally:
            broker.kill()


if __name__ == "__main__":
    main()
