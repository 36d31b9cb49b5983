"""slixmpp over TCP: what two people with desktop clients do all day."""

import asyncio

from peer import befriend
from registry import scenario
from slixmpp.exceptions import IqError


@scenario("slixmpp: signs in over STARTTLS")
async def starttls(world):
    romeo = await world.signed_in("romeo")
    assert romeo.boundjid.bare == world.account("romeo")
    assert "starttls" in romeo.features
    assert romeo.plugin["feature_mechanisms"].mech.name.startswith("SCRAM-")


@scenario("slixmpp: signs in over direct TLS")
async def direct_tls(world):
    romeo = await world.signed_in("romeo", direct_tls=True)
    assert "starttls" not in romeo.features
    assert romeo.plugin["feature_mechanisms"].mech.name.startswith("SCRAM-")


@scenario("slixmpp: signs in with each SCRAM hash offered and with PLAIN inside TLS")
async def mechanisms(world):
    offered = (await world.signed_in("romeo")).plugin["feature_mechanisms"].mech_list
    assert "SCRAM-SHA-1" in offered, offered
    for mechanism in sorted(offered & {"SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"}):
        await world.signed_in("romeo", resource=mechanism, mechanism=mechanism)


@scenario("slixmpp: a wrong password is refused and the right one then accepted")
async def wrong_password(world):
    romeo = world.peer("romeo")
    right, romeo.password = romeo.password, "wrong"
    romeo.connect(world.server.host, world.server.tcp_port)
    failure = await romeo.wait("refused")
    assert failure["condition"] == "not-authorized", failure
    await romeo.sign_out()
    again = world.peer("romeo")
    again.password = right
    await again.sign_in(world.server.host, world.server.tcp_port)


@scenario("slixmpp: a roster entry is added, renamed, pushed to both resources, and removed")
async def roster(world):
    desk = await world.signed_in("romeo", "desk")
    phone = await world.signed_in("romeo", "phone")
    juliet = world.account("juliet")

    async def pushed(check):
        for peer in (desk, phone):
            await peer.wait(
                "roster", lambda iq: iq["type"] == "set" and check(iq["roster"]["items"])
            )

    await desk.update_roster(juliet, name="Juliet", groups=["Capulet"])
    await pushed(lambda items: items[juliet]["name"] == "Juliet")
    await desk.update_roster(juliet, name="Julia", groups=["Capulet"])
    await pushed(lambda items: items[juliet]["name"] == "Julia")
    await desk.del_roster_item(juliet)
    await pushed(lambda items: items[juliet]["subscription"] == "remove")


@scenario("slixmpp: two people subscribe to each other and see presence come, change and go")
async def subscription(world):
    romeo = await world.signed_in("romeo")
    juliet = await world.signed_in("juliet", direct_tls=True)
    await befriend(romeo, juliet)
    entry = romeo.client_roster[world.account("juliet")]
    assert entry["subscription"] == "both", entry

    juliet.send_presence(pshow="away", pstatus="on the balcony")
    await romeo.wait("available", lambda p: p["status"] == "on the balcony" and p["show"] == "away")
    await juliet.sign_out()
    await romeo.wait("unavailable", lambda p: p["from"] == juliet.boundjid)

    back = await world.signed_in("juliet", "phone")
    await romeo.wait("available", lambda p: p["from"] == back.boundjid)
    await back.wait("available", lambda p: p["from"] == romeo.boundjid)


@scenario("slixmpp: chat both ways with receipts")
async def chat(world):
    romeo = await world.signed_in("romeo")
    juliet = await world.signed_in("juliet", direct_tls=True)
    for one, other in ((romeo, juliet), (juliet, romeo)):
        text = "Wherefore art thou? <&> „ 🌹 ]]&gt;"
        sent = one.say(other.boundjid.full, text, receipt=True)
        heard = await other.hear(text)
        assert heard["from"] == one.boundjid and heard["type"] == "chat", heard
        await one.wait("receipt", lambda m, sent=sent: m["receipt"] == sent)


@scenario("slixmpp: messages sent while away arrive once, in order, with their time")
async def offline(world):
    romeo = await world.signed_in("romeo")
    address = world.account("juliet")
    for i in range(5):
        romeo.say(address, f"miss you {i}")
    await romeo.plugin["xep_0199"].ping(world.server_domain)

    juliet = await world.signed_in("juliet")
    heard = [await juliet.wait("message") for _ in range(5)]
    assert [m["body"] for m in heard] == [f"miss you {i}" for i in range(5)], heard
    assert all(m["delay"]["stamp"] for m in heard), "no XEP-0203 delay on an offline message"
    await juliet.sign_out()

    again = await world.signed_in("juliet", "again")
    await again.stays_silent("message")


