"""Components (XEP-0114) that others wrote: slixmpp's, as a bot, as a gateway, and refused."""

import contextlib
import subprocess

from gateway import Gateway
from registry import ours, scenario
from servers import COMPONENT, DOMAIN, SECRET


@contextlib.asynccontextmanager
async def attached(server, domain=COMPONENT, secret=SECRET, plugins=()):
    gateway = Gateway(domain, secret, plugins)
    try:
        yield await gateway.attach(server)
    finally:
        await gateway.leave()


@scenario("slixmpp component: a bot echoes, also to who was away")
async def echo(world):
    async with attached(world.server) as bot:
        bot.echo()
        romeo = await world.signed_in("romeo")
        romeo.say(f"bot@{COMPONENT}", "hello <&> goodbye")
        message = await romeo.hear("echo: hello <&> goodbye")
        assert message["from"] == f"bot@{COMPONENT}", message
        # The bot writes first, to somebody who is not there.
        address = world.account("juliet")
        bot.say(f"bot@{COMPONENT}/x", address, "art thou there")
        juliet = await world.signed_in("juliet")
        message = await juliet.hear("art thou there")
        assert message["from"] == f"bot@{COMPONENT}/x", message


@scenario("slixmpp component: people find it, ask it, and it asks the server")
async def questions(world):
    async with attached(world.server) as bot:
        bot["xep_0030"].add_identity(category="gateway", itype="irc", name="Echo", lang="en")
        bot["xep_0092"].software_name = "Echo"
        romeo = await world.signed_in("romeo")
        items = await romeo["xep_0030"].get_items(jid=DOMAIN)
        found = {item[0]: item[2] for item in items["disco_items"]["items"]}
        assert COMPONENT in found, found
        info = await romeo["xep_0030"].get_info(jid=COMPONENT)
        kinds = {identity[:2] for identity in info["disco_info"]["identities"]}
        assert ("gateway", "irc") in kinds, kinds
        # slixmpp leaves `from` out here.
        assert await bot["xep_0199"].ping(DOMAIN, timeout=5) is not None
        info = await bot["xep_0030"].get_info(jid=DOMAIN, ifrom=f"bot@{COMPONENT}")
        assert info["disco_info"]["features"], info


@scenario("slixmpp component: somebody here and somebody there become contacts")
async def contacts(world):
    async with attached(world.server) as gateway:
        romeo = await world.signed_in("romeo")
        friend = f"friend@{COMPONENT}"
        romeo.send_presence_subscription(pto=friend, ptype="subscribe")
        asked = await gateway.wait("subscribe")
        assert (asked["from"], asked["to"]) == (romeo.boundjid.bare, friend), asked
        gateway.send_presence(pto=romeo.boundjid.bare, pfrom=friend, ptype="subscribed")
        await romeo.wait("subscribed", lambda p: p["from"] == friend)
        gateway.send_presence(pto=romeo.boundjid.bare, pfrom=f"{friend}/sea", pshow="away")
        seen = await romeo.wait("available", lambda p: p["from"].bare == friend)
        assert seen["from"] == f"{friend}/sea" and seen["show"] == "away", seen
        gateway.send_presence(pto=romeo.boundjid.bare, pfrom=friend, ptype="subscribe")
        await romeo.wait("subscribe", lambda p: p["from"] == friend)
        romeo.send_presence_subscription(pto=friend, ptype="subscribed")
        await gateway.wait("subscribed")
        await gateway.wait("available", lambda p: p["from"] == romeo.boundjid)
        await romeo.sign_out()
        await gateway.wait("unavailable", lambda p: p["from"].bare == romeo.boundjid.bare)


@scenario("slixmpp component: who is gone is said to be gone, and comes back")
async def absence(world):
    romeo = await world.signed_in("romeo")
    async with attached(world.server) as bot:
        bot.echo()
        romeo.say(f"bot@{COMPONENT}", "first")
        await romeo.hear("echo: first")
    romeo.say(f"bot@{COMPONENT}", "second")
    refused = await romeo.wait("message error")
    assert refused["error"]["type"] == "wait", refused
    async with attached(world.server) as bot:
        bot.echo()
        romeo.say(f"bot@{COMPONENT}", "third")
        await romeo.hear("echo: third")


@scenario("slixmpp component: a wrong secret and a second connection are refused")
async def refusals(world):
    liar = Gateway(COMPONENT, "something else")
    liar.connect(world.server.host, world.server.component_port)
    error = await liar.wait("stream error")
    assert error["condition"] == "not-authorized", error
    await liar.leave()
    async with attached(world.server) as bot:
        bot.echo()
        second = Gateway(COMPONENT, SECRET)
        second.connect(world.server.host, world.server.component_port)
        error = await second.wait("stream error")
        assert error["condition"] == "conflict", error
        await second.leave()
        romeo = await world.signed_in("romeo")
        romeo.say(f"bot@{COMPONENT}", "still there?")
        await romeo.hear("echo: still there?")


@ours("slixmpp component: the operator sees who is connected, and from where")
async def listed(world):

    def rows():
        told = subprocess.run(
            [world.server.binary, "component", "list", "--json", *world.server._base()],
            check=True, capture_output=True, text=True, timeout=20,
        )
        return told.stdout

    assert '"absent"' in rows(), rows()
    async with attached(world.server):
        text = rows()
        assert COMPONENT in text and '"connected"' in text and "127.0.0.1" in text, text
