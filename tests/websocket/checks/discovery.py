"""XEP-0156: how clients find the WebSocket."""

import asyncio
import json
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from rows import check, expect

XRD = "/.well-known/host-meta"
JRD = "/.well-known/host-meta.json"
WEBSOCKET = "urn:xmpp:alt-connections:websocket"
BOSH = "urn:xmpp:alt-connections:xbosh"
URL = "wss://chat.localhost/xmpp-websocket"
BOSH_URL = "https://chat.localhost/http-bind"


def links_of(reply):
    if reply.header("content-type")[0].startswith("application/json"):
        return [(link["rel"], link["href"]) for link in json.loads(reply.body)["links"]]
    links = ElementTree.fromstring(reply.body).findall("{*}Link")
    return [(link.get("rel"), link.get("href")) for link in links]


@check("D01 D11 H15 H10 R47", "host-meta in XML, over HTTPS, on the bare domain")
async def xml(world):
    for tls in (True, False):
        reply = await world.http(path=XRD, tls=tls)
        expect(reply.status == 200, reply)
        expect(reply.header("content-type")[0].startswith("application/xrd+xml"), reply)
        root = ElementTree.fromstring(reply.body)
        expect(root.tag == "{http://docs.oasis-open.org/ns/xri/xrd-1.0}XRD", reply)
        expect(links_of(reply) == [(WEBSOCKET, URL), (BOSH, BOSH_URL)], reply)


@check("D02 D04", "host-meta.json holds the same links")
async def same_links(world):
    one, two = await world.http(path=XRD, tls=True), await world.http(path=JRD, tls=True)
    expect(two.header("content-type")[0].startswith("application/json"), two)
    expect(links_of(one) == links_of(two), f"{one} {two}")
    expect(WEBSOCKET in dict(links_of(two)), two)


@check("D03", "nothing but wss:// and https:// is ever named")
async def secure_only(world):
    for node in (world.main, world.brisk):
        for path in (XRD, JRD):
            for rel, href in links_of(await world.http(node, path=path)):
                expect(href.startswith(("wss://", "https://")), f"{rel} {href}")


@check("D05", "CORS on these two documents only")
async def cors(world):
    origin = {"Origin": "https://app.example"}
    for path in (XRD, JRD):
        reply = await world.http(path=path, tls=True, change=origin)
        expect(reply.header("access-control-allow-origin") == ["*"], reply)
    for path in ("/", "/healthz", "/metrics", "/xmpp-websocket", "/none"):
        reply = await world.http(path=path, tls=True, change=origin)
        expect(not reply.header("access-control-allow-origin"), f"{path}: {reply}")


@check("D07", "a client that asks for JSON by Accept gets JSON, and caches are told")
async def accept(world):
    reply = await world.http(path=XRD, tls=True, change={"Accept": "application/json"})
    expect(reply.header("content-type")[0].startswith("application/json"), reply)
    expect(reply.header("vary") == ["Accept"], reply)


@check("D09", "the usual path and /ws both lead to the WebSocket")
async def paths(world):
    for path in ("/xmpp-websocket", "/ws", "/ws?x=1"):
        client = await world.dial(path=path)
        await client.hello()


@check("R38 D03", "the configuration refuses to send clients to a place without TLS")
async def insecure_targets(world):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "waxwing.toml"
        file.write_text('[server]\ndrain_to = "http://chat2.example.org"\n')
        node = world.main
        process = await asyncio.create_subprocess_exec(
            node.binary, "check", "--config", str(file), "--data", folder,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    expect(process.returncode != 0 and b"drain_to" in output, output.decode())
