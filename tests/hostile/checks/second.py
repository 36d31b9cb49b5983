"""HTTP/2 and compressed frames, by hand: what costs the sender little and the server much."""

import asyncio
import base64
import os
import struct
import zlib

from attack import attack, expect
from checks.floods import pour
from checks.web import CLOSE, CONTINUATION, OPEN, TEXT, code, frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, CONTINUED = 0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x9
END_STREAM, END_HEADERS = 0x1, 0x4
INITIAL_WINDOW = 0x4
RSV1 = 0x40


def piece(kind, payload=b"", flags=0, stream=0):
    """One frame (RFC 9113 §4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string literal of HPACK, shorter than 127 bytes or with a length in two bytes."""
    value = value.encode()
    if len(value) < 127:
        return bytes([len(value)]) + value
    rest = len(value) - 127
    return bytes([127, 0x80 | rest & 0x7F, rest >> 7]) + value


def get(path):
    """The header block of `GET path` (RFC 7541, appendix A: 2 is GET, 7 https, 4 :path, 1 host)."""
    return b"\x82\x87\x04" + text(path) + b"\x01" + text("localhost")


async def second(node, settings=b""):
    """A connection that speaks HTTP/2 and has read nothing."""
    tls = node.tls_context()
    tls.set_alpn_protocols(["h2"])
    line = await node.line(port=node.https_port, tls=tls)
    await line.say(PREFACE + piece(SETTINGS, settings))
    return line


async def answers(node):
    """Whether the server still serves others in the same way."""
    line = await second(node)
    await line.say(piece(HEADERS, get("/healthz"), END_STREAM | END_HEADERS, 1))
    await line.hear(rb"ok\n")
    line.cut()


@attack("HTTP/2: headers that go on for ever", 40)
async def continuations(node):
    line = await second(node)
    await line.say(piece(HEADERS, get("/healthz"), END_STREAM, 1))
    more = b"".join(b"\x00" + text("x") + text("y" * 100) for _ in range(100))
    done = await pour(line, piece(CONTINUED, more, 0, 1) * 10, 2000)
    expect(done < 2000, "the server read them all")
    await answers(node)


@attack("HTTP/2: a header of four thousand bytes, and ten thousand times the same again", 30)
async def bomb(node):
    line = await second(node)
    block = get("/healthz") + b"\x40" + text("x") + text("y" * 4000) + b"\xbe" * 10_000
    await line.say(piece(HEADERS, block, END_STREAM | END_HEADERS, 1))
    heard = await line.hear(rb"\x00\x00.\x01|\x00\x00\x04\x03|\x00\x00.\x07", 10)
    expect(b"ok\n" not in heard[0], heard)
    line.cut()
    await answers(node)


@attack("HTTP/2: 200000 pings and settings whose answers nobody reads", 60)
async def questions(node):
    for question in (piece(PING, bytes(8)), piece(SETTINGS), piece(RESET, bytes(4), 0, 1)):
        line = await second(node)
        await pour(line, question * 1000, 200)
        line.cut()
    await answers(node)


@attack("HTTP/2: 100 connections with 60 requests each and no room for an answer", 60)
async def no_room(node):
    lines = []
    for _ in range(100):
        line = await second(node, struct.pack(">HI", INITIAL_WINDOW, 0))
        requests = b"".join(
            piece(HEADERS, get("/.well-known/host-meta"), END_STREAM | END_HEADERS, 2 * n + 1)
            for n in range(60)
        )
        await line.say(requests)
        lines.append(line)
    await asyncio.sleep(1)
    await answers(node)
    for line in lines:
        line.cut()


@attack("HTTP/2: what is none of it")
async def nonsense(node):
    for bytes_ in (
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", os.urandom(4096), PREFACE + os.urandom(4096),
        PREFACE + piece(DATA, b"x", 0, 1), PREFACE + piece(SETTINGS, b"12345"),
        PREFACE + piece(SETTINGS) + piece(HEADERS, b"\xff" * 100, END_HEADERS, 1),
        PREFACE + piece(SETTINGS) + piece(HEADERS, get("/"), END_HEADERS, 2),
        PREFACE + piece(SETTINGS) + b"\xff\xff\xff" + piece(DATA, b"", 0, 1)[3:],
    ):
        tls = node.tls_context()
        tls.set_alpn_protocols(["h2"])
        line = await node.line(port=node.https_port, tls=tls)
        await line.say(bytes_)
        await line.rest(40)
    await answers(node)


async def compressed(node):
    """A WebSocket whose messages may be compressed, with its stream open."""
    line = await node.line(port=node.http_port)
    await line.say(
        f"GET {node.ws_path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
        "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    await line.hear(rb"permessage-deflate.*?\r\n\r\n")
    await line.say(frame(TEXT, OPEN.encode()))
    await line.hear(rb"<stream:features.*?</stream:features>")
    return line


def marked(frame_):
    return bytes([frame_[0] | RSV1]) + frame_[1:]


@attack("WebSocket: 100 deflate bombs of 100 MB, whole and in fragments", 60)
async def deflate_bombs(node):
    compressor = zlib.compressobj(9, wbits=-15)
    data = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(100))
    data = (data + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    lines = [await compressed(node) for _ in range(100)]
    for number, line in enumerate(lines):
        # Fewer bytes than a message may have before sign-in, so that it is unpacked at all.
        part = data[:16_000]
        if number % 2:
            await line.say(marked(frame(TEXT, part)))
        else:
            await line.say(marked(frame(TEXT, part[:9], final=False)))
            await line.say(frame(CONTINUATION, part[9:]))
    for line in lines:
        heard = await code(line)
        expect(heard in (1002, 1009), f"{heard} instead of 1009")
        line.cut()


@attack("WebSocket: compressed frames that are none: 1002 for each")
async def compressed_frames(node):
    for title, bytes_ in {
        "no deflate": marked(frame(TEXT, b"<a/>")),
        "nothing": marked(frame(TEXT)),
        "a block without an end": marked(frame(TEXT, b"\x00\xff\xff\x00\x00")),
        "nothing but ends": marked(frame(TEXT, b"\x03\x00" * 7000 + b"\x00")),
        "random": marked(frame(TEXT, b"\x07" + os.urandom(60))),
        "a close frame": marked(frame(CLOSE)),
        "a continuation": marked(frame(TEXT, b"\xaa", final=False))
        + marked(frame(CONTINUATION, b"\x00")),
    }.items():
        line = await compressed(node)
        await line.say(bytes_)
        heard = await code(line)
        expect(heard == 1002, f"{title}: {heard} instead of 1002")
        line.cut()
