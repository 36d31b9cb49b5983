"""SIGTERM: everybody is told, everything is kept, and it takes no longer than it may."""

import asyncio
import signal
import ssl
import time

from box import PASSWORD, until
from registry import scenario
from wire import Wire

STREAM = "{http://etherx.jabber.org/streams}"
DRAIN = 4
# Beyond the drain: closing the database, and the test's own clumsiness.
SLACK = 2


async def stop(place, how=signal.SIGTERM):
    """The exit code and the seconds it took."""
    begun = time.monotonic()
    code = await place._end(how)
    return code, time.monotonic() - begun


async def hears_the_end(wire):
    """The stream error that a client is told."""
    while (element := await wire._next()).tag != STREAM + "error":
        pass
    return element[0].tag.split("}")[1]


@scenario("stop: streams are told, and the exit code is 0, on SIGTERM and on SIGINT")
async def told(box):
    place = await box.serving(server={"drain_seconds": DRAIN})
    for how in (signal.SIGTERM, signal.SIGINT):
        wires = [await place.signed_in("romeo"), await place.signed_in("juliet", managed=False)]
        ends = [asyncio.ensure_future(hears_the_end(wire)) for wire in wires]
        code, took = await stop(place, how)
        assert code == 0, code
        assert took < DRAIN + SLACK, took
        assert await asyncio.gather(*ends) == ["system-shutdown"] * 2
        for wire in wires:
            await wire.drain()
            wire.cut()
        assert not (place.data / "control.sock").exists()
        await place.start()


@scenario("stop: clients that do not read, do not close, or never signed in hold nothing up",
          seconds=60)
async def deaf(box):
    place = await box.serving(server={"drain_seconds": DRAIN}, limits={"close_seconds": 2})
    sleepers = []
    for name, managed in (("romeo", True), ("juliet", False)):
        wire = await place.signed_in(name, "deaf", managed)
        wire.writer.transport.pause_reading()
        sleepers.append(wire)
    place.add_account("nurse", PASSWORD)
    talker = await place.signed_in("nurse", "talker")
    body = "x" * 50000
    for to in ("romeo@localhost/deaf", "juliet@localhost/deaf"):
        for number in range(60):
            talker.send(
                f"<message type='chat' to='{to}' id='big{number}'><body>{body}</body></message>"
            )
    await asyncio.sleep(0.5)
    # Some are only connected: plain, in the middle of TLS, in the middle of HTTP.
    idle = [
        await asyncio.open_connection(place.host, port)
        for port in (place.tcp_port, place.tls_port, place.http_port, place.https_port)
    ]
    idle[2][1].write(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
    half = await asyncio.open_connection(place.host, place.http_port)
    half[1].write(b"GET / HTTP/1.1\r\nHost: loc")
    begun = await asyncio.open_connection(place.host, place.tcp_port)
    begun[1].write(b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
                   b"xmlns:stream='http://etherx.jabber.org/streams'>")
    await asyncio.sleep(0.2)
    code, took = await stop(place)
    assert code == 0, code
    assert took < DRAIN + SLACK, f"{took:.1f} s"
    for _, writer in (*idle, half, begun):
        writer.transport.abort()
    for wire in (*sleepers, talker):
        wire.cut()
    # The client with stream management never confirmed; what it did not get waits for it.
    await place.start()
    again = await place.signed_in("romeo", "deaf")
    await until(lambda: len(again.heard) >= 60, f"60 messages, not {len(again.heard)}")
    ids = [id for id, _ in again.heard]
    assert len(ids) == len(set(ids)) == 60


@scenario("stop: what hibernating sessions did not get is there after the restart", seconds=40)
async def hibernating(box):
    place = await box.serving(server={"drain_seconds": DRAIN})
    juliet = await place.signed_in("juliet")
    romeo = await place.signed_in("romeo")
    # Taken, but never acknowledged.
    juliet.acknowledge = lambda: None
    for number in range(5):
        romeo.say("juliet@localhost/desk", f"seen{number}")
    await until(lambda: len(juliet.heard) == 5, "five messages")
    juliet.cut()
    await asyncio.sleep(0.3)
    for number in range(5):
        romeo.say("juliet@localhost", f"unseen{number}")
    await until(lambda: not any(romeo.unacked), "acknowledgements")
    assert not romeo.refused
    sessions = place.json("session", "list")
    assert "juliet" in str(sessions), sessions
    code, took = await stop(place)
    assert code == 0 and took < DRAIN + SLACK, (code, took)
    romeo.cut()
    await place.start()
    again = await place.signed_in("juliet", "again")
    await again.settle()
    ids = [id for id, _ in again.heard]
    assert ids == [f"seen{n}" for n in range(5)] + [f"unseen{n}" for n in range(5)], ids
    await again.close()
    third = await place.signed_in("juliet", "third")
    await third.settle()
    assert not third.heard, third.heard


@scenario("stop: a server that is stopped while people sign in and talk", seconds=60)
async def busy(box):
    place = await box.serving(server={"drain_seconds": DRAIN})
    for round in range(3):
        talkers = [await place.signed_in("romeo", f"r{n}") for n in range(3)]
        joining = [asyncio.ensure_future(join(place, n)) for n in range(10)]
        for number in range(100):
            for n, wire in enumerate(talkers):
                wire.say("juliet@localhost", f"{round}-{n}-{number}")
        await asyncio.sleep(0.05 * round)
        code, took = await stop(place)
        assert code == 0, code
        assert took < DRAIN + SLACK, f"{took:.1f} s"
        await asyncio.gather(*joining, return_exceptions=True)
        for wire in talkers:
            await wire.drain()
            wire.cut()
        promised = set().union(*(wire.acked - wire.refused for wire in talkers))
        await place.start()
        juliet = await place.signed_in("juliet", "later")
        await juliet.settle()
        got = [id for id, _ in juliet.heard]
        assert len(got) == len(set(got)), "something came twice"
        assert promised <= set(got), f"{len(promised - set(got))} lost of {len(promised)}"
        await juliet.close()


async def join(place, number):
    wire = Wire(place, "romeo", PASSWORD, f"new{number}")
    try:
        await wire.sign_in(managed=True)
        await wire.drain()
    finally:
        wire.cut()
        # The header of a new stream may come in one packet with the end of the last.
        await asyncio.gather(wire.task, return_exceptions=True)


@scenario("stop: a second signal ends the waiting for clients")
async def impatient(box):
    place = await box.serving(server={"drain_seconds": 30}, limits={"close_seconds": 20})
    deaf = await place.signed_in("romeo")
    deaf.writer.transport.pause_reading()
    deaf.writer.write = lambda data: None
    place.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.5)
    code, took = await stop(place)
    assert code == 0 and took < 3, (code, took)
    deaf.cut()


