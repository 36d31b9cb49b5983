"""Rooms (XEP-0045) with people from both servers in them; the room is the other's."""

from person import CLIENT, bare, condition, fresh, text
from room import MUC, USER, Occupant, item
from world import exchange

MAM = "{urn:xmpp:mam:2}"


async def pair(one, other, **fields):
    """The owner, at home, and a guest from the other server, in a new room."""
    romeo, juliet = await one.person(), await other.person()
    owner = await Occupant.opens(juliet, other.rooms, "Juliet", **fields)
    guest = Occupant(romeo, owner.room, "Romeo")
    await guest.enters()
    await owner.sees("Romeo")
    return guest, owner


@exchange("rooms: entered, heard, whispered in, renamed in, and left")
async def visit(one, other):
    romeo, juliet = await one.person(), await other.person()
    owner = await Occupant.opens(juliet, other.rooms, "Juliet")
    owner.say("before")
    await owner.hears("before", "Juliet")
    juliet.send(
        f"<message to='{owner.room}' type='groupchat'><subject>Verona ☼</subject></message>"
    )
    await juliet.wait(lambda s: s.findtext(CLIENT + "subject") == "Verona ☼", "the subject")
    guest = Occupant(romeo, owner.room, "Romeo")
    await guest.enters()
    await guest.sees("Juliet")
    history = await guest.hears("before", "Juliet")
    assert history.find("{urn:xmpp:delay}delay") is not None, text(history)
    subject = await romeo.wait(
        lambda s: s.findtext(CLIENT + "subject") == "Verona ☼"
        and bare(s.get("from")) == owner.room,
        "the subject",
    )
    assert subject.find(CLIENT + "body") is None
    seen = await owner.sees("Romeo")
    assert item(seen).get("jid") == romeo.jid, text(seen)
    id = guest.say("Ich grüße dich! \U0001f339")
    heard = await owner.hears("Ich grüße dich! \U0001f339", "Romeo")
    assert heard.get("id") == id
    await guest.hears("Ich grüße dich! \U0001f339", "Romeo")
    owner.say("And I you.")
    await guest.hears("And I you.", "Juliet")
    # Between the two, both ways.
    romeo.message(owner.address, "psst", more=f"<x xmlns='{MUC}#user'/>")
    await owner.hears("psst", "Romeo", "chat")
    juliet.message(guest.address, "yes?", more=f"<x xmlns='{MUC}#user'/>")
    await guest.hears("yes?", "Juliet", "chat")
    answer = await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", owner.address)
    assert answer.get("from") == owner.address
    # Another nick, another state, and out.
    romeo.presence(f"{owner.room}/Montague", more="<show>away</show>")
    await owner.sees("Romeo", "unavailable", 303)
    seen = await owner.sees("Montague")
    guest.nick = "Montague"
    await guest.sees("Montague")
    guest.leave()
    await owner.sees("Montague", "unavailable")
    await guest.sees("Montague", "unavailable", 110)


@exchange("rooms: moderators and admins keep order among guests from elsewhere")
async def order(one, other):
    guest, owner = await pair(one, other, moderatedroom=1)
    # Voice given and taken (§8.3, §8.4).
    await owner.done(nick="Romeo", role="visitor")
    await owner.done(nick="Romeo", role="participant")
    await guest.sees("Romeo", None, role="participant")
    await owner.done(nick="Romeo", role="visitor")
    await guest.sees("Romeo", None, role="visitor")
    id = guest.say("May I?")
    error = await guest.person.hears(id=id)
    assert condition(error) == "forbidden", text(error)
    await owner.done(nick="Romeo", role="participant")
    await guest.sees("Romeo", None, role="participant")
    guest.say("I may.")
    await owner.hears("I may.", "Romeo")
    # A guest changes nothing, until made an admin.
    refused = await guest.changes(nick="Juliet", role="none")
    assert condition(refused) in {"forbidden", "not-allowed"}, text(refused)
    await owner.done(jid=guest.person.bare, affiliation="admin")
    seen = await guest.sees("Romeo", None, affiliation="admin")
    assert item(seen).get("role") == "moderator", text(seen)
    nurse = Occupant(await other.person("nurse"), owner.room, "Nurse")
    await nurse.enters()
    await guest.sees("Nurse")
    await guest.done(nick="Nurse", role="none", reason="Go.")
    gone = await nurse.sees("Nurse", "unavailable", 307)
    assert item(gone).findtext(USER + "reason") == "Go.", text(gone)
    # The subject, by the remote admin.
    guest.person.send(
        f"<message to='{owner.room}' type='groupchat'><subject>Tomb</subject></message>"
    )
    await owner.person.wait(lambda s: s.findtext(CLIENT + "subject") == "Tomb", "the subject")


