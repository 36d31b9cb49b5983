"""The network that the servers stand in: a bridge, a machine for each server, and links that can be
cut. It is a namespace of this program's own, so every server has the ports and names that it would
have on the internet, and nothing outside notices.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Set in the process that has the namespace.
INSIDE = "WAXWING_TEST_GROUND"
TOOLS = ("ip", "unshare", "nsenter", "mount")
# Where the tests themselves are, and the DNS server.
HOME = "10.77.0.1"
NOWHERE = "02:00:00:00:00:99"


class NoGround(Exception):
    """This machine gives us no network of our own; the text says why."""


def enter():
    """Starts this program again in a namespace of its own; comes back only inside it."""
    if os.environ.get(INSIDE):
        _lay()
        return
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise NoGround(f"{', '.join(missing)} missing: apt-get install iproute2 util-linux")
    command = ["unshare", "--net", "--mount", "--propagation", "private", "--kill-child"]
    if os.geteuid() != 0:
        command.append("--map-root-user")
    # What may be forbidden is tried first, where a failure can be told from one of the tests.
    trial = "ip link add t0 type veth peer name t1 && ip link add b0 type bridge"
    tried = subprocess.run([*command, "--fork", "sh", "-c", trial], capture_output=True, text=True)
    if tried.returncode:
        raise NoGround(tried.stderr.strip() or f"unshare ended with {tried.returncode}")
    os.environ[INSIDE] = "1"
    os.execvp("unshare", [*command, "--fork", sys.executable, *sys.argv])


def sh(*words):
    """One command that must succeed."""
    ended = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if ended.returncode:
        raise RuntimeError(f"{' '.join(words)}: {ended.stderr.strip()}")
    return ended.stdout


def _lay():
    sh("mount", "-t", "tmpfs", "tmpfs", "/run")
    Path("/run/netns").mkdir()
    for name, text in (
        ("resolv.conf", f"nameserver {HOME}\n"),
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    ):
        Path("/run", name).write_text(text)
        # The file may be a link, to a place that /run covers now.
        sh("mount", "--bind", f"/run/{name}", str(_reached(Path("/etc", name))))
    sh("ip", "link", "set", "lo", "up")
    sh("ip", "link", "add", "bridge0", "type", "bridge")
    sh("ip", "link", "set", "bridge0", "up")
    own_address(1)


def _reached(path):
    """The file that a mount over `path` hides; made when there is none."""
    path = path.resolve()
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return path


def address(number):
    return f"10.77.0.{number}"


def address6(number):
    return f"fd77::{number:x}"


def own_address(number):
    """One more address of the machine that the tests run on."""
    _give((), "bridge0", number)
    return address(number)


def _give(where, device, number):
    sh("ip", *where, "address", "add", f"{address(number)}/24", "dev", device)
    # Without waiting for others who might have the same address.
    sh("ip", *where, "address", "add", f"{address6(number)}/64", "dev", device, "nodad")


class Machine:
    """A machine on the bridge, for one server."""

    def __init__(self, name, number):
        self.name, self.number = name, number
        self.address, self.address6 = address(number), address6(number)
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", f"to-{name}", "type", "veth",
           "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", f"to-{name}", "master", "bridge0", "up")
        for device in ("lo", "eth0"):
            sh("ip", "-n", name, "link", "set", device, "up")
        _give(("-n", name), "eth0", number)

    def command(self, *words):
        """The command that runs `words` on this machine."""
        return ["nsenter", f"--net=/run/netns/{self.name}", *words]

    def _neighbour(self, action, others, *more):
        for other in others:
            for number in (other.address, other.address6):
                sh("ip", "-n", self.name, "neighbour", action, number, "dev", "eth0", *more)


def cut(one, *others):
    """From now on nothing passes between one machine and the others, and nobody is told: what a
    cable looks like that was pulled out far away."""
    for a, many in ((one, others), *((other, (one,)) for other in others)):
        a._neighbour("replace", many, "lladdr", NOWHERE, "nud", "permanent")


def mend(one, *others):
    """Undoes `cut`."""
    for a, many in ((one, others), *((other, (one,)) for other in others)):
        a._neighbour("delete", many)


def reset(one, *others):
    """Breaks every connection between one machine and the others, and tells both ends: what a
    router does that has forgotten them."""
    for other in others:
        for number in (other.address, other.address6):
            for here in (one, other):
                there = number if here is one else (
                    one.address if number == other.address else one.address6
                )
                sh(*here.command("ss", "--kill", "--no-header", "dst", f"[{there}]"))
