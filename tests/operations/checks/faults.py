"""A disk that fills up and a database that goes away: nothing is promised that is not kept."""

import asyncio
import os
import subprocess

from box import Skip, until
from registry import scenario
from wire import CLIENT

STANZAS_ERROR = "{urn:ietf:params:xml:ns:xmpp-stanzas}"
EXPECTED = {"resource-constraint", "internal-server-error"}
# What a server may take to notice that the cause is gone.
RECOVERY = 15


class Writer:
    """Sends numbered messages to somebody who is away, and keeps the books."""

    def __init__(self, wire, to, size):
        self.wire, self.to, self.size = wire, to, size
        self.sent = 0

    async def send(self, count=1):
        for _ in range(count):
            id = f"m{self.sent}"
            self.sent += 1
            body = id + " " + "x" * self.size
            self.wire.send(
                f"<message type='chat' to='{self.to}' id='{id}'><body>{body}</body></message>", id
            )
            self.wire._write("<r xmlns='urn:xmpp:sm:3'/>")
        await self.settle()

    async def settle(self):
        """Until every message is decided: acknowledged, with or without an error."""
        await until(lambda: not any(self.wire.unacked), "the acknowledgements", 30)
        await asyncio.sleep(0.05)

    @property
    def kept(self):
        return self.wire.acked - self.wire.refused


def watch_errors(wire):
    """Collects the conditions of the errors that come back."""
    conditions = []
    hear = wire._hear

    def note(message):
        if message.get("type") == "error":
            error = message.find(CLIENT + "error")
            conditions.extend(
                child.tag.removeprefix(STANZAS_ERROR)
                for child in error if child.tag.startswith(STANZAS_ERROR)
                and not child.tag.endswith("}text")
            )
        hear(message)

    wire._hear = note
    return conditions


async def collect(place, name):
    """The ids of what is stored for somebody."""
    wire = await place.signed_in(name, "later")
    await wire.settle()
    heard = [id for id, _ in wire.heard]
    assert len(heard) == len(set(heard)), "something came twice"
    await wire.close()
    return set(heard)


async def ping(wire, place):
    wire.send("<iq type='get' id='alive' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
    answer = await wire._next()
    assert answer.get("type") == "result" and answer.get("id") == "alive"


@scenario("faults: a full disk refuses what it cannot keep, and nothing else", seconds=60)
async def full_disk(box):
    place = box.place(modules__offline={"messages": 100000, "size": "1 GiB"})
    mount_small_disk(box, place.data, "6m")
    await place.start()
    for name in ("romeo", "juliet", "nurse"):
        place.add_account(name, "Correct horse, battery staple 1")
    romeo, nurse = await place.signed_in("romeo"), await place.signed_in("nurse", managed=False)
    conditions = watch_errors(romeo)
    writer = Writer(romeo, "juliet@localhost", 8000)
    filler = place.data / "filler"
    await writer.send(5)
    assert len(writer.kept) == 5 and place.is_ready()

    fill(filler)
    for _ in range(40):
        await writer.send(5)
        if len(romeo.refused) >= 20:
            break
    assert len(romeo.refused) >= 20, f"{len(romeo.refused)} refused of {writer.sent}"
    assert set(conditions) <= EXPECTED and len(conditions) == len(romeo.refused), conditions
    status, _, text = place.get("/readyz")
    assert status == 503 and "database" in text, (status, text)
    assert place.get("/healthz")[0] == 200
    # What needs no disk goes on.
    await ping(romeo, place)
    await ping(nurse, place)
    romeo.send(
        "<message type='headline' to='nurse@localhost/desk' id='news'><body>news</body></message>"
    )
    await until(lambda: ("news", False) in nurse.heard, "a message to somebody who is here")
    again = await place.signed_in("nurse", "second")
    await again.close()
    told = place.run("user", "add", "late@localhost", "--generate")
    assert told.returncode == 1 and "disk" in told.stderr, told
    assert "does not accept writes" in place.log()

    filler.unlink()
    await until(place.is_ready, "the server noticing that there is room again", RECOVERY)
    before = len(romeo.refused)
    await writer.send(10)
    assert len(romeo.refused) == before, "refused although there is room"
    assert place.log().count("accepts writes again") >= 1
    kept = writer.kept
    await romeo.close()
    assert await place.stop() == 0
    await place.start()
    got = await collect(place, "juliet")
    assert got == kept, f"{len(kept - got)} lost, {len(got - kept)} refused and yet there"


@scenario("faults: a server on a full disk starts when there is room, and ends in order")
async def full_disk_start(box):
    place = box.place()
    mount_small_disk(box, place.data, "2m")
    filler = place.data / "filler"
    fill(filler)
    ended = subprocess.run(
        place.command(), text=True, capture_output=True, timeout=10, cwd=place.folder
    )
    assert ended.returncode == 1, ended
    assert any(word in ended.stderr for word in ("full", "No space left")), ended.stderr
    assert "panicked" not in ended.stderr
    filler.unlink()
    await place.start()
    place.add_account("romeo", "Correct horse, battery staple 1")
    romeo = await place.signed_in("romeo")
    fill(filler)
    assert await place.stop() == 0, place.log_tail()
    romeo.cut()
    filler.unlink()
    await place.start()
    assert place.json("user", "show", "romeo@localhost")


def mount_small_disk(box, folder, size):
    if os.getuid() != 0:
        raise Skip("only root can mount a small disk")
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)],
        capture_output=True, text=True,
    )
    if made.returncode != 0:
        raise Skip(f"no small disk can be mounted: {made.stderr.strip()}")
    box.at_end(lambda: subprocess.run(["umount", "-l", str(folder)], check=False))


