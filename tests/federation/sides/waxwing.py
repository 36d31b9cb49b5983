"""Waxwing's release binary."""

import asyncio
import json
import os
import subprocess
from pathlib import Path

import ground
from servers import ROOT
from sides.side import PASSWORD, Side


class Waxwing(Side):
    name = "waxwing"
    is_ours = True

    def prepare(self):
        self.binary = os.environ.get("WAXWING_BIN", str(ROOT / "target/release/waxwing"))
        if not Path(self.binary).exists():
            raise SystemExit(f"{self.binary} is missing: cargo build --release")
        self.config = self.folder / "waxwing.toml"
        self.config.write_text(self._config_text())

    def _config_text(self):
        hosts = "".join(
            f'[[host]]\ndomain = "{domain.name}"\n'
            f'certificate = "{domain.certificate.chain}"\nkey = "{domain.certificate.key}"\n\n'
            for domain in self.domains.values()
        )
        return f"""\
[server]
log_level = "{self.world.log_level}"

[listen]
xmpp = ["[::]:{self.tcp_port}"]
xmpp_tls = ["[::]:{self.tls_port}"]
server = ["[::]:5269"]
server_tls = ["[::]:5270"]
http = ["[::]:{self.http_port}"]
https = []

[federation]
enabled = true
authorities = "{self.world.authority.chain}"
dns = ["{ground.HOME}:53"]
anchors = "{self.world.names.anchor}"

[[peer]]
domain = "strict.example"
trust = "certificate"

[limits]
handshake_seconds = 10
idle_seconds = 10
answer_seconds = 5
peer_dial_seconds = 10
peer_backoff_seconds = 2
peer_backoff_most_seconds = 2
{hosts}"""

    def _base(self):
        return ["--config", str(self.config), "--data", str(self.data)]

    def command(self):
        return self.machine.command(self.binary, "serve", *self._base())

    def run(self, *words, input=None):
        """What a command prints."""
        return subprocess.run(
            [self.binary, *words, *self._base()], input=input, text=True, check=True,
            capture_output=True, timeout=30,
        ).stdout

    def json(self, *words):
        return json.loads(self.run(*words, "--json"))

    def federation(self, *words):
        """What a command of `federation` tells programs."""
        return self.json("federation", *words)

    def ledger(self, domain):
        """What `federation show` says of a domain."""
        ended = subprocess.run(
            [self.binary, "federation", "show", domain, *self._base()], text=True,
            capture_output=True, timeout=30,
        )
        return ended.stdout + ended.stderr

    async def add_people(self):
        waiting = [
            asyncio.to_thread(
                self.run, "user", "add", f"{person}@{domain.name}", "--password-stdin",
                input=PASSWORD + "\n",
            )
            for domain in self.domains.values() for person in self.people
        ]
        await asyncio.gather(*waiting)
