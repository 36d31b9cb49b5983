"""Signing in without an account (SASL ANONYMOUS, RFC 4505, XEP-0175)."""

from own import Stranger, ask, condition, own_server
from registry import ours
from servers import DOMAIN
from world import PASSWORD


@ours("ANONYMOUS: is neither offered nor taken unless the host says so")
async def off(world):
    async with Stranger(world.server) as stranger:
        assert "ANONYMOUS" not in stranger.mechanisms, stranger.mechanisms
        refusal = await stranger.authenticate("ANONYMOUS", "=")
        assert refusal == "invalid-mechanism", refusal


@ours("ANONYMOUS: every guest gets an address of its own, which ends with the session")
async def on(world):
    async with own_server(host="anonymous = true") as server:
        server.add_account("romeo", PASSWORD)
        seen = set()
        for _ in range(3):
            async with Stranger(server) as guest:
                assert "ANONYMOUS" in guest.mechanisms, guest.mechanisms
                assert await guest.authenticate("ANONYMOUS", "=") is None
                address = await guest.bind()
                assert f"@{DOMAIN}/" in address, address
                seen.add(address.split("/")[0])
                pong = await ask(guest, "get", "<ping xmlns='urn:xmpp:ping'/>", DOMAIN)
                assert condition(pong) is None, condition(pong)
        assert len(seen) == 3, seen
        assert f"romeo@{DOMAIN}" not in seen
