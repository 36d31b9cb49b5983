"""The HTTP API: requests that are too much, and streams of events that nobody reads."""

import asyncio
import json
import socket
import subprocess

from attack import attack, expect
from checks.files import head
from line import DOMAIN, Line

BASE = f"/api/{DOMAIN}/v1/"
JSON = "Content-Type: application/json"


async def token(node, name, *scopes):
    """A token of this name, made anew."""
    def make():
        base = [node.binary, "token"]
        more = [*node._base(), "--json"]
        run = dict(check=True, capture_output=True, text=True, timeout=20)
        made = subprocess.run([*base, "create", name, *scopes, *more], **run)
        return json.loads(made.stdout)["facts"]["token"]

    return "Authorization: Bearer " + await asyncio.to_thread(make)


async def status(node, *parts, seconds=10):
    line = await node.line(port=node.http_port)
    try:
        for part in parts:
            await line.say(part)
        found = await line.hear(rb"HTTP/1\.1 (\d+)", seconds)
    finally:
        line.cut()
    return int(found[1])


def post(path, body, *headers):
    return head("POST", BASE + path, JSON, f"Content-Length: {len(body)}", *headers) + body


@attack("API: bodies that are too large, broken, deep or of something else: 4xx", 40)
async def bodies(node):
    bearer = await token(node, "bodies", "*")
    deep = '{"accountjid":' + "[" * 60_000
    wanted = {
        "too large": (post("user/add", "x" * 70_000, bearer), 413),
        "said to be very large": (
            head("POST", BASE + "user/add", JSON, f"Content-Length: {10**18}", bearer), 413),
        "endless": (
            head("POST", BASE + "user/add", JSON, "Transfer-Encoding: chunked", bearer)
            + "1000\r\n" + "x" * 0x1000 + "\r\n" + ("1000\r\n" + "x" * 0x1000 + "\r\n") * 30, 413),
        "deep": (post("user/add", deep, bearer), 400),
        "broken": (post("user/add", '{"accountjid":', bearer), 400),
        "no object": (post("user/add", "[]", bearer), 400),
        "not UTF-8": (post("user/add", '{"password":"\\ud800"}', bearer), 400),
        "not XML": (post("user/add", '{"password":"\\u0000"}', bearer), 400),
        "a number too great": (post("token/revoke", '{"number":' + "9" * 5000 + "}", bearer), 400),
        "a million fields": (post("user/add", '{' + '"a":1,' * 9000 + '"a":1}', bearer), 400),
        "a form": (
            head("POST", BASE + "user/add", "Content-Type: application/x-www-form-urlencoded",
                 "Content-Length: 3", bearer) + "a=b", 415),
        "another method": (head("DELETE", BASE + "user/add", bearer), 405),
        "no command": (post("user/../../../etc/passwd", "{}", bearer), 404),
        "a path without end": (post("user/" * 1000, "{}", bearer), 404),
    }
    for title, (request, code) in wanted.items():
        heard = await status(node, request)
        expect(heard == code, f"{title}: {heard} instead of {code}")


@attack("API: header fields that are none, doubled or huge: 4xx, and nothing is done", 40)
async def headers(node):
    bearer = await token(node, "headers", "*")
    count = BASE + "user/count"
    wanted = {
        "none": (head("GET", count), 401),
        "empty": (head("GET", count, "Authorization:"), (400, 401)),
        "no token": (head("GET", count, "Authorization: Bearer "), 400),
        "two": (head("GET", count, bearer, bearer), 400),
        "a password": (head("GET", count, "Authorization: Basic cm9tZW86cm9tZW8="), 401),
        "bytes": (head("GET", count, "Authorization: Bearer \x01"), 400),
        "long": (head("GET", count, "Authorization: Bearer " + "x" * 5000), 400),
        "huge": (head("GET", count, "Authorization: Bearer " + "x" * 60_000), 431),
        "in the address": (head("GET", count + "?access_token=" + bearer.split()[-1]), 401),
        "a thousand": (head("GET", count, *["X-A: 1"] * 1000, bearer), 431),
        "wrong": (head("GET", count, "Authorization: Bearer waxwing_0"), 401),
        "a wrong last event": (head("GET", BASE + "events", "Last-Event-ID: -1", bearer), 400),
        "good": (head("GET", count, bearer), 200),
    }
    for title, (request, codes) in wanted.items():
        heard = await status(node, request)
        codes = codes if isinstance(codes, tuple) else (codes,)
        expect(heard in codes, f"{title}: {heard} instead of {codes}")


@attack("API: a body that comes drop by drop ends after half a minute", 60, slow=True)
async def slow(node):
    bearer = await token(node, "slow", "*")
    line = await node.line(port=node.http_port)
    await line.say(head("POST", BASE + "user/add", JSON, "Content-Length: 60000", bearer))

    async def drip():
        while True:
            await line.say(" ")
            await asyncio.sleep(1)

    dripping = asyncio.ensure_future(drip())
    try:
        found = await line.hear(rb"HTTP/1\.1 (\d+)", 45)
    finally:
        dripping.cancel()
    expect(found[1] == b"408", found[1])
    line.cut()


@attack("API: a thousand event streams: a few are served, and nobody notices", 60)
async def streams(node):
    bearer = await token(node, "streams", "events")
    before = node.weight()
    lines = [await node.line(port=node.http_port) for _ in range(1000)]
    for line in lines:
        await line.say(head("GET", BASE + "events", bearer))
    heard = []
    for line in lines:
        found = await line.hear(rb"HTTP/1\.1 (\d+)", 20)
        heard.append(int(found[1]))
    expect(heard.count(200) == 8 and heard.count(429) == 992, (heard.count(200), set(heard)))
    expect(node.weight() < before + 40, (before, node.weight()))
    for line in lines:
        line.cut()


async def narrow(node):
    """A connection that holds little on our side."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (node.host, node.http_port))
    line = Line(*await asyncio.open_connection(sock=sock), node)
    node.lines.append(line)
    return line


@attack("API: event streams that nobody reads are told and ended, and cost little meanwhile", 60)
async def unread(node):
    bearer = await token(node, "unread", "*")
    lines = [await narrow(node) for _ in range(8)]
    for line in lines:
        await line.say(head("GET", BASE + "events", bearer))
        await line.hear(rb"event: open\n")
        line.writer.transport.pause_reading()
    before = node.weight()
    other = await node.line(port=node.http_port)
    fields = {"accountjids": ["victim@" + DOMAIN], "reason": "\U0001f99c" * 500}
    # Each makes two events of 2 KiB; the sockets of this machine hold some megabytes.
    for _ in range(2500):
        await other.say(post("user/disable", json.dumps(fields), bearer))
        await other.hear(rb"HTTP/1\.1 200 .*?}")
    await other.say(post("user/enable", json.dumps({"accountjids": fields["accountjids"]}), bearer))
    await other.hear(rb"HTTP/1\.1 200 .*?}")
    expect(node.weight() < before + 24, (before, node.weight()))
    for line in lines:
        line.writer.transport.resume_reading()
        await line.hear(rb"event: end\ndata: [^\n]*too-slow", 20)
        await line.hear(rb"\r\n0\r\n\r\n")
        line.cut()
    expect(await status(node, head("GET", BASE + "user/count", bearer)) == 200, "it goes on")
