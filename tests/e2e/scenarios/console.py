"""Debian's clients for the terminal, each with a slixmpp partner."""

import asyncio
import contextlib
import os

from registry import scenario
from servers import DOMAIN
from terminal import profanity
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


@scenario("profanity: signs in, is subscribed to, and chats both ways", seconds=60)
async def chat(world):
    romeo = await world.signed_in("romeo")
    address = world.account("juliet")
    async with profanity(world, "juliet") as terminal:
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
