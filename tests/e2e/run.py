"""Runs the end-to-end scenarios against a real server with clients that others wrote.

    python tests/e2e/run.py [--server waxwing|prosody] [--storage URL] [--only TEXT] [--list]
"""

import asyncio
import logging
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import runner  # noqa: E402
from registry import SCENARIOS  # noqa: E402
from servers import ROOT, SERVERS  # noqa: E402
from world import World  # noqa: E402

ARTEFACTS = ROOT / ".test" / "artefacts"


def arguments():
    parser = runner.parser(__doc__, "scenarios")
    parser.add_argument("--server", choices=SERVERS, default="waxwing")
    parser.add_argument("--storage", help="the URL of an empty database to use")
    parser.add_argument("--verbose", action="store_true", help="show slixmpp's log")
    return parser.parse_args()


async def play(scenario, server, number):
    """Runs one scenario within its time. None, or the reason why it failed."""
    world = World(server, number, ARTEFACTS)
    try:
        return await runner.play(scenario, world)
    finally:
        await world.clean_up()


async def run(options, chosen):
    folder = Path(tempfile.mkdtemp(prefix="waxwing-e2e-"))
    server = SERVERS[options.server](folder, options.storage)
    passed = failed = 0
    try:
        await server.start()
        for number, scenario in enumerate(chosen):
            begun = time.monotonic()
            why = await play(scenario, server, number)
            took = time.monotonic() - begun
            verdict = "ok  " if why is None else "FAIL"
            print(f"{verdict} {scenario.title} ({took:.1f} s)", flush=True)
            if why is None:
                passed += 1
                continue
            failed += 1
            print(f"{why}\n--- end of {server.name}'s log\n{server.log_tail()}\n---", flush=True)
            if server.process is None or server.process.poll() is not None:
                await server.start()
    finally:
        await server.kill()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main():
    options = arguments()
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.CRITICAL)
    runner.gather(HERE / "scenarios")
    chosen = runner.choose(options, SCENARIOS)
    if chosen is None:
        return 0
    is_ours = SERVERS[options.server].is_ours
    chosen = [scenario for scenario in chosen if is_ours or not scenario.needs_ours]
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
