"""The rows of the acceptance list and the checks that stand for them."""

from dataclasses import dataclass
from typing import Callable

CHECKS = []


@dataclass
class Check:
    """One check: the rows it proves, what it says, how long it may take, and the code."""

    rows: list
    title: str
    seconds: float
    play: Callable


def check(rows, title, seconds=30):
    """Registers an `async def play(world)` for one row or several ("R01 R03")."""

    def register(play):
        CHECKS.append(Check(rows.split(), title, seconds, play))
        return play

    return register


def expect(is_so, why):
    """Like `assert`, which `python -O` would leave out."""
    if not is_so:
        raise AssertionError(why() if callable(why) else why)
