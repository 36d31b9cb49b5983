"""permessage-deflate (RFC 7692), with Python's zlib at the other end."""

import zlib

from checks.frames_layer import EARLY, LIMIT, code_of, padded
from client import OPEN, body_of, is_message, opening
from frames import BINARY, CONTINUATION, PING, TEXT, Refused, deflated
from rows import check, expect

OFFER = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
COMPRESSED = 4  # RSV1


async def online(world, offer=OFFER):
    return await world.online(change=offer)


def echo(client, body):
    """A message that comes back to who sent it."""
    return f"<message xmlns='jabber:client' to='{client.jid}' id='e'><body>{body}</body></message>"


async def hears(client, body):
    while body_of(await client.until(is_message)) != body:
        pass


@check("W15", "permessage-deflate: each parameter, what is unknown, and several offers")
async def offers(world):
    for offer, answer in (
        ("permessage-deflate", AGREED),
        ("permessage-deflate; client_max_window_bits", AGREED),
        ("permessage-deflate; client_no_context_takeover; server_no_context_takeover", AGREED),
        ("permessage-deflate; server_max_window_bits=10", f"{AGREED}; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=010", None),
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; client_max_window_bits=7", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", None),
        ("permessage-deflate; unknown=1", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate; unknown=1, permessage-deflate", AGREED),
        (["x-webkit-deflate-frame", "permessage-deflate"], AGREED),
    ):
        client = await world.dial(change={"Sec-WebSocket-Extensions": offer})
        got = client.socket.reply.header("sec-websocket-extensions")
        expect(got == ([answer] if answer else []), f"{offer}: {got}")
        await client.hello()
    for broken in ("permessage-deflate; =", "permessage-deflate; a=\"", "a b"):
        try:
            await world.socket(change={"Sec-WebSocket-Extensions": broken})
        except Refused as refused:
            expect(refused.reply.status == 400, refused.reply)
        else:
            raise AssertionError(f"{broken} was accepted")


@check("W15", "compressed messages in both directions, also in fragments")
async def both_ways(world):
    client = await online(world)
    body = "What's in a name? " * 200
    for cut in (None, 1, 40):
        before = client.socket.compressed
        data = deflated(echo(client, body).encode())
        if cut is None:
            client.socket.send(TEXT, data, rsv=COMPRESSED)
        else:
            client.socket.send(TEXT, data[:cut], final=False, rsv=COMPRESSED)
            client.socket.send(PING, b"between")
            client.socket.send(CONTINUATION, b"", final=False)
            client.socket.send(CONTINUATION, data[cut:])
        await hears(client, body)
        expect(client.socket.compressed == before + 1, "the answer was not compressed")
    # RFC 7692 §6: a message may also come as it is, and blocks may be last ones (§7.2.3.4).
    client.say(echo(client, body))
    await hears(client, body)
    compressor = zlib.compressobj(wbits=-15)
    data = compressor.compress(echo(client, body).encode()) + compressor.flush() + b"\0"
    client.socket.send(TEXT, data, rsv=COMPRESSED)
    await hears(client, body)


@check("W15", "compressed and plain clients talk to each other")
async def mixed(world):
    one, other = await online(world), await world.online()
    body = "Thy lips are warm. " * 100
    one.socket.send(TEXT, deflated(echo(other, body).encode()), rsv=COMPRESSED)
    await hears(other, body)
    other.tell(one.jid, body)
    await hears(one, body)
    expect(one.socket.compressed and not other.socket.compressed, "who is compressed?")


@check("W15", "a window smaller than ours is kept")
async def windows(world):
    for bits in (8, 10, 12):
        offer = f"permessage-deflate; server_max_window_bits={bits}"
        client = await online(world, {"Sec-WebSocket-Extensions": offer})
        client.socket.window_bits = max(bits, 9)  # as far as zlib can be told
        for length in (300, 900, 3000, 9000):
            before = client.socket.compressed
            # What repeats at the far end of the message tempts to reach back there.
            body = "far " + "".join(chr(97 + n * n % 23) for n in range(length)) + " far"
            client.say(echo(client, body))
            await hears(client, body)
            if length > 1 << bits:
                expect(client.socket.compressed == before, f"{length} bytes with {bits} bits")


@check("W16", "short messages go as they are; the setting turns all of it off")
async def short(world):
    client = await online(world)
    before = client.socket.compressed
    for length in (1, 100, 200):
        client.say(echo(client, "x" * length))
        await hears(client, "x" * length)
    expect(client.socket.compressed == before, "a short message was compressed")
    off = await world.dial(world.brisk, change=OFFER)
    expect(not off.socket.reply.header("sec-websocket-extensions"), off.socket.reply)
    await off.hello()
    off.socket.send(TEXT, deflated(b"<a/>"), rsv=COMPRESSED)
    expect(await code_of(off) == 1002, "no 1002 where nothing was agreed on")


