"""slixmpp walks through the features of the archive, the profile and the administration."""

import asyncio
import hashlib
from xml.etree import ElementTree

import slixmpp
from own import Stranger, ask, condition, ended_with
from peer import befriend
from registry import ours
from servers import DOMAIN
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048 import Bookmarks
from walk import STATUS, Walk, grounds
from world import PASSWORD

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
EMOJI = "🌹"


async def walker(world, name, *plugins, resource="desk", **options):
    peer = world.peer(name, resource, **options)
    for plugin in plugins:
        peer.register_plugin(plugin)
        assert plugin in peer.plugin, f"slixmpp has no {plugin}"
    return await peer.sign_in(world.server.host, world.server.tcp_port)


def note(peer, *events):
    """slixmpp tells of messages without a text by events of their own; they are heard, too."""
    for event in events:
        peer.add_event_handler(event, lambda stanza, event=event: peer._note(event, stanza))


async def raw(peer, kind, payload, to=None):
    """What slixmpp has no words for: the answer's only child."""
    iq = peer.make_iq_get(ito=to) if kind == "get" else peer.make_iq_set(ito=to)
    iq.append(ElementTree.fromstring(payload))
    return (await iq.send(timeout=10)).xml[0]


async def refusal(awaitable):
    """The condition that something is refused with."""
    try:
        await awaitable
    except IqError as error:
        return error.condition
    raise AssertionError("it was done")


async def forms(peer, address):
    """The forms in a disco answer, by FORM_TYPE: their fields."""
    info = (await peer.plugin["xep_0030"].get_info(jid=address))["disco_info"]
    found = {}
    for form in info["forms"]:
        fields = {name: field["value"] for name, field in form.get_fields().items()}
        kind = fields.pop("FORM_TYPE")
        found[kind[0] if isinstance(kind, list) else kind] = fields
    return found


async def kept(peer, count):
    """The payloads of all archived messages, as soon as there are `count`."""
    for _ in range(50):
        found = [
            message["mam_result"]["forwarded"]["stanza"].xml
            async for message in peer.plugin["xep_0313"].iterate()
        ]
        if len(found) >= count:
            break
        await asyncio.sleep(0.2)
    assert len(found) == count, [ElementTree.tostring(one) for one in found]
    return [[child.tag for child in one] for one in found]


@ours("slixmpp walks: corrections, reactions, markers and calls are kept, in order", seconds=60)
async def conversation(world):
    plugins = ("xep_0308", "xep_0313", "xep_0333", "xep_0334", "xep_0353", "xep_0444", "xep_0085")
    steps = ("say", "correct", "react", "mark", "call", "only type", "both archives")
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", *plugins)
        juliet = await walker(here, "juliet", *plugins)
        to, back = juliet.boundjid.bare, romeo.boundjid.bare
        note(romeo, "reactions", "marker_displayed", "jingle_message_reject")
        note(juliet, "jingle_message_propose", "chatstate_composing")
        with Walk(*steps) as walk:
            with walk.step("say"):
                said = romeo.say(to, "Lady, by yonder blessed moon I swaer")
                await juliet.hear("Lady, by yonder blessed moon I swaer")
            with walk.step("correct"):
                romeo.plugin["xep_0308"].build_correction(
                    said, to, mtype="chat", mbody="Lady, by yonder blessed moon I swear"
                ).send()
                fixed = await juliet.hear("Lady, by yonder blessed moon I swear")
                assert fixed["replace"]["id"] == said, fixed
            with walk.step("react"):
                juliet.plugin["xep_0444"].send_reactions(back, said, [EMOJI])
                got = await romeo.wait("reactions")
                assert got["reactions"].get_values() == {EMOJI}, got
            with walk.step("mark"):
                juliet.plugin["xep_0333"].send_marker(back, said, "displayed")
                got = await romeo.wait("marker_displayed")
                assert got["displayed"]["id"] == said, got
            with walk.step("call"):
                calls = romeo.plugin["xep_0353"], juliet.plugin["xep_0353"]
                calls[0].propose(to, "a73sjjvkla37jfea", [("urn:xmpp:jingle:apps:rtp:1", "audio")])
                await juliet.wait("jingle_message_propose")
                calls[1].reject(back, "a73sjjvkla37jfea")
                await romeo.wait("jingle_message_reject")
            with walk.step("only type"):
                typing = romeo.make_message(mto=to, mtype="chat")
                typing["chat_state"] = "composing"
                typing.send()
                await juliet.wait("chatstate_composing")
            with walk.step("both archives"):
                for peer in (romeo, juliet):
                    names = [
                        {tag.split("}")[1] for tag in tags} for tags in await kept(peer, 6)
                    ]
                    for wanted, there in zip(
                        ("body", "replace", "reactions", "displayed", "propose", "reject"), names
                    ):
                        assert wanted in there, names


