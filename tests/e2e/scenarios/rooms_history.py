"""slixmpp and what a room keeps: history and archive, who loses a connection, and restarts."""

from meeting import Occupant, guest, guests, joined, opened, refusal
from registry import ours, scenario
from scenarios.nodes import entry, hears, node, titles
from slixmpp import JID
from walk import Walk

SAID = [f"line {i} <&> 🌹" for i in range(7)]
STANZA = "{urn:xmpp:sid:0}stanza-id"
HISTORIAN = ("xep_0313", "xep_0203", "xep_0359")


async def spoken(one):
    """The owner says some lines; the ids that the room gave them."""
    ids = []
    for text in SAID:
        one.say(text)
        heard = await one.hears(text, one.nick)
        stamped = [id for id in heard.xml.iter(STANZA) if id.get("by") == one.room]
        assert len(stamped) == 1, heard
        ids.append(stamped[0].get("id"))
    return ids


def texts(messages):
    return [message["body"] for message in messages]


@scenario("rooms: slixmpp gets as much history as it asks for, and the archive by pages")
async def history(world):
    steps = ("all", "some", "none", "the archive", "backwards", "strangers")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet", *HISTORIAN)
    tybalt = await guest(world, "tybalt", *HISTORIAN)
    with Walk(*steps) as walk:
        one = await opened(world, romeo, "library", "Romeo", membersonly=True)
        await one.grant("member", juliet)
        ids = await spoken(one)
        with walk.step("all"):
            two = Occupant(juliet, one.room, "Juliet")
            *_, before = await two.enter()
            assert texts(before) == SAID, before
            assert all(m["from"] == one.address and m["delay"]["stamp"] for m in before), before
            await two.leave()
        with walk.step("some"):
            *_, before = await two.enter(maxstanzas=2)
            assert texts(before) == SAID[-2:], before
            await two.leave()
        with walk.step("none"):
            *_, before = await two.enter(maxstanzas=0)
            assert before == [], before
        with walk.step("the archive"):
            kept = [(id, text) for id, text in await two.history() if text]
            assert kept == list(zip(ids, SAID)), kept
        with walk.step("backwards"):
            pages = juliet.plugin["xep_0313"].iterate(JID(one.room), reverse=True, rsm={"max": 3})
            found = [m["mam_result"]["id"] async for m in pages]
            assert [id for id in found if id in ids] == ids[::-1], found
        with walk.step("strangers"):
            asked = tybalt.plugin["xep_0313"].retrieve(JID(one.room), timeout=10)
            assert await refusal(asked) in ("forbidden", "registration-required", "not-allowed")


@scenario("rooms: slixmpp loses its connection and resumes in the room, and missed nothing")
async def resume(world):
    cable = await world.cable(world.server.tcp_port)
    juliet = await guest(world, "juliet", cable=cable, resume=True)
    romeo = await guest(world, "romeo")
    one = await opened(world, romeo, "dark", "Romeo")
    two = await joined(one, juliet, "Juliet")
    cable.cut()
    await juliet.wait("offline")
    for text in SAID:
        one.say(text)
        await one.hears(text, "Romeo")
    await romeo.stays_silent(
        "wire", lambda s: s.name == "presence" and s["from"] == two.address
    )
    await juliet.rejoin()
    await juliet.wait("resumed")
    for text in SAID:
        await two.hears(text, "Romeo")
    two.say("and here I am")
    await one.hears("and here I am", "Juliet")
    await two.hears("and here I am", "Juliet")
    await juliet.stays_silent("message")


async def survives(world, end):
    """What a persistent room is, knows and has heard, before and after."""
    romeo, juliet = await guest(world, "romeo", resume=True), await guest(world, "juliet")
    one = await opened(
        world, romeo, "stone", "Romeo", roomname="The Tomb", persistentroom=True, membersonly=True
    )
    await one.grant("member", juliet)
    two = await joined(one, juliet, "Juliet")
    one.muc.set_subject(one.room, "A glooming peace")
    await juliet.wait("subject", lambda m: m["subject"] == "A glooming peace")
    await romeo.until_acked([one.say(text) for text in SAID])
    await end()
    for peer in (romeo, juliet):
        await peer.wait("offline")
        await peer.sign_out()
    await world.server.start()

    juliet = await guest(world, "juliet", *HISTORIAN, resource="later")
    tybalt = await guest(world, "tybalt")
    two = Occupant(juliet, one.room, "Juliet")
    own, subject, seen, before = await two.enter()
    assert own["muc"]["affiliation"] == "member" and len(seen) == 1, (own, seen)
    assert 201 not in own["muc"]["status_codes"], own
    assert subject["subject"] == "A glooming peace", subject
    assert subject["from"] == one.address, subject
    assert texts(before) == SAID, before
    kept = [text for _, text in await two.history() if text]
    assert kept == SAID, kept
    assert await Occupant(tybalt, one.room, "Tybalt").refused() == "registration-required"
    info = (await juliet.plugin["xep_0030"].get_info(jid=one.room))["disco_info"]
    assert ("conference", "text", None, "The Tomb") in info["identities"], info


