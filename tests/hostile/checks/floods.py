"""More of everything than anybody needs, from somebody who has an account."""

import asyncio

from attack import attack, expect
from line import DOMAIN

BIND = "<iq type='set' id='{}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"


async def pour(line, text, times, patience=2):
    """Says `text` over and over until the server takes no more; how often it did."""
    for done in range(times):
        if not await line.say(text, patience):
            return done
    return times


@attack("bind: a session more than an account may have: resource-constraint", 40)
async def sessions(node):
    lines, refused = [], 0
    for _ in range(60):
        line = await node.stream()
        # An account that no earlier attack has left a session of.
        await line.authenticate("crowd")
        await line.say(BIND.format("b"))
        found = await line.hear(rb"<jid>|<(resource-constraint) ")
        refused += found[1] is not None
        lines.append(line)
    expect(refused == 10, f"{refused} of 60 sessions were refused")
    for line in lines:
        line.cut()


@attack("bind: 1000 times on one connection")
async def binds(node):
    line = await node.session()
    for i in range(1000):
        await line.say(BIND.format(i))
    await line.hear(rb"id='999'[^>]*type='error'|type='error'[^>]*id='999'|<stream:error>")


@attack("bind: the same resource over and over: conflict for the one before")
async def takeover(node):
    before = await node.session(resource="same")
    for _ in range(30):
        after = await node.session(resource="same")
        if after.jid.endswith("/same"):
            heard = await before.stream_error()
            expect(heard == "conflict", heard)
        before = after
    await before.ping()
    before.cut()


@attack("presence: directed to 5000 addresses", 30)
async def directed(node):
    line = await node.session()
    await line.say("<presence/>")
    for i in range(5000):
        await line.say(f"<presence to='nobody{i}@{DOMAIN}/x'/>")
    await line.ping(20)
    line.cut()


@attack("presence: 10000 changes of mind to somebody who does not care", 30)
async def changes(node):
    line = await node.session()
    for i in range(10_000):
        await line.say(f"<presence><status>{i}</status></presence>")
    await line.ping(20)
    line.cut()


@attack("presence: 3000 requests for a subscription to one account", 30)
async def requests(node):
    line = await node.session()
    await line.say("<presence/>")
    for i in range(3000):
        await line.say(f"<presence type='subscribe' to='{node.address('victim')}' id='{i}'/>")
    await line.ping(25)
    line.cut()


@attack("roster: 500 contacts where 200 are allowed: resource-constraint", 40)
async def roster(node):
    line = await node.session()
    for i in range(500):
        await line.say(
            f"<iq type='set' id='r{i}'><query xmlns='jabber:iq:roster'>"
            f"<item jid='nobody{i}@{DOMAIN}'/></query></iq>"
        )
    found = await line.hear(rb"<iq [^>]*id='r100'[^>]*>", 30)
    expect(b"'result'" in found[0], found[0])
    found = await line.hear(rb"<iq [^>]*id='r499'.*?</iq>|<iq [^>]*'r499'[^>]*/>", 30)
    expect(b"resource-constraint" in found[0] or b"not-allowed" in found[0], found[0])
    line.cut()


@attack("iq: 200000 questions and no answer read", 40)
async def unread(node):
    line = await node.session()
    ask = f"<iq type='get' id='{'x' * 500}' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>" * 100
    taken = await pour(line, ask, 2000)
    expect(taken < 2000, "the server went on without anybody reading")
    line.cut()


@attack("iq: 20 sessions at once that read no answer", 40)
async def unread_by_many(node):
    lines = [await node.session(resource=f"deaf{i}") for i in range(20)]
    ask = f"<iq type='get' id='{'x' * 500}' to='{DOMAIN}'>" \
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>" * 100
    await asyncio.gather(*(pour(line, ask, 500) for line in lines))
    for line in lines:
        line.cut()


@attack("iq: 20000 unknown questions: service-unavailable for each", 40)
async def unknown(node):
    line = await node.session()

    async def ask():
        for i in range(200):
            await line.say("".join(
                f"<iq type='get' id='u{i}-{j}' to='{DOMAIN}'><x xmlns='urn:x:{i}:{j}'/></iq>"
                for j in range(100)
            ))

    asking = asyncio.ensure_future(ask())
    for i in range(0, 200, 50):
        found = await line.hear(rb"<iq [^>]*id='u%d-99'.*?</iq>" % i, 30)
        expect(b"service-unavailable" in found[0], found[0])
    await asking
    await line.ping(20)
    line.cut()


@attack("messages: 20000 to somebody who does not read", 40)
async def deaf(node):
    deaf = await node.session("victim", "deaf")
    await deaf.say("<presence/>")
    line = await node.session()
    text = f"<message to='{deaf.jid}' type='chat'><body>{'x' * 4000}</body></message>" * 10
    await pour(line, text, 2000)
    line.cut()
    deaf.cut()


@attack("messages: 10000 of 8 kB to somebody who is away", 40)
async def away(node):
    line = await node.session()
    reading = asyncio.ensure_future(read_away(line))
    text = f"<message to='{node.address('nobody')}'><body>{'x' * 8000}</body></message>" * 10
    other = f"<message to='{node.address('victim')}'><body>{'x' * 8000}</body></message>" * 10
    await pour(line, text + other, 500, 5)
    reading.cancel()
    line.cut()


async def read_away(line):
    """Takes the answers and throws them away."""
    while await line.reader.read(1 << 16):
        pass


@attack("messages: 5000 to oneself, 50 times each, with carbons", 40)
async def storm(node):
    lines = [await node.session(resource=f"storm{i}") for i in range(40)]
    readers = [asyncio.ensure_future(read_away(line)) for line in lines]
    for line in lines:
        await line.say(
            "<presence/><iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
        )
    text = f"<message to='{node.address('mallory')}' type='chat'><body>x</body></message>"
    await pour(lines[0], text * 50, 50)
    await asyncio.sleep(1)
    for reader, line in zip(readers, lines):
        reader.cancel()
        line.cut()
