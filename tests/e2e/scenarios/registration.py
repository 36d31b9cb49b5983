"""Accounts that people make, change and remove by themselves (XEP-0077)."""

import asyncio
from xml.sax.saxutils import escape

from own import Stranger, ask, condition, ended_with, own_server
from registry import ours
from servers import DOMAIN
from wire import Lost, Refused, Wire
from world import PASSWORD

NS = "jabber:iq:register"
OPEN = "[modules.register]\nopen = true\n"
FEATURE = "{http://jabber.org/features/iq-register}register"
ROSTER = "jabber:iq:roster"


def form(name, password):
    fields = f"<username>{escape(name)}</username><password>{escape(password)}</password>"
    return f"<query xmlns='{NS}'>{fields}</query>"


async def sign_up(server, name, password=PASSWORD):
    """None, or the condition of the refusal."""
    async with Stranger(server) as stranger:
        return condition(await ask(stranger, "set", form(name, password), DOMAIN))


async def sign_in(server, name, password=PASSWORD, resource="desk"):
    return await Wire(server, name, password, resource).sign_in(managed=False)


@ours("registration: is off unless the server says so")
async def off(world):
    async with Stranger(world.server) as stranger:
        assert stranger.features.find(FEATURE) is None
        try:
            answer = await ask(stranger, "set", form("mercutio", PASSWORD), DOMAIN)
            assert condition(answer) is not None, "an account was made"
        except (AssertionError, Lost):
            pass  # a stream error is an answer too
    try:
        await sign_in(world.server, "mercutio")
    except Refused as refused:
        assert str(refused) == "not-authorized", refused
    else:
        raise AssertionError("an account was made")


@ours("registration: somebody signs up and in; names taken and reserved are refused")
async def signing_up(world):
    async with own_server(OPEN) as server:
        async with Stranger(server) as stranger:
            assert stranger.features.find(FEATURE) is not None, "not offered"
            asked = await ask(stranger, "get", f"<query xmlns='{NS}'/>", DOMAIN)
            query = asked.find(f"{{{NS}}}query")
            assert query.find(f"{{{NS}}}username") is not None
            assert query.find(f"{{{NS}}}password") is not None
            answer = await ask(stranger, "set", form("mercutio", PASSWORD), DOMAIN)
            assert condition(answer) is None, condition(answer)
        mercutio = await sign_in(server, "mercutio")
        await mercutio.close()
        for name, wanted in {
            "mercutio": "conflict", "MERCUTIO": "conflict",
            "admin": "not-allowed", "Postmaster": "not-allowed",
            "ben volio": "jid-malformed", "": "not-acceptable",
        }.items():
            refusal = await sign_up(server, name)
            assert refusal == wanted, f"{name}: {refusal}"
        refusal = await sign_up(server, "benvolio", "short")
        assert refusal == "not-acceptable", refusal


@ours("registration: one network makes only so many accounts in an hour")
async def limited(world):
    async with own_server(OPEN + "per_hour = 2\n") as server:
        refusals = [await sign_up(server, f"guest{number}") for number in range(4)]
        assert refusals == [None, None, "resource-constraint", "resource-constraint"], refusals


@ours("registration: a changed password is the one that counts")
async def password(world):
    async with own_server() as server:
        server.add_account("romeo", PASSWORD)
        server.add_account("juliet", PASSWORD)
        romeo = await sign_in(server, "romeo")
        for name, wanted in {"juliet": "not-allowed", "romeo": None}.items():
            answer = await ask(romeo, "set", form(name, "a new and longer one"), DOMAIN)
            assert condition(answer) == wanted, condition(answer)
        await romeo.close()
        try:
            await sign_in(server, "romeo")
        except Refused as refused:
            assert str(refused) == "not-authorized", refused
        else:
            raise AssertionError("the old password still counts")
        await (await sign_in(server, "romeo", "a new and longer one")).close()
        await (await sign_in(server, "juliet")).close()


@ours("registration: who leaves is signed out everywhere, and nothing is kept")
async def leaving(world):
    async with own_server() as server:
        server.add_account("romeo", PASSWORD)
        desk = await sign_in(server, "romeo", resource="desk")
        phone = await sign_in(server, "romeo", resource="phone")
        item = "<item jid='juliet@localhost' name='J'/>"
        answer = await ask(phone, "set", f"<query xmlns='{ROSTER}'>{item}</query>")
        assert condition(answer) is None, condition(answer)
        answer = await ask(phone, "set", f"<query xmlns='{NS}'><remove/></query>", DOMAIN)
        assert condition(answer) is None, condition(answer)
        for session in (desk, phone):
            why = await ended_with(session)
            assert why == "not-authorized", why
            await session.close()
        await until_unknown(server, "romeo")
        server.add_account("romeo", PASSWORD)
        romeo = await sign_in(server, "romeo")
        roster = await ask(romeo, "get", f"<query xmlns='{ROSTER}'/>")
        assert not list(roster.iter(f"{{{ROSTER}}}item")), "the roster was kept"
        await romeo.close()


async def until_unknown(server, name):
    """The account is locked at once, and erased as soon as its sessions have ended."""
    for _ in range(50):
        try:
            await sign_in(server, name)
        except Refused as refused:
            if str(refused) == "not-authorized":
                return
            assert str(refused) == "account-disabled", refused
        else:
            raise AssertionError("the account is still there")
        await asyncio.sleep(0.1)
    raise AssertionError("the account was never erased")
