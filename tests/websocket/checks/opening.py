"""RFC 7395 §3.1 to §3.4: the handshake, framing, and how a stream opens."""

from client import CLIENT, OPEN, STREAM, body_of, is_message, opening
from frames import BINARY, TEXT, Refused
from rows import check, expect

MECHANISMS = "{urn:ietf:params:xml:ns:xmpp-sasl}mechanism"
MESSAGE = "<message xmlns='jabber:client' to='{}'><body>{}</body></message>"


async def refusal(world, change, status, **how):
    """The answer to a handshake that has to be refused."""
    try:
        await world.socket(change=change, **how)
    except Refused as refused:
        reply = refused.reply
        expect(reply.status == status, f"expected {status}, got {reply}")
        return reply
    raise AssertionError("the handshake was accepted")


@check("R01 R03", "without the subprotocol there is a hint, and no session")
async def no_subprotocol(world):
    reply = await refusal(world, {"Sec-WebSocket-Protocol": None}, 400)
    expect("xmpp" in reply.body, reply)
    expect(not reply.header("sec-websocket-protocol"), reply)
    await refusal(world, {"Sec-WebSocket-Protocol": "mqtt"}, 400)


@check("R02", "'xmpp' is chosen from every form of the offer")
async def subprotocol(world):
    for offer in ("xmpp", "foo, xmpp", "xmpp,foo", ["foo", "xmpp"]):
        socket = await world.socket(change={"Sec-WebSocket-Protocol": offer})
        expect(socket.reply.header("sec-websocket-protocol") == ["xmpp"], socket.reply)


@check("R04 H17", "the framing of before RFC 7395 gets an error and no session")
async def old_framing(world):
    client = await world.dial()
    client.say(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
        "to='localhost' version='1.0'>"
    )
    await client.fails("not-well-formed|invalid-namespace|bad-format", opens=True)


@check("R05", "a binary message is refused with 1003")
async def binary(world):
    client = await world.dial()
    client.socket.send(BINARY, opening().encode())
    heard, code = await client.ending()
    expect(code == 1003, f"{code}")
    client = await world.bound()
    client.socket.send(BINARY, b"<r/>")
    _, code = await client.ending()
    expect(code == 1003, f"{code}")


@check("R06", "text that is not UTF-8 is refused with 1007")
async def not_utf8(world):
    client = await world.bound()
    client.say(MESSAGE.format("localhost", "@").encode().replace(b"@", b"\xc3\x28"))
    _, code = await client.ending()
    expect(code == 1007, f"{code}")


@check("R07 R21", "the server's <open/> has from, id, version and xml:lang")
async def attributes(world):
    client = await world.dial()
    opened, _ = await client.hello()
    expect(opened.get("from") == "localhost", client.opened)
    expect(opened.get("version") == "1.0", client.opened)
    expect(opened.get("{http://www.w3.org/XML/1998/namespace}lang"), client.opened)
    expect(opened.get("id"), client.opened)
    expect(opened.get("to") is None, client.opened)


@check("R09 R10", "<open/> in another namespace: invalid-namespace")
async def wrong_namespace(world):
    for namespace in ("wrong", "urn:ietf:params:xml:ns:xmpp-framing-server", "jabber:client"):
        client = await world.dial()
        client.say(opening(xmlns=namespace))
        await client.fails("invalid-namespace", opens=True)
    client = await world.dial()
    client.say(opening(xmlns=None))
    await client.fails("invalid-namespace", opens=True)


@check("R11", "two elements in one message are refused, one each way per message")
async def one_element(world):
    client = await world.bound()
    for number in range(5):
        client.say(MESSAGE.format(client.jid, number))
    for number in range(5):
        expect(body_of(await client.until(is_message)) == str(number), client.raw)
    client.say(MESSAGE.format(client.jid, "a") + MESSAGE.format(client.jid, "b"))
    await client.fails("not-well-formed")


@check("R16 R41", "a message that does not begin with '<' is refused")
async def first_character(world):
    for begin in (" ", "\n", "\ufeff", "x"):
        client = await world.dial()
        client.say(begin + opening())
        heard, code = await client.ending()
        expect(heard[1].tag == STREAM + "error" or code == 1007, f"{begin!r}: {heard} {code}")
    for text in (" ", "", "\n" + MESSAGE.format("localhost", "x")):
        client = await world.bound()
        client.say(text)
        heard, code = await client.ending()
        expect(heard[0].tag == STREAM + "error" or code == 1007, f"{text!r}: {heard} {code}")


