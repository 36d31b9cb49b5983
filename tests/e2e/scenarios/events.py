"""slixmpp with what accounts publish (XEP-0163): moods, pictures, bookmarks, devices, secrets."""

import base64
import hashlib
from xml.etree import ElementTree

from meeting import ask, guest, guests, refusal
from peer import befriend
from registry import ours, scenario
from scenarios.nodes import form, hears, silent
from walk import Walk

BOOKMARKS = "urn:xmpp:bookmarks:1"
AVATAR = "urn:xmpp:avatar:metadata"
OLD_DEVICES = "eu.siacs.conversations.axolotl.devicelist"
DEVICES = "urn:xmpp:omemo:2:devices"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@scenario("PEP: slixmpp hears the mood of contacts if it wants to, and the last one later")
async def mood(world):
    romeo = await guest(world, "romeo", "xep_0107")
    phone = await guest(world, "romeo", resource="phone")
    juliet = await guest(world, "juliet", "xep_0107")
    tybalt = await guest(world, "tybalt", "xep_0107")
    await befriend(romeo, juliet)
    ns = "http://jabber.org/protocol/mood"
    for peer in (romeo, phone, juliet, tybalt):
        peer.seen.clear()
    await romeo.plugin["xep_0107"].publish_mood("in_love", "with Juliet", timeout=10)
    for peer in (romeo, juliet):
        heard = await hears(peer, ns, child="item")
        assert heard["from"].bare == romeo.boundjid.bare, heard
        assert heard.xml.find(f".//{{{ns}}}in_love") is not None, heard
    for peer in (phone, tybalt):
        await silent(peer, ns)
    await juliet.sign_out()
    later = await guest(world, "juliet", "xep_0107", resource="balcony")
    heard = await hears(later, ns, child="item")
    assert heard.xml.find(f".//{{{ns}}}in_love") is not None, heard
    read = tybalt.plugin["xep_0060"].get_items(romeo.boundjid.bare, ns, timeout=10)
    assert await refusal(read) in ("not-authorized", "forbidden", "presence-subscription-required")


@scenario("PEP: slixmpp shows a picture (XEP-0084), and contacts get its very bytes")
async def avatar(world):
    romeo, juliet = await guests(world, ("romeo", "juliet"), "xep_0084")
    await befriend(romeo, juliet)
    hash = hashlib.sha1(PICTURE).hexdigest()
    plugin = romeo.plugin["xep_0084"]
    await plugin.publish_avatar(PICTURE, timeout=10)
    await plugin.publish_avatar_metadata(
        {"id": hash, "type": "image/png", "bytes": str(len(PICTURE)), "width": "8", "height": "8"},
        timeout=10,
    )
    heard = await hears(juliet, AVATAR, child="item", id=hash)
    info = heard.xml.find(f".//{{{AVATAR}}}info")
    assert (info.get("id"), info.get("bytes")) == (hash, str(len(PICTURE))), heard
    got = await juliet.plugin["xep_0084"].retrieve_avatar(romeo.boundjid.bare, hash, timeout=10)
    data = got.xml.findtext(".//{urn:xmpp:avatar:data}data")
    assert base64.b64decode(data) == PICTURE


