"""The web's libraries in Node.js over `ws://`, `wss://` and BOSH, each with a slixmpp partner on TCP."""

import asyncio

from registry import ours, scenario
from world import PASSWORD

CLIENTS = {
    "xmpp.js": {"script": "xmppjs.mjs"},
    "stanza": {"script": "stanza.mjs"},
    "Strophe 5": {"script": "strophe.mjs"},
    "Strophe 4": {"script": "strophe.mjs", "library": "strophe.js-4"},
}
RESUMES = {"xmpp.js", "stanza", "Strophe 5"}


async def web_client(world, library, url):
    """The program of this library, not yet signed in, and its bare address."""
    address = world.account("juliet")
    client = await world.web_client(
        **CLIENTS[library], url=url, username=address.split("@")[0], resource="web"
    )
    return client, address


async def talk(world, library, url):
    """Wrong and right password, presence, chat both ways, and a clean close."""
    romeo = await world.signed_in("romeo")
    client, address = await web_client(world, library, url)
    client.do("signIn", password="wrong")
    await client.wait("refused")
    client.do("signIn", password=PASSWORD)
    jid = (await client.wait("online"))["jid"]
    # By Bind 2 the server adds the end of the resource (XEP-0386 §4.1).
    assert jid == f"{address}/web" or jid.startswith(f"{address}/web/"), jid

    client.do("available")
    client.do("available", to=romeo.boundjid.full)
    await romeo.wait("available", lambda p: p["from"] == jid)
    romeo.send_presence(pto=jid)
    await client.wait("presence", **{"from": romeo.boundjid.full, "type": "available"})

    text = "Parting is such sweet <sorrow> & 🌙"
    romeo.say(jid, text)
    await client.wait("message", **{"from": romeo.boundjid.full, "body": text})
    client.do("say", to=romeo.boundjid.full, body=text)
    assert (await romeo.hear(text))["from"] == jid

    client.do("close")
    await client.wait("closed")
    await romeo.wait("unavailable", lambda p: p["from"] == jid)


async def through_a_cable(world, library, url):
    """A cable that can be cut, Romeo, and a client behind it which he has heard from: with its bare
    and its full address."""
    cable = await world.cable(world.server.http_port)
    romeo = await world.signed_in("romeo")
    url = url.replace(f":{world.server.http_port}", f":{cable.port}")
    client, address = await web_client(world, library, url)
    client.do("signIn", password=PASSWORD)
    jid = (await client.wait("online"))["jid"]
    client.do("available")
    client.do("say", to=romeo.boundjid.full, body="here")
    await romeo.hear("here")
    return cable, romeo, client, address, jid


async def lose(world, library):
    """The socket dies; what was said meanwhile arrives once: resumed, or from the offline store."""
    cable, romeo, client, address, jid = await through_a_cable(world, library, world.server.ws_url)
    cable.hold("down")
    romeo.say(jid if library in RESUMES else address, "swallowed by the network")
    await romeo.plugin["xep_0199"].ping(world.server_domain)
    cable.cut()
    await client.wait("lost")
    if "Strophe" in library:
        client.do("reconnect")
    await client.wait("resumed" if library in RESUMES else "online")
    if library not in RESUMES:
        client.do("available")
        romeo.say(address, "found you again")
        await client.wait("message", body="found you again")
        return
    await client.wait("message", body="swallowed by the network")
    client.do("say", to=romeo.boundjid.full, body="back again")
    await romeo.hear("back again")
    await asyncio.sleep(0.5)
    assert not [e for e in client.seen if e["event"] == "message"], client.seen


def register(library):
    @scenario(f"{library}: wrong and right password, presence, chat and close over ws://")
    async def over_ws(world):
        await talk(world, library, world.server.ws_url)

    @scenario(f"{library}: wrong and right password, presence, chat and close over wss://")
    async def over_wss(world):
        await talk(world, library, world.server.wss_url)

    gain = "resumes" if library in RESUMES else "signs in again"
    @scenario(f"{library}: loses the socket and {gain}")
    async def loses(world):
        await lose(world, library)


def register_bosh(library):
    @ours(f"{library}: wrong and right password, presence, chat and close over BOSH")
    async def over_http(world):
        await talk(world, library, world.server.bosh_url)

    @ours(f"{library}: wrong and right password, presence, chat and close over BOSH on TLS")
    async def over_https(world):
        await talk(world, library, world.server.secure_bosh_url)

    @ours(f"{library}: its connections break, and its BOSH session goes on")
    async def breaks(world):
        await outlive(world, library)


async def outlive(world, library):
    """BOSH asks again for what was lost (XEP-0124 §14.3): nobody notices anything."""
    cable, romeo, client, _, jid = await through_a_cable(world, library, world.server.bosh_url)
    cable.hold("down")
    romeo.say(jid, "swallowed by the network")
    await romeo.plugin["xep_0199"].ping(world.server_domain)
    cable.cut()
    await client.wait("message", body="swallowed by the network", seconds=30)
    client.do("say", to=romeo.boundjid.full, body="still here")
    await romeo.hear("still here", seconds=20)
    await asyncio.sleep(0.5)
    assert not [e for e in client.seen if e["event"] in ("message", "lost")], client.seen


for library in CLIENTS:
    register(library)
for library in ("Strophe 5", "Strophe 4"):
    register_bosh(library)
