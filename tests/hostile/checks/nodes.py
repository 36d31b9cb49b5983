"""Nodes: requests that are none, too much of everything, and what is nobody's business."""

import asyncio
import base64
import hashlib
import time

from attack import attack, expect
from checks.floods import pour, read_away
from checks.rooms import refused
from person import CLIENT, Person, condition, field, reason

HOST = "pubsub.localhost"
PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
EVENT = f"{{{PUBSUB}#event}}"
CAPS = "http://jabber.org/protocol/caps"
DISCO = "http://jabber.org/protocol/disco#info"
BAD = ("bad-request", "not-acceptable", "policy-violation", "resource-constraint")


def pubsub(text, ns=PUBSUB):
    return f"<pubsub xmlns='{ns}'>{text}</pubsub>"


def form(kind, fields):
    what = field("FORM_TYPE", f"{PUBSUB}#{kind}")
    return f"<x xmlns='jabber:x:data' type='submit'>{what}{fields}</x>"


def publishing(node, id, payload="<x xmlns='urn:x'/>", options=""):
    return pubsub(
        f"<publish node='{node}'><item id='{id}'>{payload}</item></publish>{options}"
    )


def news(node, id=None):
    """Whether a stanza tells of this item of this node."""

    def matches(stanza):
        items = stanza.find(f"{EVENT}event/{EVENT}items")
        return items is not None and items.get("node") == node and (
            id is None or any(item.get("id") == id for item in items)
        )

    return matches


async def done(person, payload, to=HOST):
    answer = await person.ask("set", payload, to)
    expect(condition(answer) is None, f"{payload[:200]}: {reason(answer)}")
    return answer


async def drop(person, *nodes, to=HOST):
    for node in nodes:
        await person.ask("set", pubsub(f"<delete node='{node}'/>", OWNER), to)


@attack("nodes: requests that are none, at the service and at accounts: an error for each")
async def nonsense(node):
    one = await Person.online(node)
    await done(one, pubsub("<create node='nonsense'/>"))
    anything = BAD + (
        "item-not-found", "feature-not-implemented", "jid-malformed", "forbidden",
        "unexpected-request", "conflict", "service-unavailable", "not-allowed",
    )
    for text in (
        "", "<publish/>", "<publish node=''/>", "<nothing node='nonsense'/>",
        "<publish node='nonsense'><item/><thing/></publish>", "<retract node='nonsense'/>",
        "<publish node='nonsense'><item id='a'><x xmlns='u'/><y xmlns='u'/></item></publish>",
        "<retract node='nonsense'><item/></retract>", "<subscribe node='nonsense'/>",
        "<subscribe node='nonsense' jid='@@'/>", "<subscribe node='nonsense' jid='a@elsewhere'/>",
        "<unsubscribe node='nonsense' jid='@@'/>", "<options node='nonsense' jid='@@'/>",
        f"<create node='{'x' * 20000}'/>", "<create node='a&#x9;b'/><create node='c'/>",
        f"<publish node='nonsense'><item id='{'x' * 20000}'><x xmlns='u'/></item></publish>",
        "<configure/>", "<items/>", "<default/>",
    ):
        for to in (HOST, one.bare):
            answer = await one.ask("set", pubsub(text), to)
            found = condition(answer)
            expect(found in anything or (to == one.bare and found is None),
                   f"{text[:80]} to {to}: {reason(answer)}")
    for text in (
        "", "<items/>", "<items node='nonsense' max_items='-1'/>", "<nothing/>",
        "<items node='nonsense' max_items='many'/>", "<options node='nonsense'/>",
        "<items node='nonsense'/><set xmlns='http://jabber.org/protocol/rsm'><max>x</max></set>",
    ):
        await refused(one, "get", pubsub(text), HOST, *anything)
    for text in (
        "", "<configure/>", "<delete/>", "<purge/>", "<purge node='nobody made this'/>",
        "<affiliations node='nonsense'><affiliation jid='@@' affiliation='god'/></affiliations>",
        "<affiliations node='nonsense'><affiliation jid='a@b' affiliation='god'/></affiliations>",
        "<subscriptions node='nonsense'><subscription jid='a@b' subscription='maybe'/>"
        "</subscriptions>",
    ):
        await refused(one, "set", pubsub(text, OWNER), HOST, *anything)
    await done(one, publishing("nonsense", "a"))
    await drop(one, "nonsense")
    one.cut()


