"""A walk: a feature from end to end, in steps that are named beforehand so that none is missed."""

import contextlib

from own import own_server
from servers import DOMAIN
from world import World

STATUS = "https://status.example.org/chat.json"
# What is off, or empty, until an operator says something.
SETTINGS = f"""\
[modules.outage]
addresses = ["{STATUS}"]

[modules.policy]
auth_data = "plain"
data_export = true
data_retention = "720"

[modules.register]
invites = "everybody"

[[modules.services.service]]
kind = "stun"

[[modules.services.service]]
kind = "turn"
host = "relay.example"
secret = "between the server and the relay"
"""


class Walk:
    """Steps in their order. Leaving the walk with one undone fails it, and says which."""

    def __init__(self, *steps):
        self.left = list(steps)

    @contextlib.contextmanager
    def step(self, name):
        assert self.left and self.left[0] == name, f"{name!r} comes before its turn: {self.left}"
        try:
            yield
        except Exception as error:
            raise AssertionError(f"at the step {name!r}: {error!r}") from error
        del self.left[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        assert kind or not self.left, f"left out: {self.left}"


@contextlib.asynccontextmanager
async def grounds(world):
    """A server with every feature set up, and a world on it in which `admin0` is its admin."""
    async with own_server(SETTINGS, f'admins = ["admin0@{DOMAIN}"]') as server:
        elsewhere = World(server, 0, world.artefacts)
        try:
            yield elsewhere
        finally:
            await elsewhere.clean_up()
