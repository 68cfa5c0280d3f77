"""The official Python client (nats-py) against a broker: `nats_py.py BROKER_BINARY PORT`."""

import asyncio
import json
import os
import random
import time
import traceback

import nats
from nats.errors import MaxPayloadError, NoRespondersError
from nats.errors import TimeoutError as NatsTimeoutError

from support import (
    ANSWER_SECONDS,
    CHECK_SECONDS,
    Broker,
    Raw,
    Relay,
    Results,
    arguments,
    expect,
    expect_equal,
    expect_same_list,
    reason_of,
)

HERE = os.path.dirname(os.path.abspath(__file__))


class Trial:
    """One check's connections. Whatever goes wrong on them unannounced fails the check."""

    def __init__(self, broker):
        self.broker = broker
        self.clients = []
        self.troubles = []
        self.loss_is_expected = False

    async def connect(self, url=None, **options):
        async def error(problem):
            self.trouble(f"error on a connection: {type(problem).__name__}: {problem}")

        async def disconnected():
            self.trouble("a connection was lost")

        options = {
            "error_cb": error,
            "disconnected_cb": disconnected,
            "reconnect_time_wait": 0.02,
            "max_reconnect_attempts": -1,
            **options,
        }
        client = await nats.connect(url or self.broker.url, **options)
        self.clients.append(client)
        return client

    def trouble(self, text):
        if not self.loss_is_expected:
            self.troubles.append(text)

    async def end(self):
        found = list(self.troubles)
        self.loss_is_expected = True
        for client in self.clients:
            if not client.is_closed:
                await client.close()
        expect(not found, "; ".join(found))


async def settle(client):
    """Everything this client published has been taken, everything sent to it has been read.

    Two round trips, because this client writes a PING ahead of publishes it still holds back: the
    first returns when those are written, the second when the broker has seen them.
    """
    await client.flush(timeout=ANSWER_SECONDS)
    await client.flush(timeout=ANSWER_SECONDS)


async def received(*subscriptions):
    """All that has arrived by now; the caller has settled both sides first."""
    taken = []
    for subscription in subscriptions:
        while subscription.pending_msgs:
            taken.append(await subscription.next_msg(timeout=ANSWER_SECONDS))
    return taken


async def payloads(*subscriptions):
    return [message.data for message in await received(*subscriptions)]


def numbered(count, text="message"):
    return [f"{text} {i}".encode() for i in range(count)]


async def publish_all(client, subject, datas):
    for data in datas:
        await client.publish(subject, data)
    await settle(client)


async def connect_reads_the_server_info(t):
    one, two = await t.connect(), await t.connect()
    expect(one.is_connected, "not connected")
    expect(one.client_id > 0 and two.client_id > 0, "client_id is not positive")
    expect(one.client_id != two.client_id, f"both connections have client_id {one.client_id}")
    expect_equal(one.client_ip, "127.0.0.1", "client_ip")
    expect_equal(one.max_payload, 1024 * 1024, "max_payload")
    expect(one.connected_server_version.major >= 2, f"version {one.connected_server_version}")


async def publish_reaches_subscriber_in_order(t):
    sub, pub = await t.connect(), await t.connect()
    one = await sub.subscribe("py.order")
    two = await sub.subscribe("py.order")
    other = await sub.subscribe("py.other")
    await settle(sub)
    sent = [b"", b"x", b"\r\n", b"PUB a 1\r\nb\r\n", bytes(range(256))] + numbered(2000)
    await publish_all(pub, "py.order", sent)
    await settle(sub)
    expect_same_list(await payloads(one), sent, "first subscription")
    expect_same_list(await payloads(two), sent, "second subscription")
    expect_same_list(await payloads(other), [], "subscription to another subject")


async def callback_receives_subject_reply_and_payload(t):
    nc = await t.connect()
    arrived = asyncio.get_running_loop().create_future()

    async def handler(message):
        arrived.set_result(message)

    await nc.subscribe("py.callback", cb=handler)
    await nc.publish("py.callback", "grüße".encode(), reply="py.callback.answer")
    message = await asyncio.wait_for(arrived, ANSWER_SECONDS)
    expect_equal(
        (message.subject, message.reply, message.data),
        ("py.callback", "py.callback.answer", "grüße".encode()),
        "message",
    )


