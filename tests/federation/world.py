"""The servers of a run, and what a check gets of them."""

import asyncio
import time
from pathlib import Path

from authority import Authority
from names import Names
from person import Person
from registry import Scenario
from sides.side import MODES

CHECKS = []
# Those who are shared by the checks, and new ones for checks that want to know nobody yet.
SHARED = ("romeo", "juliet", "nurse")
GUESTS = tuple(f"guest{number}" for number in range(28))
PEOPLE = SHARED + GUESTS


def exchange(title, needs=(), seconds=30, modes=MODES):
    """Registers `async def play(one, other)`: it is run for every pair of servers, in both
    directions, and in these modes. `needs` are words that no server of the pair may lack."""

    def register(play):
        CHECKS.append(Exchange(Scenario(title, seconds, play), frozenset(needs), tuple(modes)))
        return play

    return register


class Exchange:
    """A check between two servers."""

    def __init__(self, scenario, needs, modes):
        self.scenario, self.needs, self.modes = scenario, needs, modes

    @property
    def title(self):
        return self.scenario.title


class World:
    """Everything that the servers share."""

    def __init__(self, folder, log_level="info"):
        self.folder = Path(folder)
        self.log_level = log_level
        self.authority = Authority(self.folder / "certificates")
        self.names = Names(self.folder / "names")
        self.sides = []
        # Certificates that DNS names (DANE), by domain.
        self.pins = {}

    def side(self, kind, number, people=PEOPLE, **options):
        """A server of this kind on the machine with this number."""
        name = options.get("name") or kind.name
        one = kind(self.folder / name, number, self, people, **options)
        self.sides.append(one)
        return one

    async def start(self):
        """The names first, then all servers at once."""
        self.names.start()
        await asyncio.gather(*(self._start(side) for side in self.sides))

    async def _start(self, side):
        begun = time.monotonic()
        await side.start()
        await side.add_people()
        side.started_in = time.monotonic() - begun

    def end(self, side, mode, partner=None):
        return End(self, side, side.domains[mode], partner)

    async def stop(self):
        for side in self.sides:
            if side.process is not None and side.process.poll() is None:
                side.go_on()
                await side.kill()
        self.names.stop()


class End:
    """One of the two domains of a check: who is there, and where its services are."""

    taken = {}

    def __init__(self, world, side, domain, partner):
        self.world, self.side, self.domain, self.partner = world, side, domain, partner
        self.people = []

    @property
    def name(self):
        return self.domain.name

    @property
    def rooms(self):
        return self.domain.rooms

    @property
    def pubsub(self):
        return self.domain.pubsub

    def fresh(self):
        """The next account that no check with this partner has used."""
        which = self.name, self.partner
        number = End.taken.get(which, 0)
        End.taken[which] = number + 1
        return GUESTS[number]

    async def person(self, user=None, resource="desk", managed=False, presence=True, notify=()):
        """Somebody who is online."""
        user = user or SHARED[len(self.people)]
        one = Person(self.side, self.domain, user, resource, notify)
        self.people.append(one)
        return await one.sign_in(managed, presence)

    async def leave(self):
        """Signs out whoever is still here."""
        for one in self.people:
            if one.task and not one.is_lost:
                await one.close()
        self.people.clear()


async def until(truth, what, seconds=10):
    """Waits until `truth()` holds, and gives it back."""
    begun = time.monotonic()
    while not (found := truth()):
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.05)
    return found
