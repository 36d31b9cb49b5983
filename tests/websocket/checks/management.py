"""XEP-0198 over WebSocket."""

import asyncio
from types import SimpleNamespace

from client import CLIENT, CLOSE, SM, STANZA_ERRORS, STREAM, body_of, is_message
from checks.closing import comes, friends
from rows import check, expect

R = SM + "r"


async def bodies(client, count, seconds=10):
    return [body_of(await client.until(is_message, seconds)) for _ in range(count)]


@check("S01 S06 R46", "<enabled/>: an id, a time, no location; only without resume no id")
async def enabled(world):
    client = await world.bound()
    got = await client.enable()
    expect(got.get("id") and got.get("resume") in ("true", "1"), client.raw)
    expect(int(got.get("max")) > 0 and got.get("location") is None, client.raw)
    client = await world.bound()
    got = await client.enable(resume=None)
    expect(got.get("id") is None and got.get("resume") is None, client.raw)


@check("S02", "a session resumes on a new socket, after SASL and before binding")
async def resumes(world):
    client = await world.online()
    await client.enable()
    client.tell(client.jid, "one")
    expect(await bodies(client, 1) == ["one"], client.raw)
    client.socket.cut()
    again = await world.signed_in(client.user)
    again.resume(client.previd, 1)
    resumed = await again.resumed()
    expect(resumed.get("previd") == client.previd, again.raw)
    expect(resumed.get("h") == "1", again.raw)
    answer = await again.ask("<ping xmlns='urn:xmpp:ping'/>")
    expect(answer.get("to") == client.jid, again.raw)


@check("S03", "what was not acknowledged comes again in order, each once and alone")
async def replay(world):
    client, talker = await world.online(), await world.online()
    await client.enable()
    for number in range(30):
        talker.tell(client.jid, str(number))
    got = await bodies(client, 7)
    client.socket.cut()
    for number in range(30, 40):
        talker.tell(client.jid, str(number))
    again = await world.signed_in(client.user)
    again.resume(client.previd, 5)
    await again.resumed()
    rest = await bodies(again, 35)
    expect(got == [str(n) for n in range(7)], got)
    expect(rest == [str(n) for n in range(5, 40)], rest)
    await again.silence(is_message, 0.5)


@check("S04", "the old socket of a resumed session: conflict, and what it says is ignored")
async def conflict(world):
    watcher = await world.online()
    old = await world.online()
    await old.enable()
    again = await world.signed_in(old.user)
    again.resume(old.previd)
    await again.resumed()
    old.tell(watcher.jid, "late")
    await old.fails("conflict")
    await watcher.silence(is_message)
    await again.ask("<ping xmlns='urn:xmpp:ping'/>")


@check("S05", "an expired session: <failed/> with h, and binding goes on at once", seconds=30)
async def expired(world):
    talker = await world.online()
    client = await world.online()
    got = await client.enable(max="1")
    expect(got.get("max") == "1", client.raw)
    client.tell(talker.jid, "counted")
    client.tell(talker.jid, "counted too")
    await bodies(talker, 2)
    client.socket.cut()
    await asyncio.sleep(2.5)
    again = await world.signed_in(client.user)
    again.resume(client.previd)
    failed = await again.hear()
    expect(failed.tag == SM + "failed", again.raw)
    expect(failed.find(STANZA_ERRORS + "item-not-found") is not None, again.raw)
    expect(failed.get("h") == "2", f"no h: {again.raw}")
    await again.bind()


@check("S05", "nonsense and other people's sessions: <failed/>, and binding goes on")
async def not_mine(world):
    other = await world.online()
    await other.enable()
    client = await world.signed_in()
    for previd in ("nonsense", other.previd):
        client.resume(previd)
        failed = await client.hear()
        expect(failed.find(STANZA_ERRORS + "item-not-found") is not None, client.raw)
        expect(failed.get("h") is None, client.raw)
    await client.bind()
    await other.ask("<ping xmlns='urn:xmpp:ping'/>")


async def tcp(world, user):
    """A client on direct TLS, of the end-to-end tests."""
    from wire import Wire

    wire = Wire(world.main, user, user, "tab")
    world.closers.append(wire.cut)
    return wire


