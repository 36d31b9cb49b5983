"""Waxwing, Prosody and ejabberd federate, in a network of this program's own.

    python tests/federation/run.py [--pairs waxwing-prosody,waxwing-ejabberd] [--mode TEXT]
                                   [--part exchange|attack|parting] [--only TEXT] [--list]
                                   [--against waxwing] [--keep] [--debug]

Every check of an exchange runs for each pair of servers, in both directions, and in each mode:
STARTTLS or direct TLS, proven by certificates or by dialback. Attacks are made on Waxwing from raw
sockets. Partings are for three Waxwings and a Prosody whose links break.
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
sys.path.append(str(HERE.parent / "hostile"))

import ground  # noqa: E402
import runner  # noqa: E402

PAIRS = "waxwing-prosody,waxwing-ejabberd"
PARTS = ("exchange", "attack", "parting")
MACHINES = {"waxwing": 11, "prosody": 12, "ejabberd": 13, "waxwing2": 14, "waxwing3": 15}
# Who is no party to an attack on each, and is served meanwhile.
HONEST = {"waxwing": "prosody", "prosody": "ejabberd", "ejabberd": "prosody"}


def arguments():
    parser = runner.parser(__doc__, "checks")
    parser.add_argument("--pairs", default=PAIRS, help=f"which servers ({PAIRS})")
    parser.add_argument("--mode", default="", help="only modes whose name contains this text")
    parser.add_argument("--part", choices=PARTS, help="only this part")
    parser.add_argument("--against", default="waxwing", help="whom to attack (waxwing)")
    parser.add_argument("--debug", action="store_true", help="let the servers log everything")
    return parser.parse_args()


class Tally:
    """What was seen so far."""

    def __init__(self):
        self.passed = self.failed = 0

    def note(self, title, whys, begun):
        took = time.monotonic() - begun
        whys = [why for why in whys if why is not None]
        print(f"{'FAIL' if whys else 'ok  '} {title} ({took:.1f} s)", flush=True)
        self.passed += not whys
        self.failed += bool(whys)
        for why in whys:
            print(why.strip(), flush=True)


async def one_way(world, check, one, other, mode):
    """One check in one direction: None, or why it failed."""
    ends = world.end(one, mode, other), world.end(other, mode, one)
    try:
        why = await runner.play(check.scenario, *ends)
    finally:
        await asyncio.gather(*(end.leave() for end in ends))
    if why is not None:
        why = f"from {one.name} to {other.name}:\n{why}{logs(one, other)}"
    return why


def logs(*sides):
    return "".join(f"\n--- of the log of {side.name}\n{side.log_of_links()}" for side in sides)


async def exchange(world, sides, pairs, modes, checks, tally):
    for (a, b), mode, check in itertools.product(pairs, modes, checks):
        one, other = sides[a], sides[b]
        if mode not in check.modes or check.needs & (one.lacks | other.lacks):
            continue
        begun = time.monotonic()
        whys = [
            await one_way(world, check, one, other, mode),
            await one_way(world, check, other, one, mode),
        ]
        tally.note(f"{a} and {b}, {mode.title}: {check.title}", whys, begun)


async def besiege(world, sides, against, attacks, tally):
    from siege import Siege

    for attack in attacks:
        begun = time.monotonic()
        siege = Siege(world, sides[against], sides[HONEST[against]])
        try:
            why = await runner.play(attack, siege)
        finally:
            await siege.lift()
        if why is not None:
            why += logs(siege.side)
        if not siege.side.is_alive():
            why = (why or "") + "\nthe server has ended"
            await siege.side.start()
        tally.note(f"attack: {attack.title}", [why], begun)


async def part(world, sides, partings, tally):
    from parted import Party

    members = [side for name, side in sides.items() if name != "ejabberd"]
    for parting in partings:
        begun = time.monotonic()
        party = Party(world, members)
        try:
            why = await runner.play(parting, party)
        finally:
            await party.lift()
        if why is not None:
            why += logs(*members)
        tally.note(parting.title, [why], begun)


async def run(options, checks):
    from sides import KINDS
    from sides.side import MODES
    from siege import lay_out
    from world import GUESTS, World

    pairs = [pair.split("-") for pair in options.pairs.split(",")]
    names = set(itertools.chain(*pairs)) if checks["exchange"] else set()
    if checks["attack"]:
        names |= {options.against, HONEST[options.against]}
    if checks["parting"]:
        names |= {"waxwing", "prosody"}
    folder = Path(tempfile.mkdtemp(prefix="waxwing-federation-"))
    world = World(folder, "debug" if options.debug else "info")
    tally = Tally()
    try:
        sides = {name: world.side(KINDS[name], MACHINES[name]) for name in KINDS if name in names}
        if checks["parting"]:
            for name in ("waxwing2", "waxwing3"):
                sides[name] = world.side(
                    KINDS["waxwing"], MACHINES[name], GUESTS[:10], name=name, modes=MODES[:1]
                )
        lay_out(world)
        await world.start()
        print(", ".join(f"{s.name} ready in {s.started_in:.1f} s" for s in world.sides), flush=True)
        modes = [mode for mode in MODES if options.mode in mode.label]
        await exchange(world, sides, pairs, modes, checks["exchange"], tally)
        await besiege(world, sides, options.against, checks["attack"], tally)
        await part(world, sides, checks["parting"], tally)
    finally:
        await world.stop()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


def gather(options):
    """What there is to check, by its part."""
    from parted import PARTINGS
    from siege import ATTACKS
    from world import CHECKS

    for folder in ("checks", "attacks"):
        runner.gather(HERE / folder)
    found = {"exchange": CHECKS, "attack": ATTACKS, "parting": PARTINGS}
    return {
        name: runner.choose(options, checks) if options.part in (None, name) else []
        for name, checks in found.items()
    }


def main():
    options = arguments()
    if not options.list:
        try:
            ground.enter()
        except ground.NoGround as why:
            print(f"skip: no network namespace of our own can be had here: {why}")
            return 0
    chosen = gather(options)
    return 0 if options.list else asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