@check("R17", "a declaration is tolerated before <open/>, and nowhere else")
async def declaration(world):
    client = await world.dial()
    client.say("<?xml version='1.0' encoding='UTF-8'?>" + opening())
    expect((await client.hear()).tag == OPEN, client.raw)
    expect((await client.hear()).tag == STREAM + "features", client.raw)
    client = await world.bound()
    client.say("<?xml version='1.0'?>" + MESSAGE.format("localhost", "x"))
    await client.fails("not-well-formed|restricted-xml|bad-format")


@check("R18", "comments, instructions, DTDs and entities are restricted-xml")
async def restricted(world):
    for inside in ("<!-- c -->", "<?pi x?>", "&nbsp;", "&unknown;"):
        client = await world.bound()
        client.say(MESSAGE.format("localhost", inside))
        await client.fails("restricted-xml|not-well-formed" if "&" in inside else "restricted-xml")
    for whole in ("<!-- c -->", "<?pi x?>", "<!DOCTYPE x [<!ENTITY e 'x'>]><x/>"):
        client = await world.dial()
        client.say(whole + opening())
        await client.fails("restricted-xml", opens=True)


@check("R19", "anything before <open/>: an error behind the server's own <open/>")
async def stanza_first(world):
    client = await world.dial()
    client.say("<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
    await client.fails("not-authorized", opens=True)


@check("R22 R28 R29", "host-unknown: <open/>, error, <close/>, close code 1000")
async def unknown_host(world):
    for domain in ("elsewhere.test", "u@localhost", "", "x y"):
        client = await world.dial()
        client.say(opening(to=domain))
        await client.fails("host-unknown", opens=True)
    client = await world.dial()
    opened, _ = await client.hello(to=None)
    expect(opened.get("from") == "localhost", client.opened)


@check("R23", "a client that says who it is gets its address back")
async def from_is_answered(world):
    client = await world.dial()
    opened, _ = await client.hello(**{"from": "Juliet@localhost"})
    expect(opened.get("to") == "juliet@localhost", client.opened)


@check("R24", "versions: 1.0 for everything from 1.0 up, an error below")
async def versions(world):
    for version in ("1.0", "1.1", "2.0", "10.3"):
        client = await world.dial()
        opened, _ = await client.hello(version=version)
        expect(opened.get("version") == "1.0", client.opened)
    for version in (None, "0.9", "x"):
        client = await world.dial()
        client.say(opening(version=version))
        await client.fails("unsupported-version", opens=True)


@check("R25", "a second <open/> where no restart is due ends the stream")
async def second_open(world):
    client = await world.dial()
    await client.hello()
    client.say(opening())
    await client.fails("bad-format|invalid-xml|policy-violation")
    client = await world.bound()
    client.say(opening())
    await client.fails("bad-format|invalid-xml|policy-violation")


@check("R20 R26", "<open/> is answered by <open/> and features, two messages")
async def two_messages(world):
    client = await world.dial()
    client.say(opening())
    expect((await client.hear()).tag == OPEN, client.raw)
    expect((await client.hear()).tag == STREAM + "features", client.raw)
    await client.silence()


@check("R27", "a stream error is the end: what comes behind it is not looked at")
async def errors_are_fatal(world):
    watcher = await world.online()
    client = await world.bound()
    client.say("<unknown xmlns='jabber:client'/>")
    client.say(MESSAGE.format(watcher.jid, "late"))
    await client.fails("unsupported-stanza-type")
    await watcher.silence(is_message)


@check("R39 R40", "after SASL both sides open again: a new id, new features, no <close/>")
async def restart(world):
    client = await world.dial()
    first, _ = await client.hello()
    user = await world.account()
    expect(await client.scram(user, user) == "success", client.raw)
    # The very next message is our <open/>'s answer: nothing was closed.
    second, features = await client.hello()
    expect(first.get("id") != second.get("id"), client.opened)
    names = {child.tag for child in features}
    expect("{urn:ietf:params:xml:ns:xmpp-bind}bind" in names, client.features)
    expect("{urn:xmpp:sm:3}sm" in names, client.features)
    # A client that closes at this point ends its stream like at any other.
    client = await world.dial()
    await client.hello()
    expect(await client.scram(user, user) == "success", client.raw)
    heard, code = await client.close()
    expect(len(heard) <= 2 and code == 1000, f"{heard} {code}")


@check("R42", "signs of life: XEP-0199, XEP-0198 and WebSocket Ping are all answered")
async def signs_of_life(world):
    client = await world.bound()
    answer = await client.ask("<ping xmlns='urn:xmpp:ping'/>")
    expect(answer.get("type") == "result", client.raw)
    await client.enable()
    client.say("<r xmlns='urn:xmpp:sm:3'/>")
    await client.until("{urn:xmpp:sm:3}a")
    client.socket.send(0x9, b"there?")
    pong = await client.socket.frame()
    expect((pong.opcode, pong.payload) == (0xA, b"there?"), pong)


@check("R43 R45", "neither STARTTLS nor compression is offered, on ws and wss")
async def no_starttls(world):
    user = await world.account()
    for tls in (False, True):
        client = await world.dial(tls=tls)
        await client.hello()
        before = client.features
        expect(await client.scram(user, user) == "success", client.raw)
        await client.hello()
        for text in (before, client.features):
            expect("xmpp-tls" not in text and "compress" not in text, text)


@check("R44", "<starttls/> is refused")
async def starttls(world):
    client = await world.dial()
    await client.hello()
    client.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    heard, code = await client.ending()
    expect(heard[0].tag == "{urn:ietf:params:xml:ns:xmpp-tls}failure", heard)
    expect(code == 1000, f"{code}")


async def mechanisms(world, node, **how):
    client = await world.dial(node, **how)
    _, features = await client.hello()
    return {each.text for each in features.iter(MECHANISMS)}


@check("R49 O03", "PLAIN is for wss, or for a proxy that is trusted and says https")
async def plain(world):
    expect("PLAIN" not in await mechanisms(world, world.main), "PLAIN without TLS")
    expect("PLAIN" in await mechanisms(world, world.main, tls=True), "no PLAIN on wss")
    app = {"Origin": "https://app.example", "X-Forwarded-For": "203.0.113.77"}
    https = app | {"X-Forwarded-Proto": "https"}
    expect("PLAIN" in await mechanisms(world, world.brisk, change=https), "proxy not believed")
    # An unknown proxy's word counts for nothing.
    expect("PLAIN" not in await mechanisms(world, world.main, change=https), "spoofed")
    # A known proxy that took the client in without TLS: no sign-in at all, since TLS is required.
    client = await world.dial(world.brisk, change=app | {"X-Forwarded-Proto": "http"})
    client.say(opening())
    await client.fails("policy-violation", opens=True)


@check("R48 D12", "one address serves every domain; 'to' chooses, not the Host header")
async def two_domains(world):
    for domain in ("localhost", "second.test"):
        for host in ("localhost", "second.test", "unknown.example:1"):
            client = await world.dial(change={"Host": host})
            opened, _ = await client.hello(to=domain)
            expect(opened.get("from") == domain, client.opened)


@check("R13", "a stanza in no or another namespace is no stanza")
async def stanza_namespace(world):
    for namespace in ("", " xmlns='jabber:server'"):
        client = await world.bound()
        client.say(f"<message{namespace} to='localhost'><body>x</body></message>")
        await client.fails("invalid-namespace|unsupported-stanza-type")


@check("R12", "prefixes and languages of a message do not outlive it")
async def alone(world):
    client = await world.bound()
    client.say(
        f"<c:message xmlns:c='jabber:client' xmlns:x='urn:x' to='{client.jid}' xml:lang='de'>"
        "<c:body>hallo</c:body><x:tag/></c:message>"
    )
    message = await client.until(is_message)
    expect(message.find("{urn:x}tag") is not None, client.raw)
    expect(message.tag == CLIENT + "message", client.raw)
    client.say(f"<message xmlns='jabber:client' to='{client.jid}'><x:tag/></message>")
    await client.fails("bad-namespace-prefix|not-well-formed")


@check("R05", "text in fragments of single bytes is text all the same")
async def single_bytes(world):
    client = await world.dial()
    data = opening().encode()
    for at in range(len(data)):
        client.socket.send(TEXT if at == 0 else 0, data[at : at + 1], final=at == len(data) - 1)
    expect((await client.hear()).tag == OPEN, client.raw)
