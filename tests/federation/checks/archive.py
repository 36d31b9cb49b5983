"""Archives (XEP-0313) and copies (XEP-0280) of what crosses the border."""

from person import CLIENT, fresh
from world import exchange

MAM = "{urn:xmpp:mam:2}"
SID = "{urn:xmpp:sid:0}stanza-id"
CARBONS = "{urn:xmpp:carbons:2}"
FORWARD = "{urn:xmpp:forward:0}forwarded"


async def archive(one, other):
    """(archive's id, id, body) of the messages with the other."""
    query = fresh()
    await one.done(
        "set", f"<query xmlns='urn:xmpp:mam:2' queryid='{query}'><x xmlns='jabber:x:data' "
        "type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
        f"<field var='with'><value>{other}</value></field></x></query>",
    )
    found = []
    for stanza in list(one.stanzas):
        result = stanza.find(MAM + "result")
        if result is not None and result.get("queryid") == query:
            one.stanzas.remove(stanza)
            message = result.find(f"{FORWARD}/{CLIENT}message")
            found.append(
                (result.get("id"), message.get("id"), message.findtext(CLIENT + "body"))
            )
    return found


@exchange("archive: both sides find what was said, under ids that nobody else can give")
async def both(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    first = romeo.message(
        juliet.bare, "one",
        more=f"<stanza-id xmlns='urn:xmpp:sid:0' by='{juliet.bare}' id='forged'/>",
    )
    heard = await juliet.hears("one")
    ids = {s.get("id") for s in heard.findall(SID) if s.get("by") == juliet.bare}
    # XEP-0359 §3.1 rule 7: forged ids by our own address are removed.
    if other.side.has("clean ids"):
        assert "forged" not in ids and len(ids) == 1, ids
    second = juliet.message(romeo.bare, "two")
    await romeo.hears("two")
    for who, whom in ((romeo, juliet), (juliet, romeo)):
        found = await archive(who, whom.bare)
        assert [(id, body) for _, id, body in found] == [(first, "one"), (second, "two")], found
    found = await archive(juliet, romeo.bare)
    assert found[0][0] in ids, (found, ids)


@exchange("archive: what shall not be kept is not")
async def hints(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    romeo.message(juliet.bare, "secret", more="<no-store xmlns='urn:xmpp:hints'/>")
    romeo.message(juliet.bare, "open")
    heard = await juliet.hears("secret")
    assert heard.find("{urn:xmpp:hints}no-store") is not None
    await juliet.hears("open")
    bodies = [body for _, _, body in await archive(juliet, romeo.bare)]
    assert bodies == ["open"], bodies


@exchange("carbons: all sessions hear what one is told, and what one says")
async def carbons(one, other):
    romeo = await one.person()
    user = other.fresh()
    desk, phone = await other.person(user), await other.person(user, "phone")
    for session in (desk, phone):
        await session.done("set", "<enable xmlns='urn:xmpp:carbons:2'/>")
    romeo.message(desk.jid, "told")
    await desk.hears("told")
    await _carbon(phone, "received", "told")
    desk.message(romeo.jid, "said")
    await romeo.hears("said")
    await _carbon(phone, "sent", "said")
    romeo.message(desk.jid, "between us", more="<private xmlns='urn:xmpp:carbons:2'/>"
                  "<no-copy xmlns='urn:xmpp:hints'/>")
    await desk.hears("between us")
    romeo.message(phone.jid, "after")
    await phone.hears("after")
    assert not phone.has(lambda s: s.find(CARBONS + "received") is not None), phone.stanzas
    assert not romeo.has(lambda s: s.find(CARBONS + "sent") is not None), romeo.stanzas


async def _carbon(session, kind, body):
    def matches(stanza):
        copy = stanza.find(f"{CARBONS}{kind}/{FORWARD}/{CLIENT}message")
        return copy is not None and copy.findtext(CLIENT + "body") == body

    carbon = await session.wait(matches, f"the copy ({kind}) of {body!r}")
    assert carbon.get("from") == session.bare, carbon.get("from")