@check("W17", "nothing is compressed before sign-in is over, though the client may")
async def sign_in(world):
    user = await world.account()
    client = await world.dial(change=OFFER)
    client.socket.send(TEXT, deflated(opening().encode()), rsv=COMPRESSED)
    expect((await client.hear()).tag == OPEN, client.raw)
    await client.hear()
    expect(len(client.raw) > 512, "features are too short to prove anything")
    expect(await client.scram(user, user) == "success", client.raw)
    await client.hello()
    await client.bind()
    expect(client.socket.compressed == 0, "compressed before the session")
    # The judge has an eye on all the other connections.
    for n in range(20):
        item = f"<item jid='c{n}@localhost' name='Contact {n}'/>"
        await client.ask(f"<query xmlns='jabber:iq:roster'>{item}</query>", "set")
    await client.ask("<query xmlns='jabber:iq:roster'/>")
    expect(client.socket.compressed > 0, "not compressed in the session")


@check("W14", "the limits are those of the inflated message, before sign-in and after")
async def limits(world):
    def padded_open(size):
        return opening().encode().replace(b"<open", b"<open" + b" " * (size - len(opening())))

    client = await world.dial(change=OFFER)
    client.socket.send(TEXT, deflated(padded_open(EARLY - 100)), rsv=COMPRESSED)
    expect((await client.hear()).tag == OPEN, client.raw)
    for size in (EARLY + 1, LIMIT, 50 << 20):
        client = await world.dial(change=OFFER)
        client.socket.send(TEXT, deflated(padded_open(size)), rsv=COMPRESSED)
        expect(await code_of(client) == 1009, f"{size} bytes before sign-in")
    client = await online(world)
    data = padded(LIMIT, client.jid).encode()
    client.socket.send(TEXT, deflated(data), rsv=COMPRESSED)
    await client.until(is_message)
    client.socket.send(TEXT, deflated(data + b" "), rsv=COMPRESSED)
    await client.fails("policy-violation", 1009)


@check("W14", "a deflate bomb of 200 MB costs nothing", seconds=60)
async def bomb(world):
    compressor = zlib.compressobj(9, wbits=-15)
    data = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(200))
    data += compressor.flush(zlib.Z_SYNC_FLUSH)[:-4]
    before = world.main.resident_bytes()
    for _ in range(20):
        client = await online(world)
        client.socket.send(TEXT, data, rsv=COMPRESSED)
        await client.fails("policy-violation", 1009)
    grown = world.main.resident_bytes() - before
    expect(grown < 32 << 20, f"{grown} bytes more")


@check("W10 W15", "compressed frames that are none: 1002, and 1007 for what is no text")
async def broken(world):
    whole = deflated(b"<a>" + b"b" * 100 + b"</a>")
    stored = b"\x00\x05\x00\xfa\xff<a/>x"
    for title, frames, code in (
        ("on a ping", [(PING, b"", {"rsv": 4})], 1002),
        ("on a continuation", [(TEXT, whole[:3], {"final": False, "rsv": 4}),
                               (CONTINUATION, whole[3:], {"rsv": 4})], 1002),
        ("on a continuation of plain text", [(TEXT, b"<a>", {"final": False}),
                                             (CONTINUATION, whole, {"rsv": 4})], 1002),
        ("RSV2", [(TEXT, whole, {"rsv": 6})], 1002),
        ("RSV3", [(TEXT, whole, {"rsv": 1})], 1002),
        ("binary", [(BINARY, whole, {"rsv": 4})], 1003),
        ("no deflate", [(TEXT, b"<a/>", {"rsv": 4})], 1002),
        ("nothing at all", [(TEXT, b"", {"rsv": 4})], 1002),
        ("cut short", [(TEXT, whole[:-3], {"rsv": 4})], 1002),
        ("a stored block cut short", [(TEXT, stored[:-3], {"rsv": 4})], 1002),
        ("a reach before the beginning", [(TEXT, b"\x02\x03\x00", {"rsv": 4})], 1002),
        ("not UTF-8", [(TEXT, deflated(b"<a>\xc3\x28</a>"), {"rsv": 4})], 1007),
    ):
        client = await world.dial(change=OFFER)
        await client.hello()
        for opcode, payload, how in frames:
            client.socket.send(opcode, payload, **how)
        got = await code_of(client)
        expect(got == code, f"{title}: {got} and not {code}")


@check("O06", "metrics: what compression saves")
async def metrics(world):
    client = await online(world)
    body = "O Romeo, Romeo! " * 100
    client.socket.send(TEXT, deflated(echo(client, body).encode()), rsv=COMPRESSED)
    await hears(client, body)
    reply = await world.http(path="/metrics")
    lines = dict(line.rsplit(" ", 1) for line in reply.body.splitlines() if line[0] != "#")
    for direction in ("sent", "received"):
        name = f'waxwing_websocket_deflate_bytes_total{{direction="{direction}",form='
        plain, small = float(lines[name + '"plain"}']), float(lines[name + '"compressed"}'])
        expect(plain > small > 0, f"{direction}: {small} of {plain}")
