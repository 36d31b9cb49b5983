"""Runs the end-to-end scenarios against a real server with clients that others wrote.

    python tests/e2e/run.py [--server waxwing|prosody] [--storage URL] [--only TEXT] [--list]
"""

import argparse
import asyncio
import importlib
import logging
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from registry import SCENARIOS  # noqa: E402
from servers import ROOT, SERVERS  # noqa: E402
from world import World  # noqa: E402

ARTEFACTS = ROOT / ".test" / "artefacts"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=SERVERS, default="waxwing")
    parser.add_argument("--storage", help="the URL of an empty database to use")
    parser.add_argument("--only", default="", help="run scenarios whose title contains this text")
    parser.add_argument("--list", action="store_true", help="print the titles and stop")
    parser.add_argument("--keep", action="store_true", help="keep the server's folder")
    parser.add_argument("--verbose", action="store_true", help="show slixmpp's log")
    return parser.parse_args()


async def play(scenario, server, number):
    """Runs one scenario within its time. None, or the reason why it failed."""
    world = World(server, number, ARTEFACTS)
    limit = time.monotonic() + scenario.seconds
    try:
        await asyncio.wait_for(scenario.play(world), scenario.seconds)
        return None
    except Exception:  # a scenario may fail in any way; the others still run
        if time.monotonic() >= limit:
            return f"not done within {scenario.seconds} s"
        return traceback.format_exc()
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
    for file in sorted((HERE / "scenarios").glob("*.py")):
        importlib.import_module(f"scenarios.{file.stem}")
    chosen = [s for s in SCENARIOS if options.only.lower() in s.title.lower()]
    if options.list:
        print("\n".join(s.title for s in chosen))
        return 0
    ARTEFACTS.mkdir(parents=True, exist_ok=True)
    return asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
