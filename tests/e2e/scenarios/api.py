"""The HTTP API: programs that give commands and hear what happens, over real sockets."""

import asyncio
import contextlib
import json
import sqlite3
import subprocess
import time

import aiohttp
import jsonschema
from openapi_spec_validator import validate
from own import Stranger, ended_with, own_server
from peer import Peer
from registry import ours
from scenarios.files import send, uploader
from servers import DOMAIN
from world import PASSWORD, World

BASE = f"/api/{DOMAIN}/v1/"
# Whose word on the client's address counts: programs then come from wherever they say.
TRUSTING = '[http]\ntrusted_proxies = ["127.0.0.1"]\n'


def waxwing(server, *words):
    """What a command on the machine itself answers."""
    done = subprocess.run(
        [server.binary, *words, *server._base(), "--json"],
        check=True, capture_output=True, text=True, timeout=20,
    )
    return json.loads(done.stdout)


def token(server, name, *scopes):
    return waxwing(server, "token", "create", name, *scopes)["facts"]["token"]


class Program:
    """A client with a token, or without."""

    def __init__(self, server, secret=None, **headers):
        self.url = f"http://{server.host}:{server.http_port}{BASE}"
        self.headers = dict(headers)
        if secret:
            self.headers["Authorization"] = f"Bearer {secret}"

    async def ask(self, method, path, **how):
        """Status, header fields and the body as JSON."""
        headers = {**self.headers, **how.pop("headers", {})}
        async with aiohttp.ClientSession() as session:
            async with session.request(method, self.url + path, headers=headers, **how) as answer:
                assert answer.headers["Cache-Control"] == "no-store", answer.headers
                body = await answer.read()
                kind = answer.headers.get("Content-Type")
                if answer.status >= 400:
                    assert kind == "application/problem+json", kind
                return answer.status, answer.headers, json.loads(body) if body else None

    async def get(self, path, **how):
        return await self.ask("GET", path, **how)

    async def post(self, path, **fields):
        return await self.ask("POST", path, json=fields)

    async def status(self):
        return (await self.get("user/count"))[0]


@contextlib.asynccontextmanager
async def elsewhere(world, top="", host=""):
    """A server of its own with a world around it."""
    async with own_server(top, host) as server:
        own = World(server, 0, world.artefacts)
        try:
            yield own
        finally:
            await own.clean_up()


@ours("API: a program makes an account, and slixmpp signs in with it")
async def account(world):
    program = Program(world.server, token(world.server, "shop", "user:write", "audit:read"))
    jid = f"made-by-api{world.number}@{DOMAIN}"
    status, _, said = await program.post("user/add", accountjid=jid, password=PASSWORD)
    assert (status, said) == (200, {"note": f"The account {jid} was added."}), said
    peer = Peer(f"{jid}/desk", PASSWORD, world.server.certificate)
    world.peers.append(peer)
    await peer.sign_in(world.server.host, world.server.tcp_port)
    status, _, said = await program.get("user/list", params={"prefix": "made-by-api"})
    assert jid in said["facts"]["registereduserjids"], said
    status, _, log = await program.get("audit/list")
    noted = [row for row in log["rows"] if row["filled"] == f"accountjid: {jid}"]
    assert [(row["who"], row["words"], row["outcome"]) for row in noted] == [
        ("token shop", "user add", "done")
    ], log
    assert PASSWORD not in json.dumps(log)
    status, _, _ = await program.post("user/remove", accountjids=[jid])
    assert status == 200
    left = waxwing(world.server, "user", "list", "--prefix", "made-by-api")
    assert jid not in json.dumps(left), left


@ours("API: every refusal has its status and names what is wrong")
async def refusals(world):
    server = world.server
    narrow = Program(server, token(server, "narrow", "user:write"))
    jid = world.account("romeo")
    wanted = [
        (400, "bad-request", None, narrow.ask("POST", "user/add", data=b"{",
                                              headers={"Content-Type": "application/json"})),
        (400, "not-acceptable", "accountjid", narrow.post("user/add", password="x")),
        (400, "not-acceptable", "jid", narrow.post("user/add", jid="x")),
        (400, "not-acceptable", "prefx", narrow.get("user/list?prefx=a")),
        (401, "not-authorized", None, Program(server).get("user/count")),
        (401, "not-authorized", None, Program(server, "waxwing_no").get("user/count")),
        (403, "forbidden", None, narrow.get("session/list")),
        (404, "item-not-found", None, narrow.get("user/cont")),
        (404, "item-not-found", "accountjids",
         narrow.post("user/remove", accountjids=[f"x@{DOMAIN}"])),
        (405, "not-allowed", None, narrow.get("user/add")),
        (405, "not-allowed", None, narrow.post("user/count")),
        (409, "conflict", "accountjid", narrow.post("user/add", accountjid=jid, password=PASSWORD)),
        (413, "not-acceptable", None, narrow.post("user/add", password="x" * 100_000)),
        (415, "not-acceptable", None, narrow.ask("POST", "user/add", data=b"<a/>",
                                                 headers={"Content-Type": "text/xml"})),
    ]
    for status, condition, field, asked in wanted:
        heard, headers, problem = await asked
        seen = (heard, problem["condition"], problem.get("field"))
        assert seen == (status, condition, field), (seen, problem)
        assert problem["detail"] and problem["status"] == status, problem
        assert ("WWW-Authenticate" in headers) == (
            status == 401 or problem["detail"].startswith("This needs a token")
        ), headers
        if status == 405:
            assert headers["Allow"], headers


