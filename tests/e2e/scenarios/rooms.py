"""slixmpp in rooms (XEP-0045): what those do who talk there, and those who look after it."""

from xml.etree import ElementTree

from meeting import (
    MUC, USER, Occupant, ask, form_in, guest, joined, opened, refusal, service,
)
from registry import ours, scenario
from slixmpp import JID
from walk import Walk

REGISTER = "jabber:iq:register"
OCCUPANT = "{urn:xmpp:occupant-id:0}occupant-id"
STANZA = "{urn:xmpp:sid:0}stanza-id"
REQUEST = f"{MUC}#request"


@scenario("rooms: slixmpp makes one, finds it, talks, changes its name, and leaves", seconds=60)
async def life(world):
    steps = ("open", "find", "enter", "talk", "in private", "subject", "nick", "conflict", "leave")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet")
    nurse = await guest(world, "nurse")
    with Walk(*steps) as walk:
        with walk.step("open"):
            one = await opened(
                world, romeo, "orchard", "Romeo", roomname="The Orchard", publicroom=True,
                persistentroom=True,
            )
        with walk.step("find"):
            disco = juliet.plugin["xep_0030"]
            host = await service(juliet, "conference", "text")
            rooms = (await disco.get_items(jid=host))["disco_items"]["items"]
            assert (one.room, None, "The Orchard") in rooms, rooms
            info = (await disco.get_info(jid=one.room))["disco_info"]
            assert ("conference", "text", None, "The Orchard") in info["identities"], info
            wanted = {MUC, "muc_public", "muc_persistent", "muc_open", "muc_unsecured"}
            assert wanted <= info["features"], info["features"]
        with walk.step("enter"):
            other = Occupant(juliet, one.room, "Juliet")
            own, subject, seen, before = await other.enter()
            assert (own["muc"]["role"], own["muc"]["affiliation"]) == ("participant", "none"), own
            nicks = [presence["from"].resource for presence in seen]
            assert nicks == ["Romeo", "Juliet"], nicks
            assert not subject["subject"] and before == [], (subject, before)
            await one.sees("Juliet", role="participant", affiliation="none")
        with walk.step("talk"):
            for speaker, text in ((one, "O blessed, blessed night!"), (other, "<good> & 🌙")):
                id = speaker.say(text)
                for hearer in (one, other):
                    heard = await hearer.hears(text, speaker.nick)
                    assert heard["id"] == id, heard
        with walk.step("in private"):
            other.say("Three words, dear Romeo", to="Romeo")
            await one.hears("Three words, dear Romeo", "Juliet", "chat")
        with walk.step("subject"):
            one.muc.set_subject(one.room, "By yonder moon")
            for who in (one, other):
                said = await who.peer.wait("subject", lambda m: m["subject"] == "By yonder moon")
                assert said["from"] == one.address, said
        with walk.step("nick"):
            assert await other.muc.set_self_nick(JID(one.room), "Julia", timeout=10) == "Julia"
            gone = await one.sees("Juliet", "unavailable", codes={303})
            assert gone["muc"]["item_nick"] == "Julia", gone
            await one.sees("Julia")
            other.nick = "Julia"
        with walk.step("conflict"):
            assert await Occupant(nurse, one.room, "Julia").refused() == "conflict"
        with walk.step("leave"):
            await other.leave()
            await one.sees("Julia", "unavailable", role="none")
            one.say("It is my soul that calls upon my name")
            await one.hears("It is my soul that calls upon my name", "Romeo")
            await juliet.stays_silent("message")


