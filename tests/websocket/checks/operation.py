"""Security and operation."""

import asyncio

from client import STREAM, is_message, opening
from frames import Refused
from node import DOMAIN, SECOND
from rows import check, expect

APP = {"Origin": "https://app.example"}


@check("O01", "only listed origins may connect, where a list is given; programs always may")
async def origins(world):
    await world.socket(world.brisk, change=APP)
    await world.socket(world.brisk, change={"Origin": None})
    for origin in ("https://evil.example", "null", "http://app.example", "https://app.example.org"):
        try:
            await world.socket(world.brisk, change={"Origin": origin})
        except Refused as refused:
            expect(refused.reply.status == 403, refused.reply)
        else:
            raise AssertionError(f"{origin} was let in")
    await world.socket(change={"Origin": "https://anything.example"})


@check("O01", "a domain may list origins of its own: its streams, and no others, keep to them")
async def origins_of_a_domain(world):
    for origin, domain in (
        ("https://app.example", DOMAIN), ("https://second.example", SECOND), (None, DOMAIN),
        (None, SECOND),
    ):
        client = await world.dial(world.brisk, tls=True, change={"Origin": origin})
        client.say(opening(to=domain))
        await client.until(lambda e: e.tag.endswith("}features"))
    for origin, domain in (("https://app.example", SECOND), ("https://second.example", DOMAIN)):
        client = await world.dial(world.brisk, tls=True, change={"Origin": origin})
        client.say(opening(to=domain))
        await client.fails("policy-violation", opens=True)


@check("O02 W20", "the client's address comes from a trusted proxy only, and is counted")
async def addresses(world):
    def behind(address):
        return APP | {"X-Forwarded-For": address}

    for _ in range(2):
        await world.socket(world.brisk, change=behind("198.51.100.1"))
    # What is left of the nearest stranger anyone can write.
    for forged in ("198.51.100.1", "203.0.113.5, 198.51.100.1", "198.51.100.1, 127.0.0.1"):
        try:
            await world.socket(world.brisk, change=behind(forged))
        except Refused as refused:
            expect(refused.reply.status == 429, refused.reply)
        else:
            raise AssertionError(f"a third connection of {forged}")
    await world.socket(world.brisk, change=behind("198.51.100.2"))
    # Nobody trusts whoever connects to this node, so the header counts for nothing there.
    user = await world.account()
    client = await world.bound(user, change={"X-Forwarded-For": "198.51.100.9"})
    lines = [line for line in world.main.log().splitlines() if client.jid in line]
    expect(lines and not any("198.51.100.9" in line for line in lines), lines)
    client = await world.dial(world.brisk, tls=True, change=behind("198.51.100.9") | {
        "X-Forwarded-Proto": "https"
    })
    user = await world.account(world.brisk)
    await client.sign_in(user)
    await client.bind()
    lines = [line for line in world.brisk.log().splitlines() if client.jid in line]
    expect(any("198.51.100.9" in line for line in lines), lines)


@check("O04", "three wrong passwords end the stream, here as on TCP; two do not")
async def wrong_passwords(world):
    user = await world.account()
    client = await world.dial()
    await client.hello()
    for _ in range(2):
        expect(await client.scram(user, "wrong") == "failure", client.raw)
        expect("not-authorized" in client.raw, client.raw)
    expect(await client.scram(user, user) == "success", client.raw)
    client = await world.dial()
    await client.hello()
    for _ in range(3):
        expect(await client.scram(user, "wrong") == "failure", client.raw)
    await client.fails("policy-violation")


@check("O05", "limits of the parser: depth, attributes, names, namespaces, children")
async def parser(world):
    many = "".join(f" a{n}='x'" for n in range(200))
    spaces = "".join(f" xmlns:p{n}='urn:{n}'" for n in range(400))
    for inside in (
        "<a>" * 100 + "</a>" * 100,
        f"<a{many}/>",
        f"<{'n' * 2000}/>",
        f"<a xmlns='urn:{'n' * 4000}'/>",
        f"<a{spaces}/>",
        "<a/>" * 2000,
    ):
        client = await world.bound()
        client.say(f"<message xmlns='jabber:client' to='{client.jid}'>{inside}</message>")
        await client.fails("policy-violation")
    client = await world.dial()
    client.say(opening()[:-2] + many + "/>")
    await client.fails("policy-violation", opens=True)


@check("O06", "metrics: connections by transport, stream errors, refused sign-ins, resumptions")
async def metrics(world):
    client = await world.bound()
    refused = await world.dial(tls=True)
    await refused.hello()
    expect(await refused.scram("nobody", "wrong") == "failure", refused.raw)
    reply = await world.http(path="/metrics")
    expect(reply.status == 200, reply)
    expect("openmetrics-text" in reply.header("content-type")[0], reply)
    for word in (
        'waxwing_connections{transport="ws"}', 'waxwing_connections{transport="wss"}',
        "waxwing_stream_errors_total{condition=", "waxwing_auth_failures",
        "waxwing_sessions_resumed_total", "waxwing_stanzas_received_total{kind=",
    ):
        expect(word in reply.body, f"no {word} in {reply.body}")
    expect(client.jid not in reply.body, "an address in the metrics")


@check("O07", "secrets: no password and no message ends up in the log")
async def log(world):
    user = await world.account(password="hemmelig-password")
    client = await world.dial(tls=True)
    await client.sign_in(user, "hemmelig-password")
    await client.bind()
    client.tell(client.jid, "a-body-that-is-nobodys-business")
    await client.until(lambda e: e.tag.endswith("}message"))
    log = world.main.log()
    expect("hemmelig" not in log and "nobodys" not in log, "a secret in the log")
    expect("localhost" in log, "nothing in the log")


@check("O07", "an operator may watch a session: who, what and how much, but no text")
async def trace(world):
    client = await world.online()
    words = ("session", "trace", client.jid, "--seconds", "3", "--json")
    watching = asyncio.ensure_future(world.main.admin(*words))
    for _ in range(20):
        await asyncio.sleep(0.1)
        client.say(
            f"<message xmlns='jabber:client' to='{client.jid}'><body>nobodys business</body>"
            "</message>"
        )
        await client.until(is_message)
    done = await watching
    expect(done.returncode == 0, done.stderr)
    expect("nobodys" not in done.stdout, done.stdout)
    for word in ("message", "body (", client.jid, "client", "server"):
        expect(word in done.stdout, f"no {word} in {done.stdout}")
    lines = [line for line in world.main.log().splitlines() if "session traced" in line]
    expect(any(client.jid in line for line in lines), "it is not in the log")


@check("W05 H06", "features and errors keep their spelling on wss too")
async def secure(world):
    client = await world.online(tls=True)
    client.say("<x xmlns='urn:x'/>")
    error = await client.fails("unsupported-stanza-type")
    expect(error.tag == STREAM + "error", error)
