#!/usr/bin/env python3
"""What other servers cost: two Waxwings on loopback, and domains that nobody answers for.

Prints three figures, each beside what it is compared with in the same run:

- the processor time of a message to another server whose link is up, beside that of one to somebody
  on the same server, for the server that sends and for the one that receives;
- the memory that links to 1,000 domains take, one each;
- how long messages between people on one server take while people write to dead domains.

`tests/load/federation.py --quick` is the check of the `load` stage: it looks whether everything
arrives, and at nothing that depends on speed.
"""

import argparse
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(os.environ.get("WAXWING_PROGRAMS", ROOT / "target/release"))
PATIENCE_SECONDS = 60
NEAR, FAR = "near.test", "far.test"

CONFIG = """
[server]
log_level = "warn"
[listen]
xmpp = ["127.0.0.1:{tcp}"]
xmpp_tls = []
http = ["127.0.0.1:{http}"]
https = []
server = ["127.0.0.1:{server}"]
server_tls = []
[tls]
required = false
[federation]
enabled = true
authorities = "{authority}"
dns = ["127.0.0.1:{dns}"]
dnssec = "off"
{limits}
[[peer]]
domain = "{other}"
address = "127.0.0.1:{other_server}"
[modules.register]
open = true
per_hour = 100000
[modules.strangers]
enabled = false
[modules.archive]
enabled = false
{hosts}
"""
# Rates are for people; this is to see what a message costs.
FAST = """
[limits]
session_stanzas = 0
session_rate = 0
account_stanzas = 0
account_rate = 0
peer_stanzas = 0
peer_rate = 0
"""


