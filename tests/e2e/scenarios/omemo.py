"""OMEMO (XEP-0384) between Debian's profanity and another one, and between it and Converse.js."""

import asyncio
import contextlib

from meeting import guest, opened
from peer import befriend
from registry import scenario
from scenarios.browser import browser
from scenarios.events import publish
from slixmpp.exceptions import IqError
from terminal import profanity
from walk import Walk

AXOLOTL = "eu.siacs.conversations.axolotl"
SECRET = "Three words, dear Romeo, and good night indeed"
ANSWER = "So thrive my soul"
ROOM_SECRET = "These violent delights have violent ends"


async def prepare(world, *names):
    """What profanity needs of Prosody, whose errors have no codes: it waits for a device list."""
    for name in names:
        peer = await guest(world, name, "xep_0060")
        empty = f"<list xmlns='{AXOLOTL}'/>"
        await publish(peer, f"{AXOLOTL}.devicelist", "current", empty, access_model="open")


async def keys(peer, owner):
    """How many devices and one-time keys somebody else finds in an account, as soon as there."""
    for _ in range(50):
        try:
            return await published(peer, owner)
        except IqError:
            await asyncio.sleep(0.2)
    return await published(peer, owner)


async def published(peer, owner):
    items = peer.plugin["xep_0060"].get_items
    found = (await items(owner, f"{AXOLOTL}.devicelist", timeout=10))["pubsub"]["items"]
    devices = [one.get("id") for one in next(iter(found))["payload"]]
    found = (await items(owner, f"{AXOLOTL}.bundles:{devices[0]}", timeout=10))["pubsub"]["items"]
    bundle = next(iter(found))["payload"]
    return len(devices), len(list(bundle.iter(f"{{{AXOLOTL}}}preKeyPublic")))


async def has_kept_encrypted(reader, *secrets):
    """The archive has the messages, and none of these words."""
    found = [
        message["mam_result"]["forwarded"]["stanza"].xml
        async for message in reader.plugin["xep_0313"].iterate()
    ]
    closed = [one for one in found if one.find(f"{{{AXOLOTL}}}encrypted") is not None]
    assert len(closed) >= len(secrets), found
    whole = " ".join(text for one in found for text in one.itertext())
    assert not any(secret in whole for secret in secrets), whole


@scenario("profanity: two of them publish OMEMO keys, and only they can read what they write",
          seconds=120)
async def omemo(world):
    steps = ("keys", "published", "write", "answer", "kept encrypted", "in a room",
             "closed in a room")
    romeo, juliet = world.account("romeo"), world.account("juliet")
    host = await guest(world, "host", "xep_0060")
    if not world.server.is_ours:
        await prepare(world, "romeo", "juliet")
    async with contextlib.AsyncExitStack() as programs:
        one = await programs.enter_async_context(profanity(world, "romeo"))
        two = await programs.enter_async_context(profanity(world, "juliet"))
        with Walk(*steps) as walk:
            with walk.step("keys"):
                for terminal in (one, two):
                    await terminal.type("/omemo trustmode blind")
                    await terminal.type("/omemo gen")
                    await terminal.shows("materials generated. Your Device ID", seconds=30)
            with walk.step("published"):
                for address in (romeo, juliet):
                    devices, spare = await keys(host, address)
                    assert devices == 1 and spare >= 20, (devices, spare)
            with walk.step("write"):
                await one.type(f"/omemo start {juliet}")
                await one.shows("[OMEMO]")
                await one.writes(f"[OMEMO] create session with {juliet} device")
                await one.type(SECRET)
                await two.type(f"/omemo start {romeo}")
                await two.shows(SECRET)
            with walk.step("answer"):
                await two.shows("[OMEMO]")
                await two.type(ANSWER)
                await one.shows(ANSWER)
            with walk.step("kept encrypted"):
                reader = await guest(world, "romeo", "xep_0313", resource="reader")
                await has_kept_encrypted(reader, SECRET, ANSWER)
            with walk.step("in a room"):
                owner = await opened(
                    world, host, "cell", "Friar", membersonly=True, whois="anyone"
                )
                for address in (romeo, juliet):
                    await owner.muc.set_affiliation(owner.room, "member", jid=address, timeout=10)
                for terminal, nick in ((one, "Romeo"), (two, "Juliet")):
                    await terminal.type(f"/join {owner.room} nick {nick}")
                    await owner.sees(nick, role="participant")
                await one.type("Come what sorrow can")
                await owner.hears("Come what sorrow can", "Romeo")
                await two.shows("Come what sorrow can")
                owner.say("So smile the heavens upon this holy act")
                for terminal in (one, two):
                    await terminal.shows("So smile the heavens upon this holy act")
            with walk.step("closed in a room"):
                await one.type("/omemo start")
                await one.shows("[OMEMO]")
                await one.type(ROOM_SECRET)
                await two.shows(ROOM_SECRET)
                heard = await host.wait(
                    "wire", lambda s: s.xml.find(f"{{{AXOLOTL}}}encrypted") is not None
                )
                assert heard["from"] == f"{owner.room}/Romeo", heard
                assert ROOM_SECRET not in str(heard), heard


@scenario("Converse.js and profanity: what one encrypts the other reads (OMEMO)", seconds=120)
async def across(world):
    steps = ("keys", "to the terminal", "to the browser", "kept encrypted")
    if not world.server.is_ours:
        await prepare(world, "romeo")
    romeo, juliet = world.account("romeo"), world.account("juliet")
    reader = await guest(world, "romeo", "xep_0313", resource="reader")
    await befriend(reader, await guest(world, "juliet", resource="reader"))
    async with (
        profanity(world, "romeo") as one,
        browser(world, "juliet", world.server.ws_url, "converse-omemo.png") as page,
    ):
        with Walk(*steps) as walk:
            with walk.step("keys"):
                await one.type("/omemo trustmode blind")
                await one.type("/omemo gen")
                await one.shows("materials generated. Your Device ID", seconds=30)
                await keys(reader, romeo)
                await keys(reader, juliet)
            with walk.step("to the terminal"):
                page.do("talkTo", to=romeo)
                await page.wait("talking", seconds=20)
                page.do("lock")
                await page.wait("locked", seconds=30)
                page.do("say", to=romeo, body=SECRET)
                await one.type(f"/omemo start {juliet}")
                await one.shows(SECRET)
            with walk.step("to the browser"):
                await one.shows("[OMEMO]")
                await one.type(ANSWER)
                page.do("shows", text=ANSWER)
                await page.wait("shown", seconds=25)
            with walk.step("kept encrypted"):
                await has_kept_encrypted(reader, SECRET, ANSWER)
