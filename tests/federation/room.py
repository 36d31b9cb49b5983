"""Somebody in a room (XEP-0045)."""

from person import CLIENT, condition, fresh, text

MUC = "http://jabber.org/protocol/muc"
USER = f"{{{MUC}#user}}"


def codes(stanza):
    return {int(status.get("code")) for status in stanza.iter(USER + "status")}


def item(stanza):
    """What the room says of an occupant."""
    return stanza.find(f"{USER}x/{USER}item")


class Occupant:
    """A person in a room, or at its door."""

    def __init__(self, person, room, nick):
        self.person, self.room, self.nick = person, room, nick

    @classmethod
    async def opens(cls, person, service, nick, **fields):
        """The owner of a new room."""
        owner = cls(person, f"room-{fresh()}@{service}", nick)
        seen = await owner.enters()
        assert item(seen).get("affiliation") == "owner", text(seen)
        await owner.configure(**fields)
        return owner

    @property
    def address(self):
        return f"{self.room}/{self.nick}"

    async def enters(self, more="", seconds=10):
        """Joins; the own presence."""
        self.forget()
        self.person.presence(self.address, more=f"<x xmlns='{MUC}'>{more}</x>")
        found = await self.person.wait(
            lambda s: s.tag == CLIENT + "presence" and (
                s.get("type") == "error" and s.get("from", "").startswith(self.room)
                or s.get("from") == self.address and 110 in codes(s)
            ),
            f"the own presence in {self.room}", seconds,
        )
        assert found.get("type") != "error", f"{self.person.jid} was not let in: {text(found)}"
        return found

    async def refused(self, more=""):
        """The condition that keeps somebody out."""
        self.forget()
        self.person.presence(self.address, more=f"<x xmlns='{MUC}'>{more}</x>")
        error = await self.person.wait(
            lambda s: s.tag == CLIENT + "presence" and s.get("type") == "error"
            and s.get("from", "").startswith(self.room), "the refusal",
        )
        return condition(error)

    def forget(self):
        """What the room said before does not count."""
        stanzas = self.person.stanzas
        stanzas[:] = [s for s in stanzas if not s.get("from", "").startswith(self.room)]

    async def configure(self, **fields):
        fields = "".join(
            f"<field var='muc#roomconfig_{name}'><value>{value}</value></field>"
            for name, value in fields.items()
        )
        await self.person.done(
            "set", f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
            f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>{fields}</x></query>",
            self.room,
        )

    def leave(self):
        self.person.presence(self.address, "unavailable")

    def say(self, words):
        return self.person.message(self.room, words, "groupchat")

    async def hears(self, words, nick, kind="groupchat", seconds=10):
        return await self.person.wait(
            lambda s: s.tag == CLIENT + "message" and s.findtext(CLIENT + "body") == words
            and s.get("from") == f"{self.room}/{nick}" and s.get("type") == kind,
            f"{nick} say {words!r}", seconds,
        )

    async def sees(self, nick, kind=None, *wanted, seconds=10, **things):
        """The presence of this nick, with these status codes and these things in its item."""
        return await self.person.wait(
            lambda s: s.tag == CLIENT + "presence" and s.get("from") == f"{self.room}/{nick}"
            and s.get("type") == kind and set(wanted) <= codes(s)
            and all(item(s) is not None and item(s).get(k) == v for k, v in things.items()),
            f"{nick} ({kind or 'available'} {wanted} {things})", seconds,
        )

    async def changes(self, nick=None, jid=None, reason="", **what):
        """An admin's request: a role for a nick, an affiliation for an address."""
        who = f"nick='{nick}'" if nick else f"jid='{jid}'"
        to = " ".join(f"{name}='{value}'" for name, value in what.items())
        reason = f"<reason>{reason}</reason>" if reason else ""
        return await self.person.ask(
            "set", f"<query xmlns='{MUC}#admin'><item {who} {to}>{reason}</item></query>",
            self.room,
        )

    async def done(self, **what):
        answer = await self.changes(**what)
        assert answer.get("type") == "result", text(answer)
