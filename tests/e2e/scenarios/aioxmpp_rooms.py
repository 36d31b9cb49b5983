"""aioxmpp in rooms, at nodes and with what accounts publish: written apart from slixmpp."""

import asyncio
import contextlib

from registry import ours, scenario
from scenarios.aioxmpp_walks import PICTURE, SECONDS, SERVER, person, refusal, text
from walk import Walk

# These give the warnings that `aioxmpp_walks` keeps quiet, the first time.
import aioxmpp
import aioxmpp.avatar
import aioxmpp.bookmarks
import aioxmpp.muc
import aioxmpp.muc.xso
import aioxmpp.pep
import aioxmpp.pubsub.xso
from aioxmpp import xso

ATOM = "http://www.w3.org/2005/Atom"
TUNE = "http://jabber.org/protocol/tune"
SIGNALS = (
    "on_message", "on_join", "on_leave", "on_exit", "on_topic_changed", "on_nick_changed",
    "on_muc_role_changed", "on_muc_affiliation_changed", "on_muc_role_request",
)


@aioxmpp.pubsub.xso.as_payload_class
class Entry(xso.XSO):
    TAG = (ATOM, "entry")
    title = xso.ChildText((ATOM, "title"), default=None)


@aioxmpp.pubsub.xso.as_payload_class
class Tune(xso.XSO):
    TAG = (TUNE, "tune")
    title = xso.ChildText((TUNE, "title"), default=None)


class Tunes(aioxmpp.service.Service):
    """Wants to know what contacts listen to."""

    ORDER_AFTER = [aioxmpp.pep.PEPClient, aioxmpp.EntityCapsService]
    claim = aioxmpp.pep.register_pep_node(TUNE, notify=True)

    def __init__(self, client, **how):
        super().__init__(client, **how)
        self.heard = asyncio.Queue()

    @aioxmpp.service.attrsignal(claim, "on_item_publish")
    def _hear(self, jid, node, item, *, message=None):
        self.heard.put_nowait((jid.bare(), item.registered_payload.title))


class Listener:
    """What the signals of an object told, in order, until it is asked for."""

    def __init__(self, source, *names):
        self.seen, self.news = [], asyncio.Event()
        for name in names:
            getattr(source, name).connect(
                lambda *given, name=name, **more: self._note(name, given, more)
            )

    def _note(self, name, given, more):
        self.seen.append((name, given, more))
        self.news.set()

    async def wait(self, name, matches=lambda *given, **more: True):
        """What came with the first such signal that matches and was not taken before."""
        async with asyncio.timeout(SECONDS):
            while True:
                for one in self.seen:
                    if one[0] == name and matches(*one[1], **one[2]):
                        self.seen.remove(one)
                        return one[1], one[2]
                self.news.clear()
                await self.news.wait()


class Seat:
    """Somebody in a room, and what they noticed there."""

    def __init__(self, one, address, nick, password=None):
        self.one = one
        self.room, self.joining = one[aioxmpp.MUCClient].join(address, nick, password=password)
        self.heard = Listener(self.room, *SIGNALS)

    async def enter(self):
        async with asyncio.timeout(SECONDS):
            await self.joining
        return self

    async def say(self, words):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
        message.body[None] = words
        await self.room.send_message(message)

    async def hears(self, words, nick):
        return await self.heard.wait(
            "on_message",
            lambda m, member, source, **_: text(m) == words and member.nick == nick,
        )

    def member(self, nick):
        return next(member for member in self.room.members if member.nick == nick)

    async def meets(self, nick):
        """The member with this nick, who may have been here and gone before."""
        async with asyncio.timeout(SECONDS):
            while all(member.nick != nick for member in self.room.members):
                await asyncio.sleep(0.02)
        return self.member(nick)


async def service(one, category, kind):
    """The address of the service with this identity."""
    disco = one[aioxmpp.DiscoClient]
    for item in (await disco.query_items(SERVER)).items:
        try:
            info = await disco.query_info(item.jid)
        except aioxmpp.errors.XMPPError:
            continue  # a component that is not connected
        if any((it.category, it.type_) == (category, kind) for it in info.identities):
            return item.jid
    raise AssertionError(f"no {category}/{kind}")


async def friends(one, other):
    """Both see the other's presence."""
    for a, b in ((one, other), (other, one)):
        seen = asyncio.get_running_loop().create_future()

        def note(full, _, b=b, seen=seen):
            if full.bare() == b.bare and not seen.done():
                seen.set_result(full)

        a[aioxmpp.PresenceClient].on_available.connect(note)
        b[aioxmpp.RosterClient].approve(a.bare)
        a[aioxmpp.RosterClient].subscribe(b.bare)
        await asyncio.wait_for(seen, SECONDS)


