"""HTTP/2: WebSockets on streams (RFC 8441), and that everything else works there as well."""

import asyncio
from urllib.parse import urlsplit

from checks.deflate import OFFER
from client import STREAM, Client, body_of, is_message
from frames import Refused
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from rows import check, expect
from second import Connection, Gone

BOSH = "http://jabber.org/protocol/httpbind"


async def dial(world, connection, **how):
    return Client(await connection.websocket(world, **how), world.main)


async def online(world, connection, user=None, **how):
    client = await dial(world, connection, **how)
    user = user or await world.account()
    return await (await (await client.sign_in(user)).bind()).present()


@check("W18", "ALPN: h2 and http/1.1, whichever the client knows")
async def alpn(world):
    for protocols, chosen in (
        (["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["http/1.1", "h2"], "h2"),
        (["xmpp-client"], "xmpp-client"),
    ):
        _, writer = await world.main.connect(tls=True, protocols=protocols)
        got = writer.get_extra_info("ssl_object").selected_alpn_protocol()
        writer.transport.abort()
        expect(got == chosen, f"{protocols}: {got}")


@check("W18", "the server says that it takes extended CONNECT, and what its bounds are")
async def settings(world):
    told = await (await Connection.open(world)).settings
    expect(told.get(SettingCodes.ENABLE_CONNECT_PROTOCOL) == 1, told)
    expect(told.get(SettingCodes.MAX_CONCURRENT_STREAMS) == 32, told)
    expect(told.get(SettingCodes.MAX_HEADER_LIST_SIZE) == 16_384, told)


@check("W18", "two WebSockets on one connection chat, compressed, with requests beside them")
async def chat(world):
    connection = await Connection.open(world)
    offer = {name.lower(): value for name, value in OFFER.items()}
    one = await online(world, connection, change=offer)
    other = await online(world, connection)
    expect(one.socket.reply.header("sec-websocket-protocol") == ["xmpp"], one.socket.reply)
    expect(one.socket.deflates and not other.socket.deflates, "what was agreed on?")
    for body in ("short", "A rose by any other name " * 200, "x" * 200_000):
        for sender, receiver in ((one, other), (other, one)):
            sender.tell(receiver.jid, body)
            got = body_of(await receiver.until(is_message))
            expect(got == body, f"{len(got)} characters and not {len(body)}")
    expect(one.socket.compressed >= 2, "nothing was compressed")
    page = await connection.ask("GET", "/healthz")
    expect(page.status == 200, page)
    await one.close()
    other.tell(other.jid, "still there")
    await other.until(is_message)


@check("W18", "one who does not read holds up neither its connection's other streams nor anybody")
async def slow(world):
    connection = await Connection.open(world)
    one, other = await online(world, connection), await online(world, connection)
    # The window of its stream stays closed from now on, and that of the connection opens.
    acknowledge, mute = connection.h2.acknowledge_received_data, one.socket.writer.number
    connection.h2.acknowledge_received_data = lambda size, number: (
        connection.h2.increment_flow_control_window(size)
        if number == mute
        else acknowledge(size, number)
    )
    sender = await world.online()
    for number in range(20):
        sender.tell(one.jid, f"{number} " + "x" * 10_000)
    other.tell(other.jid, "quick")
    await other.until(lambda e: is_message(e) and body_of(e) == "quick")


@check("W18", "requests on streams that open no WebSocket are told why")
async def refused(world):
    connection = await Connection.open(world)
    for how, status in (
        ({"change": {"sec-websocket-version": "8"}}, 426),
        ({"change": {"sec-websocket-version": None}}, 426),
        ({"change": {"sec-websocket-protocol": None}}, 400),
        ({"change": {"sec-websocket-protocol": "foo"}}, 400),
        ({"change": {"sec-websocket-extensions": "="}}, 400),
        ({"protocol": "connect-udp"}, 405),
        ({"path": "/nowhere"}, 404),
        ({"path": "/healthz"}, 405),
        ({"path": "/http-bind"}, 405),
        ({"path": "/upload/localhost/a/b"}, 404),
    ):
        try:
            await connection.websocket(world, **how)
        except Refused as refused:
            expect(refused.reply.status == status, f"{how}: {refused.reply}")
        else:
            raise AssertionError(f"{how} was accepted")
    many = [(f"x-{n}", "y") for n in range(65)]
    reply = await connection.ask("GET", "/healthz", many)
    expect(reply.status == 431, reply)
    strange = await Connection.open(world, world.brisk)
    try:
        await strange.websocket(world, change={"origin": "https://evil.example"})
    except Refused as refused:
        expect(refused.reply.status == 403, refused.reply)
    await online_at(world, strange, "https://app.example")


async def online_at(world, connection, origin):
    client = await dial(world, connection, change={"origin": origin})
    await client.hello()


@check("W18", "BOSH over HTTP/2: a request that is held, and one beside it")
async def bosh(world):
    connection = await Connection.open(world)

    def post(attributes, payload=""):
        body = f"<body xmlns='{BOSH}' {attributes}>{payload}</body>"
        return connection.ask("POST", "/http-bind", [("content-type", "text/xml")], body.encode())

    opened = await post("rid='10' to='localhost' ver='1.11' hold='1' wait='30'")
    expect(opened.status == 200 and b"stream:features" in opened.body, opened)
    sid = opened.body.split(b"sid=")[1][1:].split(opened.body.split(b"sid=")[1][:1])[0].decode()
    held = asyncio.ensure_future(post(f"sid='{sid}' rid='11'"))
    await asyncio.sleep(0.2)
    expect(not held.done(), "not held")
    second = asyncio.ensure_future(post(f"sid='{sid}' rid='12' type='terminate'"))
    answers = [(await held).body, (await second).body]
    expect(any(b"terminate" in body for body in answers), answers)


@check("W18", "a file is uploaded and fetched over HTTP/2")
async def upload(world):
    connection = await Connection.open(world)
    client = await online(world, connection)
    data = bytes(range(256)) * 4096  # larger than every window
    request = f"<request xmlns='urn:xmpp:http:upload:0' filename='a b.png' size='{len(data)}'/>"
    slot = await client.ask(request, to="upload.localhost")
    put, get = (urlsplit(e.get("url")).path for e in slot[0])
    reply = await connection.ask("PUT", put, [("content-length", str(len(data)))], data)
    expect(reply.status == 201, reply)
    reply = await connection.ask("GET", get)
    expect(reply.status == 200 and reply.body == data, f"{reply.status} {len(reply.body)}")
    expect(reply.header("content-length") == [str(len(data))], reply.headers)
    reply = await connection.ask("GET", get, [("range", "bytes=1-3")])
    expect((reply.status, reply.body) == (206, data[1:4]), reply)
    reply = await connection.ask("PUT", put, [("content-length", "1")], b"x")
    expect(reply.status == 409, reply)


@check("W18 W20", "more streams than are allowed are refused, and the others go on")
async def streams(world):
    connection = await Connection.open(world)
    client = await online(world, connection)
    connection.h2.remote_settings.max_concurrent_streams = 1000
    connection.h2.remote_settings.acknowledge()
    held = [connection.connect() for _ in range(31)]
    for stream in held:
        expect((await stream.reply)[0] == 200, "refused too early")
    try:
        await connection.connect().reply
    except Gone as gone:
        expect(gone.code == ErrorCodes.REFUSED_STREAM, gone)
    else:
        raise AssertionError("the 33rd was let in")
    client.tell(client.jid, "still there")
    await client.until(is_message)


@check("W18 W20", "streams that are opened and reset by the thousand end the connection")
async def rapid_reset(world):
    before = world.main.resident_bytes()
    connection = await Connection.open(world)
    for _ in range(200):
        for _ in range(50):
            if connection.ended.done():
                break
            stream = connection.request("GET", "/healthz")
            connection.reset(stream.number)
        await asyncio.sleep(0)
    code = await asyncio.wait_for(connection.ended, 10)
    # Who goes on sending may never read why.
    expect(code in (ErrorCodes.ENHANCE_YOUR_CALM, None), code)
    grown = world.main.resident_bytes() - before
    expect(grown < 48 << 20, f"{grown} bytes more")
    await (await dial(world, await Connection.open(world))).hello()


@check("W18 W20", "a connection that nobody uses is closed", seconds=60)
async def idle(world):
    connection = await Connection.open(world)
    expect((await connection.ask("GET", "/healthz")).status == 200, "no answer")
    await asyncio.wait_for(connection.ended, 50)


@check("W18", "the stream ends in order from either side: <close/>, close frame, END_STREAM")
async def closing(world):
    connection = await Connection.open(world)
    client = await online(world, connection)
    await client.close()
    client = await online(world, connection)
    client.say("<bad")
    heard, code = await client.ending()
    expect(code == 1000 and heard[-2].tag == STREAM + "error", f"{code} {heard}")
    user = await world.account()
    client = await online(world, connection, user)
    watcher = await world.online(user, resource="desk")
    client.socket.cut()
    gone = lambda e: e.get("type") == "unavailable" and e.get("from") == client.jid  # noqa: E731
    await watcher.until(gone)
