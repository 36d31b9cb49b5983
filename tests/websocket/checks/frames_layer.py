"""RFC 6455: the layer below."""

import asyncio
import struct
import time

from client import CLOSE, OPEN, STREAM, body_of, is_message, opening
from frames import BINARY, CONTINUATION, PING, PONG, TEXT, Ended, Refused, handshake, read_reply
from frames import CLOSE as CLOSE_FRAME
from rows import check, expect

LIMIT = 262_144
EARLY = 16_384


def padded(size, to):
    """A message stanza of exactly `size` bytes."""
    start, end = f"<message xmlns='jabber:client' to='{to}' id='big'><body>", "</body></message>"
    return start + "x" * (size - len(start) - len(end)) + end


async def code_of(client):
    """The close code, however many messages come before it."""
    _, code = await client.ending()
    return code


@check("W01", "the variants of Upgrade and Connection that browsers send")
async def variants(world):
    for change in (
        {"Connection": "keep-alive, Upgrade"},  # Firefox
        {"Connection": "upgrade"},
        {"Connection": ["keep-alive", "Upgrade"]},
        {"Upgrade": "WebSocket"},
        {"Origin": "https://anything.example", "Cookie": "a=b", "User-Agent": "x"},
    ):
        socket = await world.socket(change=change)
        expect(socket.reply.header("upgrade")[0].lower() == "websocket", socket.reply)
    for change in ({"Connection": None}, {"Connection": "close"}):
        try:
            await world.socket(change=change)
        except Refused as refused:
            expect(refused.reply.status == 400, refused.reply)
        else:
            raise AssertionError(f"{change} was accepted")


@check("W02", "other versions get 426 and the right one")
async def version(world):
    for value in ("8", None, "13, 8", "x"):
        try:
            await world.socket(change={"Sec-WebSocket-Version": value})
        except Refused as refused:
            expect(refused.reply.status == 426, refused.reply)
            expect(refused.reply.header("sec-websocket-version") == ["13"], refused.reply)
        else:
            raise AssertionError(f"{value} was accepted")


