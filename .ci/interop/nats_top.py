"""nats-top against a broker: `nats_top.py BROKER_BINARY PORT`, the program in $NATS_TOP.

It is run without its screen: with `-o -` it prints what it would show first, and ends.
"""

import os
import re
import subprocess

from support import ANSWER_SECONDS, Broker, Raw, arguments, expect, expect_equal, run_checks

BINARY, PORT = arguments()
TOP = os.environ.get("NATS_TOP", "nats-top")
MONITOR = PORT + 1


def shown(*flags):
    words = [TOP, "-s", "127.0.0.1", "-m", str(MONITOR), "-o", "-", *flags]
    done = subprocess.run(words, capture_output=True, timeout=ANSWER_SECONDS, text=True)
    expect_equal(done.returncode, 0, f"exit status of {' '.join(words[1:])} with {done.stderr!r}")
    return done.stdout


def busy():
    """A broker whose two clients have talked, and those clients."""
    broker = Broker(BINARY, PORT, args=["-m", str(MONITOR)]).start()
    about = {"lang": "go", "version": "1.2.3"}
    sub = Raw(PORT, {"name": "listener", **about})
    pub = Raw(PORT, {"name": "talker", **about})
    sub.send(b"SUB top.> 1\r\nSUB top.here q 2\r\n")
    sub.ping()
    pub.send((b"PUB top.here 1000\r\n" + b"x" * 1000 + b"\r\n") * 5000)
    for _ in range(5000 * 2):
        sub.line()
        sub.exactly(1002)
    pub.ping()
    return broker, sub, pub


def totals_and_connections_are_shown():
    broker, sub, pub = busy()
    try:
        text = shown("-b")
        expect(re.search(r"^NATS server version 2\.\d+\.\d+ \(uptime: \S+\)", text), f"first line of {text!r}")
        expect(re.search(r"In: +Msgs: 5000 +Bytes: 5000000 ", text), f"what came in, in {text!r}")
        expect(re.search(r"Out: +Msgs: 10000 +Bytes: 10000000 ", text), f"what went out, in {text!r}")
        expect(re.search(r"Connections Polled: 2\b", text), f"connections in {text!r}")
        rows = {row.split()[2]: row.split() for row in text.split("\n") if "127.0.0.1:" in row}
        expect_equal(sorted(rows), ["listener", "talker"], "names")
        # Address and cid before the name; then subscriptions, pending, messages and bytes to and from.
        expect_equal(rows["listener"][3:11], ["2", "0", "10000", "0", "10000000", "0", "go", "1.2.3"], "listener")
        expect_equal(rows["talker"][3:11], ["0", "0", "0", "5000", "0", "5000000", "go", "1.2.3"], "talker")
    finally:
        for client in (sub, pub):
            client.close()
        broker.kill()


def every_order_is_understood():
    broker, sub, pub = busy()
    try:
        for order in ("cid", "subs", "pending", "msgs_to", "msgs_from", "bytes_to", "bytes_from", "idle", "last", "uptime"):
            rows = [row.split()[2] for row in shown("-sort", order).split("\n") if "127.0.0.1:" in row]
            expect_equal(sorted(rows), ["listener", "talker"], f"names by {order}")
            if order in ("subs", "msgs_to", "bytes_to"):
                expect_equal(rows[0], "listener", f"first by {order}")
            if order in ("msgs_from", "bytes_from"):
                expect_equal(rows[0], "talker", f"first by {order}")
        rows = [row for row in shown("-n", "1", "-sort", "msgs_from").split("\n") if "127.0.0.1:" in row]
        expect_equal(len(rows), 1, "rows with a limit of one")
    finally:
        for client in (sub, pub):
            client.close()
        broker.kill()


run_checks([totals_and_connections_are_shown, every_order_is_understood])
