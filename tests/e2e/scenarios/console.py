"""Debian's clients for the terminal, each with a slixmpp partner."""

import asyncio
import contextlib
import hashlib
import os
import ssl
import tempfile
from pathlib import Path

from registry import scenario
from servers import DOMAIN
from world import PASSWORD


async def go_sendxmpp(world, name, *arguments):
    """Starts go-sendxmpp as this account; it trusts the server's certificate only."""
    return await asyncio.create_subprocess_exec(
        "go-sendxmpp", "-u", world.account(name), "-p", PASSWORD, *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "SSL_CERT_FILE": world.server.certificate, "SSL_CERT_DIR": "/nowhere",
             "HOME": str(world.server.folder)},
    )


async def send_with(world, port, *arguments):
    juliet = await world.signed_in("juliet")
    program = await go_sendxmpp(
        world, "romeo", "-j", f"{DOMAIN}:{port}", *arguments, juliet.boundjid.bare
    )
    text = "But soft, what light <through> yonder window breaks?"
    said, _ = await asyncio.wait_for(program.communicate(text.encode()), 15)
    assert program.returncode == 0, said.decode()
    heard = await juliet.wait("message", lambda m: m["body"].strip() == text)
    assert heard["from"].bare == world.account("romeo"), heard


@scenario("go-sendxmpp: sends over STARTTLS")
async def send_starttls(world):
    await send_with(world, world.server.tcp_port)


@scenario("go-sendxmpp: sends over direct TLS")
async def send_direct_tls(world):
    await send_with(world, world.server.tls_port, "-t")


@scenario("go-sendxmpp: hears what is said to it")
async def listen(world):
    romeo = await world.signed_in("romeo")
    program = await go_sendxmpp(
        world, "juliet", "-l", "-j", f"{DOMAIN}:{world.server.tcp_port}", romeo.boundjid.bare
    )
    try:
        romeo.say(world.account("juliet"), "It is my lady; O, it is my love!")
        line = ""
        while "it is my love" not in line:
            line = (await asyncio.wait_for(program.stdout.readline(), 15)).decode()
            assert line, "go-sendxmpp ended"
        assert world.account("romeo") in line, line
    finally:
        with contextlib.suppress(ProcessLookupError):
            program.kill()
        await program.wait()


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

    async def shut(self):
        await self._tmux("kill-server")


@scenario("profanity: signs in, is subscribed to, and chats both ways", seconds=60)
async def profanity(world):
    romeo = await world.signed_in("romeo")
    address = world.account("juliet")
    home = Path(tempfile.mkdtemp(prefix="profanity-", dir=world.server.folder))
    terminal = Terminal(home)
    shell = f"XDG_CONFIG_HOME={home} XDG_DATA_HOME={home} LANG=C.UTF-8 TERM=screen profanity"
    try:
        await terminal.open("sh", "-c", f"{shell}; sleep 60")
        await terminal.shows("Profanity")
        await terminal.type(
            f"/connect {address} server {DOMAIN} port {world.server.tcp_port} tls force"
        )
        await terminal.shows("password")
        await terminal.type(PASSWORD)
        await terminal.shows(fingerprint(world.server.certificate))
        await terminal.type("/tls allow")
        await terminal.shows("logged in successfully")

        romeo.send_presence_subscription(pto=address, ptype="subscribe")
        await terminal.shows(f"authorization request from {romeo.boundjid.bare}")
        await terminal.type(f"/sub allow {romeo.boundjid.bare}")
        await romeo.wait("subscribed", lambda p: p["from"].bare == address)
        await romeo.wait("available", lambda p: p["from"].bare == address)

        await terminal.type(f"/msg {romeo.boundjid.bare} Good night, good night!")
        await romeo.hear("Good night, good night!")
        romeo.say(address, "Sleep dwell upon thine eyes")
        await terminal.shows("Sleep dwell upon thine eyes")
        await terminal.type("/quit")
        await romeo.wait("unavailable", lambda p: p["from"].bare == address)
    finally:
        await terminal.shut()


def fingerprint(certificate):
    """The SHA-1 fingerprint as profanity shows it."""
    pem = Path(certificate).read_text()
    begin = pem.index("-----BEGIN CERTIFICATE-----")
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem[begin:])).hexdigest()
