"""The official Python client where a broker asks who it is, and where it speaks TLS: `secured.py BROKER PORT`.

Each check starts a broker with a configuration of its own.
"""

import asyncio
import os
import ssl
import sys
import tempfile

import nats
from nacl.signing import SigningKey
from nats.errors import Error as NatsError

from papers import Papers, user_nkey
from support import ANSWER_SECONDS, Broker, arguments, await_checks, expect, expect_equal

PASSWORD = "pa:ss@wo/rd"
TOKEN = "a-token"


class Place:
    """What the checks share: the program, its port, a folder, certificates."""

    def __init__(self, binary, port, folder):
        self.binary, self.port, self.folder = binary, port, folder
        self.papers = Papers(folder)

    def broker(self, text):
        path = os.path.join(self.folder, "broker.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return Broker(self.binary, self.port, ["-c", path])

    def tls(self, more=""):
        certificate, key = self.papers.server
        return f'tls {{ cert_file: "{certificate}", key_file: "{key}", {more} }}\n'

    def context(self, with_certificate=False):
        context = ssl.create_default_context(cafile=self.papers.ca)
        if with_certificate:
            context.load_cert_chain(*self.papers.client)
        return context


async def connected(broker, scheme="nats", **options):
    return await nats.connect(f"{scheme}://127.0.0.1:{broker.port}", connect_timeout=ANSWER_SECONDS,
                              allow_reconnect=False, **options)


async def round_trip(client):
    """A message to itself."""
    subscription = await client.subscribe("secured.trip")
    await client.publish("secured.trip", b"there and back")
    message = await subscription.next_msg(timeout=ANSWER_SECONDS)
    expect_equal(message.data, b"there and back", "payload")
    await client.close()


async def refused(broker, **options):
    """The broker refuses a client with these credentials."""
    errors = []

    async def note(error):
        errors.append(str(error))

    try:
        client = await connected(broker, error_cb=note, **options)
    except (NatsError, OSError, ssl.SSLError) as error:
        errors.append(str(error))
    else:
        await client.close()
        expect(False, "let in")
    return " ".join(errors)


async def token(place):
    with place.broker(f'authorization {{ token: "{TOKEN}" }}') as broker:
        await round_trip(await connected(broker, token=TOKEN))
        expect("uthorization" in await refused(broker, token="other"), "no word of authorization")
        await refused(broker)


async def user_and_password(place):
    users = f'authorization {{ users: [ {{user: ann, password: "{PASSWORD}"}}, {{user: bob, password: b}} ] }}'
    with place.broker(users) as broker:
        await round_trip(await connected(broker, user="ann", password=PASSWORD))
        await round_trip(await connected(broker, user="bob", password="b"))
        await refused(broker, user="ann", password="b")
        await refused(broker, user="eve", password="b")


async def nkey(place):
    seed, public = user_nkey(lambda raw: bytes(SigningKey(raw).verify_key))
    other, _ = user_nkey(lambda raw: bytes(SigningKey(raw).verify_key))
    users = f'authorization {{ users: [ {{nkey: {public}}}, {{user: ann, password: "{PASSWORD}"}} ] }}'
    with place.broker(users) as broker:
        await round_trip(await connected(broker, nkeys_seed_str=seed))
        await round_trip(await connected(broker, user="ann", password=PASSWORD))
        await refused(broker, nkeys_seed_str=other)


async def no_auth_user(place):
    users = f'no_auth_user: guest\nauthorization {{ users: [ {{user: ann, password: "{PASSWORD}"}}, {{user: guest}} ] }}'
    with place.broker(users) as broker:
        await round_trip(await connected(broker))
        await round_trip(await connected(broker, user="ann", password=PASSWORD))
        await refused(broker, user="ann", password="wrong")


async def tls(place):
    with place.broker(place.tls()) as broker:
        await round_trip(await connected(broker, "tls", tls=place.context()))
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = place.context()
            context.minimum_version = context.maximum_version = version
            await round_trip(await connected(broker, "tls", tls=context))
        await refused(broker, tls=ssl.create_default_context())


async def large_messages_by_tls(place):
    with place.broker(place.tls()) as broker:
        client = await connected(broker, "tls", tls=place.context())
        subscription = await client.subscribe("secured.large")
        sent = [os.urandom(size) for size in (1, 16 * 1024 - 1, 16 * 1024, 100_000, 1024 * 1024)]
        for payload in sent:
            await client.publish("secured.large", payload)
        for payload in sent:
            message = await subscription.next_msg(timeout=ANSWER_SECONDS)
            expect(message.data == payload, f"a payload of {len(payload)} bytes has changed")
        await client.close()


async def mutual_tls(place):
    verify = place.tls(f'ca_file: "{place.papers.ca}", verify: true')
    with place.broker(verify) as broker:
        await round_trip(await connected(broker, "tls", tls=place.context(with_certificate=True)))
        await refused(broker, tls=place.context())


async def handshake_first(place):
    for value in ("true", "auto", '"300ms"'):
        with place.broker(place.tls(f"handshake_first: {value}")) as broker:
            client = await connected(broker, "tls", tls=place.context(), tls_handshake_first=True)
            await round_trip(client)
    with place.broker(place.tls("handshake_first: auto")) as broker:
        await round_trip(await connected(broker, "tls", tls=place.context()))


async def allow_non_tls(place):
    with place.broker(place.tls() + "allow_non_tls: true") as broker:
        await round_trip(await connected(broker))
        await round_trip(await connected(broker, "tls", tls=place.context()))


CHECKS = [token, user_and_password, nkey, no_auth_user, tls, large_messages_by_tls, mutual_tls, handshake_first,
          allow_non_tls]


async def main():
    binary, port = arguments()
    with tempfile.TemporaryDirectory() as folder:
        await await_checks(CHECKS, Place(binary, port, folder))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
