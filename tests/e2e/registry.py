"""The list of scenarios: a function says its title and its time, and is on it."""

from dataclasses import dataclass
from typing import Awaitable, Callable

SCENARIOS = []


@dataclass(frozen=True)
class Scenario:
    title: str
    seconds: float
    play: Callable[..., Awaitable[None]]
    needs_ours: bool = False


def scenario(title, seconds=30):
    """Registers `async def play(world)` under this title; it fails after so many seconds."""

    def register(play):
        SCENARIOS.append(Scenario(title, seconds, play))
        return play

    return register


def ours(title, seconds=30):
    """The same for what only our own server is asked."""

    def register(play):
        SCENARIOS.append(Scenario(title, seconds, play, needs_ours=True))
        return play

    return register