class Place:
    """One server in a folder."""

    def __init__(self, folder, name, other, hosts, ports, dns):
        self.folder, self.name = folder / name, name
        self.ports = ports[name]
        self.folder.mkdir()
        text = CONFIG.format(
            **self.ports, dns=dns, other=other, other_server=ports[other]["server"],
            limits=FAST, authority=folder / "authority.pem",
            hosts="".join(host_section(folder, name, host) for host in hosts),
        )
        (self.folder / "waxwing.toml").write_text(text)
        self.log = open(self.folder / "log", "w")
        self.process = subprocess.Popen(
            [PROGRAMS / "waxwing", "serve", "--config", self.folder / "waxwing.toml",
             "--data", self.folder / "data"],
            stdout=self.log, stderr=self.log,
        )
        wait_for(self.ports["tcp"], self)

    def resident(self):
        """Resident memory in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def tell(self, *words, **options):
        ended = subprocess.run(
            [PROGRAMS / "waxwing", *words, "--config", self.folder / "waxwing.toml",
             "--data", self.folder / "data"],
            text=True, capture_output=True, timeout=PATIENCE_SECONDS, **options,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


def host_section(folder, name, host):
    files = f'certificate = "{folder}/{name}.pem"\nkey = "{folder}/{name}.key"\n'
    return f'[[host]]\ndomain = "{host}"\n' + files


def certify(folder):
    """An authority, and a certificate of it for each server and all names below it."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=folder)

    openssl("req", "-x509", *curve, "-subj", "/CN=Load", "-days", "9",
            "-keyout", "authority.key", "-out", "authority.pem")
    for name in (NEAR, FAR):
        openssl("req", "-x509", *curve, "-subj", f"/CN={name}", "-days", "9",
                "-CA", "authority.pem", "-CAkey", "authority.key",
                "-addext", f"subjectAltName=DNS:{name},DNS:*.{name}",
                "-addext", "basicConstraints=CA:FALSE",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def serve_names(names):
    """A name server that knows no name, and says nothing at all of dead ones."""
    while True:
        try:
            question, asker = names.recvfrom(4096)
        except OSError:
            return
        if b"\x04dead" not in question:
            # The question again, as an answer: no such name (RFC 1035 §4.1.1).
            names.sendto(question[:2] + b"\x81\x83" + question[4:6] + b"\0" * 6 + body(question),
                         asker)


def body(question):
    """The one question of a message, without what stands behind it."""
    end = 12
    while question[end]:
        end += question[end] + 1
    return question[12:end + 5]


def wait_for(port, place):
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until and place.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit((place.folder / "log").read_text() + f"\n{place.name} does not start")


class Person:
    """A client that signs in by PLAIN over STARTTLS and asks things."""

    def __init__(self, place, domain, name, password):
        self.socket = socket.create_connection(("127.0.0.1", place.ports["tcp"]), 10)
        self.text, self.domain = "", domain
        self._open()
        self.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        self.until("<proceed")
        context = ssl._create_unverified_context()
        self.socket = context.wrap_socket(self.socket, server_hostname=domain)
        self._open()
        import base64

        proof = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        self.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{proof}</auth>")
        self.until("<success")
        self._open()
        self.say("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.until("</iq>")

    def _open(self):
        self.text = ""
        self.say(
            f"<stream:stream to='{self.domain}' version='1.0' xmlns='jabber:client' "
            "xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        self.until("</stream:features>")

    def say(self, text):
        self.socket.sendall(text.encode())

    def until(self, words, seconds=PATIENCE_SECONDS):
        """Reads until these words have come, and forgets all up to them."""
        self.socket.settimeout(seconds)
        while words not in self.text:
            piece = self.socket.recv(65536).decode(errors="replace")
            assert piece, f"the server hangs up instead of {words}: {self.text[-500:]}"
            self.text += piece
        before, _, self.text = self.text.partition(words)
        return before

    def ping(self, domains):
        """Asks all of these, and waits for every answer; gives those that are errors."""
        for number, domain in enumerate(domains):
            ping = "<ping xmlns='urn:xmpp:ping'/>"
            self.say(f"<iq type='get' id='p{number}.' to='{domain}'>{ping}</iq>")
        answers = [self._answer() for _ in domains]
        return [answer for answer in answers if "type='result'" not in answer]

    def _answer(self):
        self.socket.settimeout(PATIENCE_SECONDS)
        while True:
            found = re.match(r"\s*<iq [^>]*?(/>|>.*?</iq>)", self.text, re.S)
            if found:
                self.text = self.text[found.end():]
                return found.group(0)
            piece = self.socket.recv(65536).decode(errors="replace")
            assert piece, "the server hangs up"
            self.text += piece


def load(place, *words, far=None, register=True):
    """What the generator tells, as JSON."""
    command = [
        PROGRAMS / "waxwing-load", *words, "--json", "--transport", "starttls",
        "--address", f"127.0.0.1:{place.ports['tcp']}", "--domain", place.name,
    ]
    if register:
        command.append("--register")
    if far:
        command += ["--far-address", f"127.0.0.1:{far.ports['tcp']}", "--far-domain", far.name]
    ended = subprocess.run(command, text=True, capture_output=True, timeout=300)
    if ended.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{ended.stderr}")
    return json.loads(ended.stdout)


def cost(near, far, place, quick, is_far):
    """Processor time of one message at `place`, in microseconds."""
    seconds = "1" if quick else "5"
    words = ["chat", "--pairs", "20", "--window", "4", "--warm-up", "1", "--seconds", seconds,
             "--pid", str(place.process.pid)]
    if is_far:
        return load(near, *words, far=far)["server"]["cpu_micros"]
    return load(place, *words)["server"]["cpu_micros"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    domains = 30 if options.quick else options.domains
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(free_ports(7))
        ports = {
            name: {key: next(numbers) for key in ("tcp", "http", "server")} for name in (NEAR, FAR)
        }
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind(("127.0.0.1", 0))
        threading.Thread(target=serve_names, args=(names,), daemon=True).start()
        dns = names.getsockname()[1]
        certify(Path(folder))
        many = [f"d{number}.{FAR}" for number in range(domains)]
        near = Place(Path(folder), NEAR, FAR, [NEAR], ports, dns)
        far = Place(Path(folder), FAR, NEAR, [FAR, *many], ports, dns)
        try:
            measure(near, far, many, options.quick, rounds)
        finally:
            near.stop()
            far.stop()
            names.close()
    print("3 passed, 0 failed")


def measure(near, far, many, quick, rounds):
    links(near, far, many)
    for _ in range(rounds):
        messages(near, far, quick)
    for _ in range(rounds):
        dead(near, quick)


def links(near, far, many):
    password = "under the load 1"
    near.tell("user", "add", f"asker@{NEAR}", "--password-stdin", input=password + "\n")
    asker = Person(near, NEAR, "asker", password)
    assert not asker.ping([FAR])
    before = near.resident()
    for start in range(0, len(many), 10):
        some = many[start:start + 10]
        errors = asker.ping(some)
        assert not errors, f"{len(errors)} do not answer: {errors[0]}"
    time.sleep(3)
    after = near.resident()
    grown = (after - before) / 1024
    print(f"links: {len(many)} domains, {grown:.1f} MiB above {before / 1024:.1f} MiB "
          f"({(after - before) / len(many):.1f} KiB each)")


def messages(near, far, quick):
    local = cost(near, far, near, quick, False)
    sent = cost(near, far, near, quick, True)
    received = cost(near, far, far, quick, True)
    print(f"messages: {sent / local:.2f} times a local one for who sends, "
          f"{received / local:.2f} for who receives ({local:.1f} µs)")


def dead(near, quick):
    """People write to domains that do not answer; others talk meanwhile."""
    seconds = "2" if quick else "6"
    words = ["chat", "--pairs", "20", "--rate", "500" if quick else "2000", "--warm-up", "1",
             "--seconds", seconds]
    calm = load(near, *words)
    asker = Person(near, NEAR, "asker", "under the load 1")
    for number in range(200):
        to = f"x@n{number}.dead.test"
        asker.say(f"<message to='{to}' id='d{number}'><body>?</body></message>")
    busy = load(near, *words)
    busy, calm = (report["latency_micros"]["p99"] for report in (busy, calm))
    print(f"dead domains: 99 % of local messages within {busy:.0f} µs beside 200 of them, "
          f"{calm:.0f} µs without ({busy / calm:.2f} times)")
    asker.socket.close()


if __name__ == "__main__":
    main()
