"""People who talk in a room without a pause, and what became of every word."""

import asyncio
import re

from person import CLIENT, condition, fresh
from room import Occupant

MAM = "{urn:xmpp:mam:2}"
RSM = "http://jabber.org/protocol/rsm"
PAUSE = 0.04


class Talker:
    """Somebody in a room who says one numbered line after the other, and comes back when the room
    says that nobody knows them there."""

    def __init__(self, person, room, nick, side):
        self.person, self.nick = person, nick
        # A server that does not know again what it had when a link broke gives it out twice.
        self.may_double = not side.has("memory of links")
        self.occupant = Occupant(person, room, nick)
        self.room = room
        self.said = []
        self.refused = []
        self.heard = []
        # Where in `heard` the room was left and entered again.
        self.gaps = []
        self.task = None

    async def enter(self):
        await self.occupant.enters("<history maxstanzas='0'/>")
        return self

    def begin(self):
        self.task = asyncio.ensure_future(self._talk())

    async def _talk(self):
        while True:
            line = f"{self.nick} {len(self.said)}"
            self.said.append(line)
            self.person.message(self.room, line, "groupchat", id=line)
            await asyncio.sleep(PAUSE)
            await self.look()

    async def look(self):
        """Sorts what has come."""
        outside = False
        for stanza in list(self.person.stanzas):
            sender = stanza.get("from") or ""
            if stanza.tag == CLIENT + "message" and stanza.get("type") == "error":
                self.person.stanzas.remove(stanza)
                self.refused.append(stanza.get("id"))
                outside |= condition(stanza) == "not-acceptable"
            elif stanza.tag == CLIENT + "message" and stanza.get("type") == "groupchat":
                self.person.stanzas.remove(stanza)
                body = stanza.findtext(CLIENT + "body")
                if body and sender.startswith(self.room):
                    self.heard.append(body)
            elif sender == self.occupant.address and stanza.get("type") in ("unavailable", "error"):
                self.person.stanzas.remove(stanza)
                outside |= stanza.get("type") == "unavailable"
        if outside:
            await self._come_back()

    async def _come_back(self):
        self.gaps.append(len(self.heard))
        for _ in range(20):
            try:
                await self.occupant.enters("<history maxstanzas='0'/>", seconds=5)
                return
            except AssertionError:
                await asyncio.sleep(0.5)
        raise AssertionError(f"{self.nick} does not get back into the room")

    async def stop(self):
        """No more lines; the ones that were said are acknowledged by the own server."""
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled() and self.task.exception():
            raise self.task.exception()

    def acknowledged(self):
        """What the own server has taken upon itself."""
        return [line for line in self.said if line in self.person.acked]


async def archive(person, room):
    """The bodies in the room's archive, in order."""
    found, after = [], ""
    while True:
        query = fresh()
        answer = await person.done(
            "set", f"<query xmlns='urn:xmpp:mam:2' queryid='{query}'><set xmlns='{RSM}'>"
            f"<max>100</max>{after}</set></query>", room,
        )
        for stanza in list(person.stanzas):
            result = stanza.find(MAM + "result")
            if result is not None:
                person.stanzas.remove(stanza)
                if result.get("queryid") == query:
                    body = result.findtext(f".//{CLIENT}message/{CLIENT}body")
                    if body:
                        found.append(body)
        fin = answer.find(MAM + "fin")
        if fin.get("complete") == "true":
            return found
        last = fin.findtext(f"{{{RSM}}}set/{{{RSM}}}last")
        after = f"<after>{last}</after>"


def number(line):
    return int(re.search(r"\d+$", line)[0])


def judge(talkers, kept, parted=(), forgets=False):
    """Whether nothing was lost, doubled or disordered; `kept` is the room's archive.

    Whoever is `parted` for good may be told that a line failed that was on its way when the link
    ended: nobody can know. A room whose server `forgets` takes what comes again
    for new, or refuses it when it has shown somebody out meanwhile.
    """
    faults = []
    if forgets:
        kept = list(dict.fromkeys(kept))
    for talker in talkers:
        talker.may_double |= forgets
        mine = [line for line in kept if line.rsplit(" ", 1)[0] == talker.nick]
        if mine != sorted(set(mine), key=number):
            doubled = sorted({line for line in mine if mine.count(line) > 1}, key=number)
            faults.append(f"{talker.nick}: doubled {doubled[:5]}, or out of order")
        known = {*mine, *talker.refused}
        gone = [line for line in talker.acknowledged() if line not in known]
        if gone:
            faults.append(f"{talker.nick}: {len(gone)} acknowledged and lost: {gone[:5]}")
        both = [line for line in talker.refused if line in mine]
        if both and talker.nick not in parted and not forgets:
            faults.append(f"{talker.nick}: {len(both)} said and refused as well: {both[:5]}")
        faults += _heard(talker, kept)
    return faults


def _heard(talker, kept):
    """Between two gaps somebody hears everything, once, in the room's order."""
    faults = []
    place = {}
    for at, line in enumerate(kept):
        place.setdefault(line, at)
    edges = [0, *talker.gaps, len(talker.heard)]
    doubled = {line for line in talker.heard if talker.heard.count(line) > 1}
    if doubled and not talker.may_double:
        faults.append(f"{talker.nick}: heard twice {sorted(doubled)[:5]}")
    for begin, end in zip(edges, edges[1:]):
        # The first time counts.
        stretch = list(dict.fromkeys(talker.heard[begin:end]))
        if not stretch:
            continue
        missing = [line for line in stretch if line not in place]
        if missing:
            faults.append(f"{talker.nick}: heard what the archive has not: {missing[:5]}")
            continue
        at = [place[line] for line in stretch]
        if at != sorted(at) and not talker.may_double:
            faults.append(f"{talker.nick}: heard out of order")
        skipped = set(kept[min(at):max(at) + 1]) - set(stretch)
        if skipped:
            faults.append(f"{talker.nick}: did not hear {len(skipped)}: {sorted(skipped)[:5]}")
    return faults
