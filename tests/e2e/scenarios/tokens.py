"""Sign-in of today on a real server: tokens (XEP-0484) and resumption along with them."""

import asyncio

from modern import (
    CARBONS, ENABLE, FEATURES, Modern, REQUEST, SASL2, address_of, bind, refusal_of, resume,
    session_of, token_of,
)
from own import own_server
from registry import ours
from wire import SM, Wire
from world import PASSWORD

PHONE = "d4565fa7-4d72-4749-b3d3-740edbf87770"
TABLET = "0b2c8c3e-1f0a-4b0e-9d39-7d9f6f1d2c11"


async def first(server, user, device=PHONE):
    """Signs in with the password: the connection, its token and its session."""
    phone = await Modern(server, user, device).__aenter__()
    inside = bind("Phone", ENABLE, CARBONS, "<active xmlns='urn:xmpp:csi:0'/>")
    success = await phone.with_password(PASSWORD, REQUEST + inside)
    assert success.tag == SASL2 + "success", refusal_of(success)
    assert address_of(success).startswith(f"{user}@"), success
    assert (await phone._next()).tag == FEATURES
    phone.is_managed = True
    return phone, token_of(success), session_of(success)


@ours("our own client: a login with a token and resumption is one round trip")
async def one_round_trip(world):
    user = world.account("juliet").split("@")[0]
    phone, token, session = await first(world.server, user)
    phone.send("<presence/>")
    phone.cut()
    romeo = await world.signed_in("romeo")
    romeo.say(world.account("juliet"), "What light through yonder window breaks?")
    await romeo.plugin["xep_0199"].ping(world.server_domain)

    async with Modern(world.server, user, PHONE) as again:
        more = resume(session, phone.handled) + bind("Phone", ENABLE)
        again.is_managed = True
        success = await again.with_token(token, more, count=1)
        assert success.tag == SASL2 + "success", refusal_of(success)
        assert success.find(SM + "resumed") is not None, list(success)
        for _ in range(40):
            if again.heard:
                break
            await asyncio.sleep(0.1)
        assert len(again.heard) == 1, again.heard
        assert again.flights == 1, again.flights


@ours("our own client: stream header, token and resumption leave together, unasked")
async def quick_start(world):
    user = world.account("juliet").split("@")[0]
    phone, token, session = await first(world.server, user)
    phone.cut()
    again = await Modern(world.server, user, PHONE).quick_start()
    try:
        again.is_managed = True
        features = await again.with_token(token, resume(session, 0) + bind("Phone", ENABLE))
        assert features.tag == FEATURES, features.tag
        success = await again._next()
        assert success.tag == SASL2 + "success", refusal_of(success)
        assert success.find(SM + "resumed") is not None, list(success)
        assert again.flights == 1, again.flights
    finally:
        await again.close()


@ours("our own client: a token that is wrong, another's, played again or revoked is refused")
async def refused(world):
    user = world.account("juliet").split("@")[0]
    other = world.account("tybalt").split("@")[0]
    phone, token, _ = await first(world.server, user)

    async def attempt(token, user=user, device=PHONE, count=None):
        async with Modern(world.server, user, device) as stranger:
            return refusal_of(await stranger.with_token(token, count=count))

    assert await attempt(token, count=1) is None
    assert await attempt(token, count=1) == "not-authorized", "played again"
    assert await attempt(token[:-1] + ("A" if token[-1] != "A" else "B")) == "not-authorized"
    assert await attempt(token, user=other) == "not-authorized", "another account"
    assert await attempt(token, device=TABLET) == "not-authorized", "another device"
    assert await attempt("") == "not-authorized"
    assert await attempt(token, count=2) is None
    await phone.close()


@ours("our own client: after a kill of the server a token still signs in, with what was missed")
async def after_kill(world):
    async with own_server() as server:
        for name in ("romeo", "juliet"):
            server.add_account(name, PASSWORD)
        phone, token, session = await first(server, "juliet")
        phone.cut()
        romeo = await Wire(server, "romeo", PASSWORD, "desk").sign_in(managed=True)
        romeo.say("juliet@localhost", "m1")
        await romeo.settle()
        await server.kill()
        await server.start()
        async with Modern(server, "juliet", PHONE) as again:
            more = resume(session, 0) + bind("Phone", ENABLE)
            success = await again.with_token(token, more)
            assert success.tag == SASL2 + "success", refusal_of(success)
            assert success.find(SM + "failed") is not None, "a session survived a kill"
            assert (await again._next()).tag == FEATURES
            again.is_managed = True
            assert await again.history() == ["m1"]