@ours("API: no place for a second command where one may run: 503, and when to come back")
async def busy(world):
    async with elsewhere(world, "[modules.api]\ncommands = 1\n") as own:
        program = Program(own.server, token(own.server, "ci", "*"))
        await own.signed_in("romeo")
        trace = asyncio.ensure_future(
            program.post("session/trace", accountjid=own.account("romeo"), seconds=2)
        )
        await asyncio.sleep(0.7)
        status, headers, _ = await program.get("user/count")
        assert (status, headers["Retry-After"]) == (503, "5"), (status, headers)
        assert (await trace)[0] == 200
        assert await program.status() == 200


@ours("API: a token ends when it is revoked, when its time is over, and not at a kill")
async def ends(world):
    async with elsewhere(world) as own:
        server = own.server
        first, second = [token(server, name, "read") for name in ("first", "second")]
        assert await Program(server, first).status() == 200
        await server.kill()
        await server.start()
        assert await Program(server, first).status() == 200, "a token survives"
        rows = waxwing(server, "token", "list")["rows"]
        number = next(row["number"] for row in rows if row["name"] == "first")
        waxwing(server, "token", "revoke", number)
        assert await Program(server, first).status() == 401
        assert await Program(server, second).status() == 200
        await server.stop()
        with contextlib.closing(sqlite3.connect(server.data / "waxwing.db")) as db:
            kept = db.execute("SELECT hash FROM api_token").fetchall()
            assert second not in str(kept), "a token is not kept"
            db.execute("UPDATE api_token SET expires = 1")
            db.commit()
        await server.start()
        assert await Program(server, second).status() == 401


@ours("API: guessing tokens is slowed, from one network and not from another", seconds=60)
async def guesses(world):
    async with elsewhere(world, TRUSTING) as own:
        server = own.server
        good = token(server, "ci", "read")

        def at(address, secret):
            headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
            return Program(server, secret, **headers)

        took = []
        for number in range(9):
            begun = time.monotonic()
            assert await at("192.0.2.7", f"waxwing_{number}").status() == 401
            took.append(time.monotonic() - begun)
        assert took[8] > 1.9 and sum(took[5:]) > 3.7, took
        guesses = [asyncio.ensure_future(at("192.0.2.7", "x").status()) for _ in range(30)]
        await asyncio.sleep(0.5)
        assert await at("192.0.2.7", good).status() == 429, "nothing from there is looked at"
        assert await at("192.0.2.8", good).status() == 200
        heard = sorted(await asyncio.gather(*guesses))
        assert heard == [401] * 8 + [429] * 22, heard
        assert await at("192.0.2.7", good).status() == 200
        # In the open a token is not taken at all.
        open_way = Program(server, good, **{"X-Forwarded-For": "192.0.2.8"})
        assert await open_way.status() == 403


