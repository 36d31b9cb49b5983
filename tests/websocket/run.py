"""Checks a running server against the acceptance list for XMPP over WebSocket.

    .test/venv/bin/python tests/websocket/run.py [--only R10] [--list] [--keep]
"""

import argparse
import asyncio
import importlib
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from judge import ROW, Judge  # noqa: E402
from node import BRISK, ENDING, MOVING, PLAIN, Node  # noqa: E402
from rows import CHECKS  # noqa: E402
from world import World  # noqa: E402

NODES = {"main": PLAIN, "brisk": BRISK, "moving": MOVING, "ending": ENDING}
AT_ONCE = 16


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows or words of a title, such as R10")
    parser.add_argument("--list", action="store_true", help="print the rows and stop")
    parser.add_argument("--keep", action="store_true", help="keep the servers' folders")
    return parser.parse_args()


async def play(check, nodes, judge, number, turn):
    """Runs one check within its time. None, or the reason why it failed."""
    async with turn:
        world = World(nodes, judge, number)
        begun = time.monotonic()
        try:
            await asyncio.wait_for(check.play(world), check.seconds)
            return None
        except Exception as error:  # a check may fail in any way; the others still run
            if time.monotonic() - begun >= check.seconds:
                return f"not done within {check.seconds} s"
            where = traceback.extract_tb(error.__traceback__)
            ours = [frame for frame in where if str(HERE) in frame.filename]
            lines = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(ours)]
            return f"{type(error).__name__}: {error}\n     at {' < '.join(lines)}"
        finally:
            await world.clean_up()


def tell(rows, title, why):
    for row in rows:
        print(f"ok   {row} {title}" if why is None else f"FAIL {row} {title}", flush=True)
    if why is not None:
        print(f"     {why}", flush=True)
    return len(rows)


async def run(options, chosen):
    folder = Path(tempfile.mkdtemp(prefix="waxwing-websocket-"))
    nodes = {name: Node(folder / name, settings) for name, settings in NODES.items()}
    judge, count = Judge(), {True: 0, False: 0}
    try:
        await asyncio.gather(*(node.start() for node in nodes.values()))
        # Long waits first, so that the others run meanwhile.
        order = sorted(enumerate(chosen), key=lambda pair: -pair[1].seconds)
        long, short = asyncio.Semaphore(len(chosen) or 1), asyncio.Semaphore(AT_ONCE)

        async def one(number, check):
            why = await play(check, nodes, judge, number, long if check.seconds > 30 else short)
            count[why is None] += tell(check.rows, check.title, why)

        await asyncio.gather(*(one(number, check) for number, check in order))
        for row, title, why in judge.verdicts():
            if judge.messages and not options.only:
                count[why is None] += tell([row], title, why)
        for name, node in nodes.items():
            if count[False] and node.process and node.process.poll() is not None:
                print(f"--- {name} ended:\n{node.log_tail()}\n---")
    finally:
        for node in nodes.values():
            await node.kill()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{count[True]} passed, {count[False]} failed")
    return 1 if count[False] or not count[True] else 0


def main():
    options = arguments()
    for file in sorted((HERE / "checks").glob("*.py")):
        importlib.import_module(f"checks.{file.stem}")
    wanted = options.only.lower()
    chosen = [c for c in CHECKS if wanted in c.title.lower() or options.only in c.rows]
    if options.list:
        rows = [(row, check.title) for check in chosen for row in check.rows]
        rows += [] if wanted else ROW.items()
        print("\n".join(f"{row} {title}" for row, title in rows))
        return 0
    return asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
