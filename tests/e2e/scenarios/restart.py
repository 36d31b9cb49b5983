"""What was said before the server went down is there when it is up again, once."""

from peer import befriend
from registry import scenario

COUNT = 10


async def survives(world, end):
    romeo = await world.signed_in("romeo", resume=True)
    address = world.account("juliet")
    sent = [romeo.say(address, f"before the fall {i}") for i in range(COUNT)]
    await romeo.until_acked(sent)
    code = await end()
    await romeo.sign_out()
    await world.server.start()

    juliet = await world.signed_in("juliet")
    for i in range(COUNT):
        message = await juliet.wait("message")
        assert message["body"] == f"before the fall {i}", message
    await juliet.sign_out()
    again = await world.signed_in("juliet", "again")
    await again.stays_silent("message")
    return code


@scenario("restart: messages for someone away survive SIGTERM", seconds=60)
async def after_sigterm(world):
    code = await survives(world, world.server.stop)
    assert code == 0, f"SIGTERM ended the server with {code}"


@scenario("restart: messages for someone away survive SIGKILL", seconds=60)
async def after_sigkill(world):
    await survives(world, world.server.kill)


@scenario("restart: friends are friends after SIGKILL", seconds=60)
async def roster_after_sigkill(world):
    romeo = await world.signed_in("romeo")
    juliet = await world.signed_in("juliet")
    await befriend(romeo, juliet)
    await world.server.kill()
    for peer in (romeo, juliet):
        await peer.wait("offline")
        await peer.sign_out()
    await world.server.start()
    romeo = await world.signed_in("romeo", "later")
    juliet = await world.signed_in("juliet", "later")
    await romeo.wait("available", lambda p: p["from"] == juliet.boundjid)
    await juliet.wait("available", lambda p: p["from"] == romeo.boundjid)


@scenario("restart: SIGTERM tells every stream that the system shuts down", seconds=60)
async def shutdown_error(world):
    romeo = await world.signed_in("romeo")
    code = await world.server.stop()
    try:
        error = await romeo.wait("stream error")
        assert error["condition"] == "system-shutdown", error
        await romeo.wait("offline")
        assert code == 0, f"SIGTERM ended the server with {code}"
    finally:
        await romeo.sign_out()
        await world.server.start()
