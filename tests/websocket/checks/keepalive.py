"""Signs of life, and the ends of silences. The node `brisk` waits 10 + 5 seconds."""

import asyncio
import re
import time

from client import CLIENT, CLOSE, SM, STREAM
from frames import PING, PONG
from rows import check, expect


def now():
    return time.monotonic()


async def first_ping(client, seconds):
    """When the server's ping came, if it did; everything else is passed over."""
    begun = now()
    try:
        while (left := begun + seconds - now()) > 0:
            frame = await client.socket.frame(left)
            if frame.opcode == PING:
                client.socket.send(PONG, frame.payload)
                return now() - begun
    except TimeoutError:
        pass
    return None


@check("K01 K02", "a silent WebSocket is pinged, with stream management and without", seconds=50)
async def pinged(world):
    plain, managed = await world.bound(node=world.brisk), await world.bound(node=world.brisk)
    await managed.enable()
    after = await asyncio.gather(first_ping(plain, 18), first_ping(managed, 18))
    for seconds in after:
        expect(seconds and 4 <= seconds <= 12, f"pings after {after} seconds")
    # The pong counted, and there is a next time.
    again = await first_ping(plain, 18)
    expect(again, "no second ping")


@check("K03 K07", "no answer: connection-timeout and <close/>, and the session resumes", seconds=50)
async def unanswered(world):
    user = await world.account(world.brisk)
    client = await world.online(user, world.brisk)
    await client.enable()
    client.socket.answers_pings = False
    heard, code = await client.ending(24)
    tags = [element.tag for element in heard if not element.tag.startswith(SM)]
    expect(tags == [STREAM + "error", CLOSE] and code == 1000, f"{tags} {code}")
    expect("connection-timeout" in heard[-2][0].tag, heard[-2][0].tag)
    again = await world.signed_in(user, world.brisk)
    again.resume(client.previd)
    await again.resumed()


@check("K04", "an inactive client is asked more rarely", seconds=50)
async def inactive(world):
    client = await world.bound(node=world.brisk)
    client.say("<inactive xmlns='urn:xmpp:csi:0'/>")
    expect(await first_ping(client, 24) is None, "pinged as if it were active")
    client.say("<active xmlns='urn:xmpp:csi:0'/>")
    expect(await first_ping(client, 18), "not pinged when it is active again")


@check("K05 R41", "a pong is enough to stay, and nothing but pings is sent", seconds=70)
async def pong_is_enough(world):
    client = await world.bound(node=world.brisk)
    await client.silence(seconds=40)
    expect(client.socket.pings >= 2, f"{client.socket.pings} pings in 40 s")
    await client.ask("<ping xmlns='urn:xmpp:ping'/>")


@check("K05", "any frame counts, an unasked pong too: no ping is needed", seconds=50)
async def any_frame(world):
    client = await world.bound(node=world.brisk)
    for _ in range(8):
        expect(await first_ping(client, 3) is None, "pinged although it is not silent")
        client.socket.send(PONG)


@check("K06", "limits are announced: idle-seconds and max-bytes")
async def announced(world):
    for node, idle, size in ((world.main, None, 262144), (world.brisk, 10, 20000)):
        client = await world.signed_in(node=node)
        expect(f"<max-bytes>{size}</max-bytes>" in client.features, client.features)
        expect("<idle-seconds>" in client.features, client.features)
        if idle:
            expect(f"<idle-seconds>{idle}</idle-seconds>" in client.features, client.features)


@check("K08", "by default nobody is given up before 110 seconds: two turns of a throttled tab")
async def patience(world):
    done = await world.main.admin("config", "reference")
    limits = done.stdout.split("## `[limits]`")[1].split("\n## ")[0]
    values = dict(re.findall(r"\*\*`(\w+)`\*\* \(.*default `(\d+)`\)", limits))
    idle, answer = int(values["idle_seconds"]), int(values["answer_seconds"])
    expect(idle + answer >= 110 and answer >= 60, f"{idle} + {answer}")


@check("K09", "a session needs no affinity: it resumes through another port and address")
async def affinity(world):
    client = await world.online()
    await client.enable()
    client.socket.cut()
    again = await world.signed_in(client.user, tls=True)
    again.resume(client.previd)
    await again.resumed()
    answer = await again.ask("<ping xmlns='urn:xmpp:ping'/>")
    expect(answer.tag == CLIENT + "iq", again.raw)