@scenario("rooms: slixmpp closes one with a password, and to all but members", seconds=60)
async def doors(world):
    steps = ("the form", "a password", "told", "members only", "a member", "put out", "open again")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet")
    tybalt = await guest(world, "tybalt")
    with Walk(*steps) as walk:
        with walk.step("the form"):
            one = await opened(world, romeo, "cell", "Romeo", roomdesc="Friar Laurence's")
            form = await one.muc.get_room_config(one.room, timeout=10)
            assert form.get_fields()["muc#roomconfig_roomdesc"]["value"] == "Friar Laurence's"
        with walk.step("a password"):
            closed = {"passwordprotectedroom"} & {  # Debian's Prosody has only the password
                name.removeprefix("muc#roomconfig_") for name in form.get_fields()
            }
            await one.configure(roomsecret="banishment", **dict.fromkeys(closed, True))
            door = Occupant(juliet, one.room, "Juliet")
            assert await door.refused() == "not-authorized"
            assert await door.refused(password="exile") == "not-authorized"
            await door.enter(password="banishment")
            await one.sees("Juliet")
        with walk.step("told"):
            await one.configure(roomname="The Cell")
            await one.told(104)
            await door.told(104)
            await one.configure(roomsecret="", **dict.fromkeys(closed, False))
        with walk.step("members only"):
            await one.configure(membersonly=True)
            await door.sees("Juliet", "unavailable", codes={110, 322})
            if world.server.is_ours:  # §10.2.1 wants it; Debian's Prosody tells nobody else
                await one.sees("Juliet", "unavailable", codes={322})
            assert await door.refused() == "registration-required"
        with walk.step("a member"):
            await one.grant("member", juliet)
            own, *_ = await door.enter()
            assert own["muc"]["affiliation"] == "member", own
            members = await one.muc.get_affiliation_list(one.room, "member", timeout=10)
            assert [str(jid) for jid in members] == [juliet.boundjid.bare], members
        with walk.step("put out"):
            await one.grant("none", juliet)
            await door.sees("Juliet", "unavailable", codes={110, 321})
        with walk.step("open again"):
            await one.configure(membersonly=False)
            await joined(one, tybalt, "Tybalt")


@scenario("rooms: slixmpp kicks, bans, gives and takes roles and affiliations", seconds=60)
async def order(world):
    steps = ("a voice", "silenced", "not by anybody", "kick", "ban", "unban", "an admin",
             "owners are safe", "the lists")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet")
    tybalt = await guest(world, "tybalt")
    with Walk(*steps) as walk:
        one = await opened(world, romeo, "square", "Romeo", moderatedroom=True)
        two = Occupant(juliet, one.room, "Juliet")
        loud = Occupant(tybalt, one.room, "Tybalt")
        with walk.step("a voice"):
            own, *_ = await loud.enter()
            assert own["muc"]["role"] == "visitor", own
            loud.say("What, drawn, and talk of peace?")
            error = await tybalt.wait("message error", lambda m: m["from"] == one.room)
            assert error["error"]["condition"] == "forbidden", error
            await one.muc.set_role(one.room, "Tybalt", "participant", timeout=10)
            await loud.sees("Tybalt", codes={110}, role="participant")
            loud.say("I hate the word")
            await one.hears("I hate the word", "Tybalt")
        with walk.step("silenced"):
            await one.muc.set_role(one.room, "Tybalt", "visitor", reason="peace", timeout=10)
            await loud.sees("Tybalt", codes={110}, role="visitor")
        with walk.step("not by anybody"):
            await two.enter()
            for asked in (
                two.muc.set_role(one.room, "Tybalt", "none", timeout=10),
                two.muc.set_affiliation(
                    one.room, "outcast", jid=tybalt.boundjid.bare, timeout=10
                ),
                two.muc.get_affiliation_list(one.room, "outcast", timeout=10),
                two.muc.get_room_config(one.room, timeout=10),
                two.muc.destroy(one.room, timeout=10),
            ):
                assert await refusal(asked) in ("forbidden", "not-allowed")
        with walk.step("kick"):
            await one.muc.set_role(one.room, "Tybalt", "none", reason="a brawl", timeout=10)
            gone = await loud.sees("Tybalt", "unavailable", codes={110, 307}, role="none")
            assert gone.xml.find(f".//{{{USER}}}reason").text == "a brawl", gone
            await two.sees("Tybalt", "unavailable", codes={307})
            await loud.enter()
        with walk.step("ban"):
            await one.grant("outcast", tybalt, reason="Mercutio is slain")
            await loud.sees("Tybalt", "unavailable", codes={110, 301}, affiliation="outcast")
            await two.sees("Tybalt", "unavailable", codes={301})
            assert await loud.refused() == "forbidden"
        with walk.step("unban"):
            await one.grant("none", tybalt)
            await loud.enter()
        with walk.step("an admin"):
            await one.grant("admin", juliet)
            await two.sees("Juliet", codes={110}, affiliation="admin", role="moderator")
            await two.muc.set_role(one.room, "Tybalt", "participant", timeout=10)
            await loud.sees("Tybalt", codes={110}, role="participant")
        with walk.step("owners are safe"):
            for asked in (
                two.muc.set_role(one.room, "Romeo", "none", timeout=10),
                two.grant("outcast", romeo),
                two.grant("owner", juliet),
                one.grant("member", romeo),  # §5.2: a room keeps an owner
            ):
                assert await refusal(asked) in ("not-allowed", "forbidden", "conflict")
        with walk.step("the lists"):
            for affiliation, peer in (("owner", romeo), ("admin", juliet)):
                found = await one.muc.get_affiliation_list(one.room, affiliation, timeout=10)
                assert [str(jid) for jid in found] == [peer.boundjid.bare], found
            found = await one.muc.get_roles_list(one.room, "moderator", timeout=10)
            assert sorted(found) == ["Juliet", "Romeo"], found


