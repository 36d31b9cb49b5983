"""Operates Waxwing as its manual says, and breaks what can break around it.

    python tests/operations/run.py [--only TEXT] [--list] [--keep]

Each check has a folder of its own, with as many servers in it as it wants.
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
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from box import Box, Skip  # noqa: E402
from database import Postgres  # noqa: E402
from registry import SCENARIOS  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="run checks whose title contains this text")
    parser.add_argument("--list", action="store_true", help="print the titles and stop")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    return parser.parse_args()


async def play(check, box):
    """Runs one check within its time: its verdict, and what there is to say about it."""
    limit = time.monotonic() + check.seconds
    try:
        await asyncio.wait_for(check.play(box), check.seconds)
        return "ok  ", ""
    except Skip as reason:
        return "skip", f"     because {reason}"
    except Exception:  # a check may fail in any way; the others still run
        late = f"not done within {check.seconds} s\n" if time.monotonic() >= limit else ""
        return "FAIL", late + traceback.format_exc() + box.logs()
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
    options = arguments()
    for file in sorted((HERE / "checks").glob("*.py")):
        importlib.import_module(f"checks.{file.stem}")
    chosen = [check for check in SCENARIOS if options.only.lower() in check.title.lower()]
    if options.list:
        print("\n".join(check.title for check in chosen))
        return 0
    return asyncio.run(run(chosen, options.keep))


if __name__ == "__main__":
    sys.exit(main())
