"""Rooms: joins, forms and orders that are none, and more of everything than anybody needs."""

import asyncio
import time

from attack import attack, expect
from checks.floods import pour, read_away
from person import CLIENT, MUC, Person, condition, field, reason

HOST = "rooms.localhost"
BODY = CLIENT + "body"


async def refused(person, kind, payload, to, *allowed, names=None):
    """Asks what must be refused with one of these conditions, and perhaps name what is wrong."""
    answer = await person.ask(kind, payload, to)
    what = f"{payload[:200]}: {reason(answer)}"
    expect(condition(answer) in allowed, what)
    expect(names is None or names in reason(answer), f"{names} is not named: {what}")


def said(text):
    return lambda s: s.tag == CLIENT + "message" and s.findtext(BODY) == text


def shows(nick, kind=None):
    return lambda s: (
        s.tag == CLIENT + "presence" and s.get("type") == kind
        and s.get("from", "").endswith(f"/{nick}")
    )


@attack("rooms: joins with nicks and wishes that are none: each gets its error")
async def joins(node):
    one, two = await Person.online(node), await Person.online(node, "crowd")
    room = f"joins@{HOST}"
    await one.open(room, "One")
    for nick, allowed in (
        ("x" * 1000, ("not-acceptable", "policy-violation", "jid-malformed", "bad-request")),
        ("x" * 2000, ("jid-malformed", "not-acceptable", "bad-request")),
        ("&#x200B;", ("jid-malformed", "not-acceptable", "bad-request")),
        ("One", ("conflict",)),
        ("   ", ("not-acceptable", "jid-malformed")),
    ):
        found = await two.enter(room, nick)
        expect(found in allowed, f"{nick[:20]!r}: {found}")
    await two.say(f"<presence to='{room}'><x xmlns='{MUC}'/></presence>")
    found = await two.wait(lambda s: s.get("type") == "error")
    expect(condition(found) in ("jid-malformed", "not-acceptable"), reason(found))
    for wish in (
        "<history maxstanzas='-1'/>", "<history maxstanzas='many'/>", "<history since='now'/>",
        "<history maxchars='99999999999999999999999'/>", "<history/>" * 100,
        "<password/>" * 100, f"<password>{'x' * 20000}</password>", "<x/>" * 1000,
    ):
        found = await two.enter(room, "Two", wish)
        expect(found in (None, "bad-request", "not-acceptable"), f"{wish[:60]}: {found}")
        if found is None:
            await two.leave(room, "Two")
    expect(await two.enter(room, "Two") is None, "nobody gets in any more")
    await one.wait(shows("Two"))
    one.cut()
    two.cut()


@attack("rooms: forms that are none: the field is named, and the room is as before")
async def forms(node):
    one = await Person.online(node)
    room = f"forms@{HOST}"
    await one.open(room, "One", field("muc#roomconfig_roomname", "As before"))
    config = "muc#roomconfig_"
    for name, value in (
        (config + "maxusers", "banana"), (config + "maxusers", "-1"),
        (config + "whois", "everybody and his dog"), (config + "membersonly", "perhaps"),
        (config + "moderatedroom", "maybe"), (config + "allowpm", "sometimes"),
        (config + "presencebroadcast", "king"), (config + "persistentroom", "2"),
        (config + "roomadmins", "@@"), (config + "roomname", "x" * 100_000),
    ):
        fields = field(config + "roomname", "Changed") + field(name, value)
        answer = await one.configure(room, fields)
        allowed = ("not-acceptable", "bad-request", "policy-violation", "jid-malformed")
        expect(condition(answer) in allowed, f"{name}={value[:20]}: {reason(answer)}")
        expect(name in reason(answer), f"{name} is not named: {reason(answer)}")
    answer = await one.configure(room, field("urn:nobody:knows", "x") * 50)
    expect(condition(answer) is None, f"unknown fields are not ignored: {reason(answer)}")
    for payload in (
        f"<query xmlns='{MUC}#owner'/>",
        f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='result'/></query>",
        f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data'/></query>",
        f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
        "<field var='FORM_TYPE'><value>urn:another</value></field></x></query>",
        f"<query xmlns='{MUC}#owner'><destroy jid='@@'/></query>",
        f"<query xmlns='{MUC}#owner'><nonsense/></query>",
    ):
        await refused(one, "set", payload, room, "bad-request", "not-acceptable", "jid-malformed")
    info = await one.ask("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", room)
    names = [i.get("name") for i in info.iter("{http://jabber.org/protocol/disco#info}identity")]
    expect(names == ["As before"], f"the room has changed: {names}")
    one.cut()