@attack("nodes: forms that are none: the field is named, and the node is as before")
async def forms(node):
    one = await Person.online(node)
    await done(one, pubsub("<create node='forms'/>"))
    for name, value in (
        ("access_model", "ajar"), ("publish_model", "everybody"), ("max_items", "-1"),
        ("max_items", "banana"), ("persist_items", "perhaps"), ("item_expire", "soon"),
        ("send_last_published_item", "sometimes"), ("notification_type", "shout"),
        ("max_payload_size", "much"), ("itemreply", "nobody"),
        ("title", "x" * 100_000),
    ):
        name = f"pubsub#{name}"
        fields = field("pubsub#description", "changed") + field(name, value)
        answer = await one.ask(
            "set", pubsub(f"<configure node='forms'>{form('node_config', fields)}</configure>",
                          OWNER), HOST,
        )
        expect(condition(answer) in BAD, f"{name}={value[:20]}: {reason(answer)}")
        expect(name in reason(answer), f"{name} is not named: {reason(answer)}")
    fields = field("pubsub#nobody_knows", "x") + field("urn:another", "y", "z")
    await done(
        one, pubsub(f"<configure node='forms'>{form('node_config', fields)}</configure>", OWNER)
    )
    answer = await one.ask("get", pubsub("<configure node='forms'/>", OWNER), HOST)
    values = {f.get("var"): [v.text for v in f.iter("{jabber:x:data}value")]
              for f in answer.iter("{jabber:x:data}field")}
    expect(values.get("pubsub#description") in ([], [None], [""], None), values)
    await drop(one, "forms")
    one.cut()


@attack("nodes: an item larger than the node takes, and items without end", 40)
async def large(node):
    one = await Person.online(node)
    fields = field("pubsub#max_payload_size", "1024") + field("pubsub#max_items", "10")
    await done(
        one, pubsub(f"<create node='large'/><configure>{form('node_config', fields)}</configure>")
    )
    await refused(
        one, "set", publishing("large", "big", f"<x xmlns='u'>{'x' * 2000}</x>"), HOST, *BAD
    )
    for i in range(500):
        await one.say(
            f"<iq type='set' to='{HOST}' id='l{i}'>{publishing('large', f'i{i}')}</iq>"
        )
    await one.wait(lambda s: s.get("id") == "l499", 20)
    answer = await one.ask("get", pubsub("<items node='large'/>"), HOST)
    kept = [item.get("id") for item in answer.iter(f"{{{PUBSUB}}}item")]
    expect(sorted(kept) == sorted(f"i{i}" for i in range(490, 500)), f"kept {kept[:20]}")
    await drop(one, "large")
    one.cut()


@attack("nodes: more of them than one account may have: a clear error, and room again later", 60)
async def hoard(node):
    one = await Person.online(node)
    for to, create in (
        (HOST, lambda i: pubsub(f"<create node='hoard{i}'/>")),
        (one.bare, lambda i: publishing(f"urn:hoard:{i}", "current")),
    ):
        answers = []
        for i in range(120):
            answers.append(await one.ask("set", create(i), to))
        refusals = {condition(answer) for answer in answers} - {None}
        expect(refusals and refusals <= set(BAD) | {"not-allowed", "forbidden"},
               f"{[condition(a) for a in answers].count(None)} nodes were made, {refusals}")
        names = [f"hoard{i}" if to == HOST else f"urn:hoard:{i}" for i in range(120)]
        await drop(one, *names, to=to)
        answer = await one.ask("set", create(0), to)
        expect(condition(answer) is None, f"no node can be made again: {reason(answer)}")
        await drop(one, names[0], to=to)
    one.cut()


@attack("nodes: more subscriptions to one than anybody needs: a clear error", 60)
async def subscriptions(node):
    one = await Person.online(node)
    await done(one, pubsub("<create node='subscribed'/>"))
    conditions = set()
    for i in range(300):
        text = f"<subscribe node='subscribed' jid='{one.bare}/r{i}'/>"
        conditions.add(condition(await one.ask("set", pubsub(text), HOST)))
    refusals = conditions - {None}
    expect(refusals and refusals <= set(BAD) | {"not-allowed"},
           f"300 subscriptions: {conditions}")
    await drop(one, "subscribed")
    one.cut()


