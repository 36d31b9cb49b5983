"""Streams that are none, and servers that are silent, slow, short-lived or very loud."""

import asyncio
import contextlib
import time

from line import Gone
from person import condition, reason
from raw import FEATURES, header
from siege import WEIGHT_MIB, attack

BODY = "<message from='m@{0}' to='{1}'><body>{2}</body></message>"


@attack("streams: wrong namespaces")
async def namespaces(siege):
    ours, domain = siege.ours.name, siege.domain()
    stream = "xmlns:stream='http://etherx.jabber.org/streams'"
    for text, conditions in (
        # RFC 6120 §4.8.3 and §4.9.3.10.
        (f"<stream:stream xmlns='jabber:client' {stream} to='{ours}' version='1.0'>",
         {"invalid-namespace"}),
        (f"<stream:stream xmlns='jabber:server' xmlns:stream='urn:x' to='{ours}' version='1.0'>",
         {"invalid-namespace", "bad-format"}),
        (f"<stream xmlns='jabber:server' to='{ours}' version='1.0'>",
         {"invalid-namespace", "bad-format", "bad-namespace-prefix"}),
    ):
        line = await siege.line()
        await line.say(text)
        found = await line.stream_error()
        assert found in conditions, f"{text}: {found}"
    for namespace in ("jabber:client", "urn:example:other", ""):
        line = await siege.proven(domain)
        await line.message(f"m@{domain}", siege.victim.bare, "namespace", f" xmlns='{namespace}'")
        found = await line.stream_error()
        assert found in {"invalid-namespace", "unsupported-stanza-type"}, f"{namespace}: {found}"
    await siege.heard_nothing("namespace")
    await siege.known(domain, "namespace")


@attack("streams: no XML, and XML that XMPP forbids")
async def documents(siege):
    domain = siege.domain()
    for text, conditions in (
        ("<message from='m@{0}' to='{1}'><body>cut</message>", {"not-well-formed"}),
        ("<!DOCTYPE x [<!ENTITY a 'b'>]>", {"restricted-xml", "not-well-formed"}),
        ("<message><!-- no --></message>", {"restricted-xml", "not-well-formed"}),
        ("<message>&lol;</message>", {"restricted-xml", "not-well-formed"}),
        ("\xff\xfe\x00",
         {"not-well-formed", "unsupported-encoding", "bad-format", "restricted-xml"}),
        ("<nothing xmlns='jabber:server' from='m@{0}' to='{1}'/>", {"unsupported-stanza-type"}),
        ("<message from='m@{0}' to='{1}'><body>" + "x" * 1_000_000 + "</body></message>",
         {"policy-violation"}),
        ("<message from='m@{0}' to='{1}'>" + "<a>" * 5000, {"policy-violation"}),
    ):
        line = await siege.proven(domain)
        text = text.format(domain, siege.victim.bare)
        await line.say(text.encode("latin-1") if "\xff" in text else text)
        found = await line.stream_error()
        assert found in conditions, f"{text[:100]}: {found}"
    await siege.heard_nothing()


@attack("streams: domains that are not served")
async def unknown(siege):
    domain = siege.domain()
    line = await siege.line()
    await line.say(header("not-here.example", domain))
    assert await line.stream_error() == "host-unknown"
    await siege.heard_nothing()


@attack("streams: a server that never answers", seconds=60)
async def silent(siege):
    async def nothing(fake, reader, writer):
        while await fake._read(reader):
            pass

    domain = siege.domain()
    await siege.fake(domain, script=nothing)
    begun = time.monotonic()
    id = siege.victim.message(f"m@{domain}", "Hello?")
    await siege.heard_nothing()
    error = await siege.victim.hears(id=id, seconds=30)
    assert condition(error) == "remote-server-timeout", condition(error)
    assert reason(error), "the error says nothing"
    await siege.known(domain, "answer")
    # What comes while it rests is told at once.
    begun = time.monotonic()
    id = siege.victim.message(f"m@{domain}", "Hello?")
    await siege.victim.hears(id=id)
    assert time.monotonic() - begun < 1, "the second one waited too"


@attack("streams: a server that answers byte by byte", seconds=60)
async def slow(siege):
    async def drip(fake, reader, writer):
        ours, _ = await fake._opened(reader)
        for byte in (header(ours, fake.domain, "slow") + "<stream:features/>").encode():
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.3)

    domain, second = siege.domain(), siege.domain()
    await siege.fake(domain, script=drip)
    id = siege.victim.message(f"m@{domain}", "Hello?")
    # The same from a server that comes: it is served in its time, and nobody waits for it.
    await siege.fake(second)
    line = await siege.line()
    for byte in header(siege.ours.name, second):
        await line.say(byte)
        await asyncio.sleep(0.002)
    await line.hear(FEATURES)
    await siege.heard_nothing()
    error = await siege.victim.hears(id=id, seconds=30)
    assert condition(error) == "remote-server-timeout", condition(error)


