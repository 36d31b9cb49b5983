"""xmpp.js in rooms and at nodes over `ws://` and `wss://`, with slixmpp beside it."""

from meeting import Occupant, guest, opened, service
from registry import scenario
from scenarios.nodes import entry, hears, node
from scenarios.web import web_client
from walk import Walk
from world import PASSWORD

MUC = "http://jabber.org/protocol/muc"
PUBSUB = "http://jabber.org/protocol/pubsub"


async def answer(client, name, kind, to, *payload):
    """The answer as text; None when it was refused, with the condition."""
    client.do("ask", name=name, kind=kind, to=to, payload=payload)
    told = await client.wait("answer", name=name)
    return told.get("text"), told.get("refused")


async def in_a_room(world, url):
    """Juliet in the web joins Romeo's room, talks, is made moderator, kicks Tybalt, and leaves."""
    steps = ("join", "talk", "nick", "no kick", "kick", "leave")
    romeo, tybalt = await guest(world, "romeo"), await guest(world, "tybalt")
    client, address = await web_client(world, "xmpp.js", url)
    client.do("signIn", password=PASSWORD)
    await client.wait("online")
    client.do("available")
    one = await opened(world, romeo, "web", "Romeo")
    room = one.room
    with Walk(*steps) as walk:
        with walk.step("join"):
            client.do("join", room=room, nick="Juliet")
            await client.wait("presence", **{"from": one.address, "role": "moderator"})
            own = {"from": f"{room}/Juliet", "isOwn": True}
            await client.wait("presence", **own, role="participant", affiliation="none")
            await one.sees("Juliet")
        with walk.step("talk"):
            one.say("O, speak again")
            await client.wait("message", **{
                "from": one.address, "body": "O, speak again", "kind": "groupchat",
            })
            client.do("say", to=room, body="Deny thy father", kind="groupchat")
            await one.hears("Deny thy father", "Juliet")
            await client.wait("message", **{"from": f"{room}/Juliet", "body": "Deny thy father"})
        with walk.step("nick"):
            client.do("join", room=room, nick="Julia")
            gone = await client.wait("presence", **own, type="unavailable")
            assert 303 in gone["codes"] and gone["nick"] == "Julia", gone
            await one.sees("Julia")
        kick = ["query", {"xmlns": f"{MUC}#admin"}, ["item", {"nick": "Tybalt", "role": "none"}]]
        with walk.step("no kick"):
            loud = Occupant(tybalt, room, "Tybalt")
            await loud.enter()
            _, refused = await answer(client, "kick", "set", room, *kick)
            assert refused in ("forbidden", "not-allowed"), refused
        with walk.step("kick"):
            await one.muc.set_role(room, "Julia", "moderator", timeout=10)
            await client.wait("presence", **{"from": f"{room}/Julia", "role": "moderator"})
            told, _ = await answer(client, "kick", "set", room, *kick)
            assert told, "a moderator may not kick"
            await loud.sees("Tybalt", "unavailable", codes={110, 307})
        with walk.step("leave"):
            client.do("leave", room=room, nick="Julia")
            await client.wait("presence", **{"from": f"{room}/Julia", "type": "unavailable"})
            await one.sees("Julia", "unavailable")


@scenario("xmpp.js: joins a room, talks, moderates and leaves over ws://", seconds=60)
async def room_ws(world):
    await in_a_room(world, world.server.ws_url)


@scenario("xmpp.js: joins a room, talks, moderates and leaves over wss://", seconds=60)
async def room_wss(world):
    await in_a_room(world, world.server.wss_url)


@scenario("xmpp.js: subscribes to a node, hears what is published, and publishes itself")
async def at_a_node(world):
    owner = await guest(world, "owner", "xep_0060")
    client, address = await web_client(world, "xmpp.js", world.server.ws_url)
    client.do("signIn", password=PASSWORD)
    await client.wait("online")
    client.do("available")
    host, name, pubsub = await node(world, owner, "web", notify_retract="1")
    at = {"node": name}

    told, refused = await answer(
        client, "subscribe", "set", host, "pubsub", {"xmlns": PUBSUB},
        ["subscribe", {**at, "jid": address}],
    )
    assert told and 'subscription="subscribed"' in told, (told, refused)
    await pubsub.publish(host, name, id="one", payload=entry("Good morrow"))
    await client.wait("news", **{"from": host, "node": name, "what": "item", "id": "one"})
    mine = ["item", {"id": "two"}, ["entry", {"xmlns": "http://www.w3.org/2005/Atom"}]]
    publish = ("pubsub", {"xmlns": PUBSUB}, ["publish", at, mine])
    _, refused = await answer(client, "publish", "set", host, *publish)
    assert refused == "forbidden", refused
    await pubsub.modify_affiliations(host, name, [(address, "publisher")], timeout=10)
    told, refused = await answer(client, "publish", "set", host, *publish)
    assert told, refused
    await client.wait("news", node=name, what="item", id="two")
    await pubsub.subscribe(host, name, timeout=10)
    await pubsub.retract(host, name, "one", notify="true", timeout=10)
    await client.wait("news", node=name, what="retract", id="one")
    await hears(owner, name, child="retract", id="one")
    assert await service(owner, "pubsub", "service") == host