@check("S07", "a session moves between TCP and WebSocket, both ways, with what it missed")
async def transports(world):
    talker = await world.online()
    user = await world.account()
    wire = await (await tcp(world, user)).sign_in(managed=True)
    await wire.settle()
    wire.cut()
    talker.tell(f"{user}@localhost/tab", "to the WebSocket")
    client = await world.signed_in(user)
    client.resume(wire.previd, wire.handled)
    await client.resumed()
    expect(await bodies(client, 1) == ["to the WebSocket"], client.raw)
    handled = wire.handled + 1
    client.socket.cut()
    talker.tell(f"{user}@localhost/tab", "to TCP")
    old = SimpleNamespace(
        heard=[], handled=handled, counted=wire.counted, unacked=[], previd=wire.previd
    )
    back = await (await tcp(world, user)).resume(old)
    await back.settle()
    expect([id for id, _ in back.heard] == ["to TCP"], back.heard)


@check("S08", "two tabs that resume the same session at once: exactly one has it")
async def race(world):
    for _ in range(5):
        client = await world.online()
        await client.enable()
        client.socket.cut()
        tabs = [await world.signed_in(client.user) for _ in range(2)]
        for tab in tabs:
            tab.resume(client.previd)

        async def lives(tab):
            heard = await tab.hear()
            if heard.tag == SM + "failed":
                return False
            try:
                await tab.ask("<ping xmlns='urn:xmpp:ping'/>", seconds=5)
                await tab.silence(lambda e: e.tag in (STREAM + "error", CLOSE), 0.7)
                return True
            except Exception:  # it ended, in whatever way
                return False

        alive = await asyncio.gather(*map(lives, tabs))
        expect(sum(alive) == 1, f"{alive}")


@check("S10", "<r/> is batched: at most one for ten stanzas")
async def batched(world):
    client, talker = await world.online(), await world.online()
    await client.enable()
    for number in range(100):
        talker.tell(client.jid, str(number))
    asked = got = 0
    while got < 100:
        element = await client.hear()
        asked += element.tag == R
        got += is_message(element)
    expect(1 <= asked <= 11, f"{asked} requests for 100 stanzas")


@check("S11", "after resuming, client state is 'active' again (XEP-0352), and what waited comes")
async def client_state(world):
    user, watcher = await friends(world)
    client = await world.online(user)
    await client.enable()
    client.say("<inactive xmlns='urn:xmpp:csi:0'/>")
    await client.ask("<ping xmlns='urn:xmpp:ping'/>")
    watcher.say("<presence xmlns='jabber:client'><show>away</show></presence>")
    await watcher.ask("<ping xmlns='urn:xmpp:ping'/>")
    client.socket.cut()
    again = await world.signed_in(user)
    again.resume(client.previd, 0)
    await again.resumed()
    away = lambda e: e.find(CLIENT + "show") is not None  # noqa: E731
    await again.until(away, 5)
    watcher.say("<presence xmlns='jabber:client'><show>dnd</show></presence>")
    await again.until(lambda e: away(e) and e.find(CLIENT + "show").text == "dnd", 5)


@check("S13", "roster pushes, carbons and block pushes of the gap come exactly once")
async def gap(world):
    talker = await world.online()
    client = await world.online()
    client.say(
        "<iq xmlns='jabber:client' type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
    )
    await client.until(CLIENT + "iq")
    await client.ask("<query xmlns='jabber:iq:roster'/>")
    await client.ask("<blocklist xmlns='urn:xmpp:blocking'/>")
    await client.enable()
    other = await world.online(client.user, resource="other")
    await client.until(lambda e: e.get("from") == other.jid)
    client.socket.cut()
    await asyncio.sleep(0.2)
    await other.ask(
        "<query xmlns='jabber:iq:roster'><item jid='friend@localhost' name='F'/></query>", "set"
    )
    await other.ask(
        "<block xmlns='urn:xmpp:blocking'><item jid='pest@localhost'/></block>", "set", id="b"
    )
    other.tell(talker.jid, "carbon")
    await talker.until(is_message)
    await other.ask("<ping xmlns='urn:xmpp:ping'/>", id="p")
    again = await world.signed_in(client.user)
    again.resume(client.previd, 1)
    await again.resumed()
    heard = []
    try:
        while True:
            await again.hear(1.5)
            heard.append(again.raw)
    except TimeoutError:
        pass
    for mark in ("friend@localhost", "pest@localhost", "urn:xmpp:carbons:2"):
        found = sum(mark in text for text in heard)
        expect(found == 1, f"{mark}: {found} times in {heard}")
