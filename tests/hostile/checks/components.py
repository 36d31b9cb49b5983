"""Components (XEP-0114): secrets that are wrong, stanzas too early, too large, forged, unread."""

import asyncio
import hashlib

from attack import attack, expect
from line import DOMAIN, HEADER, STREAM_ERROR, Gone, Line
from servers import COMPONENT, SECRET

ACCEPT = (
    f"<stream:stream to='{COMPONENT}' xmlns='jabber:component:accept' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)


async def begun(node, header=ACCEPT):
    """A stream with both headers said; its id."""
    line = await Line.dial(node, node.component_port)
    await line.say(header)
    found = await line.hear(rb"<stream:stream [^>]*id='([^']*)'[^>]*>")
    return line, found[1].decode()


async def shake(line, id, secret=SECRET):
    proof = hashlib.sha1((id + secret).encode()).hexdigest()
    await line.say(f"<handshake>{proof}</handshake>")


async def attached(node):
    """A component that is in. The one before it may not be quite gone."""
    for _ in range(50):
        line, id = await begun(node)
        await shake(line, id)
        found = await line.hear(rb"<handshake/>|" + STREAM_ERROR)
        if not found[1]:
            return line
        expect(found[1] == b"conflict", found[1])
        await asyncio.sleep(0.1)
    raise AssertionError("a connection that is gone stays in the way")


async def ended(line, condition):
    heard = await line.stream_error()
    expect(heard == condition, f"{heard} instead of {condition}")


@attack("components: wrong secrets, empty ones and other streams' proofs: not-authorized")
async def wrong(node):
    line, id = await begun(node)
    await shake(line, id, "guess")
    await ended(line, "not-authorized")
    line, _ = await begun(node)
    await line.say("<handshake/>")
    await ended(line, "not-authorized")
    line, _ = await begun(node)
    await shake(line, id)
    await ended(line, "not-authorized")


@attack("components: headers for nobody, of clients, and no headers")
async def headers(node):
    for header, condition in (
        (ACCEPT.replace(COMPONENT, DOMAIN), "host-unknown"),
        (ACCEPT.replace(COMPONENT, f"x.{COMPONENT}"), "host-unknown"),
        (ACCEPT.replace(f"to='{COMPONENT}'", ""), "host-unknown"),
        (HEADER, "invalid-namespace"),
        ("GET / HTTP/1.1\r\n\r\n", "not-well-formed"),
        ("<?xml version='1.0'?><!DOCTYPE x>", "restricted-xml"),
    ):
        line = await Line.dial(node, node.component_port)
        await line.say(header)
        await ended(line, condition)


@attack("components: nothing is taken before the handshake: not-authorized")
async def early(node):
    message = f"<message from='{COMPONENT}' to='{node.address('romeo')}'><body>x</body></message>"
    for text in (message, "<presence/>", "<iq type='get' id='1'><x xmlns='y'/></iq>"):
        line, _ = await begun(node)
        await line.say(text)
        await ended(line, "not-authorized")
    line, _ = await begun(node)
    await line.say(f"<handshake>{'0' * 1_000_000}")
    await ended(line, "policy-violation")


@attack("components: a client's port takes no component, and the other way round")
async def crossed(node):
    line = await node.line()
    await line.say(ACCEPT)
    await ended(line, "invalid-namespace")


@attack("components: forged senders: invalid-from")
async def forged(node):
    for sender in (node.address("juliet"), DOMAIN, f"x.{COMPONENT}", f"{COMPONENT}.evil", "@"):
        line = await attached(node)
        await line.say(f"<message from='{sender}' to='{node.address('romeo')}'/>")
        await ended(line, "invalid-from")


@attack("components: a stanza larger than allowed: policy-violation")
async def giant(node):
    line = await attached(node)
    await line.say(f"<message from='{COMPONENT}' to='{node.address('absent')}'><body>")
    await line.say("x" * 1_000_000)
    await ended(line, "policy-violation")


@attack("components: stanzas of no kind, of clients, and mistakes")
async def mistakes(node):
    for text, condition in (
        ("<unknown xmlns='urn:x'/>", "unsupported-stanza-type"),
        ("<message xmlns='jabber:client' to='romeo@localhost'/>", "invalid-namespace"),
        ("<handshake/>", "unsupported-stanza-type"),
        ("<message></presence>", "not-well-formed"),
    ):
        line = await attached(node)
        await line.say(text)
        await ended(line, condition)
    line = await attached(node)
    await line.say("<message id='a'><body>x</body></message><iq to='@' type='get' id='b'><x/></iq>")
    await line.hear(rb"id='a' type='error'.*<bad-request")
    await line.hear(rb"id='b' type='error'.*<jid-malformed")
    line.cut()


@attack("components: guesses at the secret while it is connected do not disturb it")
async def guesses(node):
    component = await attached(node)
    for number in range(50):
        line, id = await begun(node)
        await shake(line, id, f"guess {number}")
        await ended(line, "not-authorized")
    line, id = await begun(node)
    await shake(line, id)
    await ended(line, "conflict")
    await component.say(
        f"<iq from='{COMPONENT}' to='{DOMAIN}' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
    await component.hear(rb"<iq [^>]*id='p' type='result'/>")
    component.cut()


@attack("components: a flood of questions with nobody reading the answers", 40)
async def unread_answers(node):
    component = await attached(node)
    question = (
        f"<iq from='x@{COMPONENT}' to='{DOMAIN}' type='get' id='q'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ) * 100
    for _ in range(300):
        if not await component.say(question, 0.2):
            break
    component.cut()


@attack("components: one that does not read is ended, and who wrote to it is told", 40)
async def unread(node):
    component = await attached(node)
    mallory = await node.session()
    body = "x" * 2_000
    for number in range(20_000):
        message = f"<message to='{COMPONENT}' id='m{number}'><body>{body}</body></message>"
        if not await mallory.say(message):
            break
        if number % 50 == 0:
            await mallory.ping(30)
        if b"<error" in mallory.heard:
            break
    await mallory.hear(rb"<remote-server-timeout", 30)
    mallory.cut()
    try:
        heard = (await component.hear(STREAM_ERROR))[1]
        expect(heard == b"resource-constraint", heard)
    except Gone:
        pass  # the server waited for it to read the error, and not for ever
    component.cut()


@attack("components: 200 half-open handshakes")
async def halves(node):
    lines = [await begun(node) for _ in range(200)]
    for line, _ in lines:
        line.cut()


@attack("components: a handshake that never comes ends by time: connection-timeout", 30, slow=True)
async def never(node):
    line, _ = await begun(node)
    heard = (await line.hear(STREAM_ERROR, 20))[1].decode()
    expect(heard == "connection-timeout", heard)


@attack("components: privileges that nobody granted are refused, however they are asked for")
async def unprivileged(node):
    component = await attached(node)
    romeo, victim = node.address("romeo"), node.address("victim")
    wrap = "<forwarded xmlns='urn:xmpp:forward:0'>{}</forwarded>"
    forged = f"<message xmlns='jabber:client' from='{romeo}' to='{victim}'><body>x</body></message>"
    privilege = "<privilege xmlns='urn:xmpp:privilege:2'>{}</privilege>"
    for number, inside in enumerate((
        wrap.format(forged), wrap.format(wrap.format(forged)), forged, "", wrap.format(""),
        wrap.format(forged * 50), wrap.format("<message from='@'/>"),
    )):
        await component.say(
            f"<message from='{COMPONENT}' to='{DOMAIN}' id='p{number}'>"
            f"{privilege.format(inside)}</message>"
        )
        await component.hear(f"id='p{number}' type='error'.*?<forbidden".encode())
    question = "<iq xmlns='jabber:client' type='set' id='v'><query xmlns='jabber:iq:roster'/></iq>"
    for number, inside in enumerate((question, "", question * 3, "<iq/>")):
        await component.say(
            f"<iq from='{COMPONENT}' to='{romeo}' type='set' id='q{number}'>"
            f"<privileged_iq xmlns='urn:xmpp:privilege:2'>{inside}</privileged_iq></iq>"
        )
        await component.hear(f"id='q{number}' type='error'.*?<forbidden".encode())
    component.cut()
