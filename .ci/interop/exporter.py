"""The exporter for Prometheus against a broker: `exporter.py BROKER_BINARY PORT`, the exporter in
$NATS_EXPORTER.

What it makes of the monitoring port is compared with what the port tells, and its metrics with those
that it makes of a nats-server, if there is one in PATH.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from support import ANSWER_SECONDS, Broker, Failed, Raw, arguments, expect, expect_equal, run_checks

BINARY, PORT = arguments()
EXPORTER = os.environ.get("NATS_EXPORTER", "prometheus-nats-exporter")
MONITOR, SCRAPE = PORT + 1, PORT + 2
# Everything that it can ask of a broker without JetStream.
COLLECTORS = ["-varz", "-connz_detailed", "-subz", "-routez", "-gatewayz", "-leafz", "-healthz"]
# Metrics of releases after 2.10, the one that midge announces: where its disks are waited for, and
# fields of /subsz that 2.10 sends only with a list.
LATER = re.compile("gnatsd_(varz_(disk_io_wait_stats|stalled_clients)|subsz_(server_id|total|offset|limit))")
# Numbers of /varz that change from one look to the next, by themselves or since they are asked for.
RESTLESS = ("cpu", "mem")


def monitored(binary=BINARY, name="exported"):
    return Broker(binary, PORT, args=["-m", str(MONITOR), "-n", name])


def told(path):
    with urllib.request.urlopen(f"http://127.0.0.1:{MONITOR}{path}", timeout=ANSWER_SECONDS) as answer:
        return json.load(answer)


class Metrics:
    """The lines of a scrape: value by name and labels."""

    def __init__(self, text, prefix):
        self.values = {}
        self.types = dict(re.findall(rf"^# TYPE ({prefix}_\S+) (\S+)$", text, re.M))
        for name, labels, value in re.findall(rf"^({prefix}_\w+)\{{(.*)\}} (\S+)$", text, re.M):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            self.values[name, tuple(sorted(labels.items()))] = float(value)

    def names(self):
        """Names, each with the names of its labels."""
        return {(name, tuple(label for label, _ in labels)) for name, labels in self.values}

    def one(self, name, /, **labels):
        found = [
            value
            for (known, has), value in self.values.items()
            if known == name and labels.items() <= dict(has).items()
        ]
        expect_equal(len(found), 1, f"metrics {name} with {labels}")
        return found[0]


@contextlib.contextmanager
def exporter(*flags):
    """An exporter that has found its broker."""
    command = [EXPORTER, "-a", "127.0.0.1", "-p", str(SCRAPE), *flags, f"http://127.0.0.1:{MONITOR}/"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + ANSWER_SECONDS
        # It does not tell when it listens.
        while True:
            expect(process.poll() is None, f"the exporter has ended: {process.stderr}")
            try:
                socket.create_connection(("127.0.0.1", SCRAPE), timeout=1).close()
                break
            except OSError:
                expect(time.monotonic() < deadline, "the exporter does not listen")
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.communicate()


def scrape(prefix="gnatsd"):
    with urllib.request.urlopen(f"http://127.0.0.1:{SCRAPE}/metrics", timeout=ANSWER_SECONDS) as answer:
        return Metrics(answer.read().decode(), prefix)


@contextlib.contextmanager
def traffic():
    """Two clients that have talked, and are still there."""
    about = {"lang": "go", "version": "1.2.3"}
    with Raw(PORT, {"name": "listener", **about}) as sub, Raw(PORT, {"name": "talker", **about}) as pub:
        sub.send(b"SUB told.> 1\r\nSUB told.here q 2\r\n")
        sub.ping()
        pub.send(b"PUB told.here 5\r\nhello\r\n" * 10 + b"PUB nobody 3\r\nabc\r\n")
        pub.ping()
        sub.ping()
        yield


def numbers(value, path):
    """Every number in an answer, as the exporter names it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from numbers(inner, f"{path}_{key}")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def every_number_of_varz_is_a_metric():
    with monitored(), traffic(), exporter(*COLLECTORS):
        metrics, varz = scrape(), told("/varz")
        count = 0
        for name, value in numbers(varz, "gnatsd_varz"):
            if "http_req_stats" in name:
                continue
            found = metrics.one(name)
            if not name.endswith(RESTLESS):
                expect_equal(found, float(value), name)
            count += 1
        expect(count > 25, f"only {count} numbers")
        for name, value in (("in_msgs", 11), ("out_msgs", 20), ("in_bytes", 53), ("out_bytes", 100)):
            expect_equal(metrics.one(f"gnatsd_varz_{name}"), value, name)
        expect_equal(metrics.one("gnatsd_varz_version", value=varz["version"]), 1, "version")
        expect(metrics.one("gnatsd_varz_mem") > 1_000_000, "memory")


