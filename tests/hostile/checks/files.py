"""Files by HTTP (XEP-0363): uploads that were not announced so, downloads that never end."""

import asyncio
import os
import re
from urllib.parse import urlsplit

from attack import attack, expect
from line import DOMAIN

MIB = 1 << 20


async def slot(node, size, name="a.bin", line=None):
    """The paths to put a file to and to get it from."""
    line = line or await node.session()
    await line.say(
        f"<iq type='get' id='slot' to='upload.{DOMAIN}'><request "
        f"xmlns='urn:xmpp:http:upload:0' filename='{name}' size='{size}'/></iq>"
    )
    found = await line.hear(rb"<put url='([^']+)'.*?<get url='([^']+)'")
    return [urlsplit(url.decode()).path for url in found.groups()]


def head(method, path, *headers):
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {DOMAIN}", *headers, "", ""])


async def status(node, *parts, seconds=10):
    """The status of the answer to these pieces of a request."""
    line = await node.line(port=node.http_port)
    for part in parts:
        await line.say(part)
    found = await line.hear(rb"HTTP/1\.1 (\d+)", seconds)
    line.cut()
    return int(found[1])


async def upload(node, data):
    """Uploads a file and gives its path."""
    put, get = await slot(node, len(data))
    heard = await status(node, head("PUT", put, f"Content-Length: {len(data)}"), data)
    expect(heard == 201, heard)
    return get


@attack("files: uploads that are not the announced one: 4xx, and the slot stays good", 40)
async def wrong(node):
    put, get = await slot(node, 10)
    folder, token, secret, name = put.rsplit("/", 3)
    length = "Content-Length: 10"
    chunked = "a\r\n0123456789\r\n0\r\n\r\n"
    wanted = {
        "longer": (head("PUT", put, "Content-Length: 11") + "x" * 11, 413),
        "much longer": (head("PUT", put, f"Content-Length: {10**18}") + "x" * 5000, 413),
        "shorter": (head("PUT", put, "Content-Length: 9") + "x" * 9, 400),
        "chunked": (head("PUT", put, "Transfer-Encoding: chunked") + chunked, 411),
        "no length": (head("PUT", put), 411),
        "to the address for all": (head("PUT", get, length) + "x" * 10, 405),
        "another secret": (head("PUT", put.replace(secret, "0" * 32), length) + "x" * 10, 403),
        "another token": (head("PUT", put.replace(token, "0" * 32), length) + "x" * 10, 404),
        "another name": (head("PUT", f"{folder}/{token}/{secret}/b", length) + "x" * 10, 404),
        "no secret": (head("PUT", f"{folder}/{token}//{name}", length) + "x" * 10, 404),
        "deleted": (head("DELETE", get), 405),
        "posted": (head("POST", put, length) + "x" * 10, 405),
        "not there yet": (head("GET", get), 404),
    }
    for title, (request, code) in wanted.items():
        heard = await status(node, request)
        expect(heard == code, f"{title}: {heard} instead of {code}")
    expect(await status(node, head("PUT", put, length), "0123456789") == 201, "not taken")
    expect(await status(node, head("PUT", put, length), "9876543210") == 409, "overwritten")
    line = await node.line(port=node.http_port)
    await line.say(head("GET", get, "Connection: close"))
    expect((await line.rest()).endswith(b"0123456789"), "not what was uploaded")


@attack("files: no path leads out of the folder of files", 30)
async def paths(node):
    get = await upload(node, b"0123456789")
    folder, token, _ = get.rsplit("/", 2)
    for path in (
        f"{folder}/../../secret",
        f"{folder}/..%2f..%2fsecret/x",
        f"{folder}/%2e%2e/waxwing.db",
        f"{folder}/{token}/../../../waxwing.db",
        f"{folder}/{token}/..%2f..%2f..%2fwaxwing.db",
        f"{folder}/{token}.part/a.bin",
        f"{folder}/{token}/a.bin%00",
        f"{folder}//etc/passwd",
        f"/upload/../upload/{DOMAIN}/{token}/b",
        f"/upload/{token}/a.bin",
        f"/upload/{DOMAIN}/",
        "/upload/",
    ):
        for method in ("GET", "PUT"):
            heard = await status(node, head(method, path, "Content-Length: 0"))
            expect(heard in (400, 404, 405), f"{method} {path}: {heard}")


@attack("files: ranges that ask for a file many times over get it once", 30)
async def ranges(node):
    data = os.urandom(MIB)
    get = await upload(node, data)
    many = "Range: bytes=" + ",".join(["0-"] * 1000)
    line = await node.line(port=node.http_port)
    await line.say(head("GET", get, many, "Connection: close"))
    heard = await line.rest(20)
    expect(heard.startswith(b"HTTP/1.1 200 "), heard[:80])
    expect(len(heard) < MIB + 4096, len(heard))
    for odd, code in (
        ("bytes=1048576-", 416), ("bytes=-0", 416), ("bytes=5-2", 200), ("bytes=", 200),
        ("bytes=18446744073709551616-18446744073709551617", 416), ("bytes=0-0", 206),
        ("bytes=-18446744073709551616", 206),
    ):
        heard = await status(node, head("GET", get, f"Range: {odd}"))
        expect(heard == code, f"{odd}: {heard} instead of {code}")


@attack("files: 20 downloads of 32 MiB that nobody takes weigh little", 60)
async def untaken(node):
    get = await upload(node, os.urandom(32 * MIB))
    lines = [await node.line(port=node.http_port) for _ in range(20)]
    before = node.weight()
    for line in lines:
        await line.say(head("GET", get))
    await asyncio.sleep(2)
    # What they weigh together is far from one file, let alone twenty.
    expect(node.weight() < before + 24, (before, node.weight()))
    for line in lines:
        line.cut()


@attack("files: uploads that stop half-way leave nothing behind", 60)
async def halves(node):
    folder = node.data / "upload"
    count = len([path for path in folder.rglob("*") if path.is_file()])
    session = await node.session()
    lines = []
    for _ in range(3):
        paths = [await slot(node, MIB, line=session) for _ in range(4)]
        for put, _ in paths:
            line = await node.line(port=node.http_port)
            await line.say(head("PUT", put, f"Content-Length: {MIB}") + "x" * 50_000)
            lines.append(line)
        await asyncio.sleep(0.2)
        for line in lines:
            line.cut()
        lines.clear()
    for _ in range(100):
        left = [path for path in folder.rglob("*") if path.is_file()]
        if len(left) == count:
            break
        await asyncio.sleep(0.1)
    expect(len(left) == count, f"{len(left) - count} files are left")


@attack("files: who asks for slots without end is told to wait")
async def slots(node):
    session = await node.session("absent")
    for number in range(20):
        await slot(node, 1000, line=session)
    await session.say(
        f"<iq type='get' id='more' to='upload.{DOMAIN}'><request "
        "xmlns='urn:xmpp:http:upload:0' filename='a' size='1000'/></iq>"
    )
    found = await session.hear(rb"<iq [^>]*type='error'.*?</iq>")
    expect(b"resource-constraint" in found[0], found[0])
    expect(re.search(rb"<retry [^>]*stamp='", found[0]), found[0])
