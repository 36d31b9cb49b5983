"""Documents that are no XMPP, before and after sign-in: the error of RFC 6120, and no more."""

import asyncio

from attack import attack, expect
from line import DOMAIN, HEADER, STREAM_ERROR

BOMB = (
    "<!DOCTYPE lolz [<!ENTITY a 'lol'>"
    + "".join(f"<!ENTITY {chr(98 + i)} '{f'&{chr(97 + i)};' * 10}'>" for i in range(9))
    + "]><message><body>&j;</body></message>"
)
ATTRIBUTES = "<message " + " ".join(f"a{i}='x'" for i in range(100_000)) + "/>"
# RFC 6120 §4.9.3, §11.1, §11.3, §11.6, §13.12.
BROKEN = {
    "a DTD": ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "restricted-xml"),
    "an entity bomb": (BOMB, "restricted-xml"),
    "an entity nobody declared": ("<message>&lol;</message>", "restricted-xml"),
    "a processing instruction": ("<?php system('id') ?>", "restricted-xml"),
    "a comment": ("<!-- nothing -->", "restricted-xml"),
    "tags that do not match": ("<message></presence>", "not-well-formed"),
    "an attribute twice": ("<message a='1' a='2'/>", "not-well-formed"),
    "a control character": ("<message>\x01</message>", "not-well-formed"),
    "a reference to no character": ("<message>&#0;</message>", "not-well-formed"),
    "a tag inside a tag": ("<message <", "not-well-formed"),
    "a prefix nobody bound": ("<evil:message/>", "bad-namespace-prefix"),
    "an attribute's prefix nobody bound": ("<message evil:a='1'/>", "bad-namespace-prefix"),
    "bytes that are not UTF-8": (b"<message>\xff\xfe</message>", "unsupported-encoding"),
    "overlong UTF-8": (b"<message>\xc0\xbc</message>", "unsupported-encoding"),
    "a surrogate in UTF-8": (b"<message>\xed\xa0\x80</message>", "unsupported-encoding"),
    "100000 attributes": (ATTRIBUTES, "policy-violation"),
    "1000 levels of elements": ("<a>" * 1000, "policy-violation"),
    "1000 stream headers": (HEADER * 1000, "policy-violation"),
    "1000 declarations": (
        "<message>" + "".join(f"<a xmlns:p{i}='urn:{i}'>" for i in range(1000)), "policy-violation"
    ),
    "a name of a megabyte": ("<" + "a" * 1_000_000, "policy-violation"),
    "a namespace of a megabyte": (f"<a xmlns='{'u' * 1_000_000}'/>", "policy-violation"),
    "100000 children": ("<message>" + "<a/>" * 100_000, "policy-violation"),
}


def register(title, text, condition):
    @attack(f"XML: {title}, before and after sign-in: {condition}")
    async def play(node):
        for line in (await node.stream(), await node.session()):
            await line.say(text)
            heard = await line.stream_error()
            expect(heard == condition, f"{heard} instead of {condition}")


for title, (text, condition) in BROKEN.items():
    register(title, text, condition)

HEADERS = {
    "another namespace": (HEADER.replace("etherx", "ether"), "invalid-namespace"),
    "another root": (HEADER.replace("stream:stream", "stream:flood"), "bad-format"),
    "a host from elsewhere": (HEADER.replace(DOMAIN, "elsewhere.example"), "host-unknown"),
    "version 0.9": (HEADER.replace("1.0", "0.9"), "unsupported-version"),
    "UTF-16": ("<?xml version='1.0' encoding='utf-16'?>" + HEADER, "unsupported-encoding"),
    "a doctype before it": ("<!DOCTYPE x>" + HEADER, "restricted-xml"),
    "no XML": ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not-well-formed"),
    "one of 1 MB": (HEADER[:-1] + f" a='{'x' * 1_000_000}'>", "policy-violation"),
}


@attack("XML: headers that are none get the error for each")
async def headers(node):
    for title, (text, condition) in HEADERS.items():
        line = await node.line()
        await line.say(text)
        heard = await line.stream_error()
        expect(heard == condition, f"{title}: {heard} instead of {condition}")


@attack("XML: stanzas before sign-in: not-authorized")
async def early(node):
    for text in ("<message to='a@b'/>", "<presence/>", "<iq type='get' id='1'><x xmlns='y'/></iq>"):
        line = await node.stream()
        await line.say(text)
        heard = await line.stream_error()
        expect(heard == "not-authorized", heard)


@attack("XML: a forged sender: invalid-from")
async def forged(node):
    line = await node.session()
    await line.say(f"<message from='{node.address('romeo')}' to='{node.address('victim')}'/>")
    heard = await line.stream_error()
    expect(heard == "invalid-from", heard)


@attack("XML: a stanza larger than announced, in drops: policy-violation", 40)
async def giant(node):
    line = await node.session()
    await line.say(f"<message to='{node.address('victim')}'><body>")
    for _ in range(300):  # the bound is 256 KiB
        if not await line.say("x" * 1024):
            break
        await asyncio.sleep(0.005)
    heard = await line.stream_error()
    expect(heard == "policy-violation", heard)


@attack("XML: 20 streams that hold half a stanza of the largest size")
async def halves(node):
    lines = [await node.session(resource=f"half{i}") for i in range(20)]
    half = f"<message to='{node.address('victim')}'><body>" + "x" * 250_000
    for line in lines:
        expect(await line.say(half), "not taken")
    await asyncio.sleep(1)
    for line in lines:
        line.cut()


@attack("XML: 200 streams opened and ended at once")
async def many(node):
    for _ in range(200):
        line = await node.stream()
        await line.say("</stream:stream>")
        expect(b"</stream:stream>" in await line.rest(), "no end tag")


@attack("XML: an element a byte a second never gets past the time to sign in", 30, slow=True)
async def drip(node):
    line = await node.line()

    async def drip():
        for byte in HEADER:
            await line.say(byte)
            await asyncio.sleep(0.2)

    dripping = asyncio.ensure_future(drip())
    heard = (await line.hear(STREAM_ERROR, 20))[1].decode()
    dripping.cancel()
    expect(heard == "connection-timeout", heard)
