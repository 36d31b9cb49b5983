"""aioxmpp walks through the features that it has: a second library, written apart from slixmpp."""

import asyncio
import contextlib
import hashlib
import warnings

import aiohttp
from cryptography import x509
from registry import ours, scenario
from servers import DOMAIN
from walk import Walk, grounds
from world import PASSWORD

with warnings.catch_warnings():
    # It is older than the libraries below it, which say so.
    warnings.simplefilter("ignore")
    import aioxmpp
    import aioxmpp.adhoc
    import aioxmpp.avatar
    import aioxmpp.bookmarks
    import aioxmpp.bookmarks.xso
    import aioxmpp.carbons
    import aioxmpp.forms
    import aioxmpp.httpupload
    import aioxmpp.mdr
    import aioxmpp.rsm.xso
    import aioxmpp.tracking
    import aioxmpp.vcard
    import aioxmpp.version
    from aioxmpp import xso

SERVER = aioxmpp.JID.fromstr(DOMAIN)
MAM = "urn:xmpp:mam:2"
SECONDS = 10
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


class Fin(xso.XSO):
    """XEP-0313, which aioxmpp does not have: it can be taught in twenty lines."""

    TAG = (MAM, "fin")
    complete = xso.Attr("complete", type_=xso.Bool(), default=False)
    page = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


@aioxmpp.IQ.as_payload_class
class Query(xso.XSO):
    TAG = (MAM, "query")
    queryid = xso.Attr("queryid", default=None)
    page = xso.Child([aioxmpp.rsm.xso.ResultSetMetadata])


aioxmpp.IQ.as_payload_class(Fin)


class Result(xso.XSO):
    TAG = (MAM, "result")
    id_ = xso.Attr("id")
    queryid = xso.Attr("queryid", default=None)
    forwarded = xso.Child([aioxmpp.misc.Forwarded])


aioxmpp.Message.mam_result = xso.Child([Result])


class Verifier(aioxmpp.security_layer.CertificateVerifier):
    """OpenSSL checks the chain; this, that the certificate is for the server.

    COMPAT(aioxmpp, until it asks pyOpenSSL as that wants it since release 25): its own verifier
    cannot read names any more.
    """

    def verify_callback(self, connection, certificate, error, depth, is_fine):
        if is_fine and depth == 0:
            extension = x509.SubjectAlternativeName
            extensions = certificate.to_cryptography().extensions
            names = extensions.get_extension_for_class(extension).value
            return DOMAIN in names.get_values_for_type(x509.DNSName)
        return bool(is_fine)

    async def post_handshake(self, transport):
        pass


class Person:
    """Somebody who is signed in, and what they heard."""

    def __init__(self, client):
        self.client, self.heard, self.news = client, [], asyncio.Event()
        listener = client.summon(aioxmpp.dispatcher.SimpleMessageDispatcher)
        for kind in (aioxmpp.MessageType.CHAT, aioxmpp.MessageType.NORMAL):
            listener.register_callback(kind, None, self._hear)

    def _hear(self, message):
        self.heard.append(message)
        self.news.set()

    def __getitem__(self, service):
        return self.client.summon(service)

    @property
    def bare(self):
        return self.client.local_jid.bare()

    async def wait(self, matches):
        """The first message that matches and was not taken before."""
        async with asyncio.timeout(SECONDS):
            while True:
                for message in self.heard:
                    if matches(message):
                        self.heard.remove(message)
                        return message
                self.news.clear()
                await self.news.wait()

    async def say(self, to, text):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
        message.body[None] = text
        message.autoset_id()
        await self.client.send(message)
        return message.id_

    async def history(self, page=2):
        """Ids and texts of the whole archive, by pages."""
        found, last = [], None
        while True:
            query = Query()
            query.queryid = f"q{len(found)}"
            if last is None:
                query.page = aioxmpp.rsm.xso.ResultSetMetadata.limit(page)
            else:
                query.page = last.next_page(page)
            fin = await self.client.send(aioxmpp.IQ(type_=aioxmpp.IQType.SET, payload=query))
            results = [m.mam_result for m in self.heard if m.mam_result is not None]
            self.heard = [m for m in self.heard if m.mam_result is None]
            assert all(result.queryid == query.queryid for result in results), results
            found += [(r.id_, text(r.forwarded.stanza)) for r in results]
            if fin.complete:
                return found
            assert len(results) == page, results
            last = fin.page


