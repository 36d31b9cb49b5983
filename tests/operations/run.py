"""Operates Waxwing as its manual says, and breaks what can break around it.

    python tests/operations/run.py [--only TEXT] [--list] [--keep]

Each check has a folder of its own, with as many servers in it as it wants.
"""

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent)]

import runner  # noqa: E402
from box import Box, Skip  # noqa: E402
from database import Postgres  # noqa: E402
from registry import SCENARIOS  # noqa: E402


async def play(check, box):
    """Runs one check: its verdict, and what there is to say about it."""
    try:
        why = await runner.play(check, box, passes=Skip)
        return ("ok  ", "") if why is None else ("FAIL", why + box.logs())
    except Skip as reason:
        return "skip", f"     because {reason}"
    finally:
        await box.clean_up()


async def run(chosen, keep):
    folder = Path(tempfile.mkdtemp(prefix="waxwing-operations-"))
    # Servers of other users live below.
    folder.chmod(0o755)
    postgres = Postgres(folder / "postgres")
    count = {"ok  ": 0, "skip": 0, "FAIL": 0}
    try:
        for number, check in enumerate(chosen):
            begun = time.monotonic()
            verdict, words = await play(check, Box(folder / str(number), postgres))
            count[verdict] += 1
            print(f"{verdict} {check.title} ({time.monotonic() - begun:.1f} s)", flush=True)
            if words:
                print(words, flush=True)
    finally:
        postgres.remove()
        if keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if count["skip"]:
        print(f"{count['skip']} skipped")
    print(f"{count['ok  ']} passed, {count['FAIL']} failed")
    return 1 if count["FAIL"] or not count["ok  "] else 0


def main():
    options = runner.parser(__doc__, "checks").parse_args()
    runner.gather(HERE / "checks")
    chosen = runner.choose(options, SCENARIOS)
    return 0 if chosen is None else asyncio.run(run(chosen, options.keep))


if __name__ == "__main__":
    sys.exit(main())
