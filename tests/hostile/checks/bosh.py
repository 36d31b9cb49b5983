"""BOSH (XEP-0124, XEP-0206): bodies that are none, guessed numbers, and requests without end."""

import asyncio
import re

from attack import attack, expect
from line import DOMAIN, Gone

NS = "http://jabber.org/protocol/httpbind"
FIRST = 1000


class Talker:
    """Somebody who says what he is told, one request on a connection."""

    def __init__(self, node):
        self.node = node

    async def post(self, body, wait=10, path="/http-bind"):
        """The answer's body."""
        line = await self.send(body, path)
        try:
            return await self.answer(line, wait)
        finally:
            line.cut()

    async def send(self, body, path="/http-bind"):
        line = await self.node.line(port=self.node.http_port)
        data = body.encode() if isinstance(body, str) else body
        head = f"POST {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {len(data)}\r\n\r\n"
        await line.say(head.encode() + data)
        return line

    async def answer(self, line, wait=10):
        found = await line.hear(rb"HTTP/1\.1 (\d+) .*?content-length: (\d+).*?\r\n\r\n", wait)
        return found[1], await self.rest(line, int(found[2]), wait)

    async def rest(self, line, length, wait):
        while len(line.heard) < length:
            await line._more(wait)
        return line.heard[:length]

    async def open(self, terms="wait='10' hold='1'"):
        _, body = await self.post(
            f"<body xmlns='{NS}' rid='{FIRST}' to='{DOMAIN}' ver='1.11' {terms} "
            "xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>"
        )
        self.sid = re.search(rb"sid=['\"]([0-9a-f]+)", body)[1].decode()
        return body

    def body(self, rid, inside="", more=""):
        return f"<body xmlns='{NS}' sid='{self.sid}' rid='{rid}' {more}>{inside}</body>"


def condition(body):
    found = re.search(rb"condition=['\"]([a-z-]+)", body)
    return found[1].decode() if found else None


NO_BODIES = {
    "nothing": "",
    "text": "Hello",
    "half a body": f"<body xmlns='{NS}' rid='1'",
    "another element": f"<stream xmlns='{NS}' rid='1' to='{DOMAIN}'/>",
    "another namespace": f"<body rid='1' to='{DOMAIN}'/>",
    "no number": f"<body xmlns='{NS}' to='{DOMAIN}'/>",
    "a negative number": f"<body xmlns='{NS}' rid='-1' to='{DOMAIN}'/>",
    "a number beyond 2^53": f"<body xmlns='{NS}' rid='9007199254740992' to='{DOMAIN}'/>",
    "a document type": f"<!DOCTYPE b [<!ENTITY x 'y'>]><body xmlns='{NS}' rid='1' to='&x;'/>",
    "no UTF-8": f"<body xmlns='{NS}' rid='1' to='".encode() + b"\xff\xfe'/>",
    "two bodies": f"<body xmlns='{NS}' rid='1' to='{DOMAIN}'/>" * 2,
    "text inside": f"<body xmlns='{NS}' rid='1' to='{DOMAIN}'>Hello</body>",
    "a deep one": f"<body xmlns='{NS}' rid='1'>" + "<a>" * 2000 + "</a>" * 2000 + "</body>",
    "a page for a browser": f"<body xmlns='{NS}' rid='1' to='{DOMAIN}' content='text/html'/>",
}


@attack("BOSH: bodies that are none: bad-request")
async def bodies(node):
    talker = Talker(node)
    for title, body in NO_BODIES.items():
        _, heard = await talker.post(body)
        expect(condition(heard) == "bad-request", f"{title}: {heard}")
    _, heard = await talker.post(f"<body xmlns='{NS}' rid='1'/>")
    expect(condition(heard) == "improper-addressing", heard)
    _, heard = await talker.post(f"<body xmlns='{NS}' rid='1' to='other.example' ver='1.6'/>")
    expect(b"host-unknown" in heard, heard)


@attack("BOSH: guessed sessions and numbers: item-not-found")
async def guesses(node):
    talker = Talker(node)
    talker.sid = "0" * 32
    _, heard = await talker.post(talker.body(FIRST + 1))
    expect(condition(heard) == "item-not-found", heard)
    for rid in (FIRST + 3, FIRST - 1, 1, 2**53 - 1):
        await talker.open()
        _, heard = await talker.post(talker.body(rid))
        expect(condition(heard) == "item-not-found", f"{rid}: {heard}")
        _, heard = await talker.post(talker.body(FIRST + 1))
        expect(condition(heard) == "item-not-found", f"after {rid}: {heard}")


@attack("BOSH: more requests at a time than are allowed: policy-violation")
async def crowd(node):
    talker = Talker(node)
    await talker.open()
    lines = []
    for number in (FIRST + 2, FIRST + 3, FIRST + 1):
        lines.append(await talker.send(talker.body(number)))
        # They come on connections of their own: each is there before the next.
        await asyncio.sleep(0.3)
    heard = [await talker.answer(line) for line in lines]
    conditions = {condition(body) for _, body in heard}
    expect(conditions & {"policy-violation", "item-not-found"}, heard)


@attack("BOSH: much before sign-in is refused, whatever it claims")
async def much(node):
    talker = Talker(node)
    for lie in ("", f" sid='{'0' * 32}'"):
        _, heard = await talker.post(
            f"<body xmlns='{NS}' rid='1' to='{DOMAIN}'{lie}><a>{'x' * 100_000}</a></body>"
        )
        expect(condition(heard) == "policy-violation", heard)
    await talker.open()
    _, heard = await talker.post(talker.body(FIRST + 1, f"<a>{'x' * 100_000}</a>"))
    expect(condition(heard) == "policy-violation", heard)


@attack("BOSH: 300 sessions that nobody goes on with", 30)
async def abandoned(node):
    talkers = [Talker(node) for _ in range(300)]
    for talker in talkers:
        await talker.open()


@attack("BOSH: 200 requests held, and their connections cut", 30)
async def cut(node):
    lines = []
    for _ in range(200):
        talker = Talker(node)
        await talker.open()
        lines.append(await talker.send(talker.body(FIRST + 1)))
    await asyncio.sleep(0.5)
    for line in lines:
        line.cut()
    talker = Talker(node)
    await talker.open("wait='1' hold='1'")
    _, heard = await talker.post(talker.body(FIRST + 1))
    expect(b"<body" in heard and condition(heard) is None, heard)


@attack("BOSH: the same number again and again is answered once", 30)
async def again(node):
    talker = Talker(node)
    await talker.open("wait='2' hold='1'")
    lines = [await talker.send(talker.body(FIRST + 1)) for _ in range(50)]
    heard = []
    for line in lines:
        try:
            heard.append((await talker.answer(line))[1])
        except Gone as gone:
            raise AssertionError(f"an answer is missing: {gone}") from None
    errors = [body for body in heard if re.search(rb"type=['\"]error", body)]
    expect(len(errors) == 49, f"{len(errors)} of 50 were told to ask again")
