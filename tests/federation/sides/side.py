"""What every server here promises: its machine, its domains, and the people on them."""

import signal
import ssl
from dataclasses import dataclass

import ground
from authority import Certificate
from servers import Server

PASSWORD = "Correct horse, battery staple 1"


@dataclass(frozen=True)
class Mode:
    """How the servers of a pair of domains reach and prove each other."""

    label: str
    title: str
    is_direct: bool
    has_certificate: bool


MODES = (
    Mode("starttls-external", "STARTTLS and certificates", False, True),
    Mode("tls-external", "direct TLS and certificates", True, True),
    Mode("starttls-dialback", "STARTTLS and dialback", False, False),
    Mode("tls-dialback", "direct TLS and dialback", True, False),
)


@dataclass(frozen=True)
class Domain:
    """A domain that a server serves, for one mode, with a service for rooms and one for nodes."""

    name: str
    mode: Mode
    certificate: Certificate
    # The file with what a client has to trust.
    trusted: str

    @property
    def rooms(self):
        return f"rooms.{self.name}"

    @property
    def pubsub(self):
        return f"pubsub.{self.name}"

    @property
    def all(self):
        return (self.name, self.rooms, self.pubsub)


class Side(Server):
    """A server on a machine of its own, with a domain for each mode.

    The classes of the servers know all that is particular to them; in `lacks`, too: words for what
    a check may need and this server has not.
    """

    lacks = frozenset()
    # Listeners that must answer before the server counts as started.
    ports = (5223, 5269, 5270)

    def __init__(self, folder, number, world, people, name=None, modes=MODES):
        self.name = name or type(self).name
        self.people = people
        super().__init__(folder)
        self.world = world
        self.machine = ground.Machine(self.name, number)
        self.host = self.machine.address
        self.tcp_port, self.tls_port, self.http_port = 5222, 5223, 5280
        world.names.host(f"{self.name}.example", number)
        self.domains = {mode: self._domain(mode) for mode in modes}
        self.prepare()

    def _domain(self, mode):
        name = f"{mode.label}.{self.name}.example"
        names = (name, f"rooms.{name}", f"pubsub.{name}")
        for one in names:
            self.world.names.service(one, f"{self.name}.example", direct=mode.is_direct)
        certificate = self.world.authority.issue(
            name, *names, is_self_signed=not mode.has_certificate
        )
        trusted = self.world.authority.chain if mode.has_certificate else certificate.chain
        return Domain(name, mode, certificate, str(trusted))

    def prepare(self):
        """Writes what the server is started with."""
        raise NotImplementedError

    @property
    def ready_ports(self):
        return self.ports

    def tls_context(self, domain=None):
        """A client context that trusts this domain's certificate."""
        domain = domain or next(iter(self.domains.values()))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(domain.trusted)
        return context

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # What the lines of the log that tell of other servers have in them.
    log_word = "s2s"

    def log_of_links(self, lines=15):
        """The last lines of the log that are about other servers."""
        found = [line[:400] for line in self.log().splitlines() if self.log_word in line]
        return "\n".join(found[-lines:]) or self.log_tail(lines)

    def has(self, word):
        return word not in self.lacks

    def pid(self):
        return self.process.pid

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def pause(self):
        """The process stands still; its connections stay."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)
