"""What a scenario gets: the server, accounts of its own, and people who sign in to it."""

import asyncio
import json
import os
from pathlib import Path

from cable import Cable
from peer import Peer
from servers import DOMAIN

HERE = Path(__file__).resolve().parent
PASSWORD = "Correct horse, battery staple 1"


class World:
    """One scenario's surroundings. All that it made is ended by `clean_up`."""

    def __init__(self, server, number, artefacts):
        self.server = server
        self.number = number
        self.artefacts = artefacts
        self.accounts = set()
        self.server_domain = DOMAIN
        self.peers, self.cables, self.programs = [], [], []

    def account(self, name):
        """The bare address of this scenario's own `name`, made on first use."""
        local = f"{name}{self.number}"
        if local not in self.accounts:
            self.server.add_account(local, PASSWORD)
            self.accounts.add(local)
        return f"{local}@{DOMAIN}"

    async def cable(self, port):
        cable = await Cable(self.server.host, port).lay()
        self.cables.append(cable)
        return cable

    def peer(self, name, resource="desk", **options):
        """A slixmpp client for this account, not yet connected."""
        jid = f"{self.account(name)}/{resource}"
        peer = Peer(jid, PASSWORD, self.server.certificate, **options)
        self.peers.append(peer)
        return peer

    async def signed_in(self, name, resource="desk", cable=None, presence=True, **options):
        """A slixmpp client that is online, over STARTTLS or (direct_tls=True) direct TLS."""
        peer = self.peer(name, resource, **options)
        port = self.server.tls_port if options.get("direct_tls") else self.server.tcp_port
        port = cable.port if cable else port
        return await peer.sign_in(self.server.host, port, presence)

    async def web_client(self, script, **options):
        """A client of the web in Node.js, told and telling in lines of JSON."""
        client = await WebClient.start(script, self.server, options)
        self.programs.append(client)
        return client

    async def clean_up(self):
        for program in self.programs:
            await program.end()
        for peer in self.peers:
            try:
                await asyncio.wait_for(peer.sign_out(), 5)
            except (asyncio.TimeoutError, slixmpp_errors()):
                peer.abort()
        for cable in self.cables:
            cable.remove()


def slixmpp_errors():
    from slixmpp.exceptions import XMPPError

    return XMPPError


class WebClient:
    """A Node.js program below `web/`: one JSON object a line, commands in and events out."""

    def __init__(self, process):
        self.process = process
        self.seen = []
        self.news = asyncio.Event()
        self.reader = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, script, server, options):
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "web" / script), json.dumps({"domain": DOMAIN, **options}),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=server.log_path.open("ab"),
            env={**os.environ, "NODE_EXTRA_CA_CERTS": server.certificate},
        )
        return cls(process)

    async def _read(self):
        while line := await self.process.stdout.readline():
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "noise", "text": line.decode(errors="replace")}
            self.seen.append(event)
            self.news.set()
        self.seen.append({"event": "ended"})
        self.news.set()

    def do(self, command, **arguments):
        line = json.dumps({"do": command, **arguments}) + "\n"
        self.process.stdin.write(line.encode())

    async def wait(self, event, seconds=15, **fields):
        """The first event with this name and these fields that was not taken before."""
        wanted = {"event": event, **fields}
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            for i, seen in enumerate(self.seen):
                if wanted.items() <= seen.items():
                    return self.seen.pop(i)
            self.news.clear()
            try:
                left = limit - asyncio.get_running_loop().time()
                await asyncio.wait_for(self.news.wait(), max(left, 0))
            except asyncio.TimeoutError:
                raise AssertionError(
                    f"waited {seconds} s for {wanted}; saw {self.seen}"
                ) from None

    async def end(self):
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        self.reader.cancel()
