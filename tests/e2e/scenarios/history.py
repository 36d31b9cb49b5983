"""slixmpp reads its archive (XEP-0313, XEP-0441)."""

import asyncio
from datetime import datetime, timedelta, timezone

from registry import scenario
from slixmpp.exceptions import IqError

PLUGINS = ("xep_0313", "xep_0441", "xep_0424")


async def historian(world, name, resource="desk"):
    peer = world.peer(name, resource)
    for plugin in PLUGINS:
        peer.register_plugin(plugin)
    return await peer.sign_in(world.server.host, world.server.tcp_port)


async def pages(peer, **options):
    """Ids and bodies of all messages of a question, page by page of ten."""
    found = []
    async for message in peer.plugin["xep_0313"].iterate(**options):
        result = message["mam_result"]
        found.append((result["id"], result["forwarded"]["stanza"]["body"]))
    return found


async def settled(peer, world):
    """Waits until the server has dealt with all that the peer sent."""
    await peer.plugin["xep_0199"].ping(world.server_domain)


@scenario("slixmpp: a new device finds the whole conversation, forwards and backwards")
async def history(world):
    romeo = await historian(world, "romeo")
    juliet = await historian(world, "juliet")
    said = []
    for i in range(12):
        one, other = (romeo, juliet) if i % 2 else (juliet, romeo)
        said.append(f"line {i} <&> 🌹")
        one.say(other.boundjid.bare, said[-1])
        await other.hear(said[-1])
    phone = await historian(world, "romeo", "phone")
    forwards = await pages(phone)
    assert [body for _, body in forwards] == said, forwards
    backwards = await pages(phone, reverse=True)
    assert backwards == forwards[::-1], backwards
    assert len({id for id, _ in forwards}) == len(said)


@scenario("slixmpp: the stanza id of a message is its id in the archive, also from the spool")
async def ids(world):
    juliet = await historian(world, "juliet")
    address = world.account("romeo")
    juliet.say(address, "while you were away")
    await settled(juliet, world)
    romeo = await historian(world, "romeo")
    seen = [(await romeo.hear("while you were away"))["stanza_id"]]
    juliet.say(address, "now you are here")
    seen.append((await romeo.hear("now you are here"))["stanza_id"])
    assert all(it["by"] == address for it in seen), seen
    assert [it["id"] for it in seen] == [id for id, _ in await pages(romeo)]


@scenario("slixmpp: the archive is asked by person and by time, and says what it spans")
async def filters(world):
    romeo = await historian(world, "romeo")
    juliet, nurse = world.account("juliet"), world.account("nurse")
    for address in (juliet, nurse, juliet):
        romeo.say(address, f"for {address}")
    await settled(romeo, world)
    with_juliet = await pages(romeo, with_jid=juliet)
    assert [body for _, body in with_juliet] == [f"for {juliet}"] * 2, with_juliet
    everything = await pages(romeo)
    metadata = (await romeo.plugin["xep_0313"].get_archive_metadata())["mam_metadata"]
    assert metadata["start"]["id"] == everything[0][0], metadata
    assert metadata["end"]["id"] == everything[-1][0], metadata
    now = datetime.now(timezone.utc)
    assert await pages(romeo, start=now + timedelta(hours=1)) == []
    assert await pages(romeo, end=now + timedelta(hours=1)) == everything


@scenario("slixmpp: what its sender takes back is gone from both archives")
async def retraction(world):
    romeo = await historian(world, "romeo")
    juliet = await historian(world, "juliet")
    wrong = romeo.say(juliet.boundjid.bare, "Dear Rosaline")
    await juliet.hear("Dear Rosaline")
    romeo.plugin["xep_0424"].send_retraction(juliet.boundjid.bare, wrong)
    for peer in (romeo, juliet):
        for _ in range(40):
            found = await pages(peer)
            if all(body != "Dear Rosaline" for _, body in found):
                break
            await asyncio.sleep(0.5)
        assert len(found) == 2 and found[0][1] == "", found


@scenario("slixmpp: nobody reads another's archive, and a person decides what is kept")
async def preferences(world):
    romeo = await historian(world, "romeo")
    juliet = world.account("juliet")
    try:
        await romeo.plugin["xep_0313"].retrieve(jid=juliet)
        raise AssertionError("Romeo reads Juliet's archive")
    except IqError as error:
        assert error.condition == "forbidden", error.condition
    await romeo.plugin["xep_0441"].set_preferences("always", never=[juliet])
    default, _, never = await romeo.plugin["xep_0441"].get_preferences()
    assert default == "always" and [str(jid) for jid in never] == [juliet], (default, never)
    romeo.say(juliet, "not for the archive")
    await settled(romeo, world)
    assert await pages(romeo) == []
