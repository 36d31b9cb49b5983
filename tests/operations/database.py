"""A PostgreSQL server that can go away and come back, and asks some users for a password."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).resolve().parents[1] / "services" / "postgres"


class Postgres:
    """Started on first use; every check takes a database of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.url = None

    def _do(self, verb):
        done = subprocess.run(
            [SCRIPT, verb, self.folder], text=True, capture_output=True, timeout=60
        )
        assert done.returncode == 0, f"postgres {verb}: {done.stderr}"
        return done.stdout.strip()

    def start(self):
        if self.url is None:
            self.url = self._do("start")
            access = self.folder / "data" / "pg_hba.conf"
            rule = "host all guarded 127.0.0.1/32 scram-sha-256\n"
            access.write_text(rule + access.read_text())
            self.sql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
            self.sql("SELECT pg_reload_conf()")

    def halt(self):
        """Stops the server as its operator would; what it stored stays."""
        self._do("halt")

    def again(self):
        """Starts it again where it was."""
        self._do("again")

    def remove(self):
        if self.url is not None:
            self._do("stop")

    def database(self, name):
        """The URL of a new, empty database."""
        self.sql(f"CREATE DATABASE {name}")
        return self.at(name)

    def at(self, name, user="postgres"):
        """The URL of a database, which may not exist."""
        port = urlsplit(self.url).port
        return f"postgres://{user}@127.0.0.1:{port}/{name}"

    def sql(self, text, url=None):
        """Runs a statement and gives what it prints."""
        done = subprocess.run(
            ["psql", "-X", "-At", "-c", text, url or self.url],
            text=True, capture_output=True, timeout=20,
        )
        assert done.returncode == 0, re.sub(r"\s+", " ", done.stderr)
        return done.stdout.strip()