@ours("API: its description is valid OpenAPI, and a client made from it works", seconds=60)
async def description(world):
    async with elsewhere(world) as own:
        program = Program(own.server, token(own.server, "ci", "*"))
        status, _, document = await program.get("openapi.json")
        assert status == 200
        validate(document)
        server = document["servers"][0]["url"]
        assert server == f"http://{own.server.host}:{own.server.http_port}{BASE[:-1]}", server
        answer = {**document["components"]["schemas"]["Answer"],
                  "components": document["components"]}
        called = 0
        for path, item in document["paths"].items():
            for method, operation in item.items():
                operation_id = operation["operationId"]
                if method == "get" and operation_id != "events":
                    params = {it["name"]: it["example"] for it in operation["parameters"]
                              if it["required"]}
                    heard, _, said = await program.get(path[1:], params=params)
                    assert f"{heard}" in operation["responses"], (path, heard, said)
                    if heard == 200:
                        jsonschema.validate(said, answer)
                        called += 1
        assert called > 15, called
        # What is required is refused when it is missing, and enough when it is there.
        add = document["paths"]["/user/add"]["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(add["example"], add["schema"])
        for missing in add["schema"]["required"]:
            some = {name: value for name, value in add["example"].items() if name != missing}
            heard, _, problem = await program.ask("POST", "user/add", json=some)
            assert (heard, problem["field"]) == (400, missing), problem
            jsonschema.validate(problem, document["components"]["schemas"]["Problem"])
        heard, _, _ = await program.ask("POST", "user/add", json=add["example"])
        assert heard == 200
        jid, password = add["example"]["accountjid"], add["example"]["password"]
        peer = Peer(f"{jid}/desk", password, own.server.certificate)
        own.peers.append(peer)
        await peer.sign_in(own.server.host, own.server.tcp_port)


class Events:
    """An open stream of events."""

    def __init__(self, program, query="", last=None):
        self.program, self.query = program, query
        self.last = last
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None))

    async def __aenter__(self):
        headers = dict(self.program.headers)
        if self.last:
            headers["Last-Event-ID"] = self.last
        url = self.program.url + "events" + self.query
        self.answer = await self.session.get(url, headers=headers)
        assert self.answer.status == 200, await self.answer.text()
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        name, _ = await self.next()
        assert name == "open", name
        return self

    async def __aexit__(self, *_):
        self.answer.close()
        await self.session.close()

    async def next(self, seconds=10):
        """The name of the next event and what it says; None at the end."""
        return await asyncio.wait_for(self._next(), seconds)

    async def _next(self):
        name, data = None, None
        while line := await self.answer.content.readline():
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "id":
                self.last = value
            elif field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif not field and name:
                return name, data
        return None


@ours("API: what happens is told, also after a lost connection, until the server ends", 60)
async def events(world):
    async with elsewhere(world) as own:
        server = own.server
        program = Program(server, token(server, "watch", "events"))
        own.account("romeo"), own.account("juliet")
        query = "?types=session.opened,session.closed,signin.failed,account.created"
        async with Events(program, query) as stream:
            await own.signed_in("romeo")
            name, data = await stream.next()
            assert (name, data["jid"]) == ("session.opened", f"romeo0@{DOMAIN}/desk"), data
            assert data["transport"] == "starttls" and data["host"] == DOMAIN, data
            last = stream.last
        juliet = await own.signed_in("juliet")
        await juliet.sign_out()
        own.peers.remove(juliet)
        wrong = Peer(f"romeo0@{DOMAIN}/x", "wrong", server.certificate)
        own.peers.append(wrong)
        wrong.connect(server.host, server.tcp_port)
        await wrong.wait("refused")
        own.account("nurse")
        async with Events(program, query, last) as stream:
            seen = [await stream.next() for _ in range(4)]
            assert [name for name, _ in seen] == [
                "session.opened", "session.closed", "signin.failed", "account.created"
            ], seen
            assert seen[2][1]["jid"] == f"romeo0@{DOMAIN}" and seen[2][1]["peer"] == "127.0.0.1"
            begun = time.monotonic()
            stopped = asyncio.ensure_future(server.stop())
            while (event := await stream.next())[0] != "end":
                pass
            assert event[1]["reason"] == "shutdown", event
            assert await stream.next() is None, "the stream is over"
            assert await stopped == 0
            assert time.monotonic() - begun < 8, "the end of the server did not wait for it"
        await server.start()
        # What the last run told is not known any more, and that is said.
        async with Events(program, query, last) as stream:
            assert (await stream.next())[0] == "gap"


@ours("API: uploads, outages and limits are told")
async def told(world):
    async with elsewhere(world) as own:
        server = own.server
        program = Program(server, token(server, "watch", "events"))
        romeo, files = await uploader(own)
        query = "?types=upload.stored,outage.declared,limit.hit"
        async with Events(program, query) as stream:
            await send(files, b"x" * 100, name="a.txt", kind="text/plain")
            name, data = await stream.next()
            assert name == "upload.stored", data
            seen = (data["owner"], data["size"], data["media_type"])
            assert seen == (romeo.boundjid.bare, 100, "text/plain"), data
            waxwing(server, "server", "outage", "2030-02-01T03:00:00Z", "--message", "Tea")
            name, data = await stream.next()
            assert (name, data["message"], data["planned"]) == ("outage.declared", "Tea", True)
            async with Stranger(server) as stranger:
                stranger.send("<a>" + "x" * 100_000)
                assert await ended_with(stranger) == "policy-violation"
            name, data = await stream.next()
            assert (name, data["who"]) == ("limit.hit", "127.0.0.1"), data
            assert data["condition"] == "policy-violation" and data["text"], data