@scenario("restart: a room has its members, subject and history after SIGTERM", seconds=60)
async def after_sigterm(world):
    await survives(world, world.server.stop)


@ours("restart: a room has its members, subject and history after SIGKILL", seconds=60)
async def after_sigkill(world):
    await survives(world, world.server.kill)


@ours("restart: a node has its items and subscribers after SIGKILL", seconds=60)
async def nodes_after_sigkill(world):
    owner, juliet = await guests(world, ("owner", "juliet"), "xep_0060")
    host, name, pubsub = await node(world, owner, "stone", title="Stone", notify_retract="1")
    await juliet.plugin["xep_0060"].subscribe(host, name, timeout=10)
    await pubsub.publish(host, name, id="before", payload=entry("before"), timeout=10)
    await world.server.kill()
    for peer in (owner, juliet):
        await peer.wait("offline")
        await peer.sign_out()
    await world.server.start()
    owner = await guest(world, "owner", "xep_0060", resource="later")
    juliet = await guest(world, "juliet", "xep_0060", resource="later")
    found = (await juliet.plugin["xep_0060"].get_items(host, name, timeout=10))["pubsub"]["items"]
    assert titles(found) == ["before"], found
    await owner.plugin["xep_0060"].publish(host, name, id="after", payload=entry("after"))
    await hears(juliet, name, child="item", id="after")


@scenario("rooms: slixmpp on two devices is one occupant, who is there while one of them is")
async def devices(world):
    steps = ("both hear", "one goes", "one is cut off", "both are kicked")
    cable = await world.cable(world.server.tcp_port)
    juliet = await guest(world, "juliet")
    desk, phone = await guest(world, "romeo"), await guest(world, "romeo", resource="phone")
    tablet = await guest(world, "romeo", resource="tablet", cable=cable)
    with Walk(*steps) as walk:
        owner = await opened(world, juliet, "yard", "Juliet")
        one = await joined(owner, desk, "Romeo")
        other, third = (Occupant(peer, owner.room, "Romeo") for peer in (phone, tablet))
        for seat in (other, third):
            _, _, seen, _ = await seat.enter()
            nicks = [presence["from"].resource for presence in seen]
            assert sorted(nicks) == ["Juliet", "Romeo"], nicks
        with walk.step("both hear"):
            one.say("I am here twice")
            for seat in (owner, one, other, third):
                await seat.hears("I am here twice", "Romeo")
            owner.say("I see but one", to="Romeo")
            for seat in (one, other):
                await seat.hears("I see but one", "Juliet", "chat")
        with walk.step("one goes"):
            await one.leave()
            await juliet.stays_silent(
                "wire", lambda s: s.name == "presence" and s["type"] == "unavailable"
            )
            owner.say("Still here?")
            await other.hears("Still here?", "Juliet")
            await desk.stays_silent("message", lambda m: m["body"] == "Still here?")
        with walk.step("one is cut off"):
            await one.enter()
            cable.cut()
            owner.say("And now?")
            for seat in (one, other):
                await seat.hears("And now?", "Juliet")
        with walk.step("both are kicked"):
            await owner.muc.set_role(owner.room, "Romeo", "none", timeout=10)
            for seat in (one, other):
                await seat.sees("Romeo", "unavailable", codes={110, 307})
            await owner.sees("Romeo", "unavailable", codes={307})


@scenario("rooms: who is cut off without a word is gone from the room, and others see it")
async def cut_off(world):
    cable = await world.cable(world.server.tcp_port)
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet", cable=cable)
    one = await opened(world, romeo, "storm", "Romeo")
    two = await joined(one, juliet, "Juliet")
    cable.cut()
    await juliet.wait("offline")
    await one.sees("Juliet", "unavailable")
    again = Occupant(await guest(world, "juliet", resource="again"), one.room, "Juliet")
    await again.enter()
    again.say("Romeo!")
    await one.hears("Romeo!", two.nick)
