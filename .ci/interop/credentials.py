"""The official Python client with credentials that an operator's tools have made: `credentials.py BROKER PORT OPERATOR_TOOL`.

The broker keeps accounts in a directory. It is told by a client of the system account that a user is revoked.
"""

import asyncio
import os
import subprocess
import sys
import tempfile

import nats
from nats.errors import Error as NatsError

from support import ANSWER_SECONDS, Broker, await_checks, expect, expect_equal


class Place:
    """What the checks share: the broker's port, and what the operator has handed out."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port

    def creds(self, name):
        return os.path.join(self.folder, f"{name}.creds")

    async def client(self, name, **options):
        credentials = {"user_credentials": self.creds(name)} if name else {}
        return await nats.connect(f"nats://127.0.0.1:{self.port}", connect_timeout=ANSWER_SECONDS,
                                  allow_reconnect=False, **credentials, **options)

    async def refused(self, name):
        errors = []

        async def note(error):
            errors.append(str(error))

        try:
            client = await self.client(name, error_cb=note)
        except (NatsError, OSError) as error:
            errors.append(str(error))
        else:
            await client.close()
            expect(False, "let in")
        expect("uthorization" in " ".join(errors), f"no word of authorization: {errors}")


async def users_publish_and_request(place):
    for name in ("ann", "bob", "cleo"):
        client = await place.client(name)

        async def answer(message):
            await message.respond(b"to " + message.data)

        subscription = await client.subscribe("cleo.news")
        await client.subscribe("cleo.help", cb=answer)
        await client.publish("cleo.news", b"there and back")
        message = await subscription.next_msg(timeout=ANSWER_SECONDS)
        expect_equal(message.data, b"there and back", "payload")
        answered = await client.request("cleo.help", name.encode(), timeout=ANSWER_SECONDS)
        expect_equal(answered.data, b"to " + name.encode(), "answer")
        await client.close()


async def a_scope_keeps_its_user_to_its_subjects(place):
    told = asyncio.Queue()

    async def note(error):
        await told.put(str(error))

    client = await place.client("cleo", error_cb=note)
    await client.publish("ann.news", b"")
    text = await asyncio.wait_for(told.get(), ANSWER_SECONDS)
    expect("permissions violation" in text.lower(), text)
    await client.close()


async def who_has_none_is_refused(place):
    await place.refused(None)


async def a_user_that_is_revoked_is_closed_and_refused(place):
    closed = asyncio.Event()

    async def over():
        closed.set()

    bob = await place.client("bob", closed_cb=over, disconnected_cb=over)
    ann = await place.client("ann")
    system = await place.client("system")
    with open(os.path.join(place.folder, "revoking.jwt"), "rb") as file:
        answer = await system.request("$SYS.REQ.CLAIMS.UPDATE", file.read(), timeout=ANSWER_SECONDS)
    expect(b'"code":200' in answer.data.replace(b" ", b""), answer.data)
    await asyncio.wait_for(closed.wait(), ANSWER_SECONDS)
    expect("revoked" in str(bob.last_error).lower(), f"told {bob.last_error}")
    await bob.close()
    await place.refused("bob")
    await ann.flush(timeout=ANSWER_SECONDS)
    for client in (ann, system):
        await client.close()


CHECKS = [users_publish_and_request, a_scope_keeps_its_user_to_its_subjects, who_has_none_is_refused,
          a_user_that_is_revoked_is_closed_and_refused]


async def main():
    if len(sys.argv) != 4:
        sys.exit(f"usage: {os.path.basename(sys.argv[0])} BROKER_BINARY PORT OPERATOR_TOOL")
    binary, port, tool = os.path.abspath(sys.argv[1]), int(sys.argv[2]), os.path.abspath(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([tool, folder], check=True)
        with Broker(binary, port, ["-c", os.path.join(folder, "broker.conf")]):
            await await_checks(CHECKS, Place(folder, port))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
