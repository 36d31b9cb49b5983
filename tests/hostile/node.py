"""The server under attack, what it weighs, and the two people who use it meanwhile."""

import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

from line import Line
from servers import DOMAIN, Waxwing

HERE = Path(__file__).resolve().parent
PEOPLE = ("romeo", "juliet", "mallory", "crowd", "victim", "sleeper", "absent")


class Node(Waxwing):
    """Waxwing with short waits, so that what must end by time does so soon."""

    password = "r0m30myr0m30"

    def __init__(self, folder):
        super().__init__(folder)
        self.lines = []

    def _config_text(self):
        return super()._config_text() + """
[tls]
required = false

[limits]
handshake_seconds = 10
idle_seconds = 10
answer_seconds = 5
close_seconds = 2
roster_contacts = 200
resume_seconds = 30

[modules.rooms]
rooms_per_account = 20

[modules.pubsub]
nodes_per_creator = 50
nodes_per_account = 50
"""

    async def start(self):
        await super().start()
        for name in PEOPLE:
            await asyncio.to_thread(self.add_account, name, self.password)
        self.resting = self.weight()

    def address(self, name):
        return f"{name}@{DOMAIN}"

    def is_alive(self):
        return self.process.poll() is None

    def weight(self):
        """Resident memory in MiB."""
        return self._status("VmRSS")

    def peak(self):
        """The most resident memory in MiB since `forget_peak`."""
        return self._status("VmHWM")

    def forget_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def _status(self, key):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024

    async def line(self, **how):
        return await Line.dial(self, **how)

    async def stream(self):
        return await Line.begin(self)

    async def session(self, user="mallory", resource=None):
        return await Line.sign_in(self, user, resource)


class Watch:
    """The two people, in a process of their own: what an attack costs here is not counted."""

    def __init__(self, node):
        self.node, self.waits = node, []
        self.last_at = time.monotonic()

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "watch.py"), str(self.node.tcp_port), self.node.password,
            stdout=subprocess.PIPE,
        )
        self.reader = asyncio.ensure_future(self._read())
        while not self.waits:
            if self.reader.done():
                raise RuntimeError("the ordinary clients did not get in")
            await asyncio.sleep(0.02)
        return self

    async def _read(self):
        while line := await self.process.stdout.readline():
            self.waits.append(float(line))
            self.last_at = time.monotonic()

    def worst(self):
        """The longest that one of them waited for the other since the last call, in seconds."""
        waits, self.waits = self.waits, []
        now = time.monotonic() - self.last_at
        return max([*waits, now if now > 1 else 0])

    def is_over(self):
        return self.reader.done()

    async def stop(self):
        self.reader.cancel()
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
