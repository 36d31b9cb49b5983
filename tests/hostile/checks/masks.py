"""Rooms: what a visitor must not see of others, and nobody may pretend."""

import re

from attack import attack, expect
from checks.rooms import BODY, HOST, said, shows
from person import CLIENT, MUC, USER, Person, condition, field, reason


@attack("rooms: who may not see real addresses sees none in a whole session", 40)
async def leaks(node):
    owner, spy = await Person.online(node, "victim"), await Person.online(node)
    friend = await Person.online(node, "sleeper")
    room = f"masque@{HOST}"
    secret = f"{node.address('absent')}"
    await owner.open(
        room, "Owner", field("muc#roomconfig_whois", "moderators")
        + field("muc#roomconfig_changesubject", "1"),
    )
    spy.tape.clear()
    expect(await friend.enter(room, "Friend") is None, "no way in")
    # Affiliations since the beginning (XEP-0463), which only those get who may know them.
    mav = "<mav xmlns='urn:xmpp:muc:affiliations:1'/>"
    expect(await spy.enter(room, "Spy", mav) is None, "no way in")
    admin = f"{MUC}#admin"

    async def order(text):
        await owner.ask("set", f"<query xmlns='{admin}'>{text}</query>", room)

    for text in ("all", "of it"):
        await friend.say(f"<message to='{room}' type='groupchat'><body>{text}</body></message>")
        await spy.wait(said(text))
    await friend.say(f"<message to='{room}/Spy' type='chat'><body>alone</body></message>")
    await spy.wait(said("alone"))
    await friend.say(f"<message to='{room}' type='groupchat'><subject>masks</subject></message>")
    await friend.say(f"<presence to='{room}/Pal'/>")
    await spy.wait(shows("Pal"))
    await friend.say(f"<presence to='{room}/Pal'><show>away</show><status>brb</status></presence>")
    await order("<item nick='Pal' role='visitor'><reason>hush</reason></item>")
    await order("<item nick='Pal' role='participant'/>")
    await order(f"<item affiliation='member' jid='{secret}' nick='Hidden'/>")
    await order(f"<item affiliation='outcast' jid='{secret}'><reason>no</reason></item>")
    await owner.say(
        f"<message to='{room}'><x xmlns='{MUC}#user'><invite to='{spy.bare}'/></x></message>"
    )
    await pry(spy, room)
    # What others ask of him goes through the room, too.
    asking = f"<iq type='get' id='own' to='{room}/Spy'><query xmlns='jabber:iq:version'/></iq>"
    await friend.say(asking)
    asked = await spy.wait(lambda s: s.find("{jabber:iq:version}query") is not None)
    await spy.say(
        f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'>"
        "<query xmlns='jabber:iq:version'><name>x</name><version>1</version></query></iq>"
    )
    await friend.wait(lambda s: s.get("id") == "own")
    await order("<item nick='Pal' role='none'><reason>out</reason></item>")
    await spy.wait(shows("Pal", "unavailable"))
    expect(await friend.enter(room, "Friend") is None, "no way in again")
    await order(f"<item affiliation='outcast' jid='{friend.bare}'><reason>out</reason></item>")
    await owner.configure(room, field("muc#roomconfig_roomname", "Another"))
    await owner.ask("set", f"<query xmlns='{MUC}#owner'><destroy/></query>", room)
    await spy.wait(shows("Spy", "unavailable"))
    # Messages between accounts say who they are from; nothing else here does.
    leaked = [
        found for name in (owner.bare, friend.bare, secret)
        for found in re.findall(rb"<[^<>]*" + re.escape(name.encode()) + rb"[^<>]*>?", spy.tape)
    ]
    expect(not leaked, f"the visitor saw {leaked[:5]}")
    for person in (owner, spy, friend):
        person.cut()


async def pry(spy, room):
    """Asks for all that might tell somebody's address."""
    admin, disco = f"{MUC}#admin", "http://jabber.org/protocol/disco#"
    for what in ("owner", "admin", "member", "outcast"):
        await spy.ask("get", f"<query xmlns='{admin}'><item affiliation='{what}'/></query>", room)
    for what in ("moderator", "participant", "visitor"):
        await spy.ask("get", f"<query xmlns='{admin}'><item role='{what}'/></query>", room)
    await spy.ask("get", f"<query xmlns='{MUC}#owner'/>", room)
    await spy.ask("get", "<query xmlns='jabber:iq:register'/>", room)
    await spy.ask("get", "<vCard xmlns='vcard-temp'/>", room)
    await spy.ask("set", "<query xmlns='urn:xmpp:mam:2'/>", room)
    await spy.ask("get", "<metadata xmlns='urn:xmpp:mam:2'/>", room)
    for to in (HOST, room, f"{room}/Nobody"):
        await spy.ask("get", f"<query xmlns='{disco}info'/>", to)
        await spy.ask("get", f"<query xmlns='{disco}items'/>", to)
    await spy.say(f"<message to='{room}/Nobody' type='chat'><body>hello?</body></message>")
    await spy.wait(lambda s: s.get("type") == "error")


