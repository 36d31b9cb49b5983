"""A terminal for programs that want one, and profanity signed in there."""

import asyncio
import contextlib
import hashlib
import ssl
import tempfile
from pathlib import Path

from servers import DOMAIN
from world import PASSWORD


class Terminal:
    """A program in a terminal of its own (tmux), typed into and read like a person would."""

    def __init__(self, home):
        self.tmux = ["tmux", "-S", str(home / "tmux"), "-f", "/dev/null"]

    async def _tmux(self, *arguments):
        process = await asyncio.create_subprocess_exec(
            *self.tmux, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        return (await process.communicate())[0].decode(errors="replace")

    async def open(self, *command):
        await self._tmux("new-session", "-d", "-x", "140", "-y", "50", *command)

    async def type(self, line):
        await self._tmux("send-keys", "-l", line)
        await asyncio.sleep(0.2)
        await self._tmux("send-keys", "Enter")

    async def shows(self, text, seconds=15):
        limit = asyncio.get_running_loop().time() + seconds
        while text not in (screen := await self._tmux("capture-pane", "-p")):
            if asyncio.get_running_loop().time() > limit:
                raise AssertionError(f"no {text!r} within {seconds} s on this screen:\n{screen}")
            await asyncio.sleep(0.2)

    async def writes(self, text, seconds=15):
        """Waits for something that only the program's own log tells."""
        limit = asyncio.get_running_loop().time() + seconds
        while not self.log.exists() or text not in self.log.read_text(errors="replace"):
            if asyncio.get_running_loop().time() > limit:
                raise AssertionError(f"no {text!r} within {seconds} s in {self.log}")
            await asyncio.sleep(0.1)

    async def shut(self):
        await self._tmux("kill-server")


@contextlib.asynccontextmanager
async def profanity(world, name):
    """Debian's profanity in a home of its own, signed in; the certificate is looked at."""
    home = Path(tempfile.mkdtemp(prefix="profanity-", dir=world.server.folder))
    terminal = Terminal(home)
    terminal.log = home / "profanity/logs/profanity.log"
    places = f"XDG_CONFIG_HOME={home} XDG_DATA_HOME={home}"
    shell = f"{places} LANG=C.UTF-8 TERM=screen profanity -l DEBUG"
    try:
        await terminal.open("sh", "-c", f"{shell}; sleep 60")
        await terminal.shows("Profanity")
        await terminal.type(
            f"/connect {world.account(name)} server {DOMAIN} port {world.server.tcp_port} tls force"
        )
        await terminal.shows("password")
        await terminal.type(PASSWORD)
        await terminal.shows(fingerprint(world.server.certificate))
        await terminal.type("/tls allow")
        await terminal.shows("logged in successfully")
        yield terminal
    finally:
        await terminal.shut()


def fingerprint(certificate):
    """The SHA-1 fingerprint as profanity shows it."""
    pem = Path(certificate).read_text()
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem[begin:])).hexdigest()