def text(message):
    return message.body.any() if message.body else None


@contextlib.asynccontextmanager
async def person(world, name, resource="desk", direct_tls=False, services=(), port=None):
    """A client that is online over STARTTLS or direct TLS, and checks the certificate."""
    jid = aioxmpp.JID.fromstr(f"{world.account(name)}/{resource}")

    def context():
        made = aioxmpp.security_layer.default_ssl_context()
        made.load_verify_locations(world.server.certificate)
        return made

    async def password(_, attempt):
        return PASSWORD if attempt == 0 else None

    provider = aioxmpp.security_layer.PasswordSASLProvider(password)
    security = aioxmpp.security_layer.SecurityLayer(context, Verifier, True, (provider,))
    port = port or (world.server.tls_port if direct_tls else world.server.tcp_port)
    connector = aioxmpp.connector.XMPPOverTLSConnector if direct_tls else (
        aioxmpp.connector.STARTTLSConnector
    )
    client = aioxmpp.PresenceManagedClient(
        jid, security, override_peer=[(world.server.host, port, connector())]
    )
    for service in services:
        client.summon(service)
    one = Person(client)
    async with contextlib.AsyncExitStack() as stack:
        async with asyncio.timeout(SECONDS):
            await stack.enter_async_context(client.connected())
        yield one


async def refusal(awaitable):
    """The condition that something is refused with."""
    try:
        await awaitable
    except aioxmpp.errors.XMPPError as error:
        return error.condition.value[1]
    raise AssertionError("it was done")


@ours("aioxmpp walks: talk with receipts, carbons, and history by pages", seconds=60)
async def talk(world):
    steps = ("subscribe", "a receipt", "a carbon", "history", "stanza ids", "not others'")
    async with grounds(world) as here, contextlib.AsyncExitStack() as people:
        romeo = await people.enter_async_context(person(here, "romeo"))
        phone = await people.enter_async_context(person(here, "romeo", "phone", direct_tls=True))
        juliet = await people.enter_async_context(person(here, "juliet", direct_tls=True))
        with Walk(*steps) as walk:
            with walk.step("subscribe"):
                seen = asyncio.get_running_loop().create_future()
                romeo[aioxmpp.PresenceClient].on_available.connect(
                    lambda full, _: full.bare() == juliet.bare and seen.set_result(full)
                )
                juliet[aioxmpp.RosterClient].approve(romeo.bare)
                romeo[aioxmpp.RosterClient].subscribe(juliet.bare)
                assert await asyncio.wait_for(seen, SECONDS) == juliet.client.local_jid
            with walk.step("a receipt"):
                message = aioxmpp.Message(
                    type_=aioxmpp.MessageType.CHAT, to=juliet.client.local_jid
                )
                message.body[None] = "Neither, fair saint."
                tracker = romeo[aioxmpp.DeliveryReceiptsService].attach_tracker(message)
                await romeo.client.send(message)
                heard = await juliet.wait(lambda m: text(m) == "Neither, fair saint.")
                assert heard.xep0184_request_receipt, heard
                await juliet.client.send(aioxmpp.mdr.compose_receipt(heard))
                delivered = aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT
                async with asyncio.timeout(SECONDS):
                    while tracker.state != delivered:
                        await asyncio.sleep(0.05)
            with walk.step("a carbon"):
                await phone[aioxmpp.CarbonsClient].enable()
                await romeo.say(juliet.bare, "Had I it written.")
                copy = await phone.wait(lambda m: m.xep0280_sent is not None)
                assert copy.from_ == romeo.bare, copy.from_
                assert text(copy.xep0280_sent.stanza) == "Had I it written."
                await juliet.wait(lambda m: text(m) == "Had I it written.")
                await juliet.say(romeo.client.local_jid, "My ears have not yet drunk.")
                direct = await romeo.wait(lambda m: text(m) == "My ears have not yet drunk.")
                copy = await phone.wait(lambda m: m.xep0280_received is not None)
                assert text(copy.xep0280_received.stanza) == text(direct)
            with walk.step("history"):
                found = await phone.history()
                said = [one for _, one in found if one]
                assert said == [
                    "Neither, fair saint.", "Had I it written.", "My ears have not yet drunk.",
                ], found
                assert len({id for id, _ in found}) == len(found), found
            with walk.step("stanza ids"):
                ids = {id.id_ for id in direct.xep0359_stanza_ids if id.by == romeo.bare}
                assert ids == {found[-1][0]}, (ids, found)
            with walk.step("not others'"):
                asked = aioxmpp.IQ(
                    type_=aioxmpp.IQType.SET, to=juliet.bare, payload=Query()
                )
                assert await refusal(romeo.client.send(asked)) == "forbidden"