@contextlib.asynccontextmanager
async def company(world, *names, services=(aioxmpp.MUCClient,)):
    async with contextlib.AsyncExitStack() as people:
        yield [
            await people.enter_async_context(person(world, name, services=services))
            for name in names
        ]


async def set_up(seat, **fields):
    """Fills in aioxmpp's own template of the form."""
    client, address = seat.one[aioxmpp.MUCClient], seat.room.jid
    form = aioxmpp.muc.ConfigurationForm.from_xso(await client.get_room_config(address))
    for name, value in fields.items():
        getattr(form, name).value = value
    await client.set_room_config(address, form.render_reply())


@scenario("aioxmpp: meets others in a room, talks, names the subject, and moderates", seconds=60)
async def rooms(world):
    steps = ("make", "enter", "talk", "subject", "nick", "voice", "kick", "ban", "leave")
    async with company(world, "romeo", "juliet", "tybalt") as (romeo, juliet, tybalt):
        host = await service(romeo, "conference", "text")
        address = host.replace(localpart=f"aio{world.number}")
        with Walk(*steps) as walk:
            with walk.step("make"):
                one = await Seat(romeo, address, "Romeo").enter()
                assert one.room.me.affiliation == "owner" and one.room.me.role == "moderator"
                await set_up(one, roomname="The Street", moderatedroom=True)
                told = aioxmpp.muc.ConfigurationForm.from_xso(
                    await romeo[aioxmpp.MUCClient].get_room_config(address)
                )
                assert told.roomname.value == "The Street" and told.moderatedroom.value
            with walk.step("enter"):
                two = await Seat(juliet, address, "Juliet").enter()
                nicks = {member.nick for member in two.room.members}
                assert nicks == {"Romeo", "Juliet"}, nicks
                await one.heard.wait("on_join", lambda member, **_: member.nick == "Juliet")
                assert one.member("Juliet").direct_jid.bare() == juliet.bare
                assert two.member("Romeo").direct_jid is None
                await one.room.muc_set_role("Juliet", "participant")
                await two.heard.wait("on_muc_role_changed")
            with walk.step("talk"):
                for speaker, words in ((one, "Good morrow"), (two, "O, speak <again> & 🌙")):
                    await speaker.say(words)
                    for seat in (one, two):
                        await seat.hears(words, speaker.room.me.nick)
            with walk.step("subject"):
                await one.room.set_topic({None: "Benedicite!"})
                (member, topic), _ = await two.heard.wait(
                    "on_topic_changed", lambda _, topic, **more: topic.any() == "Benedicite!"
                )
                assert member.nick == "Romeo" and two.room.muc_subject == topic
            with walk.step("nick"):
                await two.room.set_nick("Julia")
                (_, old, new), _ = await one.heard.wait("on_nick_changed")
                assert (old, new) == ("Juliet", "Julia"), (old, new)
            with walk.step("voice"):
                three = await Seat(tybalt, address, "Tybalt").enter()
                assert three.room.me.role == "visitor", three.room.me.role
                await three.room.muc_request_voice()
                (form, answer), _ = await one.heard.wait("on_muc_role_request")
                assert form.roomnick.value == "Tybalt", form.roomnick.value
                form.request_allow.value = True
                answer.set_result(form.render_reply())
                await three.heard.wait("on_muc_role_changed")
                assert three.room.me.role == "participant", three.room.me.role
            with walk.step("kick"):
                assert await refusal(two.room.kick(two.member("Tybalt"))) in (
                    "forbidden", "not-allowed"
                )
                await one.room.kick(one.member("Tybalt"), "a brawl")
                _, how = await three.heard.wait("on_exit")
                assert how["muc_leave_mode"] == aioxmpp.muc.LeaveMode.KICKED, how
                assert how["muc_reason"] == "a brawl", how
            with walk.step("ban"):
                await Seat(tybalt, address, "Tybalt").enter()
                await one.room.ban(await one.meets("Tybalt"), "again")
                _, how = await two.heard.wait(
                    "on_leave", lambda _, muc_leave_mode, **more: (
                        muc_leave_mode == aioxmpp.muc.LeaveMode.BANNED
                    )
                )
                assert how["muc_reason"] == "again", how
                banned = await romeo[aioxmpp.MUCClient].get_affiliated(address, "outcast")
                assert list(banned) == [tybalt.bare], banned
                again = Seat(tybalt, address, "Cat")
                assert await refusal(again.enter()) == "forbidden"
            with walk.step("leave"):
                await two.room.leave()
                await one.heard.wait("on_leave", lambda member, **_: member.nick == "Julia")