@attack("rooms: one that hid nobody hides everybody later, also in what it has kept")
async def later(node):
    owner, friend = await Person.online(node, "victim"), await Person.online(node, "sleeper")
    spy, room = await Person.online(node), f"unmasked@{HOST}"
    await owner.open(
        room, "Owner", field("muc#roomconfig_whois", "anyone")
        + field("muc#roomconfig_persistentroom", "1"),
    )
    expect(await friend.enter(room, "Friend") is None, "no way in")
    for person in (owner, friend):
        await person.say(
            f"<message to='{room}' type='groupchat'><body>by {person.bare[:3]}</body></message>"
        )
        await owner.wait(said(f"by {person.bare[:3]}"))
    await friend.say(f"<message to='{room}' type='groupchat'><subject>s</subject></message>")
    answer = await owner.configure(room, field("muc#roomconfig_whois", "moderators"))
    expect(condition(answer) is None, reason(answer))
    await friend.leave(room, "Friend")
    spy.tape.clear()
    expect(await spy.enter(room, "Spy") is None, "no way in")
    answer = await spy.ask("set", "<query xmlns='urn:xmpp:mam:2'/>", room)
    expect(condition(answer) is None, reason(answer))
    expect(b"by vic" in spy.tape and b"by sle" in spy.tape, "there is no history")
    for name in (owner.bare, friend.bare):
        expect(name.encode() not in spy.tape, f"the visitor saw {name}")
    await owner.ask("set", f"<query xmlns='{MUC}#owner'><destroy/></query>", room)
    for person in (owner, friend, spy):
        person.cut()


FORGED = (
    f"<x xmlns='{MUC}#user'><item affiliation='owner' role='moderator' jid='duke@localhost'/>"
    "<status code='110'/><status code='301'/><invite from='duke@localhost'/></x>",
    "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='stolen'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' by='{room}' id='stolen'/>",
    "<delay xmlns='urn:xmpp:delay' from='{room}' stamp='2001-01-01T00:00:00Z'/>",
    "<hats xmlns='urn:xmpp:hats:0'><hat title='Duke' uri='urn:stolen'/></hats>",
)


@attack("rooms: what only a room may say is taken out of what its occupants say")
async def forgeries(node):
    owner, liar = await Person.online(node, "victim"), await Person.online(node)
    room = f"truth@{HOST}"
    await owner.open(room, "Owner")
    expect(await liar.enter(room, "Liar") is None, "no way in")
    await owner.wait(shows("Liar"))
    for i, forged in enumerate(FORGED):
        forged = forged.format(room=room)
        for kind, to in (("groupchat", room), ("chat", f"{room}/Owner")):
            text = f"{kind} {i}"
            body = f"<body>{text}</body>{forged}"
            await liar.say(f"<message to='{to}' type='{kind}'>{body}</message>")
            heard = await owner.wait(said(text))
            check_truth(heard, forged)
        await liar.say(f"<presence to='{room}/Liar'><status>s{i}</status>{forged}</presence>")
        heard = await owner.wait(
            lambda s, i=i: s.tag == CLIENT + "presence"
            and s.findtext(CLIENT + "status") == f"s{i}"
        )
        check_truth(heard, forged)
    await owner.say(f"<message to='{room}' type='groupchat' id='o'><body>mine</body></message>")
    kept = (await liar.wait(said("mine"))).find("{urn:xmpp:sid:0}stanza-id").get("id")
    for by in ("", "<moderated xmlns='urn:xmpp:message-moderate:1'/>"):
        await liar.say(
            f"<message to='{room}' type='groupchat' id='r'>"
            f"<retract xmlns='urn:xmpp:message-retract:1' id='{kept}'>{by}</retract></message>"
        )
    await liar.ping()
    answer = await owner.ask("set", "<query xmlns='urn:xmpp:mam:2'/>", room)
    expect(condition(answer) is None, reason(answer))
    for message in [s for s in owner.heard if s.find("{urn:xmpp:mam:2}result") is not None]:
        check_truth(message.find(".//" + CLIENT + "message"), "in the archive")
    texts = [body.text for message in owner.heard for body in message.iter(BODY)]
    expect("mine" in texts, f"a liar has taken back what another said: {texts}")
    owner.cut()
    liar.cut()


def check_truth(stanza, forged):
    """Nothing in it is what the liar made up."""
    what = f"{forged} went through in {stanza.tag} {stanza.get('type')}"
    for element in stanza.iter():
        expect("stolen" not in (element.get("id"), element.get("uri"), ""), what)
        expect(element.get("jid") != "duke@localhost", what)
        expect(element.get("from") != "duke@localhost", what)
        expect(element.get("stamp") != "2001-01-01T00:00:00Z", what)
    codes = {status.get("code") for status in stanza.iter(USER + "status")}
    expect("301" not in codes, what)
