"""Compressed WebSockets (RFC 7692) and those on HTTP/2 (RFC 8441), with clients that do both by
themselves: aiohttp and Chromium."""

import re
import ssl
import tempfile
from pathlib import Path

import aiohttp
from registry import ours
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


@ours("aiohttp: a compressed WebSocket opens a stream, whatever its window")
async def library(world):
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


@ours("Converse.js: its browser's WebSocket is compressed, once it has signed in", seconds=120)
async def browser(world):
    before = await saved(world.server)
    await converse(world, world.server.wss_url, "converse-deflate.png")
    now = await saved(world.server)
    for direction in ("sent", "received"):
        assert now[direction, "plain"] > before.get((direction, "plain"), 0), (before, now)
        assert now[direction, "plain"] > now[direction, "compressed"], now


def connections(port):
    """How many TCP connections to a port of this machine are open, seen from the port."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


@ours("Chromium: a page and its WebSockets share one HTTP/2 connection", seconds=60)
async def second(world):
    port = world.server.https_port
    before = connections(port)
    page = await world.web_client(
        "second.mjs", page=f"https://{DOMAIN}:{port}/healthz", url=world.server.wss_url,
        certificate=world.server.certificate,
        profile=tempfile.mkdtemp(prefix="chromium-", dir=world.server.folder),
    )
    page.do("open", count=3)
    told = await page.wait("open", seconds=40)
    assert told["hop"] == "h2", told
    for socket in told["sockets"]:
        assert socket["protocol"] == "xmpp" and "<open " in socket["data"], told
        assert socket["extensions"].startswith("permessage-deflate"), told
    # Chromium may have a second connection ready that it found no use for; without sharing there
    # would be four.
    assert before < connections(port) <= before + 2, (before, connections(port))
    page.do("close")
    await page.wait("closed", seconds=20)
