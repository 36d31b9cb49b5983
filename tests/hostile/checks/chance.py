"""Rooms and nodes: stanzas put together by chance, from the words that they know."""

import asyncio
import copy
import html
import random
from xml.etree import ElementTree

from attack import attack, expect
from person import CLIENT, Person

MUC, PUBSUB = "http://jabber.org/protocol/muc", "http://jabber.org/protocol/pubsub"
ROOM, HOST = "chance@rooms.localhost", "pubsub.localhost"
NAMESPACES = (
    MUC, f"{MUC}#user", f"{MUC}#admin", f"{MUC}#owner", PUBSUB, f"{PUBSUB}#owner",
    f"{PUBSUB}#event", "jabber:x:data", "jabber:iq:register", "urn:xmpp:mam:2",
    "http://jabber.org/protocol/disco#info", "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/rsm", "http://jabber.org/protocol/commands", "vcard-temp",
    "urn:xmpp:message-moderate:1", "urn:xmpp:message-retract:1", "urn:xmpp:hats:0",
    "urn:xmpp:occupant-id:0", "urn:xmpp:sid:0", "jabber:x:conference", "urn:xmpp:ping",
    "urn:xmpp:channel-search:0:search", "urn:xmpp:muc:affiliations:1", "vcard-temp:x:update",
    "urn:xmpp:pubsub-attachments:1", "urn:xmpp:pps:0", "urn:xmpp:delay", "jabber:iq:private",
    "urn:xmpp:bookmarks:1", "urn:xmpp:avatar:metadata", "urn:xmpp:avatar:data",
)
NAMES = (
    "x", "query", "item", "pubsub", "items", "publish", "retract", "subscribe", "unsubscribe",
    "create", "configure", "delete", "purge", "default", "options", "affiliations", "affiliation",
    "subscriptions", "subscription", "publish-options", "field", "value", "set", "max", "after",
    "before", "index", "history", "password", "invite", "decline", "destroy", "reason", "actor",
    "status", "subject", "body", "moderate", "retract", "command", "search", "vCard", "metadata",
    "mav", "hats", "hat", "redirect", "remove", "stanza-id", "occupant-id", "delay", "ping",
    "conference", "storage", "info", "data", "attachments", "noticed", "reactions", "photo",
)
ATTRIBUTES = (
    "node", "id", "jid", "affiliation", "role", "nick", "type", "var", "subid", "subscription",
    "notify", "max_items", "maxstanzas", "since", "seconds", "code", "by", "from", "to", "stamp",
    "action", "sessionid", "uri", "public",
)
VALUES = (
    "", "a", "One", "0", "-1", "1", "99999999999999999999", "true", "none", "owner", "member",
    "outcast", "moderator", "visitor", "submit", "form", "cancel", "@", ROOM, "chance", HOST,
    f"{ROOM}/One", "victim@localhost", "mallory@localhost", "localhost", "subscribed", "pending",
    "http://jabber.org/protocol/muc#roomconfig", "muc#roomconfig_whois", "pubsub#access_model",
    f"{PUBSUB}#node_config", f"{PUBSUB}#publish-options", "FORM_TYPE", "current", "whitelist",
    "2026-11-21T00:00:00Z", "&#x1F339;", "&amp;", "x" * 300, "urn:xmpp:avatar:metadata",
)
PLACES = (ROOM, ROOM, f"{ROOM}/One", f"{ROOM}/Two", "rooms.localhost", HOST, HOST,
          "mallory@localhost", "victim@localhost")


