"""Attacks a running server while two people chat on it, who must not notice.

    python3 tests/hostile/run.py [--only TEXT] [--list] [--keep]

After every attack the server lives, its memory has stayed below a bound, and neither of the two
has ever waited longer than a bound for the other's message.
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
from attack import ATTACKS  # noqa: E402
from node import Node, Watch  # noqa: E402

# What one of the two may wait at most. Most of it is for a machine that does other things too.
WAIT_SECONDS = 2.0
# What the server may weigh beyond its weight at rest.
WEIGHT_MIB = 96


class Tally:
    """What was seen so far."""

    def __init__(self, node, watch):
        self.node, self.watch = node, watch
        self.passed = self.failed = 0
        self.longest = self.heaviest = 0.0

    async def judge(self, attack, why, took):
        """Adds what the attack did to everybody else to what it found itself."""
        if not self.node.is_alive():
            why = (why or "") + "\nthe server has ended"
        else:
            peak, worst = self.node.peak(), self.watch.worst()
            self.node.forget_peak()
            self.longest, self.heaviest = max(self.longest, worst), max(self.heaviest, peak)
            if worst > WAIT_SECONDS:
                why = (why or "") + f"\nan ordinary client waited {worst:.1f} s"
            if self.watch.is_over():
                why = (why or "") + "\nan ordinary client was disturbed"
                self.watch = await Watch(self.node).start()
            if peak > self.node.resting + WEIGHT_MIB:
                why = (why or "") + f"\nthe server weighed {peak:.0f} MiB"
            print(f"{'ok  ' if why is None else 'FAIL'} {attack.title} "
                  f"({took:.1f} s, waits {worst * 1000:.0f} ms, {peak:.0f} MiB)", flush=True)
        self.passed += why is None
        self.failed += why is not None
        if why is not None:
            print(f"{why.strip()}\n--- end of the log\n{self.node.log_tail(12)}\n---", flush=True)


async def attack_all(node, tally, chosen):
    async def one(attack):
        begun = time.monotonic()
        why = await runner.play(attack, node)
        return attack, why, time.monotonic() - begun

    slow = [asyncio.ensure_future(one(attack)) for attack in chosen if attack.is_slow]
    for attack in chosen:
        if not attack.is_slow and node.is_alive():
            await tally.judge(*await one(attack))
    for task in asyncio.as_completed(slow):
        await tally.judge(*await task)
    if not node.is_alive():
        tally.failed += 1


async def run(options, chosen):
    folder = Path(tempfile.mkdtemp(prefix="waxwing-hostile-"))
    node = Node(folder)
    tally = None
    try:
        await node.start()
        tally = Tally(node, await Watch(node).start())
        await attack_all(node, tally, chosen)
    finally:
        if tally:
            await tally.watch.stop()
        for line in node.lines:
            line.cut()
        await node.kill()
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"at rest {node.resting:.0f} MiB, at most {tally.heaviest:.0f} MiB; "
          f"the longest wait {tally.longest * 1000:.0f} ms")
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


def main():
    options = runner.parser(__doc__, "attacks").parse_args()
    runner.gather(HERE / "checks")
    chosen = runner.choose(options, ATTACKS)
    return 0 if chosen is None else asyncio.run(run(options, chosen))


if __name__ == "__main__":
    sys.exit(main())
