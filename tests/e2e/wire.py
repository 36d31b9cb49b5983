"""A client of our own, as small as it can be: raw XMPP over direct TLS with SCRAM and XEP-0198.

It shares no code with any library, so what it counts is what was on the wire.
"""

import asyncio
import base64
import hashlib
import hmac
import os
from xml.etree.ElementTree import XMLPullParser
from xml.sax.saxutils import escape

from servers import DOMAIN

SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
SM = "{urn:xmpp:sm:3}"
CLIENT = "{jabber:client}"
STANZAS = {CLIENT + name for name in ("message", "presence", "iq")}
ANSWER_SECONDS = 15


class Lost(Exception):
    """The connection ended: expected whenever the server was killed."""


class Refused(Exception):
    """Authentication failed; the message is the condition."""


class Wire:
    """One connection. Messages received go to `heard`, in order; acknowledged ids to `acked`."""

    def __init__(self, server, user, password, resource, binding=None, domain=DOMAIN):
        self.server, self.user, self.password, self.resource = server, user, password, resource
        self.domain = domain
        self.binding = binding  # from the certificate's bytes to channel binding data, for -PLUS
        self.heard = []  # (id, is from the offline store), in order of arrival
        self.filed = []  # ids of messages from the archive
        self.refused = set()  # ids that came back as errors
        self.acked = set()  # ids that the server has acknowledged
        self.unacked = []  # ids of stanzas sent since <enable/>, None for those without
        self.counted = 0  # the server's last h
        self.handled = 0
        self.is_managed = False
        self.is_lost = False
        self.elements = asyncio.Queue()
        self.news = asyncio.Event()
        self.task = None

    async def sign_in(self, managed):
        """Connects, authenticates, binds, is available; `managed` turns on stream management."""
        await self._connect()
        await self._ask(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{self.resource}</resource></bind></iq>"
        )
        if managed:
            self._write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            enabled = await self._next()
            assert enabled.tag == SM + "enabled", enabled.tag
            self.is_managed, self.previd = True, enabled.get("id")
        self.send("<presence/>")
        return self

    async def resume(self, old):
        """Connects and takes over what `old`, a connection that was cut, had begun."""
        await self._connect()
        self.heard, self.handled, self.counted = old.heard, old.handled, old.counted
        self.unacked, self.previd = old.unacked, old.previd
        # Counting starts with <resumed/>; what the server replays comes in the same packet.
        self.is_managed = True
        self._write(f"<resume xmlns='urn:xmpp:sm:3' previd='{self.previd}' h='{self.handled}'/>")
        resumed = await self._next()
        assert resumed.tag == SM + "resumed", resumed.tag
        self._count(int(resumed.get("h")))
        return self

    async def _connect(self):
        """Up to the features of the authenticated stream."""
        await self._dial(self.server.tls_context())
        await self._authenticate()
        self._restart()
        await self._next()

    async def _dial(self, context):
        """Up to the header; the features are on their way."""
        domain = self.domain
        try:
            self.reader, self.writer = await asyncio.open_connection(
                self.server.host, self.server.tls_port, ssl=context, server_hostname=domain
            )
        except OSError as error:
            raise Lost(str(error)) from None
        self.header = (
            f"<stream:stream to='{domain}' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        self._restart()
        self.task = asyncio.ensure_future(self._read())

    def _restart(self):
        self.parser = XMLPullParser(("start", "end"))
        self.depth = 0
        self._write(self.header)

    async def _authenticate(self):
        features = await self._next()
        offered = {m.text for m in features.iter(SASL + "mechanism")}
        name, digest = next(
            (n, d) for n, d in (("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-1", "sha1"))
            if n in offered
        )
        header, binding = "n,,", b""
        if self.binding:
            name += "-PLUS"
            assert name in offered, offered
            tls = self.writer.get_extra_info("ssl_object")
            header, binding = "p=tls-server-end-point,,", self.binding(tls.getpeercert(True))
        bare = f"n={self.user},r={base64.b64encode(os.urandom(18)).decode()}"
        first = base64.b64encode(f"{header}{bare}".encode()).decode()
        self._write(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{name}'>{first}</auth>"
        )
        challenge = await self._next()
        assert challenge.tag == SASL + "challenge", challenge.tag
        text = base64.b64decode(challenge.text).decode()
        field = dict(part.split("=", 1) for part in text.split(","))
        bound = base64.b64encode(header.encode() + binding).decode()
        final = f"c={bound},r={field['r']}"
        proof = scram_proof(
            digest, self.password, base64.b64decode(field["s"]), int(field["i"]),
            f"{bare},{text},{final}",
        )
        final = base64.b64encode(f"{final},p={proof}".encode()).decode()
        self._write(f"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{final}</response>")
        success = await self._next()
        if success.tag != SASL + "success":
            raise Refused(success[0].tag.removeprefix(SASL))

    def send(self, stanza, id=None):
        """Sends one stanza and counts it."""
        if self.is_managed:
            self.unacked.append(id)
        self._write(stanza)

    def say(self, to, id):
        """One numbered message, followed by a request to acknowledge it."""
        self.send(
            f"<message type='chat' to='{escape(to)}' id='{id}'><body>{id}</body></message>", id
        )
        self._write("<r xmlns='urn:xmpp:sm:3'/>")

    def acknowledge(self):
        if self.is_managed and not self.is_lost:
            self._write(f"<a xmlns='urn:xmpp:sm:3' h='{self.handled}'/>")

    async def settle(self, quiet_seconds=0.25):
        """Acknowledges what came, until a ping is answered and nothing more comes."""
        while True:
            before = len(self.heard)
            self.acknowledge()
            await self._ask(
                f"<iq type='get' id='ping' to='{self.domain}'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>"
            )
            await asyncio.sleep(quiet_seconds)
            if len(self.heard) == before:
                return

    async def history(self):
        """The ids of all messages in the account's archive (XEP-0313), in order."""
        ids, after = [], ""
        while True:
            self.filed = []
            answer = await self._ask(
                f"<iq type='set' id='history'><query xmlns='{MAM}'><set xmlns='{RSM}'>"
                f"<max>100</max>{after}</set></query></iq>"
            )
            ids += self.filed
            fin = answer.find(f"{{{MAM}}}fin")
            if fin.get("complete") == "true":
                return ids
            last = fin.find(f"{{{RSM}}}set/{{{RSM}}}last").text
            after = f"<after>{last}</after>"

    async def close(self):
        """Ends the stream in order and waits for the server to do so too."""
        if not self.is_lost:
            self.acknowledge()
            self._write("</stream:stream>")
            await asyncio.wait({self.task}, timeout=3)
        self.cut()

    async def drain(self):
        """Reads what is still on the way from a server that has died."""
        if self.task:
            await asyncio.wait({self.task}, timeout=3)

    def cut(self):
        """Breaks the connection as a dead network does."""
        self.is_lost = True
        if self.task:
            self.task.cancel()
            self.writer.transport.abort()

    def _write(self, text):
        if not self.writer.is_closing():
            self.writer.write(text.encode())

    async def _ask(self, iq):
        self.send(iq)
        while (answer := await self._next()).tag != CLIENT + "iq":
            pass
        return answer

    async def _next(self):
        """The next element that is neither a message nor an acknowledgement."""
        element = await asyncio.wait_for(self.elements.get(), ANSWER_SECONDS)
        if element is None:
            self.elements.put_nowait(None)
            raise Lost("the connection ended")
        return element

    async def _read(self):
        try:
            while data := await self.reader.read(65536):
                self._feed(data)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.is_lost = True
            self.elements.put_nowait(None)
            self.news.set()

    def _feed(self, data):
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            if event == "start":
                self.depth += 1
                continue
            self.depth -= 1
            if self.depth == 1:
                self._take(element)

    def _take(self, element):
        if element.tag == SM + "r":
            self.acknowledge()
            return
        if element.tag == SM + "a":
            self._count(int(element.get("h")))
            return
        self.handled += self.is_managed and element.tag in STANZAS
        if element.tag == CLIENT + "message":
            self._hear(element)
        elif element.tag != CLIENT + "presence":
            self.elements.put_nowait(element)

    def _count(self, h):
        new = h - self.counted
        self.counted = h
        for id in self.unacked[:new]:
            if id:
                self.acked.add(id)
        del self.unacked[:new]
        self.news.set()

    def _hear(self, message):
        id = message.get("id")
        result = message.find(f"{{{MAM}}}result")
        if result is not None:
            self.filed.append(result.find(f".//{CLIENT}message").get("id"))
            return
        if message.get("type") == "error":
            self.refused.add(id)
        elif message.find(CLIENT + "body") is not None:
            is_stored = message.find("{urn:xmpp:delay}delay") is not None
            self.heard.append((id, is_stored))
        self.news.set()


def scram_proof(digest, password, salt, iterations, auth_message):
    """RFC 5802 §3: ClientProof, for an ASCII password."""
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", digest)
    stored_key = hashlib.new(digest, client_key).digest()
    signature = hmac.digest(stored_key, auth_message.encode(), digest)
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    return base64.b64encode(proof).decode()