def every_connection_has_its_metrics():
    with monitored(), traffic(), exporter(*COLLECTORS):
        metrics, connz = scrape(), told("/connz")
        expect_equal(metrics.one("gnatsd_connz_num_connections"), 2, "connections")
        expect_equal(len(connz["connections"]), 2, "connections")
        for connection in connz["connections"]:
            labels = {name: connection[name] for name in ("kind", "type", "ip", "name", "lang", "version")}
            labels |= {"cid": str(connection["cid"]), "port": str(connection["port"])}
            for name in ("pending_bytes", "in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions"):
                expect_equal(metrics.one(f"gnatsd_connz_{name}", **labels), connection[name], name)
        expect_equal(metrics.one("gnatsd_connz_out_msgs", name="listener"), 20, "delivered")
        expect_equal(metrics.one("gnatsd_connz_in_msgs", name="talker"), 11, "published")


def other_endpoints_become_metrics():
    with monitored(), traffic(), exporter(*COLLECTORS):
        metrics, subsz = scrape(), told("/subsz")
        for name, value in numbers(subsz, "gnatsd_subsz"):
            if not name.endswith(("limit", "offset", "total")):
                expect_equal(metrics.one(name), float(value), name)
        # Of those in nats-server most are its own.
        expect(metrics.one("gnatsd_subsz_num_subscriptions") >= 2, "subscriptions")
        expect_equal(metrics.one("gnatsd_routez_num_routes"), 0, "routes")
        expect_equal(metrics.one("gnatsd_leafz_conn_nodes_total"), 0, "leaf nodes")
        expect_equal(metrics.one("gnatsd_healthz_status"), 0, "health, where 0 is good")


def names_and_prefix_are_those_that_were_asked_for():
    with monitored():
        varz = told("/varz")
        for flag, field in (("-use_internal_server_id", "server_id"), ("-use_internal_server_name", "server_name")):
            with exporter("-varz", flag, "-prefix=nats"):
                metrics = scrape("nats")
                expect_equal(metrics.one("nats_varz_max_payload", server_id=varz[field]), 1048576, flag)


def lame_duck_mode_is_ill_health():
    with monitored() as broker, traffic(), exporter("-healthz"):
        expect_equal(scrape().one("gnatsd_healthz_status"), 0, "health")
        broker.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + ANSWER_SECONDS
        while health_code() == 200:
            expect(time.monotonic() < deadline, "it stays in good health")
        expect_equal(scrape().one("gnatsd_healthz_status"), 1, "health in lame duck mode")


def health_code():
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{MONITOR}/healthz", timeout=ANSWER_SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def metrics_of_nats_server_are_all_there():
    reference = shutil.which("nats-server")
    if reference is None:
        raise Failed("there is no nats-server in PATH")
    seen = []
    for binary in (BINARY, reference):
        with monitored(binary), traffic(), exporter(*COLLECTORS):
            # What it has asked for itself is counted, by the path.
            scrape()
            seen.append(scrape())
    ours, theirs = seen
    expect(len(theirs.names()) > 50, f"only {len(theirs.names())} metrics of nats-server")
    missing = sorted(name for name in theirs.names() - ours.names() if not LATER.match(name[0]))
    expect_equal(missing, [], "metrics that only nats-server has")
    for name, kind in theirs.types.items():
        if not LATER.match(name):
            expect_equal(ours.types.get(name), kind, f"type of {name}")
    # What two clients have done is the same, whichever server counts. Subscriptions are not: nats-server has
    # dozens of its own.
    for name in ("in_msgs", "out_msgs", "in_bytes", "out_bytes", "connections", "max_payload", "ping_interval"):
        name = f"gnatsd_varz_{name}"
        expect_equal(ours.one(name), theirs.one(name), name)


run_checks(
    [
        every_number_of_varz_is_a_metric,
        every_connection_has_its_metrics,
        other_endpoints_become_metrics,
        names_and_prefix_are_those_that_were_asked_for,
        lame_duck_mode_is_ill_health,
        metrics_of_nats_server_are_all_there,
    ]
)
