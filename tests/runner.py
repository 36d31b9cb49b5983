"""What the programs share that run many checks one by one, each within its time."""

import argparse
import asyncio
import importlib
import time
import traceback


def parser(doc, things):
    """The options that all of them have."""
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--only", default="", help=f"run {things} whose title contains this text")
    options.add_argument("--list", action="store_true", help="print the titles and stop")
    options.add_argument("--keep", action="store_true", help="keep the servers' folders")
    return options


def gather(folder):
    """Imports every file of the folder, so that what it has to check is known."""
    for file in sorted(folder.glob("*.py")):
        importlib.import_module(f"{folder.name}.{file.stem}")


def choose(options, checks):
    """Those that were asked for; none when they were only to be listed, which is done then."""
    chosen = [check for check in checks if options.only.lower() in check.title.lower()]
    if options.list:
        print("\n".join(check.title for check in chosen))
        return None
    return chosen


async def play(check, *world, passes=()):
    """Runs one check within its time. None, or why it failed; what `passes` is raised."""
    limit = time.monotonic() + check.seconds
    try:
        await asyncio.wait_for(check.play(*world), check.seconds)
        return None
    except passes:
        raise
    except Exception:  # a check may fail in any way; the others still run
        late = f"not done within {check.seconds} s\n" if time.monotonic() >= limit else ""
        return late + traceback.format_exc()
