"""RFC 7395 §3.5 and §3.6: how streams end."""

import asyncio
import time

from client import CLIENT, CLOSE, CLOSE_TEXT, SM, STANZA_ERRORS, STREAM, body_of, is_message
from frames import Ended
from rows import check, expect


async def friends(world):
    """Two accounts that see each other's presence, and a watching session of the second."""
    one, two = await world.account(), await world.account()
    watcher = await world.online(two)
    first = await world.online(one)
    for session in (first, watcher):  # RFC 6121 §3.1.6: for those who asked for their roster
        await session.ask("<query xmlns='jabber:iq:roster'/>")
    for asking, other in ((first, two), (watcher, one)):
        asking.say(f"<presence xmlns='jabber:client' type='subscribe' to='{other}@localhost'/>")
    for asked, other in ((first, two), (watcher, one)):
        asked.say(f"<presence xmlns='jabber:client' type='subscribed' to='{other}@localhost'/>")
    await first.until(comes("subscribed", f"{two}@localhost"))
    await watcher.until(comes("subscribed", f"{one}@localhost"))
    await first.close()
    # What was on its way because of all that has passed when this comes back.
    await watcher.ask("<ping xmlns='urn:xmpp:ping'/>", id="settled")
    await asyncio.sleep(0.3)
    await watcher.ask("<ping xmlns='urn:xmpp:ping'/>", id="settled")
    return one, watcher


def comes(kind, sender):
    """Presence of a type (None: available) from an address, or from any of an account."""

    def match(element):
        given = element.get("from", "")
        is_from = given == sender or given.startswith(sender + "/")
        return element.tag == CLIENT + "presence" and element.get("type") == kind and is_from

    return match


@check("R08 R32 H13", "<close/> is answered within a second, then the WebSocket closes")
async def client_closes(world):
    for _ in range(10):  # both orders of reading and closing occur
        client = await world.online()
        client.tell(client.jid, "last words")
        begun = time.monotonic()
        client.say(CLOSE_TEXT)
        heard, code = await client.ending()
        expect(time.monotonic() - begun < 1, f"{time.monotonic() - begun:.1f} s")
        expect(heard[-1].tag == CLOSE and code == 1000, f"{heard} {code}")
        # What it said before is not lost: it comes now, or waits for the next session.
        if not any(is_message(element) for element in heard):
            again = await world.bound(client.user)
            again.say("<presence xmlns='jabber:client'/>")
            expect(body_of(await again.until(is_message)) == "last words", again.raw)


@check("R08", "a client that closes before it opened, or before it signed in, is let go")
async def early_close(world):
    client = await world.dial()
    _, code = await client.close()
    expect(code == 1000, f"{code}")
    client = await world.dial()
    await client.hello()
    heard, code = await client.close()
    expect([e.tag for e in heard] == [CLOSE] and code == 1000, f"{heard} {code}")


@check("R31", "kicked or replaced: error, <close/>, close code 1000")
async def server_closes(world):
    client = await world.online()
    done = await world.main.admin("session", "kick", client.jid)
    expect(done.returncode == 0, done)
    await client.fails("policy-violation|conflict|not-authorized|reset|undefined-condition")
    user = await world.account()
    old = await world.online(user, resource="same")
    fresh = await world.bound(user, resource="same")
    if fresh.jid == old.jid:
        await old.fails("conflict")


@check("R33", "a client that never answers <close/> is waited for only so long", seconds=20)
async def no_answer(world):
    client = await world.bound()
    await world.main.admin("session", "kick", client.jid)
    begun = time.monotonic()
    try:
        while (await client.socket.frame()).opcode != 0x8:
            pass
    except Ended:
        raise AssertionError("the connection ended without a close frame") from None
    await client.socket.gone(8)
    expect(time.monotonic() - begun < 7, f"{time.monotonic() - begun:.1f} s")


@check("R34", "a socket that dies without stream management: unavailable at once")
async def dies(world):
    user, watcher = await friends(world)
    client = await world.online(user)
    await watcher.until(comes(None, client.jid))
    client.socket.cut()
    await watcher.until(comes("unavailable", client.jid), 2)
    client = await world.online(user)
    await watcher.until(comes(None, client.jid))
    client.socket.send(0x8, b"\x03\xe9")  # a tab that was closed: 1001, and no <close/>
    await watcher.until(comes("unavailable", client.jid), 2)


@check("R35 S11", "a socket that dies with it: nobody notices, and the session resumes")
async def hibernates(world):
    user, watcher = await friends(world)
    client = await world.online(user)
    await client.enable()
    await watcher.until(comes(None, client.jid))
    client.socket.cut()
    await watcher.silence(comes("unavailable", client.jid), 1.5)
    again = await world.signed_in(user)
    again.resume(client.previd)
    await again.resumed()
    watcher.tell(client.jid, "still there?")
    expect(body_of(await again.until(is_message)) == "still there?", again.raw)
    watcher.say(f"<presence xmlns='jabber:client' type='probe' to='{user}@localhost'/>")
    await watcher.silence(comes("unavailable", client.jid), 0.5)


@check("R36 S12 H08", "<close/> ends a session with stream management too, socket dropped or not")
async def closes_for_good(world):
    user, watcher = await friends(world)
    for drops in (False, True):
        client = await world.online(user)
        await client.enable()
        await watcher.until(comes(None, client.jid))
        client.say(CLOSE_TEXT)
        if drops:  # as Strophe does
            client.socket.writer.close()
        else:
            await client.ending()
        await watcher.until(comes("unavailable", client.jid), 3)
        again = await world.signed_in(user)
        again.resume(client.previd)
        failed = await again.hear()
        expect(failed.tag == SM + "failed", again.raw)
        expect(failed.find(STANZA_ERRORS + "item-not-found") is not None, again.raw)
        await again.close()


@check("R31 R29", "a client's own stream error ends the stream in order")
async def client_error(world):
    client = await world.bound()
    client.say(
        "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>"
        "<undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    )
    heard, code = await client.ending()
    expect([e.tag for e in heard] == [CLOSE] and code == 1000, f"{heard} {code}")


@check("R27", "not-well-formed, bad attributes and cut elements all end in order")
async def broken_xml(world):
    for text in ("<message", "<message xmlns='jabber:client'>", "<a></b>", "<a b=c/>", "<a/><b/>"):
        client = await world.bound()
        client.say(text)
        error = await client.fails("not-well-formed")
        expect(error.tag == STREAM + "error", error)