@exchange("rooms: banned, and kept out; kicked, and back")
async def banned(one, other):
    guest, owner = await pair(one, other)
    # §9.1.
    await owner.done(jid=guest.person.bare, affiliation="outcast", reason="Exile.")
    gone = await guest.sees("Romeo", "unavailable", 301)
    assert item(gone).findtext(USER + "reason") == "Exile.", text(gone)
    await owner.sees("Romeo", "unavailable", 301)
    assert await guest.refused() == "forbidden"
    await owner.done(jid=guest.person.bare, affiliation="none")
    await guest.enters()
    # §8.2.
    await owner.done(nick="Romeo", role="none", reason="Out.")
    gone = await guest.sees("Romeo", "unavailable", 307)
    assert item(gone).findtext(USER + "reason") == "Out.", text(gone)
    await guest.enters()


@exchange("rooms: what keeps guests out says why")
async def doors(one, other):
    guest, owner = await pair(one, other)
    guest.leave()
    await guest.sees("Romeo", "unavailable", 110)
    await owner.configure(passwordprotectedroom=1, roomsecret="cauldron")
    assert await guest.refused() == "not-authorized"
    await guest.enters("<password>cauldron</password>")
    guest.leave()
    await guest.sees("Romeo", "unavailable", 110)
    await owner.configure(passwordprotectedroom=0, roomsecret="", membersonly=1)
    assert await guest.refused() == "registration-required"
    await owner.done(jid=guest.person.bare, affiliation="member")
    await guest.enters()
    guest.leave()
    await guest.sees("Romeo", "unavailable", 110)
    guest.nick = "Juliet"
    assert await guest.refused() == "conflict"


@exchange("rooms: owned from elsewhere, shown to others by invitation, and closed")
async def owned(one, other):
    guest, owner = await pair(one, other)
    romeo, juliet = guest.person, owner.person
    # Not everybody may make rooms on another's server; but there may be owners from elsewhere.
    await owner.done(jid=romeo.bare, affiliation="owner")
    await guest.sees("Romeo", None, affiliation="owner")
    owner.leave()
    await guest.sees("Juliet", "unavailable")
    await owner.sees("Juliet", "unavailable", 110)
    guest, owner = owner, guest
    await owner.configure(membersonly=1)
    await owner.done(jid=juliet.bare, affiliation="none")
    romeo.send(
        f"<message to='{owner.room}' id='{fresh()}'><x xmlns='{MUC}#user'>"
        f"<invite to='{juliet.bare}'><reason>Come.</reason></invite></x></message>"
    )
    invitation = await juliet.wait(
        lambda s: s.find(f"{USER}x/{USER}invite") is not None, "the invitation"
    )
    assert invitation.get("from") == owner.room
    # §7.8.2 allows the real address and that in the room.
    inviter = invitation.find(f"{USER}x/{USER}invite").get("from")
    assert bare(inviter) == romeo.bare or inviter == owner.address, text(invitation)
    await guest.enters()
    await owner.sees("Juliet")
    info = await juliet.done(
        "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>", owner.room
    )
    features = {f.get("var") for f in info.iter("{http://jabber.org/protocol/disco#info}feature")}
    assert {MUC, "muc_membersonly"} <= features, features
    await romeo.done(
        "set", f"<query xmlns='{MUC}#owner'><destroy><reason>The end.</reason></destroy></query>",
        owner.room,
    )
    gone = await guest.sees("Juliet", "unavailable")
    assert gone.findtext(f"{USER}x/{USER}destroy/{USER}reason") == "The end.", text(gone)


@exchange("rooms: who is cut off leaves, and finds what was said meanwhile")
async def cut_off(one, other):
    guest, owner = await pair(one, other)
    guest.person.cut()
    await owner.sees("Romeo", "unavailable", seconds=20)
    owner.say("meanwhile")
    await owner.hears("meanwhile", "Juliet")
    romeo = await one.person(guest.person.user, "back")
    guest = Occupant(romeo, owner.room, "Romeo")
    await guest.enters("<history maxstanzas='0'/>")
    query = fresh()
    await romeo.done("set", f"<query xmlns='urn:xmpp:mam:2' queryid='{query}'/>", owner.room)
    found = [
        s.find(MAM + "result").findtext(f".//{CLIENT}body")
        for s in romeo.stanzas if s.find(MAM + "result") is not None
        and s.get("from") == owner.room
    ]
    assert "meanwhile" in found, found