async def wildcards_match_tokens(t):
    with open(os.path.join(HERE, "wildcards.json"), encoding="utf-8") as file:
        table = json.load(file)
    sub, pub = await t.connect(), await t.connect()
    subs = {w: await sub.subscribe(f"py.wild.{w}") for w in table["receives"]}
    await settle(sub)
    for subject in table["subjects"]:
        await pub.publish(f"py.wild.{subject}", subject.encode())
    await settle(pub)
    await settle(sub)
    for wildcard, wanted in table["receives"].items():
        found = [(m.subject, m.data) for m in await received(subs[wildcard])]
        expect_same_list(found, [(f"py.wild.{s}", s.encode()) for s in wanted], wildcard)


async def each_queue_message_reaches_one_member_and_shares_are_fair(t):
    pub = await t.connect()
    groups = {}
    for queue, size in (("a", 3), ("b", 2)):
        groups[queue] = []
        for _ in range(size):
            nc = await t.connect()
            groups[queue].append((nc, await nc.subscribe("py.queue.*", queue=queue)))
    observer = await t.connect()
    everything = await observer.subscribe("py.queue.jobs")
    members = [m for group in groups.values() for m in group]
    for nc in [observer, *(nc for nc, _ in members)]:
        await settle(nc)
    sent = numbered(3000, "job")
    place = {data: i for i, data in enumerate(sent)}
    await publish_all(pub, "py.queue.jobs", sent)
    for nc in [observer, *(nc for nc, _ in members)]:
        await settle(nc)
    expect_same_list(await payloads(everything), sent, "subscription without a queue")
    for queue, group in groups.items():
        shares = [await payloads(sub) for _, sub in group]
        for share in shares:
            expect_same_list(share, sorted(share, key=lambda d: place.get(d, -1)), f"order in {queue}")
        together = sorted((d for share in shares for d in share), key=lambda d: place.get(d, -1))
        expect_same_list(together, sent, f"queue {queue}")
        least = len(sent) // len(group) // 2
        sizes = [len(share) for share in shares]
        expect(min(sizes) >= least, f"queue {queue}: shares {sizes}, each must be at least {least}")


async def request_is_answered_by_the_responder(t):
    server, asker = await t.connect(), await t.connect()

    async def answer(message):
        await message.respond(b"re: " + message.data)

    await server.subscribe("py.service.*", cb=answer)
    await settle(server)
    for i in range(200):
        reply = await asker.request(f"py.service.{i}", f"q{i}".encode(), timeout=ANSWER_SECONDS)
        expect_equal(reply.data, f"re: q{i}".encode(), "reply")
    answers = await asyncio.gather(
        *(asker.request(f"py.service.{i}", f"p{i}".encode(), timeout=ANSWER_SECONDS) for i in range(500))
    )
    expect_same_list([a.data for a in answers], [f"re: p{i}".encode() for i in range(500)], "replies")
    reply = await asker.request("py.service.old", b"o", timeout=ANSWER_SECONDS, old_style=True)
    expect_equal(reply.data, b"re: o", "reply over its own subscription")


async def headers_arrive_unchanged(t):
    sub, pub = await t.connect(), await t.connect()
    one = await sub.subscribe("py.headers")
    await settle(sub)
    sent = {
        "Plain": "value",
        "lower-case": "kept",
        "UPPER": "KEPT",
        "Unicode": "žluťoučký kůň 馬 🐎",
        "Colon": "a: b: c",
        "Empty": "",
        "Inner": "two  blanks",
    }
    await pub.publish("py.headers", b"with", headers=sent, reply="py.headers.reply")
    await pub.publish("py.headers", b"", headers={"Only": "header"})
    await pub.publish("py.headers", b"without")
    await settle(pub)
    await settle(sub)
    found = [(m.data, m.reply, m.headers) for m in await received(one)]
    wanted = [
        (b"with", "py.headers.reply", sent),
        (b"", "", {"Only": "header"}),
        (b"without", "", None),
    ]
    expect_same_list(found, wanted, "messages")


