"""SCRAM bound to the TLS channel (-PLUS), which no client above can do on TLS 1.3."""

import hashlib

from registry import scenario
from wire import Refused, Wire
from world import PASSWORD


async def sign_in(world, binding):
    user = world.account("romeo").split("@")[0]
    wire = Wire(world.server, user, PASSWORD, "bound", binding)
    try:
        await wire.sign_in(managed=False)
    finally:
        await wire.close()


@scenario("our own client: SCRAM-PLUS with tls-server-end-point is accepted")
async def bound(world):
    if world.server.has_end_point_binding:
        await sign_in(world, lambda der: hashlib.sha256(der).digest())


@scenario("our own client: SCRAM-PLUS bound to another certificate is refused")
async def bound_elsewhere(world):
    if world.server.has_end_point_binding:
        try:
            await sign_in(world, lambda der: hashlib.sha256(der + b"!").digest())
        except Refused as refused:
            assert str(refused) == "not-authorized", refused
        else:
            raise AssertionError("a man in the middle would have been let in")
