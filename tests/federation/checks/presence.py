"""Presence and subscriptions across the border (RFC 6121 §3 and §4)."""

from acquaintance import approve, befriend, contact, request
from person import CLIENT
from world import exchange


@exchange("presence: asked for, granted, seen, and taken back")
async def granted(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    asked = await request(romeo, juliet, more="<status>May I?</status>")
    assert asked.findtext(CLIENT + "status") == "May I?"
    await approve(juliet, romeo)
    assert await contact(romeo, juliet) == ("to", None)
    assert await contact(juliet, romeo) == ("from", None)
    # A change, a second session, and its end.
    juliet.send(
        "<presence><show>dnd</show><status>Sleeping ☾</status><priority>3</priority></presence>"
    )
    seen = await romeo.sees(juliet.jid)
    assert seen.findtext(CLIENT + "show") == "dnd"
    assert seen.findtext(CLIENT + "status") == "Sleeping ☾"
    assert seen.findtext(CLIENT + "priority") == "3"
    balcony = await other.person(juliet.user, "balcony")
    await romeo.sees(balcony.jid)
    await balcony.close()
    await romeo.sees(balcony.jid, "unavailable")
    # RFC 6121 §3.2: the contact cancels.
    juliet.presence(romeo.bare, "unsubscribed")
    await romeo.sees(juliet.bare, "unsubscribed")
    await romeo.sees(juliet.jid, "unavailable")
    assert await contact(romeo, juliet) == ("none", None)
    assert await contact(juliet, romeo) == ("none", None)
    await juliet.appear()
    await romeo.settled(juliet)
    assert not romeo.has(lambda s: s.tag == CLIENT + "presence" and s.get("from") == juliet.jid)


@exchange("presence: a request that is refused")
async def denied(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person()
    await request(romeo, juliet)
    assert await contact(romeo, juliet) == ("none", "subscribe")
    juliet.presence(romeo.bare, "unsubscribed")
    await romeo.sees(juliet.bare, "unsubscribed")
    assert await contact(romeo, juliet) == ("none", None)


@exchange("presence: a request waits for somebody who is away")
async def waits(one, other):
    romeo, user = await one.person(one.fresh()), other.fresh()
    romeo.presence(f"{user}@{other.name}", "subscribe")
    await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", other.name)
    juliet = await other.person(user)
    await juliet.sees(romeo.bare, "subscribe")
    await approve(juliet, romeo)


@exchange("presence: friends see each other come, and go")
async def come_and_go(one, other):
    romeo, juliet = await one.person(one.fresh()), await other.person(other.fresh())
    await befriend(romeo, juliet)
    assert await contact(romeo, juliet) == ("both", None)
    await romeo.close()
    await juliet.sees(romeo.jid, "unavailable")
    # RFC 6121 §4.2.2: the server sends probes; who comes back is told who is here.
    romeo = await one.person(romeo.user)
    await romeo.sees(juliet.jid)
    await juliet.sees(romeo.jid)
    # RFC 6121 §3.3: the user unsubscribes; the other direction stays.
    romeo.presence(juliet.bare, "unsubscribe")
    await juliet.sees(romeo.bare, "unsubscribe")
    if other.side.has("goodbyes"):
        await romeo.sees(juliet.jid, "unavailable")
    assert await contact(romeo, juliet) == ("from", None)
    assert await contact(juliet, romeo) == ("to", None)


@exchange("presence: a stranger who was told directly is told of the end as well")
async def directed(one, other):
    romeo, juliet = await one.person(), await other.person()
    romeo.presence(juliet.jid, more="<show>chat</show>")
    seen = await juliet.sees(romeo.jid)
    assert seen.findtext(CLIENT + "show") == "chat"
    # RFC 6121 §4.6.3: those who got directed presence are told as well.
    romeo.cut()
    await juliet.sees(romeo.jid, "unavailable", seconds=20)


@exchange("presence: a probe of a stranger says nothing")
async def probe(one, other):
    romeo, juliet = await one.person(), await other.person()
    romeo.presence(juliet.bare, "probe")
    await romeo.settled(juliet)
    assert not romeo.has(
        lambda s: s.tag == CLIENT + "presence" and s.get("from") == juliet.jid
        and s.get("type") is None
    )
