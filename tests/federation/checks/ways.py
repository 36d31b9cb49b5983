"""How two servers reached and proved each other, as Waxwing's ledger tells it. It is asked last,
when all has been said.
"""

import contextlib

from world import exchange


@exchange("ways: the ledger knows both directions, and how each was proven")
async def both(one, other):
    ours, theirs = (one, other) if one.side.is_ours else (other, one)
    if not ours.side.is_ours:
        return
    romeo, juliet = await ours.person(), await theirs.person()
    await romeo.settled(juliet)
    facts = ours.side.federation("show", theirs.name)["facts"]
    assert facts["state"].startswith("open"), facts
    assert int(facts["sent"]) > 0 and int(facts["received"]) > 0, facts
    # One line for each stream, beginning with its direction and the domain here.
    ways = [line for line in facts["streams"] if f"({ours.name})" in line]
    directions = {line.split(" ")[0] for line in ways}
    assert {"in", "out"} <= directions or "both" in directions, ways
    mode = ours.domain.mode
    for line in ways:
        proof = "certificate" if mode.has_certificate else "dialback"
        assert f"proven by {proof}" in line and "TLS 1.3" in line, line
        assert ("direct TLS" if mode.is_direct else "STARTTLS") in line, line


@exchange("ways: a test of the other server finds nothing wrong, and a block ends it")
async def operated(one, other):
    ours, theirs = (one, other) if one.side.is_ours else (other, one)
    if not ours.side.is_ours:
        return
    romeo, juliet = await ours.person(), await theirs.person()
    ours.side.run("federation", "test", theirs.name)
    ours.side.run("federation", "block", theirs.name, "--reason", "for a moment")
    try:
        id = romeo.message(juliet.jid, "Are we parted?")
        error = await romeo.hears(id=id)
        assert error.get("type") == "error" and "blocked" in "".join(error.itertext()), error
        juliet.message(romeo.jid, "Are we?")
        await juliet.wait(lambda s: s.get("type") == "error", "an error", 20)
    finally:
        ours.side.run("federation", "forget", theirs.name)
    romeo.message(juliet.jid, "Together.")
    await juliet.hears("Together.")
    # How long the other server does not try again is its own affair.
    for _ in range(20):
        juliet.message(romeo.jid, "Again.")
        with contextlib.suppress(AssertionError):
            await romeo.hears("Again.", seconds=0.5)
            return
    raise AssertionError("the other server does not come back")