@attack("streams: a server that hangs up, at every turn")
async def resets(siege):
    async def at_once(fake, reader, writer):
        writer.transport.abort()

    async def after_header(fake, reader, writer):
        await fake._opened(reader)
        writer.transport.abort()

    async def in_handshake(fake, reader, writer):
        ours, _ = await fake._opened(reader)
        writer.write((header(ours, fake.domain, "x") + fake._features(False)).encode())
        await fake._read(reader)
        writer.write(b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await fake._read(reader)
        writer.transport.abort()

    async def garbage(fake, reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await fake._read(reader)

    async def error(fake, reader, writer):
        ours, _ = await fake._opened(reader)
        writer.write((
            header(ours, fake.domain, "x") + "<stream:error><policy-violation "
            "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text "
            "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Go away.</text></stream:error>"
            "</stream:stream>"
        ).encode())

    for script in (at_once, after_header, in_handshake, garbage, error):
        domain = siege.domain()
        await siege.fake(domain, script=script)
        id = siege.victim.message(f"m@{domain}", "Hello?")
        answer = await siege.victim.hears(id=id, seconds=20)
        assert condition(answer) in {"remote-server-timeout", "remote-server-not-found"}, script
        assert reason(answer), f"{script.__name__}: the error says nothing"
        await siege.known(domain, "Go away" if script is error else "")
    # And one that comes.
    for _ in range(50):
        line = await siege.line()
        await line.say(header(siege.ours.name, "reset.evil.example")[:60])
        line.cut()
    await siege.heard_nothing()


@attack("streams: a proven server floods")
async def flood(siege):
    domain = siege.domain()
    line = await siege.proven(domain)
    resting = siege.weight()

    async def pour():
        batch = "".join(
            f"<message from='m{n}@{domain}' to='nobody@{siege.ours.name}'><body>{n}</body>"
            "</message>"
            f"<iq type='get' id='{n}' from='m{n}@{domain}' to='{siege.ours.name}'>"
            "<ping xmlns='urn:xmpp:ping'/></iq>"
            f"<presence type='subscribe' from='m{n}@{domain}' to='nobody@{siege.ours.name}'/>"
            for n in range(500)
        )
        for _ in range(40):
            if not await line.say(batch, seconds=30):
                return

    task = asyncio.ensure_future(pour())
    try:
        for _ in range(8):
            await siege.heard_nothing()
            await asyncio.sleep(0.2)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    heavier = siege.weight() - resting
    assert heavier < WEIGHT_MIB, f"{heavier:.0f} MiB heavier"


@attack("streams: many that never prove anything", seconds=60)
async def crowd(siege):
    resting = siege.weight()
    lines = []
    for _ in range(600):
        line = await siege.line()
        await line.say(header(siege.ours.name, "crowd.evil.example"))
        lines.append(line)
    await siege.heard_nothing()
    heavier = siege.weight() - resting
    assert heavier < WEIGHT_MIB, f"{heavier:.0f} MiB heavier"
    for line in lines:
        line.cut()
    # The door opens again, as soon as it was seen that they are gone.
    domain, limit = siege.domain(), time.monotonic() + 5
    while True:
        try:
            await siege.proven(domain)
            return
        except (Gone, OSError):
            assert time.monotonic() < limit, "nobody is let in any more"
            await asyncio.sleep(0.1)


@attack("streams: very many domains claimed on one stream", seconds=60)
async def claims(siege):
    domain = siege.domain()
    await siege.fake(domain)
    line = await siege.secured(domain)
    assert await line.claim(domain, siege.ours.name) == "valid"
    for number in range(500):
        if not await line.say(
            f"<db:result from='claim{number}.nowhere.example' to='{siege.ours.name}'>x</db:result>"
        ):
            break
    await siege.heard_nothing()
    # Each is refused, or the stream ends; none is let in.
    await asyncio.sleep(1)
    with contextlib.suppress(AssertionError, Gone):
        while True:
            found = await line.hear(rb"<db:result [^>]*>|<stream:error", 1)
            assert b"type='valid'" not in found[0] and b'type="valid"' not in found[0], found[0]
            if line.is_over:
                break