async def repeated_header_keys_pass_byte_for_byte(t):
    """This client's headers are a dict, so the publisher and one subscriber are plain sockets."""
    nc = await t.connect()
    one = await nc.subscribe("py.repeated")
    await settle(nc)
    block = "NATS/1.0\r\nKey: first\r\nkey: Lower\r\nKey:second\r\nEmpty:\r\nKey: žluť\r\n\r\n".encode()
    options = {"headers": True}
    with Raw(t.broker.port, options) as pub, Raw(t.broker.port, options) as sub:
        with Raw(t.broker.port, {"headers": False}) as plain:
            sub.send(b"SUB py.repeated 1\r\n")
            plain.send(b"SUB py.repeated 2\r\n")
            sub.ping()
            plain.ping()
            pub.send(b"HPUB py.repeated %d %d\r\n%sdata\r\n" % (len(block), len(block) + 4, block))
            pub.ping()
            expect_equal(sub.line(), b"HMSG py.repeated 1 %d %d" % (len(block), len(block) + 4), "control line")
            expect_equal(sub.exactly(len(block) + 6), block + b"data\r\n", "headers and payload")
            expect_equal(sub.ping(), [], "rest")
            expect_equal(plain.line(), b"MSG py.repeated 2 4", "line to a client without headers")
            expect_equal(plain.exactly(6), b"data\r\n", "payload to a client without headers")
            expect_equal(plain.ping(), [], "rest")
    await settle(nc)
    found = [(m.data, m.headers) for m in await received(one)]
    expect_same_list(found, [(b"data", {"Key": "žluť", "key": "Lower", "Empty": ""})], "messages")


async def request_without_responder_fails_at_once(t):
    nc, other = await t.connect(), await t.connect()
    began = time.monotonic()
    for i in range(20):
        try:
            reply = await nc.request(f"py.nobody.{i}", b"?", timeout=ANSWER_SECONDS)
        except NoRespondersError:
            continue
        expect(False, f"answered with {reply.data!r}")
    took = time.monotonic() - began
    expect(took < ANSWER_SECONDS / 2, f"twenty answers took {took:.1f} s")

    inbox = await nc.subscribe("py.inbox.*")
    await nc.publish("py.nobody.here", b"?", reply="py.inbox.1")
    await settle(nc)
    found = [(m.subject, m.data, m.headers) for m in await received(inbox)]
    expect_same_list(found, [("py.inbox.1", b"", {"Status": "503"})], "answer")

    silent = await other.subscribe("py.silent")
    await settle(other)
    await nc.publish("py.silent", b"!", reply="py.inbox.2")
    await settle(nc)
    await settle(other)
    expect_same_list(await payloads(silent), [b"!"], "subscriber that does not answer")
    expect_same_list(await payloads(inbox), [], "answer although there is a subscriber")


async def subscription_drain_hands_over_everything_then_stops(t):
    sub, pub = await t.connect(), await t.connect()
    handled, gate = [], asyncio.Event()

    async def slow(message):
        await gate.wait()
        handled.append(message.data)

    draining = await sub.subscribe("py.drain", cb=slow)
    staying = await sub.subscribe("py.drain")
    await settle(sub)
    sent = numbered(200)
    await publish_all(pub, "py.drain", sent)
    await settle(sub)
    drain = asyncio.create_task(draining.drain())
    await asyncio.sleep(0)
    await settle(sub)
    await publish_all(pub, "py.drain", [b"late"])
    await settle(sub)
    gate.set()
    await asyncio.wait_for(drain, ANSWER_SECONDS)
    expect_same_list(handled, sent, "drained subscription")
    expect_same_list(await payloads(staying), sent + [b"late"], "other subscription")


