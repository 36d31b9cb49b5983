"""Questions to servers, accounts and sessions on the other side."""

from acquaintance import approve, request
from person import CLIENT, DISCO, condition, text
from world import exchange

INFO = f"{{{DISCO}#info}}"
ITEMS = f"{{{DISCO}#items}}"


@exchange("questions: what a server is, what it has, and whether it is there")
async def server(one, other):
    romeo = await one.person()
    await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", other.name)
    info = await romeo.done("get", f"<query xmlns='{DISCO}#info'/>", other.name)
    kinds = {(i.get("category"), i.get("type")) for i in info.iter(INFO + "identity")}
    assert ("server", "im") in kinds, kinds
    items = await romeo.done("get", f"<query xmlns='{DISCO}#items'/>", other.name)
    found = {item.get("jid") for item in items.iter(ITEMS + "item")}
    assert {other.rooms, other.pubsub} <= found, found
    for service, kind in ((other.rooms, "conference"), (other.pubsub, "pubsub")):
        info = await romeo.done("get", f"<query xmlns='{DISCO}#info'/>", service)
        assert kind in {i.get("category") for i in info.iter(INFO + "identity")}, text(info)
    version = await romeo.done("get", "<query xmlns='jabber:iq:version'/>", other.name)
    assert version.findtext("{jabber:iq:version}query/{jabber:iq:version}name"), text(version)
    time = await romeo.done("get", "<time xmlns='urn:xmpp:time'/>", other.name)
    assert time.findtext("{urn:xmpp:time}time/{urn:xmpp:time}utc"), text(time)
    last = await romeo.done("get", "<query xmlns='jabber:iq:last'/>", other.name)
    assert int(last.find("{jabber:iq:last}query").get("seconds")) >= 0


@exchange("questions: sessions answer each other")
async def sessions(one, other):
    romeo, juliet = await one.person(), await other.person()
    # RFC 6121 §8.5.3.1: only who is shown the presence of a session may ask it something.
    for a, b in ((romeo, juliet), (juliet, romeo)):
        a.presence(b.jid)
        await b.sees(a.jid)
    await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", juliet.jid)
    version = await romeo.done("get", "<query xmlns='jabber:iq:version'/>", juliet.jid)
    assert version.findtext("{jabber:iq:version}query/{jabber:iq:version}name") == "person"
    # One whose answer is an error, with the id as it was.
    romeo.send(
        f"<iq type='set' id='1 &amp; 2' to='{juliet.jid}'><q xmlns='urn:example:q'>é</q></iq>"
    )
    asked = await juliet.wait(lambda s: s.get("id") == "1 & 2", "the question")
    assert asked.get("from") == romeo.jid and asked[0].text == "é"
    juliet.send(
        f"<iq type='error' id='1 &amp; 2' to='{romeo.jid}'><error type='wait'><resource-constraint "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>Not now.</text></error></iq>"
    )
    answer = await romeo.wait(lambda s: s.get("id") == "1 & 2", "the answer")
    assert condition(answer) == "resource-constraint", text(answer)
    assert "Not now." in text(answer)


@exchange("questions: what nobody answers is an error")
async def unanswered(one, other):
    romeo, juliet = await one.person(), await other.person()
    # RFC 6121 §8.5.3.2.3, and RFC 6120 §8.4.
    for to in (
        f"{juliet.bare}/nowhere", f"nobody@{other.name}/x", f"nobody@{other.name}", other.name,
    ):
        answer = await romeo.ask("get", "<q xmlns='urn:example:unknown'/>", to)
        assert answer.get("from") == to
        assert condition(answer) in {
            "service-unavailable", "feature-not-implemented", "item-not-found",
        }, f"{to}: {text(answer)}"


@exchange("questions: since when somebody is away, only for those who may see the presence")
async def last(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    question = "<query xmlns='jabber:iq:last'/>"
    # XEP-0012 §4: only to those who may see the presence.
    refused = await romeo.ask("get", question, juliet.bare)
    assert condition(refused) in {
        "forbidden", "not-authorized", "service-unavailable", "subscription-required",
    }, text(refused)
    await request(romeo, juliet)
    await approve(juliet, romeo)
    answer = await romeo.done("get", question, juliet.bare)
    assert answer.find("{jabber:iq:last}query").get("seconds") == "0"
    juliet.send("<presence type='unavailable'><status>To bed.</status></presence>")
    await romeo.sees(juliet.jid, "unavailable")
    answer = await romeo.done("get", question, juliet.bare)
    assert int(answer.find("{jabber:iq:last}query").get("seconds")) < 60


@exchange("questions: visiting cards")
async def card(one, other):
    romeo, juliet = await one.person(), await other.person(other.fresh())
    name = "Julia Căpuleț ♥"
    await juliet.done(
        "set", f"<vCard xmlns='vcard-temp'><FN>{name}</FN><NICKNAME>Jule</NICKNAME>"
        "<PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO></vCard>",
    )
    answer = await romeo.done("get", "<vCard xmlns='vcard-temp'/>", juliet.bare)
    assert answer.findtext("{vcard-temp}vCard/{vcard-temp}FN") == name, text(answer)
    photo = answer.findtext("{vcard-temp}vCard/{vcard-temp}PHOTO/{vcard-temp}BINVAL")
    assert photo and photo.strip() == "iVBORw0KGgo=", text(answer)
    answer = await romeo.ask("get", "<vCard xmlns='vcard-temp'/>", f"nobody@{other.name}")
    assert condition(answer) in {"service-unavailable", "item-not-found"} or len(answer[0]) == 0


@exchange("questions: nobody changes what is another's")
async def others(one, other):
    romeo, juliet = await one.person(), await other.person()
    for payload in (
        "<vCard xmlns='vcard-temp'><FN>Mallory</FN></vCard>",
        "<query xmlns='jabber:iq:roster'><item jid='mallory@example.com'/></query>",
        "<block xmlns='urn:xmpp:blocking'><item jid='nurse@example.com'/></block>",
        "<query xmlns='jabber:iq:private'><a xmlns='urn:example:a'/></query>",
    ):
        answer = await romeo.ask("set", payload, juliet.bare)
        assert answer.get("type") == "error", f"{payload}: {text(answer)}"
    for payload in ("<query xmlns='jabber:iq:roster'/>", "<blocklist xmlns='urn:xmpp:blocking'/>"):
        answer = await romeo.ask("get", payload, juliet.bare)
        assert answer.get("type") == "error", f"{payload}: {text(answer)}"
    assert not juliet.has(lambda s: s.tag == CLIENT + "iq" and s.get("from") == romeo.jid)