@scenario("rooms: slixmpp asks for voice, and the moderator's form grants it")
async def voice(world):
    romeo, paris = await guest(world, "romeo"), await guest(world, "paris")
    one = await opened(world, romeo, "church", "Romeo", moderatedroom=True)
    two = await joined(one, paris, "Paris")
    two.muc.request_voice(one.room, "participant")
    asked = await romeo.wait("wire", form_in)
    fields = asked["form"].get_fields()
    assert fields["FORM_TYPE"]["value"] in (REQUEST, [REQUEST]), asked
    assert fields["muc#roomnick"]["value"] == "Paris", asked
    answer = romeo.make_message(mto=one.room)
    form = asked["form"]
    fields["muc#request_allow"]["value"] = True
    form["type"] = "submit"
    answer.append(form)
    answer.send()
    await two.sees("Paris", codes={110}, role="participant")
    two.say("Come, to this work")
    await one.hears("Come, to this work", "Paris")


@scenario("rooms: slixmpp invites through the room and directly, and hears who will not come")
async def invitations(world):
    steps = ("through the room", "with a pass", "declined", "directly")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet")
    with Walk(*steps) as walk:
        one = await opened(world, romeo, "feast", "Romeo", membersonly=True)
        with walk.step("through the room"):
            one.muc.invite(one.room, juliet.boundjid.bare, "a dance")
            heard = await juliet.wait(
                "wire", lambda s: s.xml.find(f"{{{USER}}}x/{{{USER}}}invite") is not None
            )
            assert heard["from"] == one.room, heard
            invite = heard["muc"]["invite"]
            assert invite["from"] in (romeo.boundjid, romeo.boundjid.bare, one.address), heard
            assert invite["reason"] == "a dance", heard
        with walk.step("with a pass"):
            # §7.8.2: an owner's invitation to a members-only room makes a member.
            two = await joined(one, juliet, "Juliet")
            await two.leave()
        with walk.step("declined"):
            two.muc.decline(one.room, romeo.boundjid.bare, "too late")
            heard = await romeo.wait(
                "wire", lambda s: s.xml.find(f"{{{USER}}}x/{{{USER}}}decline") is not None
            )
            assert heard["muc"]["decline"]["from"].bare == juliet.boundjid.bare, heard
            assert heard["muc"]["decline"]["reason"] == "too late", heard
        with walk.step("directly"):
            romeo.plugin["xep_0249"].send_invitation(
                juliet.boundjid.bare, one.room, reason="once more"
            )
            heard = await juliet.wait(
                "wire", lambda s: s.xml.find("{jabber:x:conference}x") is not None
            )
            assert heard["groupchat_invite"]["jid"] == one.room, heard