@attack("rooms: orders that are none, and 3000 at once: each gets its error")
async def orders(node):
    one = await Person.online(node)
    room = f"orders@{HOST}"
    await one.open(room, "One")

    def items(text):
        return f"<query xmlns='{MUC}#admin'>{text}</query>"

    for text in (
        "", "<item/>", "<item nick='One'/>", "<item role='king' nick='One'/>",
        "<item affiliation='god' jid='a@localhost'/>", "<item affiliation='member'/>",
        "<item affiliation='member' jid='@@'/>", "<item role='none'/>", "<thing/>",
        "<item affiliation='member' role='none' nick='One' jid='a@localhost'/>",
    ):
        await refused(
            one, "set", items(text), room, "bad-request", "not-acceptable", "jid-malformed",
            "item-not-found", "not-allowed",
        )
    await refused(
        one, "set", items("<item role='none' nick='Nobody'/>"), room, "item-not-found",
        "not-acceptable",
    )
    many = "".join(f"<item affiliation='member' jid='m{i}@localhost'/>" for i in range(3000))
    answer = await one.ask("set", items(many), room, 20)
    found = condition(answer)
    expect(found in (None, "policy-violation", "resource-constraint", "not-acceptable"),
           reason(answer))
    await one.say(f"<message to='{room}' type='groupchat'><body>still</body></message>")
    await one.wait(said("still"))
    one.cut()


@attack("rooms: one who floods is held; those beside him are heard as before", 40)
async def flood(node):
    owner, friend = await Person.online(node, "victim"), await Person.online(node, "sleeper")
    loud = await Person.online(node)
    room = f"flood@{HOST}"
    await owner.open(room, "Owner")
    expect(await friend.enter(room, "Friend") is None, "no way in")
    expect(await loud.enter(room, "Loud") is None, "no way in")
    text = f"<message to='{room}' type='groupchat'><body>{'x' * 500}</body></message>" * 20
    reading = asyncio.ensure_future(read_away(loud.line))
    pouring = asyncio.ensure_future(pour(loud.line, text, 500, 3))
    worst, heard = 0, 0
    for i in range(60):
        begun = time.monotonic()
        await owner.say(f"<message to='{room}' type='groupchat'><body>n{i}</body></message>")
        await friend.wait(said(f"n{i}"), 5)
        worst = max(worst, time.monotonic() - begun)
        heard += sum(s.findtext(BODY, "").startswith("xx") for s in friend.heard)
        friend.heard.clear()
        owner.heard.clear()
        await asyncio.sleep(0.03)
    expect(worst < 2, f"the others waited {worst:.1f} s")
    expect(0 < heard < 1000, f"{heard} messages of a flood in two seconds")
    for task in (pouring, reading):
        task.cancel()
    loud.cut()
    owner.cut()
    friend.cut()


@attack("rooms: 20 who shout and do not read what they hear", 40)
async def deaf(node):
    owner = await Person.online(node, "victim")
    room = f"deaf@{HOST}"
    await owner.open(room, "Owner")
    crowd = [await node.session("crowd", f"deaf{i}") for i in range(20)]
    text = f"<message to='{room}' type='groupchat'><body>{'x' * 4000}</body></message>"
    for i, line in enumerate(crowd):
        await line.say(f"<presence to='{room}/D{i}'><x xmlns='{MUC}'/></presence>")
    await asyncio.gather(*(pour(line, text, 100, 1) for line in crowd))
    await owner.say(f"<message to='{room}' type='groupchat'><body>who is there?</body></message>")
    await owner.wait(said("who is there?"), 20)
    for line in crowd:
        line.cut()
    owner.cut()


