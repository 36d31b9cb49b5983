"""A small XMPP client on a raw WebSocket."""

import asyncio
import base64
import hashlib
import hmac
import os
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from frames import Ended, Socket
from rows import expect

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
STREAM = "{http://etherx.jabber.org/streams}"
ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
SASL = "{urn:ietf:params:xml:ns:xmpp-sasl}"
SM = "{urn:xmpp:sm:3}"
CLIENT = "{jabber:client}"
OPEN, CLOSE = f"{{{FRAMING}}}open", f"{{{FRAMING}}}close"
# Strophe compares the text, so these bytes and no others.
CLOSE_TEXT = f'<close xmlns="{FRAMING}" />'
PING = "<ping xmlns='urn:xmpp:ping'/>"
QUIET_SECONDS = 1.0


def opening(**attributes):
    """An `<open/>`; an attribute of None is left out."""
    attributes = {"to": "localhost", "version": "1.0", "xmlns": FRAMING} | attributes
    pairs = ((name.replace("_", ":"), value) for name, value in attributes.items())
    return "<open" + "".join(f" {n}={quoteattr(v)}" for n, v in pairs if v is not None) + "/>"


class Client:
    """One connection; `say` and `hear` are single messages."""

    def __init__(self, socket, node):
        self.socket, self.node = socket, node
        self.raw = None  # the text of what was heard last
        self.jid = None

    @classmethod
    async def dial(cls, world, node, **how):
        socket = await Socket.open(node, judge=world.judge, **how)
        world.sockets.append(socket)
        return cls(socket, node)

    def say(self, text):
        self.socket.text(text)

    async def hear(self, seconds=10):
        """The next message, parsed alone."""
        self.raw = await self.socket.message(seconds)
        return ElementTree.fromstring(self.raw)

    async def until(self, match, seconds=10):
        """The next message that matches: a tag, or a function of the element."""
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            left = limit - asyncio.get_running_loop().time()
            element = await self.hear(max(left, 0.001))
            if element.tag == match if isinstance(match, str) else match(element):
                return element

    async def silence(self, match=lambda _: True, seconds=QUIET_SECONDS):
        """Watches that nothing which matches comes for so long."""
        try:
            element = await self.until(match, seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected: {ElementTree.tostring(element).decode()}")

    async def ending(self, seconds=10):
        """Everything up to the WebSocket's end: the elements, and the close code."""
        heard = []
        limit = asyncio.get_running_loop().time() + seconds
        try:
            while True:
                left = limit - asyncio.get_running_loop().time()
                heard.append(await self.hear(max(left, 0.001)))
        except Ended as ended:
            if ended.code is not None:
                await self.socket.gone()
            return heard, ended.code

    async def fails(self, condition, code=1000, opens=False, seconds=10):
        """Expects `<open/>` where asked, the stream error, `<close/>`, and the closing code."""
        heard, got = await self.ending(seconds)
        wanted = [OPEN] * opens + [STREAM + "error", CLOSE]
        tags = [element.tag for element in heard]
        expect(tags == wanted, f"expected {wanted}, heard {tags}")
        error = heard[-2]
        name = error[0].tag.removeprefix(ERRORS)
        expect(name in condition.split("|"), f"expected {condition}, got {name}")
        expect(got == code, f"expected close code {code}, got {got}")
        return error

    # --- signing in -------------------------------------------------------------------------------

    async def hello(self, **attributes):
        """Opens the stream; its `<open/>` and features."""
        self.say(opening(**attributes))
        opened = await self.hear()
        self.opened = self.raw
        expect(opened.tag == OPEN, f"no <open/>: {self.raw}")
        features = await self.hear()
        self.features = self.raw
        expect(features.tag == STREAM + "features", f"no features: {self.raw}")
        return opened, features

    async def scram(self, user, password, flag="n"):
        """SCRAM-SHA-256 (RFC 5802); the tag of the answer, without its namespace."""
        first = f"n={user},r={base64.b64encode(os.urandom(18)).decode()}"
        header = f"{flag},,"
        self.say(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>"
            f"{base64.b64encode((header + first).encode()).decode()}</auth>"
        )
        challenge = await self.hear()
        if challenge.tag != SASL + "challenge":
            return challenge.tag.removeprefix(SASL)
        text = base64.b64decode(challenge.text).decode()
        field = dict(part.split("=", 1) for part in text.split(","))
        final = f"c={base64.b64encode(header.encode()).decode()},r={field['r']}"
        salt, rounds = base64.b64decode(field["s"]), int(field["i"])
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
        key = hmac.digest(salted, b"Client Key", "sha256")
        signed = f"{first},{text},{final}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
        response = base64.b64encode(f"{final},p={proof}".encode()).decode()
        self.say(f"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{response}</response>")
        return (await self.hear()).tag.removeprefix(SASL)

    async def sign_in(self, user, password=None, domain="localhost"):
        """Up to the features of the authenticated stream."""
        self.domain = domain
        await self.hello(to=domain)
        outcome = await self.scram(user, password or user)
        expect(outcome == "success", f"not signed in: {self.raw}")
        await self.hello(to=domain)
        return self

    async def bind(self, resource="tab"):
        self.say(
            "<iq xmlns='jabber:client' type='set' id='bind'>"
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        answer = await self.until(CLIENT + "iq")
        expect(answer.get("type") == "result", f"not bound: {self.raw}")
        self.jid = next(e.text for e in answer.iter() if e.tag.endswith("}jid"))
        return self

    async def ask(self, payload, kind="get", to=None, id="ask", seconds=10):
        """An IQ and its answer; whatever comes before that is passed over."""
        target = f" to='{to}'" if to else ""
        self.say(f"<iq xmlns='jabber:client' type='{kind}' id='{id}'{target}>{payload}</iq>")
        is_answer = lambda e: e.tag == CLIENT + "iq" and e.get("id") == id  # noqa: E731
        return await self.until(is_answer, seconds)

    async def enable(self, **attributes):
        """Turns stream management on; the `<enabled/>`."""
        given = {"resume": "true"} | attributes
        text = "".join(f" {name}='{value}'" for name, value in given.items() if value)
        self.say(f"<enable xmlns='urn:xmpp:sm:3'{text}/>")
        enabled = await self.until(lambda e: e.tag.startswith(SM))
        expect(enabled.tag == SM + "enabled", f"not enabled: {self.raw}")
        self.previd = enabled.get("id")
        return enabled

    async def present(self):
        """Becomes available and sees its own presence."""
        self.say("<presence xmlns='jabber:client'/>")
        own = lambda e: e.tag == CLIENT + "presence" and e.get("from") == self.jid  # noqa: E731
        await self.until(own)
        return self

    def resume(self, previd, h=0):
        self.say(f"<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='{h}'/>")

    async def resumed(self):
        answer = await self.hear()
        expect(answer.tag == SM + "resumed", f"not resumed: {self.raw}")
        return answer

    def tell(self, to, body, kind="chat"):
        self.say(
            f"<message xmlns='jabber:client' type='{kind}' to='{to}' id='{body[:40]}'>"
            f"<body>{body}</body></message>"
        )

    async def close(self):
        """Ends the stream in order."""
        self.say(CLOSE_TEXT)
        return await self.ending()


def body_of(element):
    found = element.find(CLIENT + "body")
    return None if found is None else found.text


def is_message(element):
    return element.tag == CLIENT + "message" and body_of(element) is not None
