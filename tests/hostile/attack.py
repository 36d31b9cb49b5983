"""The list of attacks: a function says its title and its time, and is on it."""

from dataclasses import dataclass
from typing import Awaitable, Callable

ATTACKS = []


@dataclass(frozen=True)
class Attack:
    title: str
    seconds: float
    is_slow: bool
    play: Callable[..., Awaitable[None]]


def attack(title, seconds=20, slow=False):
    """Registers `async def play(node)`; it fails after so many seconds.

    A slow attack only waits most of the time: all of them run beside the others.
    """

    def register(play):
        ATTACKS.append(Attack(title, seconds, slow, play))
        return play

    return register


def expect(truth, what):
    """Fails with `what`; unlike `assert`, also where Python leaves assertions out."""
    if not truth:
        raise AssertionError(what)