@attack("nodes: a publisher who never stops does not keep others waiting", 40)
async def flood(node):
    loud, one = await Person.online(node), await Person.online(node, "victim")
    listeners = [await Person.online(node, "crowd", f"l{i}") for i in range(10)]
    await done(loud, pubsub("<create node='flood'/>"))
    await done(one, pubsub("<create node='calm'/>"))
    for listener in listeners:
        await done(listener, pubsub(f"<subscribe node='flood' jid='{listener.jid}'/>"))
    await done(one, pubsub(f"<subscribe node='calm' jid='{one.bare}'/>"))
    deaf = [asyncio.ensure_future(read_away(p.line)) for p in (loud, *listeners[:5])]
    iq = f"<iq type='set' to='{HOST}' id='f'>{{}}</iq>"
    payload = f"<x xmlns='u'>{'x' * 1000}</x>"
    text = iq.format(publishing("flood", "same", payload)) * 20
    pouring = asyncio.ensure_future(pour(loud.line, text, 300, 3))
    worst = 0
    for i in range(60):
        begun = time.monotonic()
        await done(one, publishing("calm", f"c{i}"))
        await one.wait(news("calm", f"c{i}"), 5)
        worst = max(worst, time.monotonic() - begun)
        await asyncio.sleep(0.03)
    expect(worst < 2, f"another publisher waited {worst:.1f} s")
    for task in (pouring, *deaf):
        task.cancel()
    loud.cut()
    for listener in listeners:
        listener.cut()
    again = await Person.online(node)
    await drop(again, "flood")
    await drop(one, "calm")
    again.cut()
    one.cut()


def capable(features):
    """The hash of XEP-0115 §5.1 for these features, and the answer that has it."""
    text = "client/pc//x<" + "".join(f"{feature}<" for feature in sorted(features))
    ver = base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()
    answer = "<identity category='client' type='pc' name='x'/>" + "".join(
        f"<feature var='{feature}'/>" for feature in features
    )
    return ver, answer


async def able(person, ver, answer, to=None):
    """Shows these capabilities, and answers the question about them as told."""
    to = f" to='{to}'" if to else ""
    await person.say(
        f"<presence{to}><c xmlns='{CAPS}' hash='sha-1' node='urn:n' ver='{ver}'/></presence>"
    )
    asked = await person.wait(
        lambda s: s.tag == CLIENT + "iq" and s.find(f"{{{DISCO}}}query") is not None
    )
    query = asked.find(f"{{{DISCO}}}query")
    about = f" node='{query.get('node')}'" if query.get("node") else ""
    sender = f" to='{asked.get('from')}'" if asked.get("from") else ""
    await person.say(
        f"<iq type='result' id='{asked.get('id')}'{sender}>"
        f"<query xmlns='{DISCO}'{about}>{answer}</query></iq>"
    )


@attack("accounts' nodes: what is private is never seen by a stranger, however he asks")
async def private(node):
    one, spy = await Person.online(node, "victim"), await Person.online(node)
    secret, name = "sesame-4711", "urn:secret:node"
    closed = form("publish-options", field("pubsub#access_model", "whitelist"))
    options = f"<publish-options>{closed}</publish-options>"
    spy.tape.clear()
    # He wants to be told of everything, and would be if he were a contact.
    ver, _ = capable([f"{name}+notify"])
    await spy.say(
        f"<presence to='{one.bare}'><c xmlns='{CAPS}' hash='sha-1' node='urn:n' ver='{ver}'/>"
        "</presence>"
    )
    await done(one, publishing(name, "current", f"<x xmlns='u'>{secret}</x>", options), one.bare)
    what = "http://jabber.org/protocol/disco#"
    for kind, payload in (
        ("get", pubsub(f"<items node='{name}'/>")),
        ("get", pubsub(f"<items node='{name}' max_items='1'/>")),
        ("get", pubsub(f"<items node='{name}'><item id='current'/></items>")),
        ("set", pubsub(f"<subscribe node='{name}' jid='{spy.bare}'/>")),
        ("set", pubsub(f"<subscribe node='{name}' jid='{one.bare}'/>")),
        ("set", publishing(name, "current", "<x xmlns='u'>mine</x>")),
        ("set", pubsub(f"<retract node='{name}'><item id='current'/></retract>")),
        ("get", pubsub(f"<options node='{name}' jid='{spy.bare}'/>")),
        ("get", pubsub(f"<configure node='{name}'/>", OWNER)),
        ("get", pubsub(f"<affiliations node='{name}'/>", OWNER)),
        ("get", pubsub(f"<subscriptions node='{name}'/>", OWNER)),
        ("set", pubsub(f"<purge node='{name}'/>", OWNER)),
        ("set", pubsub(f"<delete node='{name}'/>", OWNER)),
        ("set", pubsub(
            f"<configure node='{name}'>"
            f"{form('node_config', field('pubsub#access_model', 'open'))}</configure>", OWNER)),
        ("get", f"<query xmlns='{what}items' node='{name}'/>"),
        ("get", f"<query xmlns='{what}info' node='{name}'/>"),
        ("set", f"<query xmlns='urn:xmpp:mam:2' node='{name}'/>"),
    ):
        answer = await spy.ask(kind, payload, one.bare)
        expect(condition(answer) is not None, f"{payload[:120]} was answered")
    answer = await spy.ask("get", f"<query xmlns='{what}items'/>", one.bare)
    for kind, payload in (
        ("get", pubsub("<subscriptions/>")), ("get", pubsub("<affiliations/>")),
        ("get", f"<query xmlns='{what}info'/>"),
    ):
        await spy.ask(kind, payload, one.bare)
    await done(one, publishing(name, "current", f"<x xmlns='u'>{secret}</x>"), one.bare)
    await spy.ping()
    expect(secret.encode() not in spy.tape, "the stranger has seen the secret")
    expect(name.encode() not in b"".join(
        part for part in bytes(spy.tape).split(b"<iq ") if b"type='result'" in part
    ), "the stranger has seen the name of the node")
    answer = await one.ask("get", pubsub(f"<items node='{name}'/>"), one.bare)
    expect(secret in "".join(answer.itertext()), "the owner has lost it")
    await drop(one, name, to=one.bare)
    one.cut()
    spy.cut()


