"""The first minutes: the link that the server prints, and the page behind it."""

import asyncio
import re
import tempfile

from peer import Peer
from registry import scenario
from servers import DOMAIN


async def printed_link(server):
    """The link among what the server says when it starts."""
    for _ in range(100):
        found = re.search(r"http://\S+/welcome/\w+", server.log_path.read_text())
        if found:
            return found.group()
        await asyncio.sleep(0.05)
    raise AssertionError(f"no link in\n{server.log_tail()}")


@scenario("Welcome page: the first account by keyboard in Chromium, and it signs in", seconds=120)
async def first_account(world):
    if world.server.name != "waxwing":
        return  # only Waxwing has the page
    server = type(world.server)(tempfile.mkdtemp(prefix="first-", dir=world.server.folder))
    await server.start()
    peer = None
    try:
        link = await printed_link(server)
        page = await world.web_client("welcome.mjs", url=link, artefacts=str(world.artefacts))
        page.do("create", name="Juliet")
        made = await page.wait("created", seconds=60)
        assert made["address"] == f"juliet@{DOMAIN}", made

        peer = Peer(f"{made['address']}/desk", made["password"], server.certificate)
        await peer.sign_in(server.host, server.tcp_port)
        page.do("again")
        seen = await page.wait("seen", seconds=40)
        assert not seen["faults"], seen
        page.do("close")
        await page.wait("closed")
    finally:
        if peer:
            peer.abort()
        await server.kill()
