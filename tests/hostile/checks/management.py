"""Stream management (XEP-0198) with somebody who lies."""

import asyncio
import os

from attack import attack, expect
from checks.floods import pour, read_away
from line import DOMAIN

SM = "xmlns='urn:xmpp:sm:3'"
ENABLE = f"<enable {SM} resume='true'/>"


async def managed(node, user="mallory", resource=None):
    line = await node.session(user, resource)
    await line.say(ENABLE)
    line.previd = (await line.hear(rb"<enabled [^>]*\bid='([^']+)'"))[1].decode()
    return line


async def authenticated(node, user="mallory"):
    line = await node.stream()
    await line.authenticate(user)
    return line


@attack("acknowledgements: more than was sent: undefined-condition")
async def too_high(node):
    for h in (1, 1000, 2**32 - 1):
        line = await managed(node)
        await line.say(f"<a {SM} h='{h}'/>")
        heard = await line.stream_error()
        expect(heard == "undefined-condition", heard)


@attack("acknowledgements: numbers that are none")
async def no_number(node):
    for h in ("-1", "x", "", "4294967296", "9" * 1000, "1.5"):
        line = await managed(node)
        await line.say(f"<a {SM} h='{h}'/>")
        heard = await line.stream_error()
        expect(heard in ("bad-format", "invalid-xml", "undefined-condition"), heard)


@attack("acknowledgements: 100000 requests for one, none read", 30)
async def requests(node):
    line = await managed(node)
    await pour(line, f"<r {SM}/>" * 1000, 100)
    line.cut()


@attack("acknowledgements: never given: what waits for them is bounded", 40)
async def never(node):
    victim = await managed(node, "victim", "never")
    await victim.ping()
    await victim.say("<presence/>")
    reading = asyncio.ensure_future(read_away(victim))
    line = await node.session()
    answers = asyncio.ensure_future(read_away(line))
    text = f"<message to='{victim.jid}' type='chat'><body>{'x' * 4000}</body></message>"
    await pour(line, text, 3000, 5)
    for task in (reading, answers):
        task.cancel()
    victim.cut()
    line.cut()


@attack("messages: a full offline store does not lock its owner out", 40)
async def locked_out(node):
    line = await node.session()
    answers = asyncio.ensure_future(read_away(line))
    text = f"<message to='{node.address('absent')}'><body>{'x' * 8000}</body></message>"
    await pour(line, text * 10, 110, 5)
    answers.cancel()
    line.cut()
    for resource in ("desk", "phone"):
        owner = await managed(node, "absent", resource)
        await owner.say("<presence/>")
        count = await take(owner)
        expect(count > 900 if resource == "desk" else count < 5, f"{resource} got {count}")


async def take(line, quiet=1.5):
    """Reads as a client does, acknowledging, until nothing more comes: how many messages came."""
    handled = messages = 0
    while True:
        try:
            data = await asyncio.wait_for(line.reader.readuntil(b">"), quiet)
        except asyncio.TimeoutError:
            line.cut()
            return messages
        except asyncio.IncompleteReadError:
            raise AssertionError(f"ended after {messages} messages") from None
        tag = data[data.rfind(b"<"):]
        messages += tag.startswith(b"<message ")
        handled += tag.startswith((b"<message ", b"<presence ", b"<iq "))
        expect(not tag.startswith(b"<stream:error"), "the stream was ended")
        if tag.startswith(b"<r "):
            await line.say(f"<a {SM} h='{handled}'/>")


@attack("resumption: 1000 guesses: item-not-found for each", 30)
async def guesses(node):
    line = await authenticated(node)
    for _ in range(1000):
        await line.say(f"<resume {SM} previd='{os.urandom(12).hex()}' h='0'/>")
        found = await line.hear(rb"<failed [^>]*>.*?</failed>|<stream:error><([a-z-]+)")
        if found[1]:
            expect(found[1] == b"policy-violation", found[0])
            return
        expect(b"item-not-found" in found[0], found[0])
    await line.bind()
    await line.ping()


@attack("resumption: somebody else's session, whose name is known: item-not-found")
async def stolen(node):
    victim = await managed(node, "victim", "mine")
    thief = await authenticated(node)
    await thief.say(f"<resume {SM} previd='{victim.previd}' h='0'/>")
    found = await thief.hear(rb"<failed [^>]*>.*?</failed>|<resumed ")
    expect(b"item-not-found" in found[0], found[0])
    await victim.ping()
    victim.cut()
    thief.cut()


@attack("resumption: with a count too high")
async def resume_too_high(node):
    line = await managed(node)
    line.cut()
    again = await authenticated(node)
    await again.say(f"<resume {SM} previd='{line.previd}' h='4000000000'/>")
    heard = await again.stream_error()
    expect(heard == "undefined-condition", heard)


@attack("resumption: 40 connections wrestle for one session", 30)
async def wrestle(node):
    line = await managed(node, resource="wrestle")
    rivals = [await authenticated(node) for _ in range(40)]
    for rival in rivals:
        await rival.say(f"<resume {SM} previd='{line.previd}' h='0'/>")
    await asyncio.gather(*(rival.hear(rb"<resumed |<failed |<stream:error>") for rival in rivals))
    last = await authenticated(node)
    await last.say(f"<resume {SM} previd='{line.previd}' h='0'/>")
    await last.hear(rb"<resumed ")
    await last.ping()
    last.cut()


@attack("messages: 20000 of 4 kB to a session that hibernates", 40)
async def hibernating(node):
    victim = await managed(node, "sleeper", "asleep")
    await victim.ping()
    await victim.say("<presence/>")
    victim.cut()
    line = await node.session()
    answers = asyncio.ensure_future(read_away(line))
    text = f"<message to='{victim.jid}' type='chat'><body>{'x' * 4000}</body></message>" * 20
    await pour(line, text, 1000, 5)
    answers.cancel()
    line.cut()


@attack("resumption: 30 sessions that hibernate with full queues", 40)
async def sleepers(node):
    line = await node.session()
    answers = asyncio.ensure_future(read_away(line))
    for i in range(30):
        victim = await managed(node, "sleeper", f"full{i}")
        await victim.ping()
        await victim.say("<presence/>")
        await asyncio.sleep(0.05)
        victim.cut()
        text = f"<message to='{victim.jid}' type='chat'><body>{'x' * 8000}</body></message>"
        await pour(line, text * 10, 20, 5)
    answers.cancel()
    await line.say(f"<iq type='get' id='e' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>")
    line.cut()