@check("W03", "the key: RFC 6455's example, and keys that are none")
async def key(world):
    socket = await world.socket(change={"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
    accept = socket.reply.header("sec-websocket-accept")
    expect(accept == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="], accept)
    for value in ("c2hvcnQ=", "!!", "", None, ["dGhlIHNhbXBsZSBub25jZQ=="] * 2):
        try:
            await world.socket(change={"Sec-WebSocket-Key": value})
        except Refused as refused:
            expect(refused.reply.status == 400, refused.reply)
        else:
            raise AssertionError(f"{value} was accepted")


@check("W04 O08", "a visit gets a page, a program a hint, POST 405, a lame proxy 400")
async def visits(world):
    path = "/xmpp-websocket"
    page = await world.http(path=path, change={"Accept": "text/html,*/*"})
    expect(page.status == 200 and "WebSocket" in page.body, page)
    expect(page.header("content-type")[0].startswith("text/html"), page)
    bare = await world.http(path=path, change={"Accept": "*/*"})
    expect(bare.status == 426 and bare.header("upgrade") == ["websocket"], bare)
    post = await world.http(path=path, method="POST")
    expect(post.status == 405 and post.header("allow") == ["GET"], post)
    reader, writer = await world.main.connect()
    writer.write(handshake("localhost", first_line=f"GET {path} HTTP/1.0"))
    reply = await read_reply(reader)
    writer.transport.abort()
    expect(reply.status == 400 and "proxy_http_version" in reply.body, reply)


@check("W05", "an unmasked frame is refused with 1002")
async def unmasked(world):
    client = await world.dial()
    client.socket.send(TEXT, opening().encode(), masked=False)
    expect(await code_of(client) == 1002, "no 1002")


@check("W06", "a message in fragments, with a ping between them")
async def fragments(world):
    client = await world.dial()
    data = opening().encode()
    client.socket.send(TEXT, data[:10], final=False)
    client.socket.send(CONTINUATION, b"", final=False)
    client.socket.send(PING, b"between")
    client.socket.send(CONTINUATION, data[10:30], final=False)
    client.socket.send(CONTINUATION, data[30:])
    pong = await client.socket.frame()
    expect((pong.opcode, pong.payload) == (PONG, b"between"), pong)
    expect((await client.hear()).tag == OPEN, client.raw)
    for bad in ([(CONTINUATION, True)], [(TEXT, False), (TEXT, True)]):
        client = await world.dial()
        for opcode, final in bad:
            client.socket.send(opcode, data, final=final)
        expect(await code_of(client) == 1002, f"{bad}")


@check("W07", "control frames over 125 bytes or in fragments: 1002")
async def control_frames(world):
    for opcode in (PING, PONG, CLOSE_FRAME):
        client = await world.dial()
        client.socket.send(opcode, b"x" * 126)
        expect(await code_of(client) == 1002, f"long {opcode}")
        client = await world.dial()
        client.socket.send(opcode, b"", final=False)
        expect(await code_of(client) == 1002, f"fragmented {opcode}")
    client = await world.dial()
    client.socket.send(PING, b"x" * 125)
    expect((await client.socket.frame()).payload == b"x" * 125, "125 bytes are allowed")


@check("W08", "a ping is answered at once, also while a large message is half received")
async def ping(world):
    client = await world.bound()
    text = padded(200_000, client.jid).encode()
    client.socket.send(TEXT, text[:100_000], final=False)
    for payload in (b"", b"\x00\xff", b"ping"):
        client.socket.send(PING, payload)
        pong = await client.socket.frame(2)
        expect((pong.opcode, pong.payload) == (PONG, payload), pong)
    client.socket.send(CONTINUATION, text[100_000:])
    expect(len(body_of(await client.until(is_message))) > 190_000, "the message is not whole")


@check("W09", "a pong that nobody asked for is ignored")
async def unsolicited_pong(world):
    client = await world.dial()
    client.socket.send(PONG, b"hm")
    await client.hello()
    client.socket.send(PONG)
    await client.silence()


@check("W10", "reserved bits and opcodes: 1002")
async def reserved(world):
    for rsv in (1, 2, 4):
        client = await world.dial()
        client.socket.send(TEXT, opening().encode(), rsv=rsv)
        expect(await code_of(client) == 1002, f"rsv {rsv}")
    for opcode in (3, 7, 0xB, 0xF):
        client = await world.dial()
        client.socket.send(opcode, b"")
        expect(await code_of(client) == 1002, f"opcode {opcode}")


@check("W11 W12", "close frames: echoed, or refused, and nothing behind them")
async def close_frames(world):
    def coded(code, reason=b""):
        return struct.pack("!H", code) + reason

    good = [(coded(code), code) for code in (1000, 1001, 1003, 1011, 3000, 4999)]
    good.append((coded(1000, "bis später".encode()), 1000))
    bad = [(b"\x03", 1002), (coded(1000, b"\xc3\x28"), 1007)]
    bad += [(coded(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)]
    for payload, code in good + bad:
        client = await world.dial()
        await client.hello()
        client.socket.send(CLOSE_FRAME, payload)
        client.say("<auth/>")  # what follows a close frame is not looked at
        heard, got = await client.ending()
        expect(got == code, f"{payload!r}: {got}, expected {code}")
        expect(code != 1000 or not heard, heard)
    client = await world.dial()
    client.socket.send(CLOSE_FRAME)
    expect(await code_of(client) == 1005, "an empty close frame is answered by one")


@check("W13 W14", "the limit holds to the byte for the whole message, as announced")
async def limit(world):
    client = await world.bound()
    expect(f"<max-bytes>{LIMIT}</max-bytes>" in client.features, client.features)
    client.say(padded(LIMIT, client.jid))
    expect(len(body_of(await client.until(is_message))) > LIMIT - 200, "not whole")
    text = padded(LIMIT + 1, client.jid).encode()
    client.socket.send(TEXT, text[:1000], final=False)
    client.socket.send(CONTINUATION, text[1000:])
    error = await client.fails("policy-violation", 1009)
    expect(any(child.tag.endswith("}text") and child.text for child in error), client.raw)
    client = await world.dial()
    await client.hello()
    expect(f"<max-bytes>{EARLY}</max-bytes>" in client.features, client.features)
    client.say("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>" + "A" * EARLY)
    await client.fails("policy-violation", 1009)


@check("W13", "a header that claims 1 GiB is refused before a byte of it came")
async def claimed(world):
    before = world.main.resident_bytes()
    for size in (1 << 30, 1 << 40, (1 << 63) - 1):
        client = await world.bound()
        client.socket.send(TEXT, b"", length=size)
        await client.fails("policy-violation", 1009)
    client = await world.bound()
    client.socket.send(TEXT, b"", length=1 << 63)
    expect(await code_of(client) == 1002, "the highest bit is no length")
    grown = world.main.resident_bytes() - before
    expect(grown < 64 << 20, f"{grown} bytes more")


@check("W14", "a million tiny fragments are one message: 1009, memory bounded", seconds=60)
async def tiny_fragments(world):
    before = world.main.resident_bytes()
    client = await world.bound()
    one = bytes([CONTINUATION, 0x81, 0, 0, 0, 0]) + b"x"
    client.socket.send(TEXT, b"<", final=False)
    client.socket.write(one * LIMIT)
    await client.fails("policy-violation", 1009, seconds=50)
    client = await world.bound()
    client.socket.send(TEXT, b"", final=False)
    client.socket.write(bytes([CONTINUATION, 0x80, 0, 0, 0, 0]) * 1_000_000)
    client.socket.send(CONTINUATION, padded(500, client.jid).encode())
    await client.until(is_message, 50)
    grown = world.main.resident_bytes() - before
    expect(grown < 64 << 20, f"{grown} bytes more")


@check("W19", "one who does not read delays nobody and costs little", seconds=60)
async def slow_reader(world):
    node = world.brisk
    before = node.resident_bytes()
    slow = await world.bound(node=node)
    await slow.enable()
    await slow.present()
    slow.socket.writer.transport.pause_reading()
    talker = await world.online(node=node)
    for number in range(800):
        talker.tell(slow.jid, f"{number}:" + "x" * 12_000)
        if number % 100 == 99:
            begun = time.monotonic()
            await talker.ask("<ping xmlns='urn:xmpp:ping'/>", id=f"p{number}")
            expect(time.monotonic() - begun < 5, "the talker is delayed")
    other = await world.online(node=node)
    begun = time.monotonic()
    await other.ask("<ping xmlns='urn:xmpp:ping'/>")
    expect(time.monotonic() - begun < 1, "somebody else is delayed")
    grown = node.resident_bytes() - before
    expect(grown < 64 << 20, f"{grown} bytes more")


@check("W20", "headers: too many, too long, too slow", seconds=40)
async def headers(world):
    for change in ({f"X-{n}": "x" for n in range(80)}, {"X-Long": "x" * 40_000}):
        try:
            await world.socket(change=change)
        except Refused as refused:
            expect(refused.reply.status == 431, refused.reply)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        else:
            raise AssertionError("the headers were accepted")
    reader, writer = await world.main.connect()
    world.closers.append(writer.transport.abort)
    writer.write(b"GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\n")
    begun = time.monotonic()
    for _ in range(25):
        writer.write(b"X-Slow: 1\r\n")
        try:
            await asyncio.wait_for(reader.read(1000), 1)
            break
        except (TimeoutError, ConnectionError):
            pass
    expect(time.monotonic() - begun < 20, "the slow headers were waited for")


@check("W20", "a WebSocket on which nobody signs in ends after the handshake's time", seconds=31)
async def handshake_time(world):
    silent, chatty = await world.dial(world.brisk), await world.dial(world.brisk)
    await chatty.hello()
    await silent.fails("connection-timeout", opens=True, seconds=10)
    await chatty.fails("connection-timeout", seconds=10)


@check("W21", "a connection that is dead in both directions is noticed by the ping", seconds=45)
async def half_open(world):
    from cable import Cable

    node = world.brisk
    cable = await Cable(node.host, node.http_port).lay()
    world.closers.append(cable.remove)
    watcher = await world.online(node=node)
    client = await world.online(node=node, port=cable.port)
    client.say(f"<presence xmlns='jabber:client' to='{watcher.jid}'/>")
    await watcher.until(lambda e: e.get("from") == client.jid)
    cable.hold("up"), cable.hold("down")
    begun = time.monotonic()
    gone = lambda e: e.get("from") == client.jid and e.get("type") == "unavailable"  # noqa: E731
    await watcher.until(gone, 24)
    expect(time.monotonic() - begun > 9, "too early to know")


@check("W12", "data in the same packet as the client's close frame is not answered")
async def behind_close(world):
    client = await world.bound()
    client.socket.send(CLOSE_FRAME, struct.pack("!H", 1000))
    client.tell(client.jid, "late")
    heard, code = await client.ending()
    expect((heard, code) == ([], 1000), f"{heard} {code}")


@check("R05", "a binary fragment inside a text message is refused")
async def mixed(world):
    client = await world.dial()
    client.socket.send(TEXT, b"<open", final=False)
    client.socket.send(BINARY, b"/>")
    heard, code = await client.ending()
    expect(code in (1002, 1003), f"{code}")
    expect(all(e.tag in (OPEN, STREAM + "error", CLOSE) for e in heard), heard)


@check("W21", "a connection that is cut in the middle of a frame leaves nothing behind")
async def cut_in_a_frame(world):
    before = world.main.resident_bytes()
    for _ in range(20):
        client = await world.bound()
        client.socket.send(TEXT, b"x" * 100_000, length=200_000)
        client.socket.cut()
    try:
        await client.socket.frame(1)
    except (Ended, TimeoutError):
        pass
    grown = world.main.resident_bytes() - before
    expect(grown < 64 << 20, f"{grown} bytes more")
