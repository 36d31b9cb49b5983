"""Somebody signed in to one of the servers: raw stanzas out, stanzas in, kept until they are asked
for. It is the same client at every server.
"""

import asyncio
import base64
import hashlib
import itertools
import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from sides.side import PASSWORD
from wire import CLIENT, STANZAS, Wire

DISCO = "http://jabber.org/protocol/disco"
ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
CAPS_NODE = "https://waxwing.example/tests"
SECONDS = 10
_numbers = itertools.count(1)


def fresh():
    """An id that was never used."""
    return f"h{next(_numbers)}"


class Person(Wire):
    """One session. What came and was not taken yet is in `stanzas`, in order."""

    def __init__(self, side, domain, user, resource="desk", notify=()):
        super().__init__(side, user, PASSWORD, resource, domain=domain.name)
        self.home = domain
        self.bare = f"{user}@{domain.name}"
        self.jid = f"{self.bare}/{resource}"
        # One feature that is this session's own: so nobody knows its capabilities from another.
        own = (f"urn:example:{fresh()}",) if notify else ()
        self.features = (DISCO + "#info", *own, *(f"{node}+notify" for node in notify))
        self.stanzas = []
        self.asked_by = set()
        self.is_bound = False

    async def sign_in(self, managed=False, presence=True):
        await self._dial(self.server.tls_context(self.home))
        await self._authenticate()
        self._restart()
        await self._next()
        answer = await self._ask(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{self.resource}</resource></bind></iq>"
        )
        self.jid = answer.findtext(".//{urn:ietf:params:xml:ns:xmpp-bind}jid")
        self.is_bound = True
        if managed:
            self._write("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
            enabled = await self._next()
            assert enabled.tag.endswith("enabled"), enabled.tag
            self.is_managed = True
        if presence:
            await self.ask("get", "<query xmlns='jabber:iq:roster'/>")
            await self.appear()
        return self

    async def appear(self, more=""):
        """Sends presence with what this client can, and waits for its own."""
        self.send(f"<presence>{more}{self.caps()}</presence>")
        await self.sees(self.jid)

    # --- what comes -----------------------------------------------------------------------------

    def _take(self, element):
        if not self.is_bound or element.tag not in STANZAS:
            super()._take(element)
            return
        self.handled += self.is_managed
        if not self._answered(element):
            self.stanzas.append(element)
            self.news.set()

    def _answered(self, stanza):
        """Answers what any client answers: what it is, and that it is there."""
        if stanza.tag != CLIENT + "iq" or stanza.get("type") != "get":
            return False
        to = stanza.get("from") or self.bare
        head = f"type='result' id={quoteattr(stanza.get('id'))} to={quoteattr(to)}"
        query = stanza.find(f"{{{DISCO}#info}}query")
        if query is not None:
            self.asked_by.add(bare(stanza.get("from")).rsplit("@")[-1])
            self.news.set()
            node = f" node={quoteattr(query.get('node'))}" if query.get("node") else ""
            self.send(f"<iq {head}><query xmlns='{DISCO}#info'{node}>{self._disco()}</query></iq>")
        elif stanza.find("{urn:xmpp:ping}ping") is not None:
            self.send(f"<iq {head}/>")
        elif stanza.find("{jabber:iq:version}query") is not None:
            self.send(
                f"<iq {head}><query xmlns='jabber:iq:version'><name>person</name>"
                "<version>1</version></query></iq>"
            )
        else:
            return False
        return True

    def _disco(self):
        return "<identity category='client' type='pc' name='person'/>" + "".join(
            f"<feature var='{feature}'/>" for feature in sorted(self.features)
        )

    def caps(self):
        """XEP-0115 §5.1."""
        text = "client/pc//person<" + "".join(f"{f}<" for f in sorted(self.features))
        version = base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
        return (
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' "
            f"node='{CAPS_NODE}' ver='{version}'/>"
        )

    async def wait(self, matches, what, seconds=SECONDS):
        """The first stanza that matches; it is taken out."""
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            for stanza in self.stanzas:
                if matches(stanza):
                    self.stanzas.remove(stanza)
                    return stanza
            left = limit - asyncio.get_running_loop().time()
            if left <= 0 or self.is_lost:
                seen = "\n  ".join(text(stanza)[:600] for stanza in self.stanzas[-6:])
                lost = ", and the connection ended" if self.is_lost else ""
                raise AssertionError(
                    f"{self.jid} waited {seconds} s for {what}{lost}; had\n  {seen or 'nothing'}"
                )
            self.news.clear()
            try:
                await asyncio.wait_for(self.news.wait(), left)
            except asyncio.TimeoutError:
                pass

    async def known_to(self, other):
        """Waits until the other's server has asked what this client wants to be told."""
        limit = asyncio.get_running_loop().time() + SECONDS
        while other.home.name not in self.asked_by:
            self.news.clear()
            left = limit - asyncio.get_running_loop().time()
            assert left > 0, f"{other.home.name} did not ask {self.jid} about its capabilities"
            try:
                await asyncio.wait_for(self.news.wait(), left)
            except asyncio.TimeoutError:
                pass
        await self.settled(other)

    def has(self, matches):
        """Whether such a stanza has come and was not taken."""
        return any(matches(stanza) for stanza in self.stanzas)

    async def hears(self, body=None, id=None, sender=None, seconds=SECONDS):
        """The message with this body or id."""
        return await self.wait(
            lambda s: s.tag == CLIENT + "message"
            and (body is None or s.findtext(CLIENT + "body") == body)
            and (id is None or s.get("id") == id)
            and (sender is None or s.get("from") == sender),
            f"the message {body or id!r} from {sender or 'anybody'}", seconds,
        )

    async def sees(self, sender, kind=None, matches=lambda s: True, seconds=SECONDS):
        """The presence of this type from this address; without a resource, from any of its own."""
        return await self.wait(
            lambda s: s.tag == CLIENT + "presence" and s.get("type") == kind
            and (s.get("from") == sender or "/" not in sender and bare(s.get("from")) == sender)
            and matches(s),
            f"presence {kind or 'available'} from {sender}", seconds,
        )

    # --- what goes ------------------------------------------------------------------------------

    def message(self, to, body, kind="chat", more="", id=None):
        """Sends a message; its id."""
        id = id or fresh()
        self.send(
            f"<message type='{kind}' to={quoteattr(to)} id={quoteattr(id)}>"
            f"<body>{escape(body)}</body>{more}</message>", id,
        )
        if self.is_managed:
            self._write("<r xmlns='urn:xmpp:sm:3'/>")
        return id

    def presence(self, to, kind=None, more=""):
        kind = f" type='{kind}'" if kind else ""
        self.send(f"<presence to={quoteattr(to)}{kind} id='{fresh()}'>{more}</presence>")

    async def ask(self, kind, payload, to=None, seconds=SECONDS):
        """The answer to a question, result or error."""
        id = fresh()
        address = f" to={quoteattr(to)}" if to else ""
        self.send(f"<iq type='{kind}' id='{id}'{address}>{payload}</iq>")
        return await self.wait(
            lambda s: s.tag == CLIENT + "iq" and s.get("id") == id
            and s.get("type") in ("result", "error"),
            f"the answer of {to or 'its server'} to {payload[:150]}", seconds,
        )

    async def done(self, kind, payload, to=None, seconds=SECONDS):
        """The answer, which must be no error."""
        answer = await self.ask(kind, payload, to, seconds)
        assert answer.get("type") == "result", f"{to} refused {payload[:150]}: {text(answer)}"
        return answer

    async def settled(self, other):
        """Waits until everything that this person sent to the other's server before was seen there,
        and what was sent back because of it came here."""
        word = f"settled {fresh()}"
        self.message(other.jid, word)
        await other.hears(word)
        other.message(self.jid, word)
        await self.hears(word)

    def forget(self):
        self.stanzas.clear()


def bare(jid):
    return (jid or "").split("/")[0]


def text(stanza):
    """A stanza as it can be read in a message."""
    return re.sub(r"\s*xmlns:ns\d+=\"[^\"]*\"|ns\d+:", "", ElementTree.tostring(stanza, "unicode"))


def condition(stanza):
    """The condition of an error; None for anything else."""
    error = stanza.find(CLIENT + "error")
    if stanza.get("type") != "error" or error is None:
        return None
    return next((e.tag.removeprefix(ERRORS) for e in error if e.tag.startswith(ERRORS)), "none")


def reason(stanza):
    """The words of an error."""
    return stanza.findtext(f"{CLIENT}error/{ERRORS}text") or ""