async def connection_drain_handles_and_publishes_everything_then_closes(t):
    closed = asyncio.Event()
    handled, gate = [], asyncio.Event()

    async def on_closed():
        closed.set()

    sub, pub = await t.connect(closed_cb=on_closed), await t.connect()
    echoes = await pub.subscribe("py.drain.echo")

    async def slow(message):
        await gate.wait()
        handled.append(message.data)
        await sub.publish("py.drain.echo", message.data)

    await sub.subscribe("py.drain.all", cb=slow)
    await settle(sub)
    sent = numbered(200)
    await publish_all(pub, "py.drain.all", sent)
    await settle(sub)
    t.loss_is_expected = True
    drain = asyncio.create_task(sub.drain())
    await asyncio.sleep(0)
    await settle(sub)
    await publish_all(pub, "py.drain.all", [b"late"])
    gate.set()
    await asyncio.wait_for(drain, ANSWER_SECONDS)
    await asyncio.wait_for(closed.wait(), ANSWER_SECONDS)
    expect(sub.is_closed and pub.is_connected, "the wrong connection is closed")
    expect_same_list(handled, sent, "drained connection")
    # The closing connection's last messages and its end were sent in this order.
    found = [await echoes.next_msg(timeout=ANSWER_SECONDS) for _ in sent]
    await settle(pub)
    expect_same_list([m.data for m in found] + await payloads(echoes), sent, "published while draining")


async def subscriptions_return_after_the_broker_is_killed(t):
    await subscriptions_return(t, t.broker.kill, "py.killed")


async def subscriptions_return_after_the_broker_is_stopped(t):
    await subscriptions_return(t, t.broker.stop, "py.stopped")


async def subscriptions_return(t, end_broker, root):
    t.loss_is_expected = True

    async def connect():
        lost, back = asyncio.Event(), asyncio.Event()

        async def disconnected():
            lost.set()

        async def reconnected():
            back.set()

        return await t.connect(disconnected_cb=disconnected, reconnected_cb=reconnected), lost, back

    (one, *_), (two, *_), (pub, *_) = connections = [await connect() for _ in range(3)]
    plain = await one.subscribe(f"{root}.data")
    wild = await one.subscribe(f"{root}.>")
    members = [await nc.subscribe(f"{root}.data", queue="q") for nc in (one, two)]
    limited = await one.subscribe(f"{root}.data")
    await limited.unsubscribe(limit=5)
    gone = await two.subscribe(f"{root}.data")

    async def answer(message):
        await message.respond(b"re: " + message.data)

    await two.subscribe(f"{root}.service", cb=answer)
    for nc, *_ in connections:
        await settle(nc)
    before = numbered(2, "before")
    await publish_all(pub, f"{root}.data", before)
    for nc, *_ in connections:
        await settle(nc)
    for sub in (plain, wild, limited, gone):
        expect_same_list(await payloads(sub), before, "before the restart")
    expect_same_list(sorted(await payloads(*members)), before, "queue before the restart")
    await gone.unsubscribe()
    await settle(two)

    await asyncio.to_thread(end_broker)
    for _, lost, _ in connections:
        await asyncio.wait_for(lost.wait(), ANSWER_SECONDS)
    await asyncio.to_thread(t.broker.start)
    for _, _, back in connections:
        await asyncio.wait_for(back.wait(), ANSWER_SECONDS)
    for nc, *_ in connections:
        await settle(nc)
    after = numbered(100, "after")
    place = {data: i for i, data in enumerate(after)}
    await publish_all(pub, f"{root}.data", after)
    for nc, *_ in connections:
        await settle(nc)
    expect_same_list(await payloads(plain), after, "plain subscription")
    expect_same_list(await payloads(wild), after, "wildcard subscription")
    shares = await payloads(*members)
    expect_same_list(sorted(shares, key=lambda d: place.get(d, -1)), after, "queue")
    expect_same_list(await payloads(limited), after[:3], "subscription limited to five in all")
    expect_equal(gone.pending_msgs, 0, "messages for a subscription given up before")
    reply = await pub.request(f"{root}.service", b"again", timeout=ANSWER_SECONDS)
    expect_equal(reply.data, b"re: again", "reply")


