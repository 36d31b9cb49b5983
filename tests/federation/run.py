"""Waxwing, Prosody and ejabberd federate, in a network of this program's own.

    python tests/federation/run.py [--pairs waxwing-prosody,waxwing-ejabberd] [--mode TEXT]
                                   [--only TEXT] [--list] [--keep] [--debug]

Every check of an exchange runs for each pair of servers, in both directions, and in each mode:
STARTTLS or direct TLS, proven by certificates or by dialback.
"""

import asyncio
import itertools
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent)]

import ground  # noqa: E402
import runner  # noqa: E402

PAIRS = "waxwing-prosody,waxwing-ejabberd"
MACHINES = {"waxwing": 11, "prosody": 12, "ejabberd": 13}


def arguments():
    parser = runner.parser(__doc__, "checks")
    parser.add_argument("--pairs", default=PAIRS, help=f"which servers ({PAIRS})")
    parser.add_argument("--mode", default="", help="only modes whose name contains this text")
    parser.add_argument("--debug", action="store_true", help="let the servers log everything")
    return parser.parse_args()


class Tally:
    """What was seen so far."""

    def __init__(self):
        self.passed = self.failed = 0

    def note(self, title, why, begun):
        took = time.monotonic() - begun
        print(f"{'ok  ' if why is None else 'FAIL'} {title} ({took:.1f} s)", flush=True)
        self.passed += why is None
        self.failed += why is not None
        if why is not None:
            print(why.strip(), flush=True)


async def play(world, check, one, other, mode, tally):
    """One check in one direction."""
    begun = time.monotonic()
    ends = world.end(one, mode), world.end(other, mode)
    try:
        why = await runner.play(check.scenario, *ends)
    finally:
        for end in ends:
            await end.leave()
    if why is not None:
        why += "".join(
            f"\n--- of the log of {side.name}\n{side.log_of_links()}" for side in (one, other)
        )
    tally.note(f"{one.name} → {other.name}, {mode.title}: {check.title}", why, begun)


async def run(options, chosen):
    from sides import KINDS
    from sides.side import MODES
    from world import World

    pairs = [pair.split("-") for pair in options.pairs.split(",")]
    folder = Path(tempfile.mkdtemp(prefix="waxwing-federation-"))
    world = World(folder, "debug" if options.debug else "info")
    tally = Tally()
    try:
        sides = {
            name: world.side(KINDS[name], MACHINES[name])
            for name in dict.fromkeys(itertools.chain(*pairs))
        }
        await world.start()
        for side in world.sides:
            print(f"{side.name} started in {side.started_in:.1f} s", flush=True)
        modes = [mode for mode in MODES if options.mode in mode.label]
        for (a, b), mode, check in itertools.product(pairs, modes, chosen):
            one, other = sides[a], sides[b]
            if mode in check.modes and not check.needs & (one.lacks | other.lacks):
                await play(world, check, one, other, mode, tally)
                await play(world, check, other, one, mode, tally)
    finally:
        await world.stop()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


def main():
    options = arguments()
    if not options.list:
        try:
            ground.enter()
        except ground.NoGround as why:
            print(f"skip: no network namespace of our own can be had here: {why}")
            return 0
    from world import CHECKS

    runner.gather(HERE / "checks")
    chosen = runner.choose(options, CHECKS)
    return 0 if chosen is None else asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