@scenario("stop: WebSockets are closed with system-shutdown or sent elsewhere", seconds=40)
async def websockets(box):
    for elsewhere in (None, "https://other.example"):
        extra = {"drain_to": elsewhere} if elsewhere else {}
        name = "b" if elsewhere else "a"
        place = await box.serving(name, server={"drain_seconds": DRAIN, **extra})
        context = ssl._create_unverified_context()
        reader, writer = await asyncio.open_connection(
            place.host, place.https_port, ssl=context, server_hostname="localhost"
        )
        writer.write(
            b"GET /xmpp-websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        opening = (
            b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
        )
        writer.write(bytes([0x81, 0x80 | len(opening)]) + bytes(4) + opening)
        await reader.readuntil(b"</stream:features>")
        code, took = await stop(place)
        assert code == 0 and took < DRAIN + SLACK, (code, took)
        said = await reader.read(10000)
        if elsewhere:
            assert b"see-other-uri='wss://other.example/xmpp-websocket'" in said, said
        else:
            assert b"<system-shutdown " in said, said
        writer.transport.abort()


@scenario("stop: a command stops the server, after a while that can be called off", seconds=40)
async def ordered(box):
    place = await box.serving(server={"drain_seconds": DRAIN})
    assert "called off" not in place.refused("server", "stay")
    romeo = await place.signed_in("romeo")
    romeo.send("<presence/>")
    await romeo.settle()
    place.done("server", "stop", "--yes", "--delay", "300", "--announcement", "Make haste.")
    assert "stop is called off" in place.done("server", "stay")
    end = asyncio.ensure_future(hears_the_end(romeo))
    place.done("server", "stop", "--yes")
    assert await asyncio.wait_for(end, DRAIN + SLACK) == "system-shutdown"
    await until(lambda: place.process.poll() is not None, "the end of the process")
    assert place.process.returncode == 0, place.process.returncode
    romeo.cut()
    place.process = None
    assert "no server is running" in place.refused("server", "stop", "--yes")


@scenario("stop: a command restarts the server in its place, and what was acknowledged is there",
          seconds=60)
async def restarted(box):
    place = await box.serving(server={"drain_seconds": DRAIN})
    number = place.process.pid
    for round in range(2):
        romeo = await place.signed_in("romeo")
        romeo.say("juliet@localhost", f"before{round}")
        await until(lambda: not any(romeo.unacked), "an acknowledgement")
        end = asyncio.ensure_future(hears_the_end(romeo))
        place.done("server", "restart", "--yes")
        assert await asyncio.wait_for(end, DRAIN + SLACK) == "system-shutdown"
        romeo.cut()
        await until(lambda: place.log().count("serving") == 2 + round, "a new start")
        assert place.process.poll() is None and place.process.pid == number
    juliet = await place.signed_in("juliet")
    await juliet.settle()
    assert [id for id, _ in juliet.heard] == ["before0", "before1"], juliet.heard
    code, _ = await stop(place)
    assert code == 0, code