@attack("rooms: 2000 times in and out, by eight at once", 40)
async def in_and_out(node):
    owner = await Person.online(node, "victim")
    room = f"door@{HOST}"
    await owner.open(room, "Owner")
    crowd = [await Person.online(node, user, f"in{i}")
             for i in range(4) for user in ("mallory", "crowd")]

    async def pass_through(person, nick):
        for i in range(250):
            await person.say(
                f"<presence to='{room}/{nick}{i}'><x xmlns='{MUC}'/></presence>"
                f"<presence to='{room}/{nick}{i}' type='unavailable'/>"
            )
            if i % 50 == 49:
                await person.wait(shows(f"{nick}{i}", "unavailable"), 20)
                person.heard.clear()

    passing = [pass_through(person, f"N{n}i") for n, person in enumerate(crowd)]
    watching = owner.wait(shows("N0i249", "unavailable"), 35)
    await asyncio.gather(watching, *passing)
    answer = await owner.ask(
        "get", f"<query xmlns='{MUC}#admin'><item role='participant'/></query>", room
    )
    expect(condition(answer) is None, reason(answer))
    expect(answer.find(f".//{{{MUC}#admin}}item") is None, "somebody is still there")
    for person in (owner, *crowd):
        person.cut()


@attack("rooms: more of them than one account may own: a clear error", 40)
async def hoard(node):
    one = await Person.online(node)
    kept = [f"hoard{i}@{HOST}" for i in range(60)]
    conditions = []
    for room in kept:
        found = await one.enter(room, "Hoarder")
        conditions.append(found)
        if found is None:
            await one.configure(room, field("muc#roomconfig_persistentroom", "1"))
    refusals = {found for found in conditions if found}
    expect(refusals <= {"resource-constraint", "not-allowed", "policy-violation"} and refusals,
           f"{conditions.count(None)} of 60 rooms were made, {refusals}")
    for room, found in zip(kept, conditions):
        if found is None:
            await one.ask("set", f"<query xmlns='{MUC}#owner'><destroy/></query>", room)
    expect(await one.enter(f"another@{HOST}", "Hoarder") is None, "no room can be made again")
    one.cut()


@attack("rooms: destroyed, banned and kicked while others storm in: nobody is lost or left", 40)
async def races(node):
    owner = await Person.online(node, "victim")
    room = f"race@{HOST}"
    stormers = [await Person.online(node, user, f"s{i}")
                for i in range(4) for user in ("mallory", "crowd")]
    over = False

    async def storm(person, nick):
        """In and out, whatever the answer is; each try has one."""
        tries = 0
        while not over:
            if await person.enter(room, nick, seconds=10) is None:
                await person.say(f"<presence to='{room}/{nick}' type='unavailable'/>")
            person.heard.clear()
            tries += 1
        return tries

    storms = [asyncio.ensure_future(storm(p, f"N{i}")) for i, p in enumerate(stormers)]
    admin = f"<query xmlns='{MUC}#admin'>{{}}</query>"
    for i in range(30):
        await owner.enter(room, "Owner")
        await owner.configure(room, "")
        for text in (
            f"<item nick='N{i % 8}' role='none'/>",
            f"<item affiliation='outcast' jid='{node.address('crowd')}'/>",
            f"<item affiliation='none' jid='{node.address('crowd')}'/>",
        ):
            await owner.ask("set", admin.format(text), room)
        await owner.ask("set", f"<query xmlns='{MUC}#owner'><destroy/></query>", room)
        owner.heard.clear()
    over = True
    tries = await asyncio.gather(*storms)
    expect(all(tries), f"somebody never got an answer: {tries}")
    for person in stormers:
        await person.ping()
        person.cut()
    last = f"after-{room}"
    await owner.open(last, "Owner")
    await owner.say(f"<message to='{last}' type='groupchat'><body>peace</body></message>")
    await owner.wait(said("peace"))
    owner.cut()