# What is right, before chance changes it: where to, and what.
RIGHT = [
    (ROOM, f"<query xmlns='{MUC}#admin'><item nick='Two' role='visitor'><reason>x</reason></item>"
           "<item jid='a@localhost' affiliation='member' nick='N'/></query>"),
    (ROOM, f"<query xmlns='{MUC}#admin'><item affiliation='owner'/></query>"),
    (ROOM, f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'>"
           f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>"
           "<field var='muc#roomconfig_maxusers'><value>20</value></field>"
           "<field var='muc#roomconfig_presencebroadcast'><value>visitor</value></field></x>"
           "</query>"),
    (ROOM, "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"
           f"<field var='FORM_TYPE'><value>{MUC}#register</value></field>"
           "<field var='muc#register_roomnick'><value>Three</value></field></x></query>"),
    (ROOM, "<query xmlns='urn:xmpp:mam:2' queryid='q'><x xmlns='jabber:x:data' type='submit'>"
           "<field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
           "<field var='start'><value>2026-11-21T00:00:00Z</value></field></x>"
           "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/></set></query>"),
    (ROOM, "<moderate xmlns='urn:xmpp:message-moderate:1' id='a'>"
           "<retract xmlns='urn:xmpp:message-retract:1'/><reason>x</reason></moderate>"),
    (ROOM, "<vCard xmlns='vcard-temp'><PHOTO><TYPE>image/png</TYPE><BINVAL>aGk=</BINVAL></PHOTO>"
           "</vCard>"),
    ("rooms.localhost", "<query xmlns='http://jabber.org/protocol/disco#items'>"
                        "<set xmlns='http://jabber.org/protocol/rsm'><max>5</max></set></query>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><create node='c'/><configure><x xmlns='jabber:x:data' "
           f"type='submit'><field var='FORM_TYPE'><value>{PUBSUB}#node_config</value></field>"
           "<field var='pubsub#access_model'><value>open</value></field></x></configure></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><publish node='c'><item id='i'><e xmlns='urn:e'>t</e></item>"
           "<item id='j'><e xmlns='urn:e'/></item></publish></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><subscribe node='c' jid='mallory@localhost'/>"
           "<options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
           f"<value>{PUBSUB}#subscribe_options</value></field><field var='pubsub#deliver'>"
           "<value>1</value></field></x></options></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><items node='c' max_items='3'><item id='i'/></items>"
           "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><after>i</after></set>"
           "</pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><retract node='c' notify='1'><item id='i'/></retract>"
           "</pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}'><unsubscribe node='c' jid='mallory@localhost'/></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}#owner'><affiliations node='c'><affiliation "
           "jid='victim@localhost' affiliation='publisher'/></affiliations></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}#owner'><subscriptions node='c'><subscription "
           "jid='victim@localhost' subscription='subscribed'/></subscriptions></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}#owner'><configure node='c'><x xmlns='jabber:x:data' "
           f"type='submit'><field var='FORM_TYPE'><value>{PUBSUB}#node_config</value></field>"
           "<field var='pubsub#max_items'><value>3</value></field></x></configure></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}#owner'><purge node='c'/></pubsub>"),
    (HOST, f"<pubsub xmlns='{PUBSUB}#owner'><delete node='c'><redirect uri='xmpp:x'/></delete>"
           "</pubsub>"),
    ("mallory@localhost", f"<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:bookmarks:1'>"
     "<item id='r@rooms.localhost'><conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'>"
     "<nick>N</nick><extensions/></conference></item></publish></pubsub>"),
    ("mallory@localhost", f"<pubsub xmlns='{PUBSUB}'><publish node='urn:xmpp:avatar:metadata'>"
     "<item id='a'><metadata xmlns='urn:xmpp:avatar:metadata'><info id='a' bytes='3' "
     "type='image/png'/></metadata></item></publish></pubsub>"),
    ("mallory@localhost", "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'>"
     "<conference jid='r@rooms.localhost' name='R'><nick>N</nick></conference></storage></query>"),
]


def changed(dice):
    """Something right, with a few changes, or none."""
    place, text = dice.choice(RIGHT)
    root = ElementTree.fromstring(text)
    for _ in range(dice.choice((0, 1, 1, 2, 4))):
        parents = list(root.iter())
        one = dice.choice(parents)
        what = dice.randrange(6)
        if what == 0:
            one.set(dice.choice([*one.keys(), *ATTRIBUTES]), html.unescape(dice.choice(VALUES)))
        elif what == 1 and one.keys():
            del one.attrib[dice.choice(one.keys())]
        elif what == 2 and len(one):
            one.remove(dice.choice(list(one)))
        elif what == 3 and len(one):
            one.append(copy.deepcopy(dice.choice(list(one))))
        elif what == 4:
            one.text = html.unescape(dice.choice(VALUES))
        else:
            one.append(ElementTree.fromstring(f"<x xmlns='u:u'>{element(dice, 3)}</x>")[0])
    return place, ElementTree.tostring(root, encoding="unicode")


