"""One raw connection: bytes out, patterns in. It checks nothing that it sends."""

import asyncio
import base64
import os
import re

from wire import scram_proof

DOMAIN = "localhost"
HEADER = (
    f"<stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
SASL = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
FEATURES = rb"<stream:features.*?</stream:features>|<stream:features/>"
STREAM_ERROR = rb"<stream:error[^>]*><([a-z-]+)[ />]"
SECONDS = 10


class Gone(Exception):
    """The server has ended the connection; the text is what it said last."""


class Line:
    """One connection over TCP, or over TLS."""

    def __init__(self, reader, writer, node):
        self.reader, self.writer, self.node = reader, writer, node
        self.heard = b""  # what came and was not asked for yet
        self.is_over = False

    @classmethod
    async def dial(cls, node, port=None, tls=None):
        """Connects; says nothing."""
        reader, writer = await asyncio.open_connection(
            node.host, port or node.tcp_port, ssl=tls, server_hostname=DOMAIN if tls else None
        )
        line = cls(reader, writer, node)
        node.lines.append(line)
        return line

    @classmethod
    async def begin(cls, node):
        """With the stream open: its features are heard."""
        line = await cls.dial(node)
        await line.restart()
        return line

    @classmethod
    async def sign_in(cls, node, user, resource=None):
        """With a session; it has sent no presence."""
        line = await cls.begin(node)
        await line.authenticate(user)
        await line.bind(resource)
        return line

    async def restart(self):
        await self.say(HEADER)
        return await self.hear(FEATURES)

    async def authenticate(self, user, password=None):
        """SCRAM-SHA-1: the cheapest for both sides."""
        bare = f"n={user},r={base64.b64encode(os.urandom(9)).decode()}"
        first = base64.b64encode(f"n,,{bare}".encode()).decode()
        await self.say(f"<auth {SASL} mechanism='SCRAM-SHA-1'>{first}</auth>")
        found = await self.hear(rb"<challenge [^>]*>([^<]*)</challenge>")
        text = base64.b64decode(found[1]).decode()
        field = dict(part.split("=", 1) for part in text.split(","))
        final = f"c=biws,r={field['r']}"
        proof = scram_proof(
            "sha1", password or self.node.password, base64.b64decode(field["s"]), int(field["i"]),
            f"{bare},{text},{final}",
        )
        final = base64.b64encode(f"{final},p={proof}".encode()).decode()
        await self.say(f"<response {SASL}>{final}</response>")
        found = await self.hear(rb"<success |<failure [^>]*><([a-z-]+)/>")
        if found[1]:
            return found[1].decode()
        await self.hear(rb">")
        await self.restart()
        return None

    async def bind(self, resource=None):
        name = f"<resource>{resource}</resource>" if resource else ""
        await self.say(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"{name}</bind></iq>"
        )
        self.jid = (await self.hear(rb"<jid>([^<]*)</jid>"))[1].decode()

    async def say(self, data, seconds=SECONDS):
        """Sends; False when the server takes no more, because it is full or gone."""
        if isinstance(data, str):
            data = data.encode()
        try:
            self.writer.write(data)
            await asyncio.wait_for(self.writer.drain(), seconds)
            return True
        except (OSError, asyncio.TimeoutError):
            return False

    async def hear(self, pattern, seconds=SECONDS):
        """Waits for a pattern; what was before it is forgotten."""
        limit = asyncio.get_running_loop().time() + seconds
        while (found := re.search(pattern, self.heard, re.S)) is None:
            left = limit - asyncio.get_running_loop().time()
            if not await self._more(max(left, 0)):
                raise Gone(f"instead of {pattern!r}: {self.heard[-400:]!r}")
        self.heard = self.heard[found.end():]
        return found

    async def _more(self, seconds):
        try:
            data = await asyncio.wait_for(self.reader.read(1 << 16), seconds)
        except asyncio.TimeoutError:
            raise AssertionError(f"heard nothing for long; before: {self.heard[-400:]!r}") from None
        except OSError:
            data = b""
        self.heard += data
        self.is_over = not data
        return bool(data)

    async def rest(self, seconds=SECONDS):
        """All that comes until the server ends the connection."""
        limit = asyncio.get_running_loop().time() + seconds
        while not self.is_over:
            await self._more(max(limit - asyncio.get_running_loop().time(), 0))
        return self.heard

    async def stream_error(self, seconds=SECONDS):
        """The condition of the stream error, after which the stream and the connection end."""
        found = await self.hear(STREAM_ERROR, seconds)
        # The server waits for the other end tag, but not for ever.
        await self.say("</stream:stream>")
        rest = await self.rest(seconds)
        if b"</stream:stream>" not in rest:
            raise AssertionError(f"no end tag after {found[1]!r}: {rest[-200:]!r}")
        return found[1].decode()

    async def ping(self, seconds=SECONDS):
        """Whether this very session is still served."""
        mark = base64.b16encode(os.urandom(6)).decode()
        await self.say(
            f"<iq type='get' id='{mark}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        await self.hear(f"<iq [^>]*id='{mark}'[^>]*>".encode(), seconds)

    def cut(self):
        """As a dead network does."""
        self.writer.transport.abort()