@ours("aioxmpp walks: bookmarks, a card and its picture, a file, and blocking", seconds=60)
async def profile(world):
    steps = ("bookmarks", "a picture", "its hash", "a file", "block", "unblock")
    services = (aioxmpp.BlockingClient, aioxmpp.AvatarService)
    async with grounds(world) as here, contextlib.AsyncExitStack() as people:
        romeo = await people.enter_async_context(person(here, "romeo", services=services))
        phone = await people.enter_async_context(person(here, "romeo", "phone"))
        juliet = await people.enter_async_context(person(here, "juliet"))
        with Walk(*steps) as walk:
            with walk.step("bookmarks"):
                room = aioxmpp.bookmarks.xso.Conference(
                    "The Play", aioxmpp.JID.fromstr("theplay@conference.shakespeare.example"),
                    nick="JC",
                )
                await romeo[aioxmpp.BookmarkClient].add_bookmark(room)
                found = await phone[aioxmpp.BookmarkClient].get_bookmarks()
                assert [one.jid for one in found] == [room.jid], found
                await phone[aioxmpp.BookmarkClient].discard_bookmark(room)
                assert await romeo[aioxmpp.BookmarkClient].get_bookmarks() == []
            with walk.step("a picture"):
                card = await romeo[aioxmpp.vcard.VCardService].get_vcard()
                card.set_photo_data("image/png", PICTURE)
                await romeo[aioxmpp.vcard.VCardService].set_vcard(card)
                seen = await juliet[aioxmpp.vcard.VCardService].get_vcard(romeo.bare)
                assert seen.get_photo_data() == PICTURE
            with walk.step("its hash"):
                hashes = asyncio.get_running_loop().create_future()

                def note(_, presence):
                    update = presence.xep0153_x
                    if update is not None and update.photo and not hashes.done():
                        hashes.set_result(update.photo)

                juliet[aioxmpp.PresenceClient].on_available.connect(
                    lambda full, presence: note(full, presence)
                )
                directed = aioxmpp.Presence(to=juliet.client.local_jid)
                await romeo.client.send(directed)
                told = await asyncio.wait_for(hashes, SECONDS)
                assert told == hashlib.sha1(PICTURE).hexdigest(), told
            with walk.step("a file"):
                service = aioxmpp.JID.fromstr(f"upload.{DOMAIN}")
                items = await romeo[aioxmpp.DiscoClient].query_items(SERVER)
                assert service in [item.jid for item in items.items], items
                slot = await aioxmpp.httpupload.request_slot(
                    romeo.client, service, "a rose.png", len(PICTURE), "image/png"
                )
                kind = {"Content-Type": "image/png"}
                async with aiohttp.ClientSession() as session:
                    put = await session.put(slot.put.url, data=PICTURE, headers=kind)
                    assert put.status == 201, put
                    got = await session.get(slot.get.url)
                    assert (got.status, await got.read()) == (200, PICTURE)
            with walk.step("block"):
                blocking = romeo[aioxmpp.BlockingClient]
                await blocking.block_jids([juliet.bare])
                async with asyncio.timeout(SECONDS):
                    while juliet.bare not in blocking.blocklist:
                        await asyncio.sleep(0.05)
                asked = aioxmpp.IQ(
                    type_=aioxmpp.IQType.GET, to=romeo.client.local_jid,
                    payload=aioxmpp.ping.Ping(),
                )
                assert await refusal(juliet.client.send(asked)) == "service-unavailable"
            with walk.step("unblock"):
                await blocking.unblock_all()
                await juliet.say(romeo.bare, "Art thou gone so?")
                await romeo.wait(lambda m: text(m) == "Art thou gone so?")