def fill(file):
    """Takes all the room that is left."""
    with file.open("wb", buffering=0) as out:
        for size in (65536, 512):
            try:
                while True:
                    out.write(b"\0" * size)
            except OSError:
                pass


@scenario("faults: PostgreSQL stops and starts again under load", seconds=90)
async def postgres_restarts(box):
    postgres = box.postgres()
    place = box.place(modules__offline={"messages": 100000, "size": "1 GiB"})
    place.configure(storage={"url": postgres.database("restarts")})
    await place.start()
    for name in ("romeo", "juliet", "nurse"):
        place.add_account(name, "Correct horse, battery staple 1")
    romeo, nurse = await place.signed_in("romeo"), await place.signed_in("nurse", managed=False)
    conditions = watch_errors(romeo)
    writer = Writer(romeo, "juliet@localhost", 100)
    await writer.send(20)
    assert len(writer.kept) == 20
    load = asyncio.ensure_future(keep_sending(writer))
    await asyncio.sleep(0.3)
    before = len(writer.kept)
    assert before > 20
    box.at_end(lambda: postgres.again() if not is_up(postgres) else None)
    await asyncio.to_thread(postgres.halt)
    await until(lambda: romeo.refused, "refusals")
    await until(lambda: not place.is_ready(), "the server noticing")
    await ping(romeo, place)
    await ping(nurse, place)
    romeo.send(
        "<message type='headline' to='nurse@localhost/desk' id='news'><body>news</body></message>"
    )
    await until(lambda: ("news", False) in nurse.heard, "a message to somebody who is here")
    told = place.run("user", "add", "late@localhost", "--generate")
    assert told.returncode == 1 and "PostgreSQL" in told.stderr, told
    await asyncio.to_thread(postgres.again)
    await until(place.is_ready, "the server noticing that PostgreSQL is back", RECOVERY)
    kept = len(writer.kept)
    await until(lambda: len(writer.kept) > kept + 20, "service resuming by itself")
    load.cancel()
    await writer.settle()
    # The server went away in the middle of commits: of those nobody knows, and the sender is
    # told an error; all others are as they were told.
    assert set(conditions) <= EXPECTED, set(conditions)
    kept = writer.kept
    await romeo.close()
    assert await place.stop() == 0
    await place.start()
    got = await collect(place, "juliet")
    assert kept <= got, f"{len(kept - got)} lost of {len(kept)}"
    assert len(got - kept) <= 20, f"{len(got - kept)} refused and yet there"


async def keep_sending(writer):
    while True:
        await writer.send(5)


def is_up(postgres):
    try:
        return bool(postgres.sql("SELECT 1"))
    except AssertionError:
        return False
