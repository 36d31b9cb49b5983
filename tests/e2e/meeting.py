"""What scenarios about rooms and nodes share: services found by asking, and somebody in a room."""

from xml.etree import ElementTree

from slixmpp import JID
from slixmpp.exceptions import IqError, IqTimeout, PresenceError

MUC = "http://jabber.org/protocol/muc"
USER = f"{MUC}#user"
SECONDS = 10


async def guest(world, name, *plugins, resource="desk", cable=None, **options):
    """Somebody at slixmpp who is online and writes down every stanza that comes, as `wire`."""
    peer = world.peer(name, resource, **options)
    for plugin in ("xep_0045", "xep_0249", *plugins):
        peer.register_plugin(plugin)
        assert plugin in peer.plugin, f"slixmpp has no {plugin}"
    peer.add_event_handler("groupchat_subject", lambda m: peer._note("subject", m))

    def write_down(stanza):
        peer._note("wire", stanza)
        return stanza

    peer.add_filter("in", write_down)
    server = world.server
    port = cable.port if cable else server.tcp_port
    return await peer.sign_in(server.host, port)


async def guests(world, names, *plugins):
    return [await guest(world, name, *plugins) for name in names]


async def service(peer, category, kind):
    """The address of the service with this identity, as XEP-0030 finds it."""
    disco = peer.plugin["xep_0030"]
    items = (await disco.get_items(jid=peer.boundjid.domain, timeout=SECONDS))["disco_items"]
    for jid, _, _ in items["items"]:
        try:
            info = (await disco.get_info(jid=jid, timeout=SECONDS))["disco_info"]
        except (IqError, IqTimeout):
            continue  # a component that is not connected
        if any(identity[:2] == (category, kind) for identity in info["identities"]):
            return str(jid)
    raise AssertionError(f"no {category}/{kind} among {items['items']}")


async def refusal(awaitable):
    """The condition that something is refused with."""
    try:
        await awaitable
    except (IqError, PresenceError) as error:
        return error.condition
    raise AssertionError("it was done")


def form_in(stanza):
    """The form of a message, if it has one. (Indexing would make one.)"""
    if stanza.name != "message" or stanza.xml.find("{jabber:x:data}x") is None:
        return None
    return stanza["form"]


async def ask(peer, kind, payload, to=None):
    """What slixmpp has no words for: the answer's only child, or None."""
    iq = peer.make_iq_get(ito=to) if kind == "get" else peer.make_iq_set(ito=to)
    iq.append(ElementTree.fromstring(payload))
    answer = await iq.send(timeout=SECONDS)
    return next(iter(answer.xml), None)


class Occupant:
    """Somebody at slixmpp in one room, or at its door."""

    def __init__(self, peer, room, nick):
        self.peer, self.room, self.nick = peer, room, nick
        self.muc = peer.plugin["xep_0045"]

    @property
    def address(self):
        return f"{self.room}/{self.nick}"

    async def enter(self, **how):
        """Joins. The own presence, the subject, who came into sight, and what was said before."""
        found = await self.muc.join_muc_wait(JID(self.room), self.nick, timeout=SECONDS, **how)
        self.peer.seen.clear()
        return found

    async def refused(self, **how):
        """The condition that keeps somebody out. slixmpp waits for an error with <x/> in it, which
        not every server writes."""
        self.muc.make_join_stanza(JID(self.room), self.nick, **how).send()
        error = await self.peer.wait(
            "wire", lambda s: s.name == "presence" and s["type"] == "error"
            and s["from"] == self.address
        )
        return error["error"]["condition"]

    async def leave(self):
        self.muc.leave_muc(JID(self.room), self.nick)
        await self.sees(self.nick, "unavailable", codes={110})

    def say(self, text, to=None):
        """To everybody, or to one nick alone; gives back the id."""
        peer = self.peer
        if to is None:
            message = peer.make_message(mto=self.room, mbody=text, mtype="groupchat")
        else:
            message = peer.make_message(mto=f"{self.room}/{to}", mbody=text, mtype="chat")
            message.xml.append(ElementTree.Element(f"{{{USER}}}x"))
        message["id"] = peer.new_id()
        message.send()
        return message["id"]

    async def hears(self, text, nick, kind="groupchat"):
        """The message in which this nick says so."""
        return await self.peer.wait(
            "message",
            lambda m: m["body"] == text and m["from"] == f"{self.room}/{nick}"
            and m["type"] == kind,
        )

    async def sees(self, nick, kind="available", codes=(), **item):
        """The presence of this nick that has these status codes, and these things in its item.

        slixmpp keeps presence from rooms out of its ordinary events.
        """
        return await self.peer.wait(
            "wire",
            lambda p: p.name == "presence" and p["from"] == f"{self.room}/{nick}"
            and p.xml.get("type", "available") == kind and set(codes) <= p["muc"]["status_codes"]
            and all(p["muc"][key] == value for key, value in item.items()),
        )

    async def told(self, *codes):
        """The message of the room itself with these status codes."""
        wanted = {str(code) for code in codes}
        return await self.peer.wait(
            "wire",
            lambda s: s.name == "message" and s["from"] == self.room
            and wanted <= {e.get("code") for e in s.xml.iter(f"{{{USER}}}status")},
        )

    async def configure(self, **fields):
        """Sets these fields of `muc#roomconfig`, all of which must be in the form; with none, an
        instant room (§10.1.2)."""
        if not fields:
            form = self.peer.plugin["xep_0004"].make_form(ftype="submit")
        else:
            form = await self.muc.get_room_config(self.room, timeout=SECONDS)
            offered = form.get_fields()
            for name, value in fields.items():
                name = f"muc#roomconfig_{name}"
                assert name in offered, f"{name} is not among {list(offered)}"
                offered[name]["value"] = value
        await self.muc.set_room_config(self.room, form, timeout=SECONDS)

    async def grant(self, affiliation, peer, **how):
        await self.muc.set_affiliation(
            self.room, affiliation, jid=peer.boundjid.bare, timeout=SECONDS, **how
        )

    async def history(self, size=2):
        """Ids and texts of the room's whole archive, in pages."""
        found = []
        pages = self.peer.plugin["xep_0313"].iterate(JID(self.room), rsm={"max": size})
        async for message in pages:
            result = message["mam_result"]
            found.append((result["id"], result["forwarded"]["stanza"]["body"]))
        return found


async def opened(world, peer, name, nick, **fields):
    """The owner of a room that was just made and set up so."""
    room = f"{name}{world.number}@{await service(peer, 'conference', 'text')}"
    owner = Occupant(peer, room, nick)
    presence, *_ = await owner.enter()
    muc = presence["muc"]
    assert {110, 201} <= muc["status_codes"], presence
    assert (muc["role"], muc["affiliation"]) == ("moderator", "owner"), presence
    await owner.configure(**fields)
    return owner


async def joined(owner, peer, nick, **how):
    """One more occupant of the same room, whom the owner has seen come."""
    one = Occupant(peer, owner.room, nick)
    await one.enter(**how)
    await owner.sees(nick)
    return one