@scenario("slixmpp: resumes after a cut and hears what was said meanwhile")
async def resume(world):
    cable = await world.cable(world.server.tcp_port)
    juliet = await world.signed_in("juliet", cable=cable, resume=True)
    romeo = await world.signed_in("romeo")
    await befriend(romeo, juliet)
    cable.cut()
    await juliet.wait("offline")
    for i in range(3):
        romeo.say(juliet.boundjid.full, f"in the dark {i}")
    await romeo.stays_silent("unavailable", lambda p: p["from"] == juliet.boundjid)

    await juliet.rejoin()
    await juliet.wait("resumed")
    for i in range(3):
        await juliet.hear(f"in the dark {i}")
    juliet.say(romeo.boundjid.full, "and here I am")
    await romeo.hear("and here I am")
    await juliet.stays_silent("message")


@scenario("slixmpp: what was lost on the way to the client is replayed at resumption")
async def replay_down(world):
    cable = await world.cable(world.server.tcp_port)
    juliet = await world.signed_in("juliet", cable=cable, resume=True)
    romeo = await world.signed_in("romeo")
    cable.hold("down")
    for i in range(3):
        romeo.say(juliet.boundjid.full, f"swallowed {i}")
    await romeo.plugin["xep_0199"].ping(world.server_domain)
    cable.cut()
    await juliet.wait("offline")
    await juliet.rejoin()
    await juliet.wait("resumed")
    for i in range(3):
        await juliet.hear(f"swallowed {i}")
    await juliet.stays_silent("message")


@scenario("slixmpp: what the server never got is sent again at resumption, once")
async def replay_up(world):
    cable = await world.cable(world.server.tcp_port)
    juliet = await world.signed_in("juliet", cable=cable, resume=True)
    romeo = await world.signed_in("romeo")
    juliet.say(romeo.boundjid.full, "before")
    await romeo.hear("before")
    cable.hold("up")
    juliet.say(romeo.boundjid.full, "into the void")
    await romeo.stays_silent("message")
    cable.cut()
    await juliet.wait("offline")
    await juliet.rejoin()
    await juliet.wait("resumed")
    await romeo.hear("into the void")
    await romeo.stays_silent("message")


@scenario("slixmpp: carbons show both directions on the other resource")
async def carbons(world):
    desk = await world.signed_in("romeo", "desk")
    phone = await world.signed_in("romeo", "phone")
    juliet = await world.signed_in("juliet")
    await phone.plugin["xep_0280"].enable()

    desk.say(juliet.boundjid.full, "said at the desk")
    await juliet.hear("said at the desk")
    sent = await phone.wait("carbon sent")
    assert sent["carbon_sent"]["body"] == "said at the desk", sent

    juliet.say(desk.boundjid.full, "heard at the desk")
    await desk.hear("heard at the desk")
    received = await phone.wait("carbon received")
    assert received["carbon_received"]["body"] == "heard at the desk", received
    await desk.stays_silent("carbon received")


@scenario("slixmpp: a blocked person is not heard, is told so, and unblocked is heard again")
async def blocking(world):
    romeo = await world.signed_in("romeo")
    tybalt = await world.signed_in("tybalt")
    blocklist = romeo.plugin["xep_0191"]
    await blocklist.block(tybalt.boundjid.bare)
    listed = (await blocklist.get_blocked())["blocklist"]["items"]
    assert {str(item["jid"]) for item in listed} == {tybalt.boundjid.bare}, listed

    tybalt.say(romeo.boundjid.bare, "thou art a villain")
    error = await tybalt.wait("message error")
    assert error["error"]["condition"] == "service-unavailable", error
    await romeo.stays_silent("message")

    await blocklist.unblock(tybalt.boundjid.bare)
    tybalt.say(romeo.boundjid.full, "peace?")
    await romeo.hear("peace?")


@scenario("slixmpp: the same resource twice ends with a conflict for one of them")
async def conflict(world):
    first = await world.signed_in("romeo", "desk")
    second = await world.signed_in("romeo", "desk")
    if second.boundjid.resource != "desk":
        return  # RFC 6120 §7.7.2.2 lets the server give the newcomer another resource
    error = await first.wait("stream error")
    assert error["condition"] == "conflict", error
    await second.plugin["xep_0199"].ping(world.server_domain)


@scenario("slixmpp: service discovery, ping and an unknown request are answered")
async def requests(world):
    romeo = await world.signed_in("romeo")
    info = await romeo.plugin["xep_0030"].get_info(jid=world.server_domain)
    features = info["disco_info"]["features"]
    for feature in ("urn:xmpp:ping", "urn:xmpp:carbons:2", "urn:xmpp:blocking"):
        account = await romeo.plugin["xep_0030"].get_info(jid=romeo.boundjid.bare)
        everywhere = features | account["disco_info"]["features"]
        assert feature in everywhere, f"{feature} is in neither {sorted(everywhere)}"
    iq = romeo.make_iq_get(queryxmlns="urn:example:unheard-of", ito=world.server_domain)
    try:
        await asyncio.wait_for(iq.send(), 5)
    except IqError as error:
        assert error.condition == "service-unavailable", error
    else:
        raise AssertionError("an unknown request was answered with a result")
