"""Three Waxwings and one Prosody in a room, while links between them are cut and mended."""

import asyncio

import ground
from registry import Scenario
from room import Occupant
from sides.side import MODES
from talk import Talker, archive, judge
from world import until

PARTINGS = []


def parting(title, seconds=90, home="waxwing"):
    """Registers `async def play(party)`, whose room is at `home`."""

    def register(play):
        async def whole(party):
            await party.begin(home)
            await play(party)

        PARTINGS.append(Scenario(title, seconds, whole))
        return play

    return register


class Party:
    """A room, and one person of each server in it."""

    def __init__(self, world, sides):
        self.world, self.sides = world, sides
        self.ends = [world.end(side, MODES[0]) for side in sides]
        self.talkers = {}

    @property
    def others(self):
        return [side for side in self.sides if side is not self.home]

    async def begin(self, home):
        """The room is at `home`."""
        self.home = next(side for side in self.sides if side.name == home)
        end = self.ends[self.sides.index(self.home)]
        # Who watches says nothing, and is on the room's own server.
        watcher = await end.person(end.fresh())
        self.owner = await Occupant.opens(watcher, end.rooms, "Owner", persistentroom=1)
        self.room = self.owner.room
        for side, end in zip(self.sides, self.ends):
            person = await end.person(end.fresh(), managed=True)
            talker = await Talker(person, self.room, side.name, side).enter()
            self.talkers[side.name] = talker
        for talker in self.talkers.values():
            talker.begin()

    async def heard_of_all(self, seconds=30):
        """Everybody is heard by everybody again."""
        marks = {name: len(talker.said) for name, talker in self.talkers.items()}

        def is_heard():
            return all(
                any(
                    line.startswith(f"{name} ") and int(line.rsplit(" ", 1)[1]) >= mark
                    for line in hearer.heard[-400:]
                )
                for hearer in self.talkers.values() for name, mark in marks.items()
            ) or next(
                (t.task for t in self.talkers.values() if t.task.done()), None
            )

        found = await until(is_heard, "everybody hears everybody again", seconds)
        if found is not True:
            found.result()

    async def finish(self, parted=()):
        """Everything that was said is where it belongs."""
        await self.heard_of_all()
        for talker in self.talkers.values():
            await talker.stop()
        # What is on its way arrives: the last line of each is everywhere, or refused.
        last = {t.said[-1]: t for t in self.talkers.values()}

        async def settled():
            for talker in self.talkers.values():
                await talker.look()
            return all(
                line in hearer.heard or line in talker.refused
                for line, talker in last.items() for hearer in self.talkers.values()
            )

        for _ in range(200):
            if await settled():
                break
            await asyncio.sleep(0.05)
        kept = await archive(self.owner.person, self.room)
        forgets = not self.home.has("memory of links")
        faults = judge(list(self.talkers.values()), kept, parted, forgets)
        assert not faults, "\n".join(faults)
        return kept

    async def lift(self):
        for talker in self.talkers.values():
            if talker.task:
                talker.task.cancel()
        for end in self.ends:
            await end.leave()


@parting("room on Prosody: connections are reset again and again", home="prosody")
async def elsewhere(party):
    await reset_all(party)


@parting("room on Waxwing: connections are reset again and again")
async def reset(party):
    await reset_all(party)


async def reset_all(party):
    await party.heard_of_all()
    for _ in range(3):
        for side in party.others:
            ground.reset(party.home.machine, side.machine)
            await asyncio.sleep(0.7)
    await party.finish()


@parting("room on Waxwing: cables are out for seconds")
async def short(party):
    await party.heard_of_all()
    for side in party.others:
        ground.cut(party.home.machine, side.machine)
        await asyncio.sleep(2)
        ground.mend(party.home.machine, side.machine)
    await party.finish()


@parting("room on Waxwing: a server stands still, and goes on")
async def still(party):
    await party.heard_of_all()
    for side in party.others:
        side.pause()
        await asyncio.sleep(1.5)
        side.go_on()
    await party.finish()


@parting("room on Waxwing: a server is out of reach for long, and its people leave")
async def long(party):
    await party.heard_of_all()
    gone = next(side for side in party.others if side.is_ours)
    ground.cut(gone.machine, *(side.machine for side in party.sides if side is not gone))
    try:
        # Nobody is told by the network; the links find out by themselves.
        await party.owner.sees(gone.name, "unavailable", seconds=60)
        others = [t for name, t in party.talkers.items() if name != gone.name]
        mark = {t.nick: len(t.said) for t in others}
        await until(
            lambda: all(
                any(line == f"{nick} {at}" for line in t.heard)
                for t in others for nick, at in mark.items()
            ),
            "the others hear each other", 10,
        )
    finally:
        ground.mend(gone.machine, *(side.machine for side in party.sides if side is not gone))
    await party.finish(parted=(gone.name,))


@parting("room on Waxwing: a server is killed, and starts again")
async def killed(party):
    await party.heard_of_all()
    gone = next(side for side in party.others if side.is_ours)
    talker = party.talkers.pop(gone.name)
    await gone.kill()
    talker.task.cancel()
    await party.owner.sees(gone.name, "unavailable", seconds=60)
    await gone.start()
    end = party.ends[party.sides.index(gone)]
    end.people.clear()
    person = await end.person(talker.person.user, managed=True)
    again = await Talker(person, party.room, gone.name + " again", gone).enter()
    party.talkers[gone.name] = again
    again.begin()
    await party.finish()