@scenario("rooms: slixmpp in one that is destroyed is told where to go; the name is free again")
async def destruction(world):
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet")
    one = await opened(world, romeo, "tomb", "Romeo", persistentroom=True)
    two = await joined(one, juliet, "Juliet")
    other = one.room.replace("tomb", "balcony")
    await one.muc.destroy(one.room, "never was a story of more woe", other, timeout=10)
    for who in (one, two):
        gone = await who.sees(who.nick, "unavailable", role="none")
        destroy = gone.xml.find(f"{{{USER}}}x/{{{USER}}}destroy")
        assert destroy.get("jid") == other, gone
        assert destroy.findtext(f"{{{USER}}}reason") == "never was a story of more woe", gone
    if not world.server.is_ours:
        return  # Prosody keeps a tombstone
    again = await opened(world, juliet, "tomb", "Juliet")
    owners = await again.muc.get_affiliation_list(again.room, "owner", timeout=10)
    assert [str(jid) for jid in owners] == [juliet.boundjid.bare], owners


@scenario("rooms: slixmpp reserves a nick, which nobody else gets then")
async def reservation(world):
    romeo, tybalt = await guest(world, "romeo"), await guest(world, "tybalt")
    one = await opened(world, romeo, "hall", "Host")
    if not world.server.is_ours:  # Prosody wants a member; §7.10 has nothing left for one
        await one.grant("member", tybalt)
    form = await ask(tybalt, "get", f"<query xmlns='{REGISTER}'/>", one.room)
    names = {field.get("var") for field in form.iter("{jabber:x:data}field")}
    assert "muc#register_roomnick" in names, names
    await ask(
        tybalt, "set", f"<query xmlns='{REGISTER}'><x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE'><value>{MUC}#register</value></field>"
        "<field var='muc#register_roomnick'><value>Prince of Cats</value></field></x></query>",
        one.room,
    )
    mercutio = await guest(world, "mercutio")
    assert await Occupant(mercutio, one.room, "Prince of Cats").refused() == "conflict"
    own, *_ = await Occupant(tybalt, one.room, "Prince of Cats").enter()
    assert own["muc"]["affiliation"] == "member", own


def mentions(stanza, *accounts):
    text = ElementTree.tostring(stanza.xml, encoding="unicode")
    return any(account in text for account in accounts)


@scenario("rooms: slixmpp sees nobody's real address where only moderators may", seconds=60)
async def privacy(world):
    steps = ("moderators see", "others see none", "everybody sees")
    romeo, juliet = await guest(world, "romeo"), await guest(world, "juliet", "xep_0313")
    tybalt = await guest(world, "tybalt")
    with Walk(*steps) as walk:
        one = await opened(world, romeo, "masque", "Mask", whois="moderators")
        two = await joined(one, juliet, "Rose")
        three = Occupant(tybalt, one.room, "Thorn")
        with walk.step("moderators see"):
            await three.enter()
            seen = await one.sees("Thorn")
            assert seen["muc"]["jid"] == tybalt.boundjid, seen
        with walk.step("others see none"):
            three.say("This by his voice should be a Montague")
            await two.hears("This by his voice should be a Montague", "Thorn")
            three.say("Fetch me my rapier", to="Rose")
            await two.hears("Fetch me my rapier", "Thorn", "chat")
            await three.muc.set_self_nick(JID(one.room), "Spike", timeout=10)
            await one.muc.set_role(one.room, "Spike", "moderator", timeout=10)
            await one.muc.set_role(one.room, "Spike", "participant", timeout=10)
            await one.grant("outcast", tybalt, reason="enough")
            await two.sees("Spike", "unavailable", codes={301})
            await one.muc.set_affiliation(one.room, "member", jid="absent@example.org", timeout=10)
            assert len(await two.history()) == 1
            leaks = [
                data for kind, data in juliet.seen
                if kind == "wire" and mentions(
                    data, romeo.boundjid.bare, tybalt.boundjid.bare, "absent@example.org"
                )
            ]
            assert not leaks, leaks
        with walk.step("everybody sees"):
            await one.configure(whois="anyone")
            await two.told(172)
            nurse = await guest(world, "nurse")
            last = Occupant(nurse, one.room, "Nurse")
            own, _, seen, _ = await last.enter()
            assert 100 in own["muc"]["status_codes"], own
            who = {presence["from"].resource: presence["muc"]["jid"] for presence in seen}
            assert who["Rose"] == juliet.boundjid, who


