"""The DNS of the test network: a root and everything below it, served by Debian's unbound, and
signed, so that a resolver that begins with our root's key can validate every answer.
"""

import datetime
import shutil
import socket
import subprocess
import time
from pathlib import Path

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

import ground

TTL = 5
READY_SECONDS = 10
ROOT = dns.name.root


class Names:
    """Collects records; `start` signs and serves them."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        # The unsigned part of the tree is for those that must show that they need no DNSSEC.
        self.records = {"example.": [], "plain.": []}
        self.process = None

    def add(self, name, kind, data):
        """One record; the zone is that of the last label."""
        name = name.rstrip(".") + "."
        zone = name.rstrip(".").rsplit(".", 1)[-1] + "."
        self.records[zone].append(f"{name} {TTL} IN {kind} {data}")

    def host(self, name, number, kinds=("A", "AAAA")):
        """The addresses of a machine."""
        if "A" in kinds:
            self.add(name, "A", ground.address(number))
        if "AAAA" in kinds:
            self.add(name, "AAAA", ground.address6(number))

    def service(self, domain, host, port=None, direct=False, priority=0):
        """Where the server of a domain is."""
        kind = "_xmpps-server" if direct else "_xmpp-server"
        port = port or (5270 if direct else 5269)
        self.add(f"{kind}._tcp.{domain}", "SRV", f"{priority} 0 {port} {host.rstrip('.')}.")

    def pin(self, host, port, certificate):
        """A TLSA record (RFC 6698): this certificate's key and no other."""
        self.add(f"_{port}._tcp.{host}", "TLSA", f"3 1 1 {certificate.spki_sha256().hex()}")

    @property
    def anchor(self):
        """The file with the root's key."""
        return self.folder / "root.key"

    def start(self):
        if shutil.which("unbound") is None:
            raise SystemExit("unbound is missing: apt-get install unbound")
        self._write()
        log = (self.folder / "unbound.log").open("ab")
        self.process = subprocess.Popen(
            ["unbound", "-d", "-p", "-c", str(self.folder / "unbound.conf")],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )
        limit = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError((self.folder / "unbound.log").read_text()[-2000:])
            time.sleep(0.02)

    def _answers(self):
        with socket.socket() as one:
            return one.connect_ex((ground.HOME, 53)) == 0

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def _write(self):
        signed = Zone("example.", self.records["example."])
        unsigned = Zone("plain.", self.records["plain."])
        signed.sign()
        root = Zone(".", [
            *(f"{zone} {TTL} IN NS ns.{zone}" for zone in self.records),
            *(f"ns.{zone} {TTL} IN A {ground.HOME}" for zone in self.records),
            f"example. {TTL} IN DS {signed.delegation()}",
        ])
        root.sign()
        self.anchor.write_text(f". {TTL} IN DNSKEY {root.public}\n")
        zones = {".": root, "example.": signed, "plain.": unsigned}
        parts = []
        for name, zone in zones.items():
            file = self.folder / f"{name.rstrip('.') or 'root'}.zone"
            file.write_text(zone.text())
            parts.append(
                f'auth-zone:\n  name: "{name}"\n  zonefile: "{file}"\n'
                "  for-downstream: no\n  for-upstream: yes\n  fallback-enabled: no\n"
            )
        (self.folder / "unbound.conf").write_text(f"""\
server:
  interface: {ground.HOME}
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  do-daemonize: no
  use-syslog: no
  verbosity: 1
  val-log-level: 2
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{self.folder}"
  num-threads: 1
  cache-max-ttl: {TTL}
  cache-max-negative-ttl: 1
  module-config: "validator iterator"
  trust-anchor-file: "{self.anchor}"
  trust-anchor-signaling: no
  do-not-query-localhost: no
remote-control:
  control-enable: no
{"".join(parts)}""")


class Zone:
    """One zone in memory."""

    def __init__(self, origin, records):
        self.origin = dns.name.from_text(origin)
        own = [] if origin == "." else [f"ns.{origin} {TTL} IN A {ground.HOME}"]
        server = "ns.example." if origin == "." else f"ns.{origin}"
        text = "\n".join([
            f"{origin} {TTL} IN SOA {server} hostmaster.{server} 1 3600 600 86400 1",
            f"{origin} {TTL} IN NS {server}", *own, *dict.fromkeys(records), "",
        ])
        self.zone = dns.zone.from_text(text, origin=self.origin, relativize=False)
        self.public = None
        self._fill()

    def _fill(self):
        """Puts something at names that only have others below them: unbound as the server of a
        zone does not know these, and what it says to prove absence is wrong then."""
        for name in list(self.zone.nodes):
            while name != self.origin:
                if name not in self.zone.nodes:
                    self.zone.find_rdataset(name, "TXT", create=True).add(
                        dns.rdata.from_text("IN", "TXT", '"-"'), TTL
                    )
                name = name.parent()

    def sign(self):
        """With one key for everything (RFC 4034)."""
        key = ec.generate_private_key(ec.SECP256R1())
        algorithm = dns.dnssectypes.Algorithm.ECDSAP256SHA256
        self.public = dns.dnssec.make_dnskey(
            key.public_key(), algorithm, flags=257
        )
        now = datetime.datetime.now(datetime.timezone.utc)
        with self.zone.writer() as transaction:
            dns.dnssec.sign_zone(
                self.zone, transaction, keys=[(key, self.public)], add_dnskey=True,
                dnskey_ttl=TTL, inception=now - datetime.timedelta(days=1),
                lifetime=30 * 86400,
            )

    def delegation(self):
        return dns.dnssec.make_ds(self.origin, self.public, "SHA256").to_text()

    def text(self):
        return self.zone.to_text(relativize=False)