async def publishes_during_an_outage_arrive_after_it(t):
    t.loss_is_expected = True
    lost, back = asyncio.Event(), asyncio.Event()

    async def disconnected():
        lost.set()

    async def reconnected():
        back.set()

    nc = await t.connect(disconnected_cb=disconnected, reconnected_cb=reconnected)
    sub = await nc.subscribe("py.outage")
    await settle(nc)
    await asyncio.to_thread(t.broker.kill)
    await asyncio.wait_for(lost.wait(), ANSWER_SECONDS)
    sent = numbered(50, "kept")
    for data in sent:
        await nc.publish("py.outage", data)
    await asyncio.to_thread(t.broker.start)
    await asyncio.wait_for(back.wait(), ANSWER_SECONDS)
    await settle(nc)
    expect_same_list(await payloads(sub), sent, "messages")


async def client_refuses_more_than_max_payload(t):
    sub, nc = await t.connect(), await t.connect()
    one = await sub.subscribe("py.large")
    await settle(sub)
    try:
        await nc.publish("py.large", b"x" * (nc.max_payload + 1))
        expect(False, "the client published one byte too many")
    except MaxPayloadError:
        pass
    await publish_all(nc, "py.large", [b"still here"])
    await settle(sub)
    expect_same_list(await payloads(one), [b"still here"], "messages")


async def raw_payload_violation_is_told_and_closes_only_the_culprit(t):
    nc = await t.connect()
    sub = await nc.subscribe("py.violation")
    await settle(nc)
    limit = nc.max_payload
    with Raw(t.broker.port, {}) as culprit:
        culprit.send(b"PUB py.violation %d\r\n" % (limit + 1))
        expect_equal(culprit.line().lower(), b"-err 'maximum payload violation'", "answer")
        culprit.expect_end()
    with Raw(t.broker.port, {"headers": True}) as culprit:
        culprit.send(b"HPUB py.violation 12 %d\r\n" % (limit + 1))
        expect_equal(culprit.line().lower(), b"-err 'maximum payload violation'", "answer to headers")
        culprit.expect_end()
    with Raw(t.broker.port, {}) as culprit:
        try:
            culprit.send(b"PUB py.violation %d\r\n%s\r\n" % (limit + 1, b"x" * (limit + 1)))
            while culprit.socket.recv(65536):
                pass
        except (ConnectionResetError, BrokenPipeError):
            pass
    await publish_all(nc, "py.violation", [b"undisturbed"])
    expect_same_list(await payloads(sub), [b"undisturbed"], "messages")


async def messages_of_exactly_max_payload_arrive_intact(t):
    sub, pub = await t.connect(), await t.connect()
    one = await sub.subscribe("py.mebibyte")
    two = await sub.subscribe("py.*", pending_bytes_limit=0)
    await settle(sub)
    size = pub.max_payload
    expect_equal(size, 1048576, "max_payload")
    sent = [random.Random(seed).randbytes(size) for seed in range(8)]
    await publish_all(pub, "py.mebibyte", sent)
    block = len(b"NATS/1.0\r\nName: value\r\n\r\n")
    await pub.publish("py.mebibyte", sent[0][block:], headers={"Name": "value"})
    await settle(pub)
    await settle(sub)
    wanted = [(data, None) for data in sent] + [(sent[0][block:], {"Name": "value"})]
    for name, subscription in (("subject", one), ("wildcard", two)):
        found = [(m.data, m.headers) for m in await received(subscription)]
        expect_equal(len(found), len(wanted), f"messages by {name}")
        for i, pair in enumerate(zip(found, wanted)):
            expect(pair[0] == pair[1], f"message {i} by {name} differs")

    async def echo(message):
        await message.respond(message.data)

    await sub.subscribe("py.mebibyte.echo", cb=echo)
    await settle(sub)
    reply = await pub.request("py.mebibyte.echo", sent[3], timeout=ANSWER_SECONDS)
    expect(reply.data == sent[3], "the echoed mebibyte differs")