@attack("accounts' nodes: 3000 different capabilities, and answers that lie about them", 40)
async def capabilities(node):
    one, liar = await Person.online(node, "victim"), await Person.online(node)
    reading = asyncio.ensure_future(read_away(liar.line))
    for i in range(3000):
        ver = base64.b64encode(hashlib.sha1(str(i).encode()).digest()).decode()
        await liar.say(
            f"<presence><c xmlns='{CAPS}' hash='sha-1' node='urn:n' ver='{ver}'/></presence>"
        )
    reading.cancel()
    liar.cut()
    # Somebody answers for a hash that is another's: the other is told of what it wants.
    liar = await Person.online(node)
    name = f"urn:lies:{liar.jid[-4:]}"
    ver, truth = capable([f"{name}+notify"])
    await able(liar, ver, "<identity category='client' type='pc'/>")
    await liar.ping()
    await able(one, ver, truth)
    await one.ping()
    await done(one, publishing(name, "current"), one.bare)
    await one.wait(news(name))
    await drop(one, name, to=one.bare)
    one.cut()
    liar.cut()


@attack("nodes: made, written, read and deleted by many at once: each gets an answer", 40)
async def races(node):
    people = [await Person.online(node, user, f"r{i}")
              for i in range(3) for user in ("mallory", "crowd", "victim")]
    allowed = {None, "conflict", "item-not-found", "forbidden", "not-allowed"}

    async def work(person, turn):
        for i in range(25):
            for payload in (
                pubsub("<create node='race'/>"), publishing("race", f"i{i}"),
                pubsub(f"<subscribe node='race' jid='{person.bare}'/>"),
                pubsub("<items node='race'/>"),
                pubsub("<delete node='race'/>", OWNER),
            ):
                kind = "get" if "<items" in payload else "set"
                answer = await person.ask(kind, payload, HOST)
                found = condition(answer)
                expect(found in allowed | {"unexpected-request"}, reason(answer))
            person.heard.clear()

    await asyncio.gather(*(work(person, i) for i, person in enumerate(people)))
    for person in people:
        await drop(person, "race")
    await done(people[0], pubsub("<create node='race'/>"))
    await drop(people[0], "race")
    for person in people:
        person.cut()


@attack("events: an event that somebody makes up comes from its maker, never from a node")
async def forged(node):
    one, liar = await Person.online(node, "victim"), await Person.online(node)
    event = (
        f"<event xmlns='{PUBSUB}#event'><items node='urn:x'><item id='forged'/></items></event>"
    )
    for sender in (HOST, one.bare, "localhost"):
        other = await Person.online(node)
        await other.say(
            f"<message from='{sender}' to='{one.jid}' type='headline'>{event}</message>"
        )
        found = await other.line.hear(rb"<([a-z-]+) xmlns='urn:ietf:params:xml:ns:xmpp-streams'")
        expect(found[1] == b"invalid-from", found[1])
        other.cut()
    await liar.say(f"<message to='{one.jid}' type='headline'>{event}<body>x</body></message>")
    await liar.ping()
    await one.ping()
    heard = [s for s in one.heard if s.find(f"{EVENT}event") is not None]
    expect(all(s.get("from") == liar.jid for s in heard), "another's name stands on it")
    one.cut()
    liar.cut()