@scenario("aioxmpp: makes a node, publishes and retracts, and its subscriber hears", seconds=60)
async def nodes(world):
    steps = ("create", "subscribe", "publish", "read", "retract", "rights", "delete")
    async with company(world, "owner", "juliet", services=(aioxmpp.PubSubClient,)) as people:
        owner, juliet = people
        host, name = await service(owner, "pubsub", "service"), f"aio{world.number}"
        one, two = owner[aioxmpp.PubSubClient], juliet[aioxmpp.PubSubClient]
        heard = Listener(two, "on_item_published", "on_item_retracted", "on_node_deleted")
        with Walk(*steps) as walk:
            with walk.step("create"):
                assert await one.create(host, name) == name
                assert await refusal(one.create(host, name)) == "conflict"
                assert name in [node for node, _ in await two.get_nodes(host)]
                features = await two.get_features(host)
                wanted = {aioxmpp.pubsub.xso.Feature.PUBLISH, aioxmpp.pubsub.xso.Feature.SUBSCRIBE}
                assert wanted <= features, features
            with walk.step("subscribe"):
                answer = await two.subscribe(host, name)
                assert answer.payload.subscription == "subscribed", answer.payload
            with walk.step("publish"):
                await one.publish(host, name, Entry(), id_="empty")
                entry = Entry()
                entry.title = "A plague o' both your houses"
                assert await one.publish(host, name, entry, id_="plague") == "plague"
                (sender, node, item), _ = await heard.wait(
                    "on_item_published", lambda sender, node, item, **_: item.id_ == "plague"
                )
                assert (sender, node) == (host, name), (sender, node)
                assert item.registered_payload.title == "A plague o' both your houses", item
            with walk.step("read"):
                found = (await two.get_items_by_id(host, name, ["plague"])).payload.items
                assert [item.registered_payload.title for item in found] == [entry.title], found
            with walk.step("retract"):
                await one.retract(host, name, "plague", notify=True)
                (_, _, id), _ = await heard.wait("on_item_retracted")
                assert id == "plague", id
            with walk.step("rights"):
                assert await refusal(two.publish(host, name, Entry())) == "forbidden"
                await one.change_node_affiliations(host, name, [(juliet.bare, "publisher")])
                await two.publish(host, name, Entry(), id_="mine")
                found = (await one.get_node_affiliations(host, name)).payload.affiliations
                assert (juliet.bare, "publisher") in [(a.jid, a.affiliation) for a in found]
            with walk.step("delete"):
                await one.delete(host, name)
                (_, node), _ = await heard.wait("on_node_deleted")
                assert node == name, node


@scenario("aioxmpp: contacts hear what it listens to, and see its picture", seconds=60)
async def accounts(world):
    steps = ("befriend", "a tune", "a picture", "its bytes")
    services = (aioxmpp.pep.PEPClient, Tunes, aioxmpp.EntityCapsService, aioxmpp.AvatarService)
    async with company(world, "romeo", "juliet", services=services) as (romeo, juliet):
        with Walk(*steps) as walk:
            with walk.step("befriend"):
                await friends(romeo, juliet)
            with walk.step("a tune"):
                tune = Tune()
                tune.title = "Heart's Ease"
                await romeo[aioxmpp.pep.PEPClient].publish(TUNE, tune, access_model="presence")
                heard = await asyncio.wait_for(juliet[Tunes].heard.get(), SECONDS)
                assert heard == (romeo.bare, "Heart's Ease"), heard
            with walk.step("a picture"):
                seen = Listener(juliet[aioxmpp.AvatarService], "on_metadata_changed")
                avatar = aioxmpp.avatar.AvatarSet()
                avatar.add_avatar_image("image/png", image_bytes=PICTURE)
                await romeo[aioxmpp.AvatarService].publish_avatar_set(avatar)
                await seen.wait("on_metadata_changed", lambda jid, _: jid.bare() == romeo.bare)
            with walk.step("its bytes"):
                found = await juliet[aioxmpp.AvatarService].get_avatar_metadata(
                    romeo.bare, require_fresh=True
                )
                assert await list(found)[0].get_image_bytes() == PICTURE


@ours("aioxmpp: what it bookmarks in private storage is in the account's node (XEP-0402)")
async def bookmarks(world):
    services = (aioxmpp.BookmarkClient, aioxmpp.PubSubClient)
    async with company(world, "romeo", services=services) as (romeo,):
        room = aioxmpp.JID.fromstr("theplay@rooms.example.org")
        await romeo[aioxmpp.BookmarkClient].add_bookmark(
            aioxmpp.bookmarks.Conference("The Play", room, nick="JC")
        )
        node = "urn:xmpp:bookmarks:1"
        found = (await romeo[aioxmpp.PubSubClient].get_items(None, node)).payload.items
        assert [item.id_ for item in found] == [str(room)], found
        await romeo[aioxmpp.PubSubClient].retract(None, node, str(room), notify=True)
        assert await romeo[aioxmpp.BookmarkClient].get_bookmarks() == []
