"""HTTP and WebSocket: requests that never end or hide others, and frames that are none."""

import asyncio
import base64
import os
import struct

from attack import attack, expect
from checks.floods import pour

OPEN = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
TEXT, CONTINUATION, BINARY, CLOSE, PING = 0x1, 0x0, 0x2, 0x8, 0x9
FINAL = 0x80
HIDDEN = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"


def frame(opcode, payload=b"", final=True, masked=True, length=None):
    """One frame of a client; `length` is what it claims to hold."""
    length = len(payload) if length is None else length
    head = bytes([opcode | (FINAL if final else 0)])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 1 << 16:
        head += struct.pack(">BH", bit | 126, length)
    else:
        head += struct.pack(">BQ", bit | 127, length)
    # A mask of zeros leaves the payload as it is.
    return head + (bytes(4) if masked else b"") + payload


async def socket(node):
    """A WebSocket whose stream is open."""
    line = await node.line(port=node.http_port)
    await line.say(
        f"GET {node.ws_path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    await line.hear(rb"HTTP/1.1 101 .*?\r\n\r\n")
    await line.say(frame(TEXT, OPEN.encode()))
    await line.hear(rb"<stream:features.*?</stream:features>")
    return line


async def code(line):
    """The status code that the server closes a WebSocket with."""
    found = await line.hear(rb"\x88[\x02-\x7d](..)")
    return struct.unpack(">H", found[1])[0]


FRAMES = {
    "a frame without a mask": (frame(TEXT, b"<a/>", masked=False), 1002),
    "a reserved bit": (bytes([0xF1, 0x80]) + bytes(4), 1002),
    "an opcode that nobody knows": (frame(0x3, b"x"), 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a ping in fragments": (frame(PING, b"x", final=False), 1002),
    "a ping of 1000 bytes": (frame(PING, b"x" * 1000), 1002),
    "a frame of 2^63 bytes": (frame(TEXT, b"x", length=1 << 63), 1002),
    "a frame of 2^62 bytes": (frame(TEXT, b"x", length=1 << 62), 1009),
    "a binary message": (frame(BINARY, b"x"), 1003),
    "text that is not UTF-8": (frame(TEXT, b"\xff\xfe"), 1007),
    "a message larger than announced": (frame(TEXT, b"<a>" + b"x" * 20_000), 1009),
    "fragments larger than announced in sum": (
        frame(TEXT, b"<a>", final=False) + frame(CONTINUATION, b"x" * 100, final=False) * 200, 1009
    ),
}


@attack("WebSocket: frames that are none: the close code for each")
async def frames(node):
    for title, (bytes_, wanted) in FRAMES.items():
        line = await socket(node)
        await line.say(bytes_)
        heard = await code(line)
        expect(heard == wanted, f"{title}: {heard} instead of {wanted}")
        line.cut()


@attack("WebSocket: 200000 empty fragments of one message", 30)
async def fragments(node):
    line = await socket(node)
    await line.say(frame(TEXT, b"<", final=False))
    await pour(line, frame(CONTINUATION, final=False) * 1000, 200)
    line.cut()


@attack("WebSocket: 200000 pings and no pong read", 30)
async def pings(node):
    line = await socket(node)
    # RFC 6455 §5.5.3 lets the server answer the last of many; it must not keep the answers.
    await pour(line, frame(PING, b"x" * 125) * 1000, 200)
    line.cut()


@attack("WebSocket: 300 of them with half a message each", 30)
async def halves(node):
    lines = [await socket(node) for _ in range(300)]
    for line in lines:
        await line.say(frame(TEXT, b"<a>" + b"x" * 8000, final=False))
    await asyncio.sleep(1)
    for line in lines:
        line.cut()


@attack("HTTP: 200 requests whose headers never end", 40, slow=True)
async def slowloris(node):
    lines = [await node.line(port=node.http_port) for _ in range(200)]

    async def drip(line):
        await line.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        while await line.say("X-Slow: 1\r\n"):
            await asyncio.sleep(1)

    dripping = [asyncio.ensure_future(drip(line)) for line in lines]
    await asyncio.gather(*(line.rest(30) for line in lines))
    for task in dripping:
        task.cancel()


@attack("HTTP: a body that never comes holds nobody up", 60, slow=True)
async def slow_body(node):
    lines = [await node.line(port=node.http_port) for _ in range(100)]
    for line in lines:
        await line.say("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    other = await node.line(port=node.http_port)
    await other.say("GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    expect(b"200" in (await other.rest())[:20], other.heard)
    await asyncio.gather(*(line.rest(50) for line in lines))


def request(*headers, body=HIDDEN, first="GET /healthz HTTP/1.1"):
    return "\r\n".join([first, "Host: localhost", *headers, "", body])


# RFC 9112 §3.2, §5.1, §5.2, §6.1, §6.3, §7.1, §11.2: one answer, whatever stands behind.
SMUGGLED = {
    "both lengths": request(
        "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n" + HIDDEN
    ),
    "both lengths, turned round": request(
        "Transfer-Encoding: chunked", "Content-Length: 5", body="0\r\n\r\n" + HIDDEN
    ),
    "two lengths": request("Content-Length: 0", "Content-Length: 40"),
    "a list of lengths": request("Content-Length: 0, 40"),
    "a length with a sign": request("Content-Length: +0"),
    "a length in hexadecimal": request("Content-Length: 0x0"),
    "a length of many digits": request("Content-Length: " + "9" * 100),
    "a space before the colon": request("Content-Length : 40"),
    "a folded header": request("X-A: b\r\n Content-Length: 40"),
    "an unknown coding": request("Transfer-Encoding: xchunked"),
    "chunked not last": request("Transfer-Encoding: chunked, identity"),
    "a chunk too large to count": request(
        "Transfer-Encoding: chunked", body="F" * 17 + "\r\n" + HIDDEN
    ),
    "a chunk of a negative size": request("Transfer-Encoding: chunked", body="-1\r\n" + HIDDEN),
    "chunked in HTTP/1.0": request("Transfer-Encoding: chunked", first="GET /healthz HTTP/1.0"),
    "a NUL in a header": request("X-A: \0"),
    "a bare CR in a header": request("X-A: b\rContent-Length: 40"),
    "two hosts": request("Host: elsewhere"),
    "no host": "GET /healthz HTTP/1.1\r\n\r\n" + HIDDEN,
    "1000 headers": request(*["X-A: b"] * 1000),
    "a path of a megabyte": request(first=f"GET /{'x' * 1_000_000} HTTP/1.1"),
    "an upgrade that is none": request(
        "Connection: Upgrade, close", "Upgrade: websocket", f"Content-Length: {len(HIDDEN)}",
        first="GET /xmpp-websocket HTTP/1.1",
    ),
}


@attack("HTTP: a request hidden behind another is not answered", 40)
async def smuggled(node):
    for title, text in SMUGGLED.items():
        line = await node.line(port=node.http_port)
        await line.say(text)
        heard = await line.rest()
        count = heard.count(b"HTTP/1.")
        # An answer that comes before the request is over may be lost with the connection.
        least = 0 if len(text) > 100_000 else 1
        expect(least <= count <= 1, f"{title}: {count} answers: {heard!r}")


@attack("HTTP: paths that lead elsewhere")
async def paths(node):
    for path in ("/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/\\..\\x", "*",
                 "http://elsewhere/etc/passwd", "/healthz/../metrics", "/.well-known/../../x"):
        line = await node.line(port=node.http_port)
        await line.say(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        heard = await line.rest()
        expect(heard[9:12] in (b"400", b"404"), f"{path}: {heard[:200]!r}")
