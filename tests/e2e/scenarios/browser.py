"""Converse.js in headless Chromium: what a person in a browser sees."""

import tempfile

from registry import scenario
from world import PASSWORD


async def converse(world, url, picture):
    """Juliet in the browser and Romeo at slixmpp meet, and talk."""
    romeo = await world.signed_in("romeo")
    address = world.account("juliet")
    profile = tempfile.mkdtemp(prefix="chromium-", dir=world.server.folder)
    page = await world.web_client(
        "converse.mjs", url=url, username=address.split("@")[0], profile=profile,
        certificate=world.server.certificate,
    )
    try:
        page.do("signIn", password=PASSWORD)
        await page.wait("online", seconds=60)
        question = "O Romeo, Romeo! wherefore art thou Romeo?"
        page.do("say", to=romeo.boundjid.bare, body=question)
        heard = await romeo.hear(question, seconds=20)
        assert heard["from"].bare == address, heard

        answer = "Call me but love, and I'll be new baptized."
        romeo.say(heard["from"].full, answer)
        page.do("shows", text=answer)
        await page.wait("shown", seconds=25)
    finally:
        page.do("picture", file=str(world.artefacts / picture))
        await page.wait("taken", seconds=20)
    page.do("close")
    await page.wait("closed", seconds=20)


@scenario("Converse.js: signs in, chats both ways over ws:// in Chromium", seconds=120)
async def over_ws(world):
    await converse(world, world.server.ws_url, "converse.png")


@scenario("Converse.js: signs in, chats both ways over BOSH in Chromium", seconds=120)
async def over_bosh(world):
    if world.server.is_ours:
        await converse(world, world.server.bosh_url, "converse-bosh.png")


@scenario("Converse.js: signs in, chats both ways over wss:// in Chromium", seconds=120)
async def over_wss(world):
    await converse(world, world.server.wss_url, "converse-tls.png")