def element(dice, depth=0):
    """One element, and what is in it."""
    name = dice.choice(NAMES)
    space = f" xmlns='{dice.choice(NAMESPACES)}'" if depth == 0 or dice.random() < 0.2 else ""
    names = dice.sample(ATTRIBUTES, dice.randrange(4))
    attributes = "".join(f" {name}='{dice.choice(VALUES)}'" for name in names)
    inside = dice.choice(VALUES) if dice.random() < 0.3 else ""
    if depth < 4:
        inside += "".join(element(dice, depth + 1) for _ in range(dice.choice((0, 0, 1, 1, 2, 3))))
    return f"<{name}{space}{attributes}>{inside}</{name}>"


def stanza(dice, number):
    place = dice.choice(PLACES)
    inside = "".join(element(dice) for _ in range(dice.choice((1, 1, 1, 2))))
    kind = dice.choice(("iq", "iq", "iq", "message", "presence"))
    if kind == "iq":
        if dice.random() < 0.7:
            place, inside = changed(dice)
        else:
            inside = element(dice)
        return f"<iq type='{dice.choice(('get', 'set'))}' id='c{number}' to='{place}'>{inside}</iq>"
    types = {
        "message": ("groupchat", "chat", "normal", "headline", "error"),
        "presence": ("unavailable", "error", "subscribe", "probe"),
    }
    type = f" type='{dice.choice(types[kind])}'" if dice.random() < 0.7 else ""
    return f"<{kind} id='c{number}' to='{place}'{type}>{inside}</{kind}>"


def is_answer(stanza):
    return stanza.tag == CLIENT + "iq" and stanza.get("type") in ("result", "error")


async def answer_all(person):
    """Answers what the room passes on, as a client does."""
    while True:
        asked = await person.wait(
            lambda s: s.tag == CLIENT + "iq" and s.get("type") in ("get", "set"), 120
        )
        await person.say(
            f"<iq type='result' id='{asked.get('id')}' to='{asked.get('from')}'/>"
        )
        person.heard = [s for s in person.heard if s.tag == CLIENT + "iq"]


@attack("rooms and nodes: 6000 stanzas put together by chance; each question has one answer", 60)
async def chance(node):
    dice = random.Random(45060)
    owner, one = await Person.online(node, "victim"), await Person.online(node)
    await owner.open(ROOM, "One")
    answering, done = asyncio.ensure_future(answer_all(owner)), set()
    for begin in range(0, 6000, 100):
        await one.enter(ROOM, "Two")
        texts = [stanza(dice, number) for number in range(begin, begin + 100)]
        # What one occupant asks another is forgotten when one of them leaves.
        left = {
            f"c{begin + i}" for i, text in enumerate(texts)
            if text.startswith("<iq") and f"to='{ROOM}/" not in text[:99]
        }
        await one.say("".join(texts))
        while left:
            found = await patient(one, left, texts, begin)
            if is_answer(found):
                expect(found.get("id") not in done, f"answered twice: {found.get('id')}")
                done.add(found.get("id"))
                left.discard(found.get("id"))
            else:
                await one.say(
                    f"<iq type='result' id='{found.get('id')}' to='{found.get('from')}'/>"
                )
        one.heard.clear()
    log = node.log_path.read_text(errors="replace")
    expect("panicked" not in log, "something panicked: see the log")
    again = await Person.online(node, "sleeper")
    found = await again.enter("after-chance@rooms.localhost", "One")
    expect(found is None, f"no room can be made any more: {found}")
    for person in (owner, one, again):
        person.cut()
    await asyncio.gather(answering, return_exceptions=True)


async def patient(one, left, texts, begin):
    """The next question or answer; what was never answered is told."""
    try:
        return await one.wait(lambda s: s.tag == CLIENT + "iq", 8)
    except AssertionError:
        silent = [texts[int(id[1:]) - begin] for id in sorted(left)]
        raise AssertionError(f"no answer to {len(silent)}: {silent[:3]}") from None
