"""What people publish about themselves (XEP-0163), seen from another server."""

from acquaintance import befriend
from person import condition, text
from world import exchange

PUBSUB = "{http://jabber.org/protocol/pubsub}"
EVENT = "{http://jabber.org/protocol/pubsub#event}"
NICK = "http://jabber.org/protocol/nick"
TUNE = "http://jabber.org/protocol/tune"
MOOD = "http://jabber.org/protocol/mood"
BOOKMARKS = "urn:xmpp:bookmarks:1"
METADATA = "urn:xmpp:avatar:metadata"
DATA = "urn:xmpp:avatar:data"


async def publish(one, node, payload, item="current", options=""):
    """To a node of one's own."""
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>" for name, value in options
    )
    if fields:
        fields = (
            "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
            "type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
            f"{fields}</x></publish-options>"
        )
    return await one.done(
        "set", f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'>"
        f"<item id='{item}'>{payload}</item></publish>{fields}</pubsub>",
    )


def event(node, sender=None):
    """Whether a stanza tells of something at this node."""

    def matches(stanza):
        items = stanza.find(f"{EVENT}event/{EVENT}items")
        return items is not None and items.get("node") == node and (
            sender is None or stanza.get("from") == sender
        )

    return matches


async def items(one, service, node, item=None):
    item = f"<item id='{item}'/>" if item else ""
    return await one.ask(
        "get", f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='{node}'>{item}"
        "</items></pubsub>", service,
    )


@exchange("pep: friends are told what they want to know, and can look it up")
async def told(one, other):
    romeo = await one.person(one.fresh(), notify=(NICK, TUNE))
    juliet = await other.person(other.fresh())
    await befriend(romeo, juliet)
    await romeo.known_to(juliet)
    await publish(juliet, MOOD, f"<mood xmlns='{MOOD}'><happy/></mood>")
    await publish(juliet, NICK, f"<nick xmlns='{NICK}'>Jule ♥</nick>")
    await publish(juliet, TUNE, f"<tune xmlns='{TUNE}'><title>Lark &amp; Co</title></tune>")
    nick = await romeo.wait(event(NICK, juliet.bare), "the nick")
    assert nick.findtext(f".//{{{NICK}}}nick") == "Jule ♥", text(nick)
    tune = await romeo.wait(event(TUNE, juliet.bare), "the tune")
    assert tune.findtext(f".//{{{TUNE}}}title") == "Lark & Co", text(tune)
    assert not romeo.has(event(MOOD)), "the mood was not asked for"
    answer = await items(romeo, juliet.bare, NICK)
    assert answer.findtext(f".//{{{NICK}}}nick") == "Jule ♥", text(answer)
    # What is taken back.
    await juliet.done(
        "set", "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        f"<retract node='{TUNE}' notify='true'><item id='current'/></retract></pubsub>",
    )
    if other.side.has("retractions"):
        gone = await romeo.wait(event(TUNE, juliet.bare), "that the tune is gone")
        assert gone.find(f".//{EVENT}retract") is not None, text(gone)
    # XEP-0163 §4.3.2: who comes online is told the last of each.
    await romeo.close()
    await juliet.sees(romeo.jid, "unavailable")
    romeo = await one.person(romeo.user, notify=(NICK,))
    await romeo.known_to(juliet)
    if other.side.has("last items"):
        again = await romeo.wait(event(NICK, juliet.bare), "the nick, after signing in")
        assert again.findtext(f".//{{{NICK}}}nick") == "Jule ♥", text(again)


@exchange("pep: strangers see nothing, and friends nothing that is private")
async def private(one, other):
    romeo = await one.person(one.fresh(), notify=(NICK, BOOKMARKS))
    nurse = await one.person("nurse", notify=(NICK, BOOKMARKS))
    juliet = await other.person(other.fresh())
    await befriend(romeo, juliet)
    await romeo.known_to(juliet)
    await publish(
        juliet, BOOKMARKS, "<conference xmlns='urn:xmpp:bookmarks:1' name='Tomb'/>",
        f"tomb@{other.rooms}",
        options=(("persist_items", "true"), ("access_model", "whitelist")),
    )
    await publish(juliet, NICK, f"<nick xmlns='{NICK}'>Jule</nick>")
    await romeo.wait(event(NICK, juliet.bare), "the nick")
    await nurse.settled(juliet)
    assert not romeo.has(event(BOOKMARKS)) and not nurse.has(event(NICK))
    assert not nurse.has(event(BOOKMARKS))
    answer = await items(romeo, juliet.bare, BOOKMARKS)
    assert condition(answer) in {"not-allowed", "forbidden"}, text(answer)
    answer = await items(nurse, juliet.bare, NICK)
    assert condition(answer) in {
        "not-authorized", "forbidden", "service-unavailable", "presence-subscription-required",
    }, text(answer)
    # Nor does anybody write there.
    refused = await romeo.ask(
        "set", f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{NICK}'>"
        f"<item id='current'><nick xmlns='{NICK}'>Mallory</nick></item></publish></pubsub>",
        juliet.bare,
    )
    assert refused.get("type") == "error", text(refused)


@exchange("pep: pictures")
async def avatar(one, other):
    romeo = await one.person(one.fresh(), notify=(METADATA,))
    juliet = await other.person(other.fresh())
    await befriend(romeo, juliet)
    await romeo.known_to(juliet)
    picture = "aVZCT1J3MEtHZ28=" * 1000
    id = "111f4b3c50d7b0df729d299bc6f8e9ef9066971f"
    await publish(juliet, DATA, f"<data xmlns='{DATA}'>{picture}</data>", id)
    await publish(
        juliet, METADATA, f"<metadata xmlns='{METADATA}'><info id='{id}' bytes='12000' "
        "type='image/png' height='64' width='64'/></metadata>", id,
    )
    seen = await romeo.wait(event(METADATA, juliet.bare), "the metadata")
    assert seen.find(f".//{{{METADATA}}}info").get("id") == id, text(seen)
    answer = await items(romeo, juliet.bare, DATA, id)
    found = answer.findtext(f".//{{{DATA}}}data")
    assert found and "".join(found.split()) == picture, text(answer)[:300]
