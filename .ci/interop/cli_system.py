"""What the `nats` command tells an operator: `cli_system.py BROKER_BINARY PORT`, the command in $NATS_CLI.

The broker has a system account, and another one with two clients that stay.
"""

import json
import os
import re
import tempfile
import time

from cli import Cli, tidy
from support import ANSWER_SECONDS, Broker, Raw, arguments, expect, expect_equal, run_checks

CONFIGURATION = """
server_name: one
accounts {
  SYS { users: [ {user: sys, password: s} ] }
  A { users: [ {user: ann, password: a, permissions: {publish: ["a", "$SYS.REQ.>"], subscribe: ["a", "_INBOX.>"]}} ] }
}
system_account: SYS
"""


class System(Cli):
    """Runs the command as a user of the system account, beside two clients of account A."""

    def system(self, *words, status=0):
        return self.run("--user", "sys", "--password", "s", *words, status=status)

    def as_json(self, *words):
        return json.loads(self.system(*words, "--json")[0])

    def client(self):
        raw = Raw(self.broker.port, {"user": "ann", "pass": "a", "name": "app", "protocol": 1})
        raw.send(b"SUB a 1\r\nPUB a 5\r\nhello\r\n")
        expect_equal(raw.ping()[-1:], [b"hello"], "the client's own message")
        return raw

    def wait_for_listener(self, subject):
        """Asks the broker until somebody in the system account has subscribed to a subject."""
        question = json.dumps({"acc": "SYS", "subject": subject}).encode()
        deadline = time.monotonic() + ANSWER_SECONDS
        with Raw(self.broker.port, {"user": "sys", "pass": "s"}) as raw:
            raw.send(b"SUB answer 1\r\n")
            while True:
                raw.send(b"PUB $SYS.REQ.ACCOUNT.NSUBS answer %d\r\n%s\r\n" % (len(question), question))
                raw.ping()
                # The answer may come behind the PONG, in the same turn.
                if any(line.isdigit() and int(line) > 0 for line in raw.ping()):
                    return
                expect(time.monotonic() < deadline, f"nobody listens to {subject}")


def server_list_shows_the_server(cli):
    with cli.client(), cli.client():
        (found,) = cli.as_json("server", "list")
        expect_equal(found["server"]["name"], "one", "name")
        expect_equal(found["statsz"]["connections"], 3, "connections, that of the command among them")
        expect_equal(found["statsz"]["active_accounts"], 2, "accounts with connections")
        out, _ = cli.system("server", "list")
        expect(re.search(r"│ one +│", out), f"it printed {out!r}")


def server_info_and_ping_are_answered(cli):
    with cli.client():
        out, _ = cli.system("server", "info", "one")
        found = dict(re.findall(r"^ +([A-Z][\w ]+): (.*)$", out, re.M))
        expect_equal(found.get("Connections"), "2", "connections")
        expect_equal(found.get("Auth Required"), "true", "auth required")
        out, _ = cli.system("server", "ping", "1")
        expect(out.startswith("one ") and "1 replies" in out, f"it printed {out!r}")


def reports_of_connections_and_accounts_have_the_clients(cli):
    with cli.client(), cli.client():
        found = cli.as_json("server", "report", "connections")
        expect_equal(sorted(one["account"] for one in found), ["A", "A", "SYS"], "accounts of the connections")
        app = next(one for one in found if one["account"] == "A")
        wanted = {"name": "app", "authorized_user": "ann", "in_msgs": 1, "in_bytes": 5, "subscriptions": 1}
        expect_equal({name: app[name] for name in wanted}, wanted, "a connection")
        found = cli.as_json("server", "report", "accounts")
        numbers = {one["account"]: (one["connections"], one["in_msgs"], one["out_msgs"]) for one in found}
        expect_equal(numbers["A"], (2, 2, 3), "connections and messages of account A")


def requests_are_answered_as_they_are(cli):
    with cli.client():
        for what, field, wanted in (
            ("connections", "num_connections", 2),
            ("variables", "system_account", "SYS"),
            ("accounts", "accounts", ["$G", "A", "SYS"]),
        ):
            found = json.loads(cli.system("server", "request", what)[0])
            expect_equal(found["server"]["name"], "one", f"server of {what}")
            expect_equal(found["data"][field], wanted, f"{field} of {what}")
        found = json.loads(cli.system("server", "request", "subscriptions")[0])
        expect(found["data"]["num_subscriptions"] > 0, f"no subscriptions in {found}")


def a_client_is_kicked(cli):
    with cli.client() as raw:
        cid = str(raw.info["client_id"])
        cli.system("server", "request", "kick", cid, raw.info["server_id"])
        found = cli.as_json("server", "report", "connections")
        expect_equal([one["account"] for one in found], ["SYS"], "accounts of the connections that are left")


def a_client_of_another_account_sees_itself_and_its_account(cli):
    with cli.client():
        as_ann = ["--user", "ann", "--password", "a"]
        out, _ = cli.run(*as_ann, "account", "info")
        found = dict(re.findall(r"^ +([A-Z][\w ]+): (.*)$", out, re.M))
        expect_equal((found.get("User"), found.get("Account"), found.get("Expires")), ("ann", "A", "never"), "who it is")
        expect_equal(re.findall(r"_INBOX\.>", out), ["_INBOX.>"], "what it may subscribe to")
        out, _ = cli.run(*as_ann, "account", "report", "connections")
        # Itself and the other one; the account of the operator is another.
        expect("Top 2 Connections out of 2" in out and "SYS" not in out, f"it printed {out!r}")
        _, err = cli.run(*as_ann, "server", "list", status=1)
        expect("SYS" not in err and "one" not in err.split(), f"it printed {err!r}")


def events_are_shown_as_they_come(cli):
    process = cli.start("--user", "sys", "--password", "s", "events", "--all", "--json")
    for subject in ("$SYS.ACCOUNT.A.CONNECT", "$SYS.ACCOUNT.A.DISCONNECT"):
        cli.wait_for_listener(subject)
    with cli.client() as raw:
        cid = raw.info["client_id"]
    kinds = []
    for line in process.stdout:
        if b"advisory.v1.client_" in line:
            event = json.loads(line)
            if event["client"]["acc"] == "A":
                expect_equal(event["client"]["id"], cid, "number of the client")
                kinds.append(event["type"].rsplit(".", 1)[1])
        if "client_disconnect" in kinds:
            break
    expect_equal(kinds, ["client_connect", "client_disconnect"], "events")


CHECKS = [
    server_list_shows_the_server,
    server_info_and_ping_are_answered,
    reports_of_connections_and_accounts_have_the_clients,
    requests_are_answered_as_they_are,
    a_client_is_kicked,
    a_client_of_another_account_sees_itself_and_its_account,
    events_are_shown_as_they_come,
]


def main():
    binary, port = arguments()
    with tempfile.TemporaryDirectory() as home:
        file = os.path.join(home, "midge.conf")
        with open(file, "w", encoding="utf-8") as out:
            out.write(CONFIGURATION)
        broker = Broker(binary, port, ["-c", file])
        try:
            run_checks([tidy(check) for check in CHECKS], System(broker, home))
        finally:
            broker.kill()


if __name__ == "__main__":
    main()