@scenario("rooms: slixmpp pings itself, and keeps its occupant id when it comes back")
async def presence_of_mind(world):
    romeo = await guest(world, "romeo")
    juliet = await guest(world, "juliet", "xep_0410", "xep_0421")
    one = await opened(world, romeo, "garden", "Romeo")
    two = await joined(one, juliet, "Juliet")
    ping = juliet.plugin["xep_0410"]
    info = (await juliet.plugin["xep_0030"].get_info(jid=one.room))["disco_info"]
    assert "urn:xmpp:occupant-id:0" in info["features"], info
    status = await ping.send_self_ping(JID(two.address), juliet.boundjid)
    assert status.name == "JOINED", status

    async def said(text):
        two.say(text)
        return (await one.hears(text, two.nick)).xml.find(OCCUPANT).get("id")

    before = await said("Tis almost morning")
    await two.leave()
    status = await ping.send_self_ping(JID(two.address), juliet.boundjid)
    assert status.name == "DISCONNECTED", status
    two.nick = "Julia"
    await two.enter()
    assert await said("I would have thee gone") == before
    one.say("I would I were thy bird")
    heard = await two.hears("I would I were thy bird", "Romeo")
    assert heard.xml.find(OCCUPANT).get("id") not in (None, before), heard


@ours("rooms: slixmpp takes back what another said, in the room and from its archive")
async def moderation(world):
    steps = ("say", "not by anybody", "moderate", "everybody hears", "gone from the archive")
    romeo = await guest(world, "romeo", "xep_0425", "xep_0313")
    tybalt = await guest(world, "tybalt", "xep_0425", "xep_0313")
    with Walk(*steps) as walk:
        one = await opened(world, romeo, "street", "Romeo")
        two = await joined(one, tybalt, "Tybalt")
        with walk.step("say"):
            two.say("Thou art a villain")
            heard = await one.hears("Thou art a villain", "Tybalt")
            id = heard.xml.find(STANZA).get("id")
            one.say("I do protest")
        with walk.step("not by anybody"):
            own = await two.hears("I do protest", "Romeo")
            other = own.xml.find(STANZA).get("id")
            asked = tybalt.plugin["xep_0425"].moderate(JID(one.room), other, timeout=10)
            assert await refusal(asked) in ("forbidden", "not-allowed")
        with walk.step("moderate"):
            await romeo.plugin["xep_0425"].moderate(JID(one.room), id, "manners", timeout=10)
        with walk.step("everybody hears"):
            for who in (one, two):
                said = await who.peer.wait(
                    "wire", lambda s: s.xml.find("{urn:xmpp:message-retract:1}retract") is not None
                )
                retract = said.xml.find("{urn:xmpp:message-retract:1}retract")
                assert (said["from"], retract.get("id")) == (one.room, id), said
        with walk.step("gone from the archive"):
            texts = [text for _, text in await one.history()]
            assert "Thou art a villain" not in texts and "I do protest" in texts, texts