@ours("slixmpp walks: the visiting card, its picture, and what contacts see of it", seconds=60)
async def card(world):
    plugins = ("xep_0054", "xep_0153")
    steps = ("write", "picture", "contacts hear", "contacts read it", "as vCard4", "not others'")
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", *plugins)
        juliet = await walker(here, "juliet", *plugins)
        await befriend(romeo, juliet)
        hash = hashlib.sha1(PICTURE).hexdigest()
        bare = romeo.boundjid.bare
        with Walk(*steps) as walk:
            with walk.step("write"):
                vcard = romeo.plugin["xep_0054"].make_vcard()
                vcard["FN"] = "Romeo Montague"
                await romeo.plugin["xep_0054"].publish_vcard(vcard, timeout=10)
            with walk.step("picture"):
                await romeo.plugin["xep_0153"].set_avatar(avatar=PICTURE, mtype="image/png")
            with walk.step("contacts hear"):
                romeo.send_presence()
                await juliet.wait(
                    "available",
                    lambda p: p["from"].bare == bare and p["vcard_temp_update"]["photo"] == hash,
                )
            with walk.step("contacts read it"):
                got = await juliet.plugin["xep_0054"].get_vcard(bare, local=False, timeout=10)
                assert got["vcard_temp"]["FN"] == "Romeo Montague", got
                assert got["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE, got
            with walk.step("as vCard4"):
                ns = "urn:ietf:params:xml:ns:vcard-4.0"
                four = await raw(juliet, "get", f"<vcard xmlns='{ns}'/>", bare)
                assert four.findtext(f"{{{ns}}}fn/{{{ns}}}text") == "Romeo Montague", four
                uri = four.findtext(f"{{{ns}}}photo/{{{ns}}}uri")
                assert uri.startswith("data:image/png;base64,"), uri
            with walk.step("not others'"):
                vcard = juliet.plugin["xep_0054"].make_vcard()
                vcard["FN"] = "Villain"
                publish = juliet.plugin["xep_0054"].publish_vcard(vcard, jid=slixmpp.JID(bare))
                assert await refusal(publish) in ("forbidden", "not-allowed"), "another's card"


@ours("slixmpp walks: bookmarks in private storage, on every device and nobody else's")
async def private(world):
    steps = ("store", "another device", "replace", "not others'")
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", "xep_0048", "xep_0049")
        phone = await walker(here, "romeo", "xep_0048", "xep_0049", resource="phone")
        juliet = await walker(here, "juliet", "xep_0049")

        async def rooms(peer):
            got = await peer.plugin["xep_0048"].get_bookmarks(timeout=10)
            return [
                (str(one["jid"]), one["nick"])
                for one in got["private"]["bookmarks"]["substanzas"]
            ]

        with Walk(*steps) as walk:
            with walk.step("store"):
                marks = Bookmarks()
                marks.add_conference("theplay@conference.shakespeare.example", "JC")
                await romeo.plugin["xep_0048"].set_bookmarks(marks, timeout=10)
            with walk.step("another device"):
                found = await rooms(phone)
                assert found == [("theplay@conference.shakespeare.example", "JC")], found
            with walk.step("replace"):
                await phone.plugin["xep_0048"].set_bookmarks(Bookmarks(), timeout=10)
                assert await rooms(romeo) == []
            with walk.step("not others'"):
                marks = "<storage xmlns='storage:bookmarks'/>"
                query = f"<query xmlns='jabber:iq:private'>{marks}</query>"
                asked = raw(juliet, "get", query, romeo.boundjid.bare)
                assert await refusal(asked) == "forbidden"


@ours("slixmpp walks: blocking with a report, of which the admin hears")
async def report(world):
    steps = ("report", "the admin hears", "it is blocked", "the other device knows", "unblock")
    async with grounds(world) as here:
        admin = await walker(here, "admin")
        romeo = await walker(here, "romeo", "xep_0377")
        phone = await walker(here, "romeo", "xep_0191", resource="phone")
        tybalt = await walker(here, "tybalt")
        bare = tybalt.boundjid.bare
        blocked = asyncio.get_running_loop().create_future()
        await phone.plugin["xep_0191"].get_blocked_jids(timeout=10)
        phone.add_event_handler(
            "blocked", lambda iq: blocked.done() or blocked.set_result(str(iq["block"]))
        )
        with Walk(*steps) as walk:
            with walk.step("report"):
                await romeo.plugin["xep_0377"].report(bare, "abuse", timeout=10)
            with walk.step("the admin hears"):
                await admin.wait("message", lambda m: bare in m["body"] and "abuse" in m["body"])
            with walk.step("it is blocked"):
                tybalt.say(romeo.boundjid.bare, "Thou art a villain.")
                await tybalt.wait("message error")
                await romeo.stays_silent("message", lambda m: m["from"].bare == bare)
            with walk.step("the other device knows"):
                assert bare in await asyncio.wait_for(blocked, 10)
            with walk.step("unblock"):
                await romeo.plugin["xep_0191"].unblock(bare, timeout=10)
                assert await romeo.plugin["xep_0191"].get_blocked_jids(timeout=10) == set()
                tybalt.say(romeo.boundjid.bare, "What, art thou drawn?")
                await romeo.hear("What, art thou drawn?")


@ours("slixmpp walks: what the server tells of itself, its relays and its outages")
async def about(world):
    steps = ("features", "outage", "policy", "relays", "relays are not for strangers")
    ns = "urn:xmpp:extdisco:2"
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", "xep_0455", "xep_0313")
        with Walk(*steps) as walk:
            with walk.step("features"):
                info = await romeo.plugin["xep_0030"].get_info(jid=romeo.boundjid.bare)
                features = set(info["disco_info"]["features"])
                wanted = {
                    "urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:sid:0",
                    "urn:xmpp:fulltext:0",
                }
                assert wanted <= features, wanted - features
                fields = (await romeo.plugin["xep_0313"].get_fields()).get_fields()
                wanted = {"with", "start", "end", "before-id", "after-id", "ids"}
                assert wanted <= set(fields), set(fields)
            with walk.step("outage"):
                told = await romeo.plugin["xep_0455"].get_external_status_addresses(timeout=10)
                assert told == [STATUS], told
            with walk.step("policy"):
                policy = (await forms(romeo, DOMAIN))["urn:xmpp:data-policy:0"]
                assert policy["auth_data"] == "plain", policy
                assert policy["data_export"] in (True, "1", "true"), policy
            with walk.step("relays"):
                answer = await raw(romeo, "get", f"<services xmlns='{ns}'/>", DOMAIN)
                kinds = {one.get("type"): one for one in answer}
                assert set(kinds) == {"stun", "turn"}, kinds
                turn = kinds["turn"]
                assert turn.get("host") == "relay.example" and turn.get("restricted") == "true"
                assert turn.get("username") and turn.get("password") and turn.get("expires")
            with walk.step("relays are not for strangers"):
                async with Stranger(here.server) as stranger:
                    stranger.send(f"<iq type='get' id='q'><services xmlns='{ns}'/></iq>")
                    assert await ended_with(stranger) == "not-authorized"


@ours("slixmpp walks: who has access to the account, and access that is ended")
async def access(world):
    steps = ("list", "revoke what is not there", "revoke a password", "not others'")
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", "xep_0494")
        await walker(here, "romeo", resource="phone")
        juliet = await walker(here, "juliet")

        def revoke(id):
            # COMPAT(slixmpp, until it asks with `set`): its own `revoke` sends an IQ of type get.
            return raw(romeo, "set", f"<revoke xmlns='urn:xmpp:cam:0' id='{id}'/>")

        with Walk(*steps) as walk:
            with walk.step("list"):
                clients = await romeo.plugin["xep_0494"].get_clients(timeout=10)
                assert len(clients) == 2, clients
                assert all(client["connected"] for client in clients), clients
            with walk.step("revoke what is not there"):
                assert await refusal(revoke("nobody")) == "item-not-found"
            with walk.step("revoke a password"):
                assert await refusal(revoke(clients[0]["id"])) == "service-unavailable"
            with walk.step("not others'"):
                asked = raw(juliet, "get", "<list xmlns='urn:xmpp:cam:0'/>", romeo.boundjid.bare)
                assert await refusal(asked) in ("service-unavailable", "forbidden")


@ours("slixmpp walks: commands, their forms, and who may give them", seconds=60)
async def commands(world):
    steps = ("list", "the forbidden", "a number", "a form", "what it made", "cancel", "nonsense")
    add = "http://jabber.org/protocol/admin#add-user"
    count = "http://jabber.org/protocol/admin#get-registered-users-num"
    async with grounds(world) as here:
        admin = await walker(here, "admin", "xep_0050", "xep_0004")
        romeo = await walker(here, "romeo", "xep_0050")
        adhoc = admin.plugin["xep_0050"]
        with Walk(*steps) as walk:
            with walk.step("list"):
                items = (await adhoc.get_commands(DOMAIN))["disco_items"]["items"]
                nodes = {node for _, node, _ in items}
                assert {add, count} <= nodes, nodes
                items = (await romeo.plugin["xep_0050"].get_commands(DOMAIN))["disco_items"]
                assert add not in {node for _, node, _ in items["items"]}, items
            with walk.step("the forbidden"):
                given = romeo.plugin["xep_0050"].send_command(DOMAIN, count)
                assert await refusal(given) == "forbidden"
            with walk.step("a number"):
                done = (await adhoc.send_command(DOMAIN, count))["command"]
                assert done["status"] == "completed", done
                fields = done["form"].get_fields()
                assert fields["registeredusersnum"]["value"] == "2", fields
            with walk.step("a form"):
                asked = (await adhoc.send_command(DOMAIN, add))["command"]
                assert asked["status"] == "executing", asked
                form = asked["form"]
                form["type"] = "submit"
                form.set_values({
                    "accountjid": f"nurse@{DOMAIN}", "password": PASSWORD,
                    "password-verify": PASSWORD,
                })
                done = await adhoc.send_command(
                    DOMAIN, add, action="complete", payload=form, sessionid=asked["sessionid"]
                )
                assert done["command"]["status"] == "completed", done
            with walk.step("what it made"):
                here.accounts.add("nurse0")
                done = (await adhoc.send_command(DOMAIN, count))["command"]
                assert done["form"].get_fields()["registeredusersnum"]["value"] == "3", done
            with walk.step("cancel"):
                asked = (await adhoc.send_command(DOMAIN, add))["command"]
                done = await adhoc.send_command(
                    DOMAIN, add, action="cancel", sessionid=asked["sessionid"]
                )
                assert done["command"]["status"] == "canceled", done
            with walk.step("nonsense"):
                given = adhoc.send_command(DOMAIN, "urn:example:none")
                assert await refusal(given) == "item-not-found"


@ours("slixmpp walks: an invitation, from the inviter to the guest's first message", seconds=60)
async def invitation(world):
    steps = ("invite", "a wrong token", "the guest", "they are contacts", "only once")
    async with grounds(world) as here:
        romeo = await walker(here, "romeo", "xep_0050", "xep_0004")

        async def sign_up(name, token):
            async with Stranger(here.server) as stranger:
                preauth = f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>"
                known = condition(await ask(stranger, "set", preauth, DOMAIN))
                form = (
                    "<query xmlns='jabber:iq:register'>"
                    f"<username>{name}</username><password>{PASSWORD}</password></query>"
                )
                return known, condition(await ask(stranger, "set", form, DOMAIN))

        with Walk(*steps) as walk:
            with walk.step("invite"):
                node = "urn:xmpp:invite#invite"
                done = await romeo.plugin["xep_0050"].send_command(DOMAIN, node)
                fields = done["command"]["form"].get_fields()
                uri = fields["uri"]["value"]
                assert uri.startswith(f"xmpp:{romeo.boundjid.bare}?roster;preauth="), uri
                token = uri.split("preauth=")[1].split(";")[0]
            with walk.step("a wrong token"):
                told = await sign_up("juliet0", token[::-1])
                assert told == ("item-not-found", "not-allowed"), told
            with walk.step("the guest"):
                assert await sign_up("juliet0", token) == (None, None)
                here.accounts.add("juliet0")
                juliet = await walker(here, "juliet")
            with walk.step("they are contacts"):
                await romeo.wait("available", lambda p: p["from"].bare == juliet.boundjid.bare)
                item = juliet.client_roster[romeo.boundjid.bare]
                assert item["subscription"] == "both", item
                juliet.say(romeo.boundjid.bare, "Thank you for the link!")
                await romeo.hear("Thank you for the link!")
            with walk.step("only once"):
                told = await sign_up("tybalt0", token)
                assert told == ("item-not-found", "not-allowed"), told
