"""A session whose stanzas are read as XML, and kept: for attacks that must be told something."""

import asyncio
import itertools
import os
from xml.etree.ElementTree import XMLPullParser

from attack import expect
from line import HEADER, SECONDS, Line

CLIENT = "{jabber:client}"
STANZAS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
MUC = "http://jabber.org/protocol/muc"
USER = f"{{{MUC}#user}}"
_numbers = itertools.count()


class Person:
    """One signed-in session. `heard` has all stanzas that were not taken, `tape` all bytes."""

    def __init__(self, line):
        self.line, self.jid, self.bare = line, line.jid, line.jid.split("/")[0]
        self.heard, self.tape = [], bytearray()
        self.parser, self.depth = XMLPullParser(("start", "end")), 0
        self.parser.feed(HEADER)
        self._feed(line.heard)
        line.heard = b""

    @classmethod
    async def online(cls, node, user="mallory", resource=None):
        line = await Line.sign_in(node, user, resource)
        await line.hear(rb"</iq>")  # the end of what it was bound with
        one = cls(line)
        await one.say("<presence/>")
        await one.ping()
        one.heard.clear()
        return one

    def _feed(self, data):
        self.tape += data
        self.parser.feed(data)
        for event, element in self.parser.read_events():
            self.depth += 1 if event == "start" else -1
            if event == "end" and self.depth == 1:
                self.heard.append(element)

    async def say(self, text):
        return await self.line.say(text)

    async def wait(self, matches, seconds=SECONDS):
        """The first stanza that matches; it is taken out."""
        limit = asyncio.get_running_loop().time() + seconds
        seen = 0
        while True:
            for stanza in self.heard[seen:]:
                if matches(stanza):
                    self.heard.remove(stanza)
                    return stanza
            seen = len(self.heard)
            left = limit - asyncio.get_running_loop().time()
            try:
                data = await asyncio.wait_for(self.line.reader.read(1 << 16), max(left, 0))
            except asyncio.TimeoutError:
                last = bytes(self.tape[-400:])
                raise AssertionError(f"{self.jid} waited for long; before: {last!r}") from None
            expect(data, f"{self.jid} was cut off: {bytes(self.tape[-400:])!r}")
            self._feed(data)

    async def ask(self, kind, payload, to=None, seconds=SECONDS):
        """The answer to a question."""
        id = f"q{next(_numbers)}-{os.urandom(3).hex()}"
        to = f" to='{to}'" if to else ""
        await self.say(f"<iq type='{kind}' id='{id}'{to}>{payload}</iq>")
        return await self.wait(lambda stanza: stanza.get("id") == id, seconds)

    async def ping(self, seconds=SECONDS):
        """Whether all before this was dealt with, and the session is served."""
        await self.ask("get", "<ping xmlns='urn:xmpp:ping'/>", "localhost", seconds)

    async def enter(self, room, nick, more="", seconds=SECONDS):
        """Joins. None, or the condition that it is refused with."""
        await self.say(f"<presence to='{room}/{nick}'><x xmlns='{MUC}'>{more}</x></presence>")
        found = await self.wait(
            lambda s: s.tag == CLIENT + "presence" and (
                s.get("type") == "error"
                or s.get("from", "").startswith(room) and has_code(s, 110)
            ),
            seconds,
        )
        return condition(found)

    async def leave(self, room, nick):
        await self.say(f"<presence to='{room}/{nick}' type='unavailable'/>")
        await self.wait(
            lambda s: s.get("type") == "unavailable" and s.get("from") == f"{room}/{nick}"
            and has_code(s, 110)
        )

    async def open(self, room, nick, fields=""):
        """Makes a room, with these fields of its form."""
        refused = await self.enter(room, nick)
        expect(refused is None, f"no new room: {refused}")
        answer = await self.configure(room, fields)
        expect(condition(answer) is None, f"no configuration: {reason(answer)}")

    async def configure(self, room, fields):
        return await self.ask(
            "set", f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
            f"{field('FORM_TYPE', f'{MUC}#roomconfig')}{fields}</x></query>", room,
        )

    def cut(self):
        self.line.cut()


def field(name, *values):
    values = "".join(f"<value>{value}</value>" for value in values)
    return f"<field var='{name}'>{values}</field>"


def has_code(stanza, code):
    return any(s.get("code") == str(code) for s in stanza.iter(USER + "status"))


def condition(stanza):
    """The condition of an error; None for anything else."""
    error = stanza.find(CLIENT + "error")
    if stanza.get("type") != "error" or error is None:
        return None
    return next(
        (e.tag.removeprefix(STANZAS) for e in error if e.tag.startswith(STANZAS)), "no condition"
    )


def reason(stanza):
    """The error's text, with its condition."""
    error = stanza.find(CLIENT + "error")
    text = error.findtext(STANZAS + "text") if error is not None else None
    return f"{condition(stanza)}: {text or 'no text'}"
