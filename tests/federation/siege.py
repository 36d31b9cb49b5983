"""What an attack gets: Waxwing, a person on it whom nobody may deceive, and domains to be evil
with.
"""

import asyncio
import contextlib
import time
from pathlib import Path

import ground
from raw import Fake, Line
from registry import Scenario
from sides.side import MODES

ATTACKS = []
NUMBER = 66
PORT = 7000
DOMAINS = 80
# What an ordinary person may wait for another server at most, while an attack goes on.
WAIT_SECONDS = 3.0
# What the server may weigh beyond its weight before all attacks.
WEIGHT_MIB = 96


def attack(title, seconds=30):
    """Registers `async def play(siege)`."""

    def register(play):
        async def whole(siege):
            await siege.begin()
            await play(siege)

        ATTACKS.append(Scenario(title, seconds, whole))
        return play

    return register


def lay_out(world):
    """The evil domains: known to DNS, served by nobody until an attack does. Those below `strict`
    must have a certificate, those below `plain` need no encryption."""
    ground.own_address(NUMBER)
    world.names.host("evil.example", NUMBER, kinds=("A",))
    for number in range(DOMAINS):
        for kind in ("evil", "strict"):
            world.names.service(
                f"{kind}{number}.{kind}.example", "evil.example",
                PORT + 2 * number + (kind == "strict"),
            )
    _lay_out_places(world)


# Domains that are found in their own ways, and the ports of their servers.
DANE, MISPINNED, SIX, SECOND, DECLINED, FALLBACK = (
    f"{name}.{kind}.example" for name, kind in (
        ("dane", "strict"), ("mispinned", "strict"), ("six", "evil"), ("second", "evil"),
        ("declined", "evil"), ("fallback", "evil"),
    )
)
PLACES = {DANE: 6001, MISPINNED: 6002, SIX: 6003, SECOND: 6004, FALLBACK: 5269}
FALLBACK_NUMBER = 67


def _lay_out_places(world):
    names, pins = world.names, world.pins
    for domain in (DANE, MISPINNED):
        host = f"host.{domain}"
        pins[domain] = world.authority.issue(domain, domain, is_self_signed=domain == DANE)
        names.host(host, NUMBER, kinds=("A",))
        names.service(domain, host, PLACES[domain])
    names.pin(f"host.{DANE}", PLACES[DANE], pins[DANE])
    other = world.authority.issue("other-key", MISPINNED)
    names.pin(f"host.{MISPINNED}", PLACES[MISPINNED], other)
    names.host(f"host.{SIX}", NUMBER, kinds=("AAAA",))
    names.service(SIX, f"host.{SIX}", PLACES[SIX])
    # Nobody is at the first place.
    names.service(SECOND, "evil.example", 6999, priority=0)
    names.service(SECOND, "evil.example", PLACES[SECOND], priority=10)
    names.add(f"_xmpp-server._tcp.{DECLINED}", "SRV", "0 0 0 .")
    ground.own_address(FALLBACK_NUMBER)
    names.host(FALLBACK, FALLBACK_NUMBER, kinds=("A",))


class Siege:
    """One attack's surroundings. All that it made is ended by `lift`."""

    taken = 0

    def __init__(self, world, side, honest):
        self.world, self.side = world, side
        self.ours = side.domains[MODES[0]]
        self.other = side.domains[MODES[1]]
        self.end = world.end(side, MODES[0])
        # The server of a domain that is no party to this, and that others may pretend to be.
        self.honest = honest.domains[MODES[0]]
        self.honest_end = world.end(honest, MODES[0])
        self.lines, self.fakes = [], []

    async def begin(self):
        """Somebody who is written to, and somebody on another server who writes."""
        self.victim = await self.end.person("juliet")
        self.friend = await self.honest_end.person("nurse")

    def domain(self, kind="evil"):
        """An evil domain that no attack has used."""
        Siege.taken += 1
        return f"{kind}{Siege.taken}.{kind}.example"

    def certificate(self, domain, *names, **how):
        """For the domain, unless other names are given."""
        file = f"{domain}-{time.monotonic_ns()}"
        return self.world.authority.issue(file, *(names or (domain,)), **how)

    async def fake(self, domain, certificate=None, **how):
        """A server for this domain, where DNS says that it is."""
        address = ground.address(FALLBACK_NUMBER if domain == FALLBACK else NUMBER)
        if domain in PLACES:
            port = PLACES[domain]
            certificate = certificate or self.world.pins.get(domain)
        else:
            number = int("".join(c for c in domain.split(".")[0] if c.isdigit()))
            port = PORT + 2 * number + domain.startswith("strict")
        if domain == SIX:
            address = ground.address6(NUMBER)
        if certificate is None and how.get("has_tls", True):
            certificate = self.certificate(domain)
        fake = await Fake(domain, certificate, **how).listen(address, port)
        self.fakes.append(fake)
        return fake

    async def line(self, **how):
        return await Line.dial(self, **how)

    async def secured(self, domain, to=None, certificate=None):
        """A line after STARTTLS; its features."""
        to = to or self.ours.name
        line = await self.line()
        features = await line.open(domain, to)
        assert "urn:ietf:params:xml:ns:xmpp-tls" in features, features
        await line.secure(certificate, to)
        line.features = await line.open(domain, to)
        return line

    async def proven(self, domain, to=None):
        """A line that has proven to be this domain, by its certificate."""
        to = to or self.ours.name
        line = await self.secured(domain, to, self.certificate(domain))
        assert "EXTERNAL" in line.features, line.features
        refused = await line.external(domain)
        assert refused is None, refused
        await line.open(domain, to)
        return line

    async def heard_nothing(self, words=None):
        """The victim is reached by others, and has nothing of what must not come."""
        begun = time.monotonic()
        await self.friend.settled(self.victim)
        waited = time.monotonic() - begun
        assert waited < WAIT_SECONDS, f"others waited {waited:.1f} s"
        for stanza in self.victim.stanzas:
            told = "".join(stanza.itertext())
            assert words is not None and words not in told, f"delivered: {stanza.attrib} {told!r}"

    async def known(self, domain, *words):
        """What the ledger has of a domain has all of these words."""
        if not self.side.is_ours:
            return ""
        limit = time.monotonic() + 5
        while True:
            told = await asyncio.to_thread(self.side.ledger, domain)
            missing = [word for word in words if word.lower() not in told.lower()]
            if not missing:
                return told
            what = f"the ledger does not say {missing} of {domain}:\n{told}"
            assert time.monotonic() < limit, what
            await asyncio.sleep(0.1)

    def weight(self, key="VmRSS"):
        """Resident memory in MiB."""
        pid = self.side.pid()
        text = Path(f"/proc/{pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith(key))
        return int(line.split()[1]) / 1024

    async def lift(self):
        for line in self.lines:
            line.cut()
        for fake in self.fakes:
            fake.close()
        with contextlib.suppress(OSError):
            await self.end.leave()
            await self.honest_end.leave()
