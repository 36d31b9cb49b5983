"""What a check gets: servers in one folder, a database, certificates, and an end to all of it."""

import asyncio
import http.client
import json
import subprocess
import time
from pathlib import Path

from servers import Waxwing
from wire import Wire

PASSWORD = "Correct horse, battery staple 1"
# How long a program may take that has nothing to wait for.
SOON = 15


class Skip(Exception):
    """This machine cannot do what the check needs; the text says what."""


class Place(Waxwing):
    """Waxwing in a folder of its own, whose configuration can be changed."""

    def __init__(self, folder):
        self.sections = {"tls": {"required": False}}
        self.hosts = [{"domain": "localhost"}]
        self.extra = ""  # text at the end of the file
        super().__init__(folder)

    def _config_text(self):
        listen = {
            kind: [f"{self.host}:{port}"]
            for kind, port in zip(
                ("xmpp", "xmpp_tls", "http", "https"),
                (self.tcp_port, self.tls_port, self.http_port, self.https_port),
            )
        }
        sections = {"listen": listen, **self.sections}
        parts = [(f"[{name}]", keys) for name, keys in sections.items()]
        parts += [("[[host]]", keys) for keys in self.hosts]
        # JSON's strings, numbers, truths and lists are TOML's too.
        text = "".join(
            head + "\n" + "".join(f"{key} = {json.dumps(v)}\n" for key, v in keys.items())
            for head, keys in parts
        )
        return text + self.extra

    def configure(self, **sections):
        """Changes settings of `[section]`s and writes the file."""
        for name, keys in sections.items():
            self.sections.setdefault(name.replace("__", "."), {}).update(keys)
        self.write()

    def write(self):
        self.config.write_text(self._config_text())

    def run(self, *words, input=None, **options):
        """One command on this place's configuration and data folder."""
        return subprocess.run(
            [self.binary, *words, *self._base()],
            input=input, stdin=None if input else subprocess.DEVNULL,
            text=True, capture_output=True, timeout=SOON, cwd=self.folder, **options,
        )

    def done(self, *words, **options):
        """What a command that succeeds prints."""
        ended = self.run(*words, **options)
        assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    def json(self, *words, **options):
        """What a command that succeeds tells programs."""
        return json.loads(self.done(*words, "--json", **options))

    def refused(self, *words, **options):
        """What a command that fails says on standard error."""
        ended = self.run(*words, **options)
        assert ended.returncode in (1, 2), f"{words}: {ended.returncode}\n{ended.stdout}"
        return ended.stderr

    def get(self, path):
        """The status, the headers and the text of a page."""
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=SOON)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def is_ready(self):
        return self.get("/readyz")[0] == 200

    async def signed_in(self, name, resource="desk", managed=True, password=PASSWORD):
        return await Wire(self, name, password, resource).sign_in(managed)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class Box:
    """One check's surroundings. All that it made is ended by `clean_up`."""

    def __init__(self, folder, postgres):
        self.folder = Path(folder)
        self._postgres = postgres
        self.places, self.endings = [], []

    def place(self, name="a", **sections):
        """A server that is not started yet."""
        place = Place(self.folder / name)
        place.configure(**sections)
        self.places.append(place)
        return place

    async def serving(self, name="a", accounts=("romeo", "juliet"), **sections):
        """A server that runs, with accounts."""
        place = self.place(name, **sections)
        await place.start()
        for account in accounts:
            place.add_account(account, PASSWORD)
        return place

    def postgres(self):
        """The PostgreSQL server that the checks share, running."""
        self._postgres.start()
        return self._postgres

    def certificate(self, name, *domains, days=30):
        """A self-signed certificate for these domains: the paths of chain and key."""
        chain, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        self.folder.mkdir(parents=True, exist_ok=True)
        names = ",".join(f"DNS:{domain}" for domain in domains)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", str(days), "-subj", f"/CN={domains[0]}",
             "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(chain)],
            check=True, capture_output=True,
        )
        return chain, key

    def at_end(self, action):
        """Runs `action` when the check is over, last first."""
        self.endings.append(action)

    def logs(self):
        return "".join(
            f"--- end of the log of {place.folder.name}\n{place.log_tail()}\n---"
            for place in self.places
        )

    async def clean_up(self):
        for place in self.places:
            if place.process and place.process.poll() is not None:
                place.process = None
            await place.kill()
        for action in reversed(self.endings):
            action()


async def until(truth, what, seconds=10):
    """Waits until `truth()` holds, and tells how long it took."""
    begun = time.monotonic()
    while not truth():
        assert time.monotonic() - begun < seconds, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - begun
