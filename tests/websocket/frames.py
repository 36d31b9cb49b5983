"""WebSocket by hand (RFC 6455): a handshake and frames that may be as broken as a check wants."""

import asyncio
import base64
import os
import re
import struct
import zlib
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
ANSWER_SECONDS = 10
PATH = "/xmpp-websocket"
RSV1 = 0x40
# With these words a session begins (RFC 6120 §7, XEP-0386, XEP-0198).
BEGUN = re.compile(rb"<jid>|<bound |<resumed ")


class Reply(NamedTuple):
    """An HTTP answer."""

    status: int
    headers: list  # of (name in lower case, value)
    body: str

    def header(self, name):
        """The values of a header field."""
        return [value for key, value in self.headers if key == name]


class Refused(Exception):
    """The handshake did not end in a WebSocket; `reply` says why."""

    def __init__(self, reply):
        super().__init__(f"{reply.status} {reply.body[:200]!r}")
        self.reply = reply


class Ended(Exception):
    """The server closed the WebSocket: `code`, or None if the connection just ended."""

    def __init__(self, code, reason=b""):
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code


class Frame(NamedTuple):
    """One frame as it came."""

    first: int  # FIN, RSV and opcode
    is_masked: bool
    payload: bytes

    @property
    def opcode(self):
        return self.first & 0x0F


def frame(opcode, payload=b"", *, final=True, rsv=0, masked=True, length=None):
    """A client's frame. `length` claims another length than the payload has."""
    size = len(payload) if length is None else length
    out = bytearray([(0x80 if final else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if size <= 125:
        out.append(bit | size)
    elif size <= 0xFFFF:
        out += bytes([bit | 126]) + struct.pack("!H", size)
    else:
        out += bytes([bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return bytes(out + payload)
    mask = os.urandom(4)
    stream = mask * (len(payload) // 4 + 1)
    masked_payload = int.from_bytes(payload, "big") ^ int.from_bytes(stream[: len(payload)], "big")
    return bytes(out + mask + masked_payload.to_bytes(len(payload), "big"))


def deflated(data, level=9, wbits=-15):
    """A message as permessage-deflate sends it (RFC 7692 §7.2.1)."""
    compressor = zlib.compressobj(level, wbits=wbits)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
        b"\0\0\xff\xff"
    )


def handshake(host, change=None, path=PATH, first_line=None):
    """The bytes of an opening handshake. `change` replaces headers: a value, several, or None."""
    headers = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "xmpp",
    }
    headers.update(change or {})
    lines = [first_line or f"GET {path} HTTP/1.1"]
    for name, values in headers.items():
        for value in [values] if isinstance(values, str) else values or []:
            lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def read_reply(reader):
    """Reads one HTTP answer; its body only where its length is given."""
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)).decode()
    status, *lines = head.rstrip().split("\r\n")
    pairs = [line.split(":", 1) for line in lines]
    headers = [(name.strip().lower(), value.strip()) for name, value in pairs]
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    body = await asyncio.wait_for(reader.readexactly(length), ANSWER_SECONDS)
    return Reply(int(status.split()[1]), headers, body.decode())


class Socket:
    """A WebSocket to a node. What the server sends is judged by `judge`."""

    def __init__(self, reader, writer, reply, judge):
        self.reader, self.writer, self.reply, self.judge = reader, writer, reply, judge
        self.pings = 0
        self.answers_pings = True
        self.is_closing = False
        self.deflates = bool(reply.header("sec-websocket-extensions"))
        self.window_bits = 15
        self.compressed = 0  # messages of the server
        self.is_begun = False

    @classmethod
    async def open(cls, node, tls=False, judge=None, port=None, **request):
        reader, writer = await node.connect(tls, port)
        try:
            writer.write(handshake(node.host_header(tls), **request))
            reply = await read_reply(reader)
            if reply.status != 101:
                raise Refused(reply)
        except BaseException:
            writer.transport.abort()
            raise
        return cls(reader, writer, reply, judge)

    def write(self, data):
        """Sends bytes as they are."""
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def send(self, opcode, payload=b"", **broken):
        self.write(frame(opcode, payload, **broken))

    def text(self, text):
        self.send(TEXT, text if isinstance(text, bytes) else text.encode())

    async def frame(self, seconds=ANSWER_SECONDS):
        """The next frame. Raises `Ended(None)` at the end of the connection."""
        try:
            return await asyncio.wait_for(self._frame(), seconds)
        except TimeoutError:  # which is an OSError too
            raise
        except (asyncio.IncompleteReadError, OSError):
            raise Ended(None) from None

    async def _frame(self):
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            size = struct.unpack("!H", await self.reader.readexactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
        payload = await self.reader.readexactly(size)
        if self.deflates and first & RSV1 and first & 0x0F == TEXT:
            # A fresh window each time: a server that takes its context over is not understood.
            inflate = zlib.decompressobj(-self.window_bits)
            payload = inflate.decompress(payload + b"\0\0\xff\xff")
            first &= ~RSV1
            self.compressed += 1
            if self.judge:
                self.judge.compressed(payload, self.is_begun)
        self.is_begun |= bool(BEGUN.search(payload))
        got = Frame(first, bool(second & 0x80), payload)
        if self.judge:
            self.judge.frame(got, self.is_closing)
        self.is_closing |= got.opcode == CLOSE
        return got

    async def message(self, seconds=ANSWER_SECONDS):
        """The next text message; answers pings meanwhile. Raises `Ended` at a close frame."""
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            left = limit - asyncio.get_running_loop().time()
            got = await self.frame(max(left, 0.001))
            if got.opcode == PING:
                self.pings += 1
                if self.answers_pings:
                    self.send(PONG, got.payload)
            elif got.opcode == CLOSE:
                code = int.from_bytes(got.payload[:2], "big") if got.payload else 1005
                self.code = code
                self.send(CLOSE, got.payload[:2])
                raise Ended(code, got.payload[2:])
            elif got.opcode == TEXT:
                return got.payload.decode()

    async def gone(self, seconds=ANSWER_SECONDS):
        """Waits for the end of the TCP connection; anything that still comes is an error."""
        rest = await asyncio.wait_for(self.reader.read(65536), seconds)
        if rest:
            raise AssertionError(f"{rest[:80]!r} came behind the close frame")

    def cut(self):
        """Ends the connection without a word."""
        self.writer.transport.abort()
