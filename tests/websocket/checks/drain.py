"""The end of a server. The nodes `moving` and `ending` exist for these two checks."""

import asyncio
import time

from client import CLOSE, STREAM, body_of, is_message
from frames import Ended
from rows import check, expect

TO = "wss://other.test/xmpp-websocket"


async def heard_end(client):
    """The elements up to the end; `<close/>` is answered as RFC 7395 §3.6 asks."""
    heard = []
    try:
        while True:
            heard.append(await client.hear(8))
            if heard[-1].tag == CLOSE:
                client.say('<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" />')
    except Ended as ended:
        return heard, ended.code


@check("R20 R37 K10 H04 H14", "draining: sessions and newcomers are redirected, nothing is lost")
async def redirected(world):
    node = world.moving
    talker = await world.online(node=node)
    managed = await world.online(node=node)
    await managed.enable()
    plain = await world.online(node=node, tls=True)
    late, later = await world.dial(node), await world.dial(node)
    hello = await world.dial(node)
    await hello.hello()
    from wire import Wire

    wire = Wire(node, talker.user, talker.user, "tcp")
    world.closers.append(wire.cut)
    await wire.sign_in(managed=False)
    for number in range(20):
        talker.tell(managed.jid, str(number))
    for _ in range(20):
        await managed.until(is_message)
    begun = time.monotonic()
    stopping = asyncio.ensure_future(node.stop())
    # `plain` answers late, so there is time to look around meanwhile.
    first = await plain.until(CLOSE)
    expect(first.get("see-other-uri") == TO, plain.raw)
    late.say('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" to="localhost" version="1.0"/>')
    heard, code = await heard_end(late)
    expect([e.tag for e in heard] == [CLOSE] and code == 1000, f"{heard} {code}")
    expect(heard[0].get("see-other-uri") == TO, late.raw)
    later.say('<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" version="1.0"/>')
    heard, code = await heard_end(later)
    expect(heard[0].get("see-other-uri") == TO, later.raw)
    try:
        await node.connect()
    except OSError:
        pass
    else:
        raise AssertionError("new connections are accepted")
    # Somebody in the middle of signing in is told too.
    heard, code = await heard_end(hello)
    expect(heard and heard[-1].tag == CLOSE, f"unfinished sign-in: {heard} {code}")
    for client in (managed, talker):
        heard, code = await heard_end(client)
        closing = [e for e in heard if e.tag == CLOSE]
        expect(len(closing) == 1 and closing[0].get("see-other-uri") == TO, client.raw)
        expect(code == 1000, f"{code}")
    plain.say('<close xmlns="urn:ietf:params:xml:ns:xmpp-framing" />')
    _, code = await plain.ending()
    expect(code == 1000, f"{code}")
    await wire.drain()
    expect(wire.is_lost, "TCP was forgotten")
    expect(await stopping == 0, "the exit code is not 0")
    expect(time.monotonic() - begun < 8, f"{time.monotonic() - begun:.1f} s")
    # Nothing of what `managed` did not acknowledge is lost, wherever it comes back.
    await node.start()
    again = await world.bound(managed.user, node)
    again.say("<presence xmlns='jabber:client'/>")
    got = [body_of(await again.until(is_message)) for _ in range(20)]
    expect(got == [str(number) for number in range(20)], got)


@check("K10 R31", "shutting down: system-shutdown, <close/>, 1000, and exit code 0")
async def shut_down(world):
    node = world.ending
    quick, slow = await world.online(node=node), await world.online(node=node, tls=True)
    hibernating = await world.online(node=node)
    await hibernating.enable()
    hibernating.socket.cut()
    begun = time.monotonic()
    stopping = asyncio.ensure_future(node.stop())
    await quick.fails("system-shutdown")
    error = await slow.until(STREAM + "error")
    expect("system-shutdown" in error[0].tag, slow.raw)
    expect((await slow.hear()).tag == CLOSE, slow.raw)
    expect(await stopping == 0, "the exit code is not 0")
    expect(time.monotonic() - begun < 8, f"{time.monotonic() - begun:.1f} s")
    expect("panicked" not in node.log(), node.log_tail())