async def ten_thousand_subscriptions_all_receive_their_message(t):
    count = 10_000
    sub, pub = await t.connect(), await t.connect()
    subs = [await sub.subscribe(f"py.many.{i}") for i in range(count)]
    everything = await sub.subscribe("py.many.*")
    await settle(sub)
    sent = numbered(count, "for")
    for i, data in enumerate(sent):
        await pub.publish(f"py.many.{i}", data)
    await settle(pub)
    await settle(sub)
    for i, subscription in enumerate(subs):
        found = [(m.subject, m.data) for m in await received(subscription)]
        expect_same_list(found, [(f"py.many.{i}", sent[i])], f"subscription {i}")
    expect_same_list(await payloads(everything), sent, "wildcard beside them")
    for subscription in subs:
        await subscription.unsubscribe()
    await settle(sub)
    before = sub.stats["in_msgs"]
    for i, data in enumerate(sent):
        await pub.publish(f"py.many.{i}", data)
    await settle(pub)
    await settle(sub)
    expect_same_list(await payloads(everything), sent, "wildcard after the others are gone")
    expect_equal(sub.stats["in_msgs"] - before, count, "messages over the wire after that")


async def auto_unsubscribe_delivers_that_many_then_stops(t):
    sub, other, pub = await t.connect(), await t.connect(), await t.connect()
    limited = await sub.subscribe("py.limit")
    await limited.unsubscribe(limit=7)
    free = await sub.subscribe("py.limit")
    await settle(sub)
    sent = numbered(20)
    # The client counts for itself too, so the count of what came over the wire is compared.
    before = sub.stats["in_msgs"]
    await publish_all(pub, "py.limit", sent)
    await settle(sub)
    expect_same_list(await payloads(limited), sent[:7], "limited subscription")
    expect_same_list(await payloads(free), sent, "free subscription")
    expect_equal(sub.stats["in_msgs"] - before, 27, "messages over the wire")

    late = await sub.subscribe("py.limit.late")
    await settle(sub)
    await publish_all(pub, "py.limit.late", sent[:3])
    await settle(sub)
    await late.unsubscribe(limit=5)
    await settle(sub)
    await publish_all(pub, "py.limit.late", sent[3:])
    await settle(sub)
    expect_same_list(await payloads(late), sent[:5], "limit that counts earlier messages")

    short = await sub.subscribe("py.limit.queue", queue="q")
    await short.unsubscribe(limit=3)
    long = await other.subscribe("py.limit.queue", queue="q")
    await settle(sub)
    await settle(other)
    many = [f"{i:03}".encode() for i in range(200)]
    await publish_all(pub, "py.limit.queue", many)
    await settle(sub)
    await settle(other)
    first, rest = await payloads(short), await payloads(long)
    expect_equal(len(first), 3, "messages of the limited member")
    expect_same_list(sorted(first + rest), many, "queue with a limited member")


async def flush_and_rtt_are_answered(t):
    nc = await t.connect()
    for _ in range(100):
        await nc.flush()
    took = [await nc.rtt() for _ in range(20)]
    expect(all(0 < x < 1 for x in took), f"round trips {took}")
    await asyncio.gather(*(nc.flush() for _ in range(500)))


async def verbose_and_pedantic_connection_works(t):
    relay = Relay(t.broker.port)
    nc = await t.connect(relay.url, verbose=True, pedantic=True)
    sub = await nc.subscribe("py.verbose.*")
    await settle(nc)
    sent = numbered(100)
    await publish_all(nc, "py.verbose.x", sent)
    expect_same_list(await payloads(sub), sent, "messages")
    await nc.publish("py.verbose.h", b"data", headers={"Name": "value"})
    await settle(nc)
    expect_same_list([m.headers for m in await received(sub)], [{"Name": "value"}], "headers")
    await sub.unsubscribe()
    await settle(nc)
    # CONNECT, SUB, 100 PUB, HPUB and UNSUB; PING is answered by PONG alone.
    expect_equal(relay.lines().count(b"+OK"), 104, "lines +OK")


