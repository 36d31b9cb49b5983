"""Files by HTTP (XEP-0363), found and uploaded by slixmpp, fetched by whoever has the address."""

import asyncio
import io
import ssl
from urllib.parse import urlsplit

import aiohttp
from own import own_server
from registry import ours
from servers import DOMAIN
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0363 import FileTooBig
from world import World

PICTURE = bytes(range(256)) * 1024


async def uploader(world, name="romeo"):
    peer = await world.signed_in(name)
    peer.register_plugin("xep_0363")
    return peer, peer.plugin["xep_0363"]


async def send(files, data, name="un balcon à Vérone.jpg", kind="image/jpeg", **more):
    return await files.upload_file(
        name, content_type=kind, input_file=io.BytesIO(data), timeout=10, **more
    )


async def fetch(url, method="GET", **more):
    """Status, header fields and body."""
    async with aiohttp.ClientSession() as session:
        async with session.request(method, url, **more) as answer:
            return answer.status, answer.headers, await answer.read()


@ours("slixmpp: finds the service, uploads a picture, and the other one fetches it")
async def picture(world):
    romeo, files = await uploader(world)
    juliet = await world.signed_in("juliet")
    url = await send(files, PICTURE)
    romeo.say(juliet.boundjid.bare, url)
    heard = (await juliet.hear(url))["body"]
    status, headers, body = await fetch(heard)
    assert (status, body) == (200, PICTURE), (status, len(body))
    assert headers["Content-Type"] == "image/jpeg", headers
    assert headers["Content-Disposition"].startswith("inline; "), headers
    assert headers["X-Content-Type-Options"] == "nosniff", headers
    assert "sandbox" in headers["Content-Security-Policy"], headers
    assert headers["Access-Control-Allow-Origin"] == "*", headers

    status, headers, body = await fetch(heard, headers={"Range": "bytes=256-511"})
    assert (status, body) == (206, bytes(range(256))), (status, body)
    assert headers["Content-Range"] == f"bytes 256-511/{len(PICTURE)}", headers
    status, headers, body = await fetch(heard, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(PICTURE)), b"")
    status, headers, _ = await fetch(
        heard, "OPTIONS",
        headers={"Origin": "https://app.example", "Access-Control-Request-Method": "GET"},
    )
    assert status == 204 and "GET" in headers["Access-Control-Allow-Methods"], headers


@ours("slixmpp: what is too large or for an unknown purpose is refused before it is sent")
async def refused(world):
    _, files = await uploader(world)
    # The usual purposes are offered.
    for purpose in ("message", "profile"):
        await send(files, b"x" * 100, name="avatar.png", kind="image/png", purpose=purpose)
    try:
        await send(files, b"x", name="big", size=10**9)
    except FileTooBig as error:
        assert error.args == (10**9, 64 << 20), error.args
    else:
        raise AssertionError("a file of 10^9 bytes was taken")
    try:
        await files.request_slot(f"upload.{DOMAIN}", "big", 10**9)
    except IqError as error:
        assert error.condition == "not-acceptable", error
    else:
        raise AssertionError("a slot for 10^9 bytes was given")


@ours("slixmpp: a slot takes one file of its size, once")
async def once(world):
    _, files = await uploader(world)
    answer = await files.request_slot(f"upload.{DOMAIN}", "a.txt", 5, "text/plain")
    slot = answer["http_upload_slot"]
    put, get = slot["put"]["url"], slot["get"]["url"]
    kind = {"Content-Type": "text/plain"}
    assert (await fetch(get, "PUT", data=b"12345", headers=kind))[0] == 405
    assert (await fetch(put, "PUT", data=b"1234", headers=kind))[0] == 400
    assert (await fetch(put, "PUT", data=b"123456", headers=kind))[0] == 413
    assert (await fetch(put, "PUT", data=b"12345", headers={"Content-Type": "a/b"}))[0] == 415
    assert (await fetch(get))[0] == 404
    assert (await fetch(put, "PUT", data=b"12345", headers=kind))[0] == 201
    assert (await fetch(put, "PUT", data=b"54321", headers=kind))[0] == 409
    assert (await fetch(get))[2] == b"12345"


@ours("slixmpp: files survive a kill, and go with their account")
async def durable(world):
    async with own_server() as server:
        elsewhere = World(server, 0, world.artefacts)
        try:
            _, files = await uploader(elsewhere)
            url = await send(files, PICTURE)
            await server.kill()
            await server.start()
            status, _, body = await fetch(url)
            assert (status, body) == (200, PICTURE), status
            folder = server.data / "upload"
            assert [path for path in folder.rglob("*") if path.is_file()], "no file is there"
            await asyncio.to_thread(server.remove_account, "romeo0")
            assert (await fetch(url))[0] == 404
            left = [path for path in folder.rglob("*") if path.is_file()]
            assert not left, left
        finally:
            await elsewhere.clean_up()


@ours("slixmpp: uploads over HTTPS, where the public address says so")
async def secure(world):
    port = world.server.https_port
    top = f'[http]\npublic_url = "https://{DOMAIN}:{port}"\n'
    async with own_server(top) as server:
        elsewhere = World(server, 0, world.artefacts)
        try:
            _, files = await uploader(elsewhere)
            answer = await files.request_slot(f"upload.{DOMAIN}", "a b", len(PICTURE), "a/b")
            slot = answer["http_upload_slot"]
            urls = [urlsplit(slot[which]["url"]) for which in ("put", "get")]
            assert all(url.netloc == f"{DOMAIN}:{port}" for url in urls), urls
            # That address is the public one; here the server listens elsewhere.
            put, get = (url._replace(netloc=f"{DOMAIN}:{server.https_port}") for url in urls)
            context = ssl.create_default_context(cafile=server.certificate)
            kind = {"Content-Type": "a/b"}
            sent = await fetch(put.geturl(), "PUT", data=PICTURE, headers=kind, ssl=context)
            assert sent[0] == 201, sent
            assert (await fetch(get.geturl(), ssl=context))[2] == PICTURE
        finally:
            await elsewhere.clean_up()
