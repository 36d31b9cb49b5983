"""Blocking somebody, or everybody, on another server (XEP-0191)."""

from acquaintance import befriend
from person import CLIENT, condition
from world import exchange


def _item(who):
    return f"<item jid='{who}'/>"


@exchange("blocking: nothing comes of those who are blocked, and they learn no more than they must")
async def blocked(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    nurse = await one.person("nurse")
    await befriend(romeo, juliet)
    await juliet.done("set", f"<block xmlns='urn:xmpp:blocking'>{_item(romeo.bare)}</block>")
    # §3.3: the contact is told that the user is gone.
    if other.side.has("absence of who blocks"):
        await romeo.sees(juliet.jid, "unavailable")
    juliet.forget()
    id = romeo.message(juliet.bare, "Hello?")
    error = await romeo.hears(id=id)
    assert condition(error) == "service-unavailable", condition(error)
    answer = await romeo.ask("get", "<ping xmlns='urn:xmpp:ping'/>", juliet.jid)
    assert condition(answer) == "service-unavailable", condition(answer)
    romeo.send("<presence><status>See me?</status></presence>")
    # The other way it is our own server that refuses.
    id = juliet.message(romeo.bare, "I blocked you.")
    assert condition(await juliet.hears(id=id)) == "not-acceptable"
    await nurse.settled(juliet)
    assert not juliet.has(lambda s: s.get("from", "").startswith(romeo.bare)), juliet.stanzas
    await juliet.done("set", f"<unblock xmlns='urn:xmpp:blocking'>{_item(romeo.bare)}</unblock>")
    if other.side.has("absence of who blocks"):
        await romeo.sees(juliet.jid)
    await romeo.settled(juliet)


@exchange("blocking: a whole server")
async def domain(one, other):
    romeo, juliet = await one.person(), await other.person(other.fresh())
    await juliet.done("set", f"<block xmlns='urn:xmpp:blocking'>{_item(one.name)}</block>")
    id = romeo.message(juliet.bare, "Hello?")
    assert condition(await romeo.hears(id=id)) == "service-unavailable"
    romeo.presence(juliet.bare, "subscribe")
    await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", other.name)
    assert not juliet.has(
        lambda s: s.tag in (CLIENT + "message", CLIENT + "presence")
        and one.name in (s.get("from") or "")
    )
    await juliet.done("set", "<unblock xmlns='urn:xmpp:blocking'/>")
    await romeo.settled(juliet)
