"""Kills the server in mid-sentence, again and again, and holds it to every acknowledgement.

Senders with stream management send numbered messages to people who are online with stream
management, online without, hibernating after a cut, and away. At a random moment the server gets
SIGKILL. It is started again on the same data folder, everybody signs in, and then

* every message that was acknowledged to its sender, and not refused with an error, has arrived;
* nobody got a message twice in one session, nor again after it had been taken in peace;
* what one sender said to one receiver came in order;
* what was acknowledged is in the archives of both sides, once.

    python tests/durability/run.py [--server waxwing|prosody] [--storage URL] [--rounds 24]
        [--seed N]
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from servers import DOMAIN, SERVERS  # noqa: E402
from wire import Lost, Wire  # noqa: E402

PASSWORD = "Correct horse, battery staple 1"
SENDERS = 4
KINDS = ("managed", "plain", "hibernated", "away")
WINDOW = 12  # messages that a sender has on the way unacknowledged
BURST = 8  # messages sent without a pause
MESSAGES_MAX = 500  # per sender and round
SECONDS_MAX = 210


class Receiver:
    """One account that is written to, through all its sessions."""

    def __init__(self, kind):
        self.kind = kind
        self.address = f"{kind}@{DOMAIN}"
        self.wire = None
        self.arrived = set()
        self.settled = set()  # taken in peace: must never come again
        self.faults = []
        self.again = 0  # arrived live before the kill, and once more after it

    def connect(self, server):
        self.wire = Wire(server, self.kind, PASSWORD, "r")
        return self.wire.sign_in(managed=self.kind in ("managed", "hibernated"))

    def book(self, is_settled):
        """Takes over what the current session heard; `is_settled` when it ended in peace."""
        seen, last = set(), {}
        for id, is_stored in self.wire.heard:
            round, sender, number = (int(part) for part in id.split("-"))
            if id in seen:
                self.faults.append(f"{self.kind} got {id} twice in one session")
            elif id in self.settled:
                where = "the offline store" if is_stored else "a session"
                self.faults.append(f"{self.kind} got {id} again, from {where}")
            elif last.get(sender, (-1, -1)) > (round, number):
                self.faults.append(f"{self.kind} got {id} after {last[sender]}")
            self.again += id in self.arrived and id not in seen
            seen.add(id)
            last[sender] = (round, number)
        self.arrived |= seen
        if is_settled:
            self.settled |= seen
            self.wire.heard.clear()


class Test:
    def __init__(self, server, seed):
        self.server = server
        self.dice = random.Random(seed)
        self.receivers = {kind: Receiver(kind) for kind in KINDS}
        self.promised = {kind: set() for kind in KINDS}  # acknowledged to a sender
        self.passed = self.failed = 0

    async def prepare(self):
        await self.server.start()
        for name in [*KINDS, *(f"sender{i}" for i in range(SENDERS))]:
            self.server.add_account(name, PASSWORD)
        await self.take_in()

    async def round(self, number):
        """Everybody talks, the server is killed and started, everybody looks what came."""
        hibernated = self.receivers["hibernated"]
        hibernated.wire.cut()
        delay = self.dice.uniform(0.05, 0.7)
        tasks = [asyncio.ensure_future(self.talk(number, i)) for i in range(SENDERS)]
        if self.dice.random() < 0.4:
            tasks.append(asyncio.ensure_future(self.wake(hibernated, delay / 2)))
        await asyncio.sleep(delay)
        await self.server.kill()
        said = await asyncio.gather(*tasks)
        await self.bury()
        await self.server.start()
        if self.dice.random() < 0.3:
            await self.kill_while_taking_in()
        await self.take_in()
        self.check(number, delay, sum(said))

    async def talk(self, round, sender):
        """Sends until the server dies. The number of messages acknowledged and not refused."""
        wire = Wire(self.server, f"sender{sender}", PASSWORD, "s")
        sent = {}
        try:
            await wire.sign_in(managed=True)
            for n in range(MESSAGES_MAX):
                receiver = self.receivers[KINDS[(n + sender) % len(KINDS)]]
                is_full = receiver.kind != "away" and n % 3 == 0
                id = f"{round}-{sender}-{n}"
                sent[id] = receiver.kind
                wire.say(receiver.address + ("/r" if is_full else ""), id)
                await self.wait_for_room(wire)
                await asyncio.sleep(0 if n % BURST else self.dice.uniform(0, 0.03))
            while not wire.is_lost:
                await self.wait_for_news(wire)
        except Lost:
            pass
        wire.cut()
        promised = {id for id in wire.acked if id not in wire.refused}
        for id in promised:
            self.promised[sent[id]].add(id)
        return len(promised)

    async def wake(self, receiver, delay):
        """Resumes a hibernating session, if the server lives long enough."""
        await asyncio.sleep(delay)
        old, receiver.wire = receiver.wire, Wire(self.server, receiver.kind, PASSWORD, "r")
        try:
            await receiver.wire.resume(old)
        except Lost:
            receiver.wire.heard = old.heard
        return 0

    async def wait_for_room(self, wire):
        while len(wire.unacked) > WINDOW and not wire.is_lost:
            await self.wait_for_news(wire)
        if wire.is_lost:
            raise Lost()

    async def wait_for_news(self, wire):
        wire.news.clear()
        try:
            await asyncio.wait_for(wire.news.wait(), 2)
        except asyncio.TimeoutError:
            if self.server.process is None:
                raise Lost() from None

    async def kill_while_taking_in(self):
        """The server dies once more, while it hands out what it had stored."""
        tasks = [
            asyncio.ensure_future(r.connect(self.server)) for r in self.receivers.values()
        ]
        await asyncio.sleep(self.dice.uniform(0.02, 0.2))
        await self.server.kill()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.bury()
        await self.server.start()

    async def bury(self):
        """Every receiver takes what is still on the way from the dead server, and hangs up."""
        for receiver in self.receivers.values():
            if receiver.wire:
                await receiver.wire.drain()
                receiver.wire.cut()
                receiver.book(is_settled=False)
                receiver.wire = None

    async def take_in(self):
        """Everybody signs in and takes what there is, undisturbed; who is away goes again."""
        await asyncio.gather(*(self.take_in_one(r) for r in self.receivers.values()))

    async def take_in_one(self, receiver):
        await receiver.connect(self.server)
        await receiver.wire.settle()
        receiver.book(is_settled=True)
        if receiver.kind == "away":
            await receiver.wire.close()
            receiver.wire = None

    def check(self, number, delay, said):
        faults = []
        for kind, receiver in self.receivers.items():
            missing = self.promised[kind] - receiver.arrived
            if missing:
                some = ", ".join(sorted(missing)[:5])
                faults.append(f"{len(missing)} acknowledged and lost for {kind}: {some}")
                self.promised[kind] -= missing  # told once
            faults += receiver.faults
            receiver.faults = []
        what = f"round {number}: killed after {delay:.2f} s, {said} messages acknowledged"
        self.verdict(what, faults)

    async def check_archives(self):
        """Everybody reads the own archive."""
        faults = []
        promised = {kind: set(ids) for kind, ids in self.promised.items()}
        for i in range(SENDERS):
            own = {id for ids in self.promised.values() for id in ids if id.split("-")[1] == str(i)}
            promised[f"sender{i}"] = own
        for name, ids in promised.items():
            wire = Wire(self.server, name, PASSWORD, "h")
            await wire.sign_in(managed=False)
            filed = await wire.history()
            await wire.close()
            if missing := ids - set(filed):
                some = ", ".join(sorted(missing)[:5])
                faults.append(f"{len(missing)} not in the archive of {name}: {some}")
            if len(filed) > len(set(filed)):
                faults.append(f"{len(filed) - len(set(filed))} twice in the archive of {name}")
        self.verdict("what was acknowledged is in both archives, once", faults)

    def verdict(self, what, faults):
        print(f"{'FAIL' if faults else 'ok  '} {what}", flush=True)
        for fault in faults[:10]:
            print(f"     {fault}", flush=True)
        self.passed += not faults
        self.failed += bool(faults)

    def check_that_it_was_a_test(self):
        """A run in which nothing was at stake proves nothing."""
        at_stake = {kind: len(self.promised[kind]) for kind in KINDS}
        again = sum(r.again for r in self.receivers.values())
        faults = [f"nothing was acknowledged for {kind}" for kind, n in at_stake.items() if n < 50]
        self.verdict(f"in all {at_stake} acknowledged, {again} also came before the kill", faults)


async def run(options):
    folder = Path(tempfile.mkdtemp(prefix="waxwing-durability-"))
    server = SERVERS[options.server](folder, options.storage)
    test = Test(server, options.seed)
    print(f"seed {options.seed}")
    limit = time.monotonic() + SECONDS_MAX
    try:
        await test.prepare()
        for number in range(options.rounds):
            if time.monotonic() > limit:
                test.verdict("the time", [f"only {number} rounds in {SECONDS_MAX} s"])
                break
            await test.round(number)
        await test.check_archives()
        test.check_that_it_was_a_test()
    except Exception as error:
        test.verdict("the run", [repr(error), server.log_tail()])
    finally:
        await server.kill()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{test.passed} passed, {test.failed} failed")
    return 1 if test.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=SERVERS, default="waxwing")
    parser.add_argument("--storage", help="the URL of an empty database to use")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