@ours("PEP: a picture is the same in the account and on its card (XEP-0398)", seconds=60)
async def one_picture(world):
    steps = ("from the account", "in presence", "on the card", "from the card", "heard")
    romeo = await guest(world, "romeo", "xep_0084", "xep_0054")
    juliet = await guest(world, "juliet", "xep_0084", "xep_0054", "xep_0153")
    await befriend(romeo, juliet)
    bare, hash = romeo.boundjid.bare, hashlib.sha1(PICTURE).hexdigest()
    with Walk(*steps) as walk:
        with walk.step("from the account"):
            plugin = romeo.plugin["xep_0084"]
            await plugin.publish_avatar(PICTURE, timeout=10)
            await plugin.publish_avatar_metadata(
                {"id": hash, "type": "image/png", "bytes": str(len(PICTURE))}, timeout=10
            )
        with walk.step("in presence"):
            romeo.send_presence()  # the next one has it (XEP-0398 §4)
            await juliet.wait(
                "available",
                lambda p: p["from"].bare == bare and p["vcard_temp_update"]["photo"] == hash,
            )
        with walk.step("on the card"):
            got = await juliet.plugin["xep_0054"].get_vcard(bare, local=False, timeout=10)
            assert got["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE, got
        with walk.step("from the card"):
            other = PICTURE + b"another"
            card = romeo.plugin["xep_0054"].make_vcard()
            card["PHOTO"]["TYPE"], card["PHOTO"]["BINVAL"] = "image/png", other
            await romeo.plugin["xep_0054"].publish_vcard(card, timeout=10)
        with walk.step("heard"):
            hash = hashlib.sha1(other).hexdigest()
            await hears(juliet, AVATAR, child="item", id=hash)
            got = await juliet.plugin["xep_0084"].retrieve_avatar(bare, hash, timeout=10)
            data = got.xml.findtext(".//{urn:xmpp:avatar:data}data")
            assert base64.b64decode(data) == other


def conference(name):
    return (
        f"<conference xmlns='{BOOKMARKS}' name='{name}' autojoin='true'><nick>JC</nick>"
        "<extensions><state xmlns='http://myclient.example/bookmark/state' minimized='true'/>"
        "</extensions></conference>"
    )


async def publish(peer, name, id, payload, **options):
    """To one's own account, as XEP-0060 §7.1.5 says it."""
    await peer.plugin["xep_0060"].publish(
        None, name, id=id, payload=ElementTree.fromstring(payload),
        options=form(peer, "publish-options", **options) if options else None, timeout=10,
    )


@scenario("PEP: slixmpp keeps bookmarks (XEP-0402) for all its devices, and for nobody else")
async def bookmarks(world):
    steps = ("add", "another device", "one more", "remove", "nobody else")
    romeo = await guest(world, "romeo", "xep_0402", "xep_0163")
    phone = world.peer("romeo", "phone")
    phone.register_plugin("xep_0163")
    phone.add_event_handler(
        "session_bind", lambda _: phone.plugin["xep_0163"].add_interest(BOOKMARKS)
    )
    phone.add_filter("in", lambda s: (phone._note("wire", s), s)[1])
    await phone.sign_in(world.server.host, world.server.tcp_port)
    juliet = await guest(world, "juliet", "xep_0060")
    await befriend(romeo, juliet)
    how = {"persist_items": "true", "max_items": "max", "send_last_published_item": "never",
           "access_model": "whitelist"}
    play, masque = "theplay@rooms.example.org", "masque@rooms.example.org"
    with Walk(*steps) as walk:
        with walk.step("add"):
            await publish(romeo, BOOKMARKS, play, conference("The Play"), **how)
        with walk.step("another device"):
            heard = await hears(phone, BOOKMARKS, child="item", id=play)
            one = heard.xml.find(f".//{{{BOOKMARKS}}}conference")
            assert one.findtext(f"{{{BOOKMARKS}}}nick") == "JC", heard
            assert one.find(f"{{{BOOKMARKS}}}extensions")[0].get("minimized") == "true", heard
        with walk.step("one more"):
            await publish(romeo, BOOKMARKS, masque, conference("The Masque"), **how)
            found = await phone.plugin["xep_0060"].get_items(None, BOOKMARKS, timeout=10)
            ids = sorted(item["id"] for item in found["pubsub"]["items"])
            assert ids == [masque, play], ids
        with walk.step("remove"):
            await romeo.plugin["xep_0060"].retract(None, BOOKMARKS, play, notify="true", timeout=10)
            await hears(phone, BOOKMARKS, child="retract", id=play)
        with walk.step("nobody else"):
            asked = juliet.plugin["xep_0060"].get_items(romeo.boundjid.bare, BOOKMARKS, timeout=10)
            assert await refusal(asked) in ("not-allowed", "forbidden", "item-not-found")
            await silent(juliet, BOOKMARKS)


@ours("PEP: bookmarks are the same in private storage (XEP-0049) and in the account")
async def two_shelves(world):
    romeo = await guest(world, "romeo", "xep_0402", "xep_0060")
    storage = "storage:bookmarks"
    await ask(
        romeo, "set", f"<query xmlns='jabber:iq:private'><storage xmlns='{storage}'>"
        "<conference jid='old@rooms.example.org' name='Old' autojoin='true'><nick>R</nick>"
        "</conference></storage></query>",
    )
    found = await romeo.plugin["xep_0060"].get_items(None, BOOKMARKS, timeout=10)
    items = {item["id"]: item["payload"] for item in found["pubsub"]["items"]}
    assert set(items) == {"old@rooms.example.org"}, items
    assert items["old@rooms.example.org"].get("name") == "Old", items
    await publish(romeo, BOOKMARKS, "new@rooms.example.org", conference("New"))
    query = f"<query xmlns='jabber:iq:private'><storage xmlns='{storage}'/></query>"
    answer = await ask(romeo, "get", query)
    jids = {one.get("jid") for one in answer.iter(f"{{{storage}}}conference")}
    assert jids == {"old@rooms.example.org", "new@rooms.example.org"}, jids


@scenario("PEP: OMEMO's device lists and bundles (XEP-0384) are there for whoever wants to write")
async def devices(world):
    romeo = await guest(world, "romeo", "xep_0060")
    stranger = await guest(world, "tybalt", "xep_0060")
    old = "<list xmlns='eu.siacs.conversations.axolotl'><device id='31415'/></list>"
    new = "<devices xmlns='urn:xmpp:omemo:2'><device id='31415' label='Desk'/></devices>"
    bundle = "eu.siacs.conversations.axolotl.bundles:31415"
    keys = "<bundle xmlns='eu.siacs.conversations.axolotl'><identityKey>Rw==</identityKey></bundle>"
    for name, payload in ((OLD_DEVICES, old), (DEVICES, new), (bundle, keys)):
        await publish(romeo, name, "current", payload, access_model="open")
        got = await stranger.plugin["xep_0060"].get_items(romeo.boundjid.bare, name, timeout=10)
        item, = got["pubsub"]["items"]
        assert item["id"] == "current", got
        assert item["payload"].tag == ElementTree.fromstring(payload).tag, got


@ours("PEP: OMEMO's lists are open at the first try, with no options and over other settings")
async def devices_at_once(world):
    romeo = await guest(world, "romeo", "xep_0060")
    stranger = await guest(world, "tybalt", "xep_0060")
    old = "<list xmlns='eu.siacs.conversations.axolotl'><device id='{}'/></list>"
    read = stranger.plugin["xep_0060"].get_items
    bare = romeo.boundjid.bare
    # Without options: a client of old that trusts the server's defaults.
    await publish(romeo, OLD_DEVICES, "current", old.format(1))
    got = await read(bare, OLD_DEVICES, timeout=10)
    assert len(got["pubsub"]["items"]) == 1, got
    # Somebody closed it; the next client that follows the document is not refused.
    await romeo.plugin["xep_0060"].set_node_config(
        None, OLD_DEVICES, form(romeo, "node_config", access_model="whitelist"), timeout=10
    )
    assert await refusal(read(bare, OLD_DEVICES, timeout=10)) in ("not-allowed", "forbidden")
    await publish(romeo, OLD_DEVICES, "current", old.format(2), access_model="open")
    got = await read(bare, OLD_DEVICES, timeout=10)
    item, = got["pubsub"]["items"]
    assert item["payload"][0].get("id") == "2", got


@ours("PEP: what was read is known to the other devices (XEP-0490), and to them only")
async def displayed(world):
    ns = "urn:xmpp:mds:displayed:0"
    romeo = await guest(world, "romeo", "xep_0490")
    phone = await guest(world, "romeo", "xep_0490", resource="phone")
    juliet = await guest(world, "juliet", "xep_0060")
    await befriend(romeo, juliet)
    bare = juliet.boundjid.bare
    await romeo.plugin["xep_0490"].flag_chat(bare, "0f710f2b", timeout=10)
    heard = await hears(phone, ns, child="item", id=bare)
    assert heard.xml.find(".//{urn:xmpp:sid:0}stanza-id").get("id") == "0f710f2b", heard
    read = juliet.plugin["xep_0060"].get_items(romeo.boundjid.bare, ns, timeout=10)
    assert await refusal(read) in ("not-allowed", "forbidden", "item-not-found")


@scenario("PEP: private data (XEP-0223) stays private, public data (XEP-0222) does not")
async def data(world):
    romeo, tybalt = await guests(world, ("romeo", "tybalt"), "xep_0060")
    read, bare = tybalt.plugin["xep_0060"].get_items, romeo.boundjid.bare
    secret = "<secret xmlns='urn:example:secret'>the friar's potion</secret>"
    await publish(
        romeo, "urn:example:secret", "current", secret, persist_items="true",
        access_model="whitelist",
    )
    await publish(
        romeo, "urn:example:rose", "current", "<rose xmlns='urn:example:rose'/>",
        persist_items="true", access_model="open",
    )
    got = await romeo.plugin["xep_0060"].get_items(None, "urn:example:secret", timeout=10)
    assert got["pubsub"]["items"]["substanzas"][0]["payload"].text == "the friar's potion", got
    asked = read(bare, "urn:example:secret", timeout=10)
    assert await refusal(asked) in ("not-allowed", "forbidden", "item-not-found")
    got = await read(bare, "urn:example:rose", timeout=10)
    assert len(got["pubsub"]["items"]) == 1, got
