"""What the sources of web clients taught: be strict in what we emit."""

import base64
import re

from client import CLOSE_TEXT, SASL
from rows import check, expect

OPEN_START = '<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" '


@check("H01 H02", "the first message begins with '<open ', then the namespace; version=\"1.0\"")
async def strophe_open(world):
    user = await world.account()
    client = await world.dial()
    for round in range(2):
        await client.hello()
        expect(client.opened.startswith(OPEN_START), client.opened)
        expect('version="1.0"' in client.opened, client.opened)
        if round == 0:
            expect(await client.scram(user, user) == "success", client.raw)
    # Also when there is nothing but an error to say.
    client = await world.dial()
    client.say("<bad")
    await client.hear()
    expect(client.raw.startswith(OPEN_START), client.raw)


@check("H03", "<close/> is these very bytes, which Strophe compares")
async def strophe_close(world):
    client = await world.bound()
    await client.close()
    expect(client.raw == CLOSE_TEXT, client.raw)
    client = await world.bound()
    client.say("<bad")
    await client.ending()
    expect(client.raw == CLOSE_TEXT, client.raw)


@check("H11", "a client that does not say who it is signs in like any other")
async def without_from(world):
    user = await world.account()
    client = await world.dial()
    _, features = await client.hello(**{"from": None})
    expect(features.find(SASL + "mechanisms") is not None, client.features)
    expect(await client.scram(user, user) == "success", client.raw)


@check("H16", "browsers: no header of their own, no channel binding, any host name")
async def browser(world):
    change = {"Origin": "https://app.example", "Host": "endpoint.example"}
    user = await world.account(world.brisk)
    # `brisk` offers -PLUS on wss: a client that cannot bind says 'n' and gets in all the same.
    client = await world.dial(world.brisk, tls=True, change=change)
    await client.hello()
    expect("SCRAM-SHA-256-PLUS" in client.features, client.features)
    expect(await client.scram(user, user, flag="n") == "success", client.raw)
    # 'y' means that it could bind and saw no offer: somebody took the offer away.
    client = await world.dial(world.brisk, tls=True, change=change)
    await client.hello()
    expect(await client.scram(user, user, flag="y") == "failure", client.raw)
    # Where none is offered, nobody took anything away.
    user = await world.account()
    for flag in "ny":
        client = await world.dial(tls=True)
        await client.hello()
        expect("-PLUS" not in client.features, client.features)
        expect("sasl-channel-binding" not in client.features, client.features)
        expect(await client.scram(user, user, flag=flag) == "success", client.raw)


@check("H18", "many short sessions with PLAIN on wss")
async def short_sessions(world):
    user = await world.account()
    secret = base64.b64encode(f"\0{user}\0{user}".encode()).decode()
    for _ in range(10):
        client = await world.dial(tls=True)
        await client.hello()
        client.say(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
        )
        expect((await client.hear()).tag == SASL + "success", client.raw)
        await client.hello()
        await client.bind("")
        _, code = await client.close()
        expect(code == 1000, f"{code}")


@check("R21", "ids cannot be guessed: 200 of them differ in every digit")
async def ids(world):
    digits = [set() for _ in range(32)]
    for _ in range(200):
        client = await world.dial()
        opened, _ = await client.hello()
        expect(re.fullmatch("[0-9a-f]{32}", opened.get("id")), client.opened)
        for place, digit in zip(digits, opened.get("id")):
            place.add(digit)
        client.socket.cut()
    expect(min(map(len, digits)) >= 14, f"{[len(place) for place in digits]}")