async def pedantic_connection_is_told_of_a_bad_subject_and_stays(t):
    with Raw(t.broker.port, {"pedantic": True, "verbose": True}) as raw:
        expect_equal(raw.ping(), [], "after the handshake")
        raw.send(b"PUB py.bad.* 1\r\nx\r\n")
        lines = [line.lower() for line in raw.ping()]
        expect("-err 'invalid publish subject'".encode() in lines, f"answer {lines}")
        raw.send(b"PUB py.good 1\r\nx\r\n")
        expect_equal(raw.ping(), [b"+OK"], "answer to a good subject")


async def echo_off_keeps_own_messages_away(t):
    quiet, other = await t.connect(no_echo=True), await t.connect()
    own = await quiet.subscribe("py.echo")
    beside = await other.subscribe("py.echo")
    member = await quiet.subscribe("py.echo.queue", queue="q")
    member_beside = await other.subscribe("py.echo.queue", queue="q")
    await settle(quiet)
    await settle(other)
    sent = numbered(50)
    await publish_all(quiet, "py.echo", sent)
    await publish_all(quiet, "py.echo.queue", sent)
    await settle(other)
    expect_same_list(await payloads(own), [], "own subscription")
    expect_same_list(await payloads(beside), sent, "subscription of another connection")
    expect_same_list(await payloads(member), [], "own queue member")
    expect_same_list(await payloads(member_beside), sent, "queue member of another connection")
    await publish_all(other, "py.echo", sent)
    await settle(quiet)
    expect_same_list(await payloads(own), sent, "messages of another connection")
    expect_same_list(await payloads(beside), sent, "own messages with echo on")


async def request_times_out_when_nobody_answers(t):
    """The one wait for something that must not come; it is as short as the client's own timer."""
    nc = await t.connect()
    await nc.subscribe("py.mute")
    try:
        await nc.request("py.mute", b"?", timeout=0.2)
    except NatsTimeoutError:
        return
    expect(False, "answered")


CHECKS = [
    connect_reads_the_server_info,
    publish_reaches_subscriber_in_order,
    callback_receives_subject_reply_and_payload,
    wildcards_match_tokens,
    each_queue_message_reaches_one_member_and_shares_are_fair,
    request_is_answered_by_the_responder,
    request_times_out_when_nobody_answers,
    headers_arrive_unchanged,
    repeated_header_keys_pass_byte_for_byte,
    request_without_responder_fails_at_once,
    subscription_drain_hands_over_everything_then_stops,
    connection_drain_handles_and_publishes_everything_then_closes,
    subscriptions_return_after_the_broker_is_killed,
    subscriptions_return_after_the_broker_is_stopped,
    publishes_during_an_outage_arrive_after_it,
    client_refuses_more_than_max_payload,
    raw_payload_violation_is_told_and_closes_only_the_culprit,
    messages_of_exactly_max_payload_arrive_intact,
    ten_thousand_subscriptions_all_receive_their_message,
    auto_unsubscribe_delivers_that_many_then_stops,
    flush_and_rtt_are_answered,
    verbose_and_pedantic_connection_works,
    pedantic_connection_is_told_of_a_bad_subject_and_stays,
    echo_off_keeps_own_messages_away,
]


async def attempt(check, broker):
    trial = Trial(broker)
    try:
        await check(trial)
    finally:
        await trial.end()


async def main():
    binary, port = arguments()
    results = Results()
    broker = Broker(binary, port)
    try:
        for check in CHECKS:
            try:
                if broker.process is None:
                    broker.start()
                await asyncio.wait_for(attempt(check, broker), CHECK_SECONDS)
                expect(broker.process.poll() is None, "the broker has ended")
                results.ok(check.__name__)
            except Exception as error:
                results.fail(check.__name__, reason_of(error))
                if os.environ.get("INTEROP_TRACE"):
                    traceback.print_exc()
                broker.kill()
    finally:
        broker.kill()
    results.end()


asyncio.run(main())
