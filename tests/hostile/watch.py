"""Two ordinary clients that throw a message to and fro. Writes what each throw took, in seconds.

    python3 watch.py PORT PASSWORD
"""

import asyncio
import sys
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from line import Line  # noqa: E402

REST_SECONDS = 0.01
# Longer than any bound: the other side tells how long nothing came.
PATIENCE = 60


async def throw(one, other, number):
    """One message from one to the other."""
    begun = time.monotonic()
    await one.say(
        f"<message to='{other.jid}' id='b{number}' type='chat'><body>{number}</body></message>"
    )
    await other.hear(f"<message [^>]*id='b{number}'.*?</message>".encode(), PATIENCE)
    print(time.monotonic() - begun, flush=True)


async def main():
    port, password = sys.argv[1:]
    node = SimpleNamespace(host="127.0.0.1", tcp_port=int(port), password=password, lines=[])
    romeo = await Line.sign_in(node, "romeo", "desk")
    juliet = await Line.sign_in(node, "juliet", "balcony")
    for line in (romeo, juliet):
        await line.say("<presence/>")
        await line.ping()
    number = 0
    while True:
        number += 1
        await throw(romeo, juliet, number)
        await throw(juliet, romeo, number)
        await asyncio.sleep(REST_SECONDS)


asyncio.run(main())
