"""Two people who get to know each other, as RFC 6121 §3.1 has it."""

ROSTER = "{jabber:iq:roster}"


async def request(one, other, more=""):
    """One asks to see the other's presence; what the other gets."""
    one.presence(other.bare, "subscribe", more)
    return await other.sees(one.bare, "subscribe")


async def approve(other, one):
    """The other says yes, and is seen."""
    other.presence(one.bare, "subscribed")
    await one.sees(other.bare, "subscribed")
    await one.sees(other.jid)


async def befriend(one, other):
    for a, b in ((one, other), (other, one)):
        await request(a, b)
        await approve(b, a)


async def contact(one, other):
    """What stands in one's roster about the other: (subscription, ask)."""
    answer = await one.done("get", "<query xmlns='jabber:iq:roster'/>")
    for item in answer.iter(ROSTER + "item"):
        if item.get("jid") == other.bare:
            return item.get("subscription"), item.get("ask")
    return "none", None
