"""Compressed WebSockets (RFC 7692), with clients that do it by themselves: aiohttp and Chromium."""

import re
import ssl

import aiohttp
from registry import scenario
from scenarios.browser import converse
from servers import DOMAIN

FRAMING = "urn:ietf:params:xml:ns:xmpp-framing"
OPEN = f"<open xmlns='{FRAMING}' to='{DOMAIN}' version='1.0'/>"


async def saved(server):
    """Bytes of compressed messages, by direction and form."""
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://{DOMAIN}:{server.http_port}/metrics") as answer:
            text = await answer.text()
    found = re.findall(r'deflate_bytes_total\{direction="(\w+)",form="(\w+)"\} (\d+)', text)
    return {(direction, form): int(number) for direction, form, number in found}


@scenario("aiohttp: a compressed WebSocket opens a stream, whatever its window")
async def library(world):
    if not world.server.is_ours:
        return
    before = await saved(world.server)
    context = ssl.create_default_context(cafile=world.server.certificate)
    async with aiohttp.ClientSession() as session:
        for window in (15, 12, 9):
            connecting = session.ws_connect(
                world.server.wss_url, protocols=["xmpp"], compress=window, ssl=context
            )
            async with connecting as socket:
                assert socket.compress, "not agreed on"
                await socket.send_str(OPEN)
                heard = [await socket.receive_str(timeout=10) for _ in range(2)]
                assert "<open " in heard[0] and "<stream:features" in heard[1], heard
                await socket.send_str(f"<close xmlns='{FRAMING}'/>")
                assert "<close " in await socket.receive_str(timeout=10)
    now = await saved(world.server)
    assert now["received", "plain"] > before.get(("received", "plain"), 0), (before, now)


@scenario("Converse.js: its browser's WebSocket is compressed, once it has signed in", seconds=120)
async def browser(world):
    if not world.server.is_ours:
        return
    before = await saved(world.server)
    await converse(world, world.server.wss_url, "converse-deflate.png")
    now = await saved(world.server)
    for direction in ("sent", "received"):
        assert now[direction, "plain"] > before.get((direction, "plain"), 0), (before, now)
        assert now[direction, "plain"] > now[direction, "compressed"], now
