"""Converse.js in headless Chromium: what a person in a browser sees."""

import asyncio
import contextlib
import hashlib
import struct
import tempfile
import zlib
from pathlib import Path

from own import own_server
from registry import ours, scenario
from servers import DOMAIN
from world import PASSWORD, World

WIDTH, HEIGHT = 120, 80


@contextlib.asynccontextmanager
async def browser(world, name, url, picture):
    """Somebody at Converse.js, signed in. What they saw last is kept as a picture."""
    address = world.account(name)
    profile = tempfile.mkdtemp(prefix="chromium-", dir=world.server.folder)
    page = await world.web_client(
        "converse.mjs", url=url, username=address.split("@")[0], profile=profile,
        certificate=world.server.certificate,
    )
    try:
        page.do("signIn", password=PASSWORD)
        await page.wait("online", seconds=60)
        yield page
    finally:
        page.do("picture", file=str(world.artefacts / picture))
        await page.wait("taken", seconds=20)
    page.do("close")
    await page.wait("closed", seconds=20)


async def converse(world, url, picture):
    """Juliet in the browser and Romeo at slixmpp meet, and talk."""
    romeo = await world.signed_in("romeo")
    async with browser(world, "juliet", url, picture) as page:
        question = "O Romeo, Romeo! wherefore art thou Romeo?"
        page.do("say", to=romeo.boundjid.bare, body=question)
        heard = await romeo.hear(question, seconds=20)
        assert heard["from"].bare == world.account("juliet"), heard

        answer = "Call me but love, and I'll be new baptized."
        romeo.say(heard["from"].full, answer)
        page.do("shows", text=answer)
        await page.wait("shown", seconds=25)


@scenario("Converse.js: signs in, chats both ways over ws:// in Chromium", seconds=120)
async def over_ws(world):
    await converse(world, world.server.ws_url, "converse.png")


@ours("Converse.js: signs in, chats both ways over BOSH in Chromium", seconds=120)
async def over_bosh(world):
    await converse(world, world.server.bosh_url, "converse-bosh.png")


@scenario("Converse.js: signs in, chats both ways over wss:// in Chromium", seconds=120)
async def over_wss(world):
    await converse(world, world.server.wss_url, "converse-tls.png")


async def reload(world, url, picture):
    """The page is loaded again, twice: at once, and after something was said meanwhile."""
    romeo = await world.signed_in("romeo")
    juliet = world.account("juliet")
    texts = ["before the page went", "while it was away", "and after it came back"]
    async with browser(world, "juliet", url, picture) as page:
        page.do("say", to=romeo.boundjid.bare, body="Good night!")
        full = (await romeo.hear("Good night!", seconds=20))["from"].full
        romeo.say(juliet, texts[0])
        page.do("shows", text=texts[0])
        await page.wait("shown", seconds=25)

        page.do("comeBack")
        back = [await page.wait("online", seconds=40)]
        page.do("leave")
        await page.wait("left")
        romeo.say(juliet, texts[1])
        await asyncio.sleep(0.5)
        page.do("comeBack")
        back.append(await page.wait("online", seconds=40))
        romeo.say(juliet, texts[2])
        page.do("talkTo", to=romeo.boundjid.bare)
        await page.wait("talking", seconds=20)
        for text in texts:
            page.do("shows", text=text)
            await page.wait("shown", seconds=25, text=text)
        page.do("counts", texts=["Good night!", *texts])
        found = (await page.wait("counted"))["found"]
        assert found == [1, 1, 1, 1], found
        # The session is the same: nothing is bound anew, and Romeo hears the same address.
        for one in back:
            assert not one["hasNewSession"] and not one["hasTypedPassword"], one
            assert one["isResumed"] or url.startswith("http"), one
        page.do("say", to=romeo.boundjid.bare, body="Sweet, good night!")
        heard = await romeo.hear("Sweet, good night!", seconds=20)
        assert heard["from"].full == full, (heard["from"], full)


@scenario("Converse.js: the page is loaded again, and its session goes on over ws://", seconds=150)
async def reload_ws(world):
    await reload(world, world.server.ws_url, "converse-reload.png")


@scenario("Converse.js: the page is loaded again, and its session goes on over BOSH", seconds=150)
async def reload_bosh(world):
    await reload(world, world.server.bosh_url, "converse-reload-bosh.png")


def png(width, height):
    """A picture that no other test has: a gradient, as PNG (RFC 2083)."""

    def chunk(kind, data):
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    rows = b"".join(
        b"\0" + b"".join(bytes((x * 255 // width, y * 255 // height, 90)) for x in range(width))
        for y in range(height)
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


async def send_picture(world, url, picture):
    """Juliet chooses a file; both of them see it, and it is the very file."""
    name = "un balcon.png"
    file = Path(world.server.folder) / name
    file.write_bytes(png(WIDTH, HEIGHT))
    async with (
        browser(world, "juliet", url, f"{picture}-from.png") as juliet,
        browser(world, "romeo", url, f"{picture}-to.png") as romeo,
    ):
        juliet.do("talkTo", to=world.account("romeo"))
        await juliet.wait("talking", seconds=20)
        romeo.do("talkTo", to=world.account("juliet"))
        await romeo.wait("talking", seconds=20)
        juliet.do("upload", file=str(file))
        for page in (romeo, juliet):
            page.do("pictured", name="/un%20balcon.png")
            seen = await page.wait("pictured", seconds=30)
            assert (seen["width"], seen["height"]) == (WIDTH, HEIGHT), seen
            whole = file.read_bytes()
            assert (seen["size"], seen["hash"]) == (
                len(whole), hashlib.sha256(whole).hexdigest()
            ), seen
            headers = seen["headers"]
            assert headers["content-type"] == "image/png", headers
            assert headers["x-content-type-options"] == "nosniff", headers
            assert "sandbox" in headers["content-security-policy"], headers


@ours("Converse.js: a picture sent by one browser is shown in the other", seconds=150)
async def upload(world):
    await send_picture(world, world.server.ws_url, "converse-picture")


@ours("Converse.js: a picture goes over https:// where the public address says so", seconds=150)
async def upload_tls(world):
    async with own_server() as server:
        # The public address is known before the server is: the ports stand in its file.
        public = f'[http]\npublic_url = "https://{DOMAIN}:{server.https_port}"\n'
        server.config.write_text(public + server.config.read_text())
        await server.stop()
        await server.start()
        elsewhere = World(server, 0, world.artefacts)
        try:
            await send_picture(elsewhere, server.wss_url, "converse-picture-tls")
        finally:
            await elsewhere.clean_up()