@ours("aioxmpp walks: commands with a form, and what the server tells of itself", seconds=60)
async def commands(world):
    steps = ("features", "version", "list", "the forbidden", "a form", "invite")
    add = "http://jabber.org/protocol/admin#add-user"
    async with grounds(world) as here, contextlib.AsyncExitStack() as people:
        admin = await people.enter_async_context(person(here, "admin"))
        romeo = await people.enter_async_context(person(here, "romeo"))
        with Walk(*steps) as walk:
            with walk.step("features"):
                info = await romeo[aioxmpp.DiscoClient].query_info(romeo.bare)
                assert {MAM, f"{MAM}#extended", "urn:xmpp:sid:0"} <= info.features, info.features
            with walk.step("version"):
                told = await aioxmpp.version.query_version(romeo.client.stream, SERVER)
                assert told.name == "Waxwing", told.name
            with walk.step("list"):
                items = await admin[aioxmpp.AdHocClient].get_commands(SERVER)
                assert add in [item.node for item in items], items
            with walk.step("the forbidden"):
                given = romeo[aioxmpp.AdHocClient].execute(SERVER, add)
                assert await refusal(given) == "forbidden"
            with walk.step("a form"):
                session = await admin[aioxmpp.AdHocClient].execute(SERVER, add)
                form = session.first_payload
                values = {
                    "accountjid": f"nurse@{DOMAIN}", "password": PASSWORD,
                    "password-verify": PASSWORD,
                }
                for field in form.fields:
                    if field.var in values:
                        field.values[:] = [values.pop(field.var)]
                assert not values, f"the form does not ask for {set(values)}"
                form.type_ = aioxmpp.forms.DataType.SUBMIT
                await session.proceed(
                    action=aioxmpp.adhoc.ActionType.COMPLETE, payload=form
                )
                assert session.status == aioxmpp.adhoc.CommandStatus.COMPLETED, session.status
            with walk.step("invite"):
                session = await romeo[aioxmpp.AdHocClient].execute(
                    SERVER, "urn:xmpp:invite#invite"
                )
                found = {field.var: field.values for field in session.first_payload.fields}
                assert found["uri"][0].startswith(f"xmpp:{romeo.bare}?roster;preauth="), found


@scenario("aioxmpp: loses its connection and resumes its session", seconds=60)
async def resumption(world):
    steps = ("sign in", "lose", "hear")
    async with contextlib.AsyncExitStack() as people:
        cable = await world.cable(world.server.tcp_port)
        romeo = await people.enter_async_context(person(world, "romeo", port=cable.port))
        juliet = await people.enter_async_context(person(world, "juliet"))
        happened = []
        for name in ("on_stream_suspended", "on_stream_resumed", "on_stream_destroyed"):
            signal = getattr(romeo.client, name)
            signal.connect(lambda *_, name=name: happened.append(name))
        with Walk(*steps) as walk:
            with walk.step("sign in"):
                assert romeo.client.stream.sm_enabled, "no stream management"
            with walk.step("lose"):
                cable.cut()
                await juliet.say(romeo.bare, "It is the lark")
            with walk.step("hear"):
                await romeo.wait(lambda m: text(m) == "It is the lark")
                assert happened == ["on_stream_suspended", "on_stream_resumed"], happened
