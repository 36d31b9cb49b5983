"""The servers that the tests can run, one class each.

A server gets an empty folder and free loopback ports, and promises what `Server` lists. Everything
that is particular to one server stands in its class, so the scenarios know none of it.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOMAIN = "localhost"
# A component that every server is set up for, and what it proves to know.
COMPONENT = f"echo.{DOMAIN}"
SECRET = "something wicked this way comes"
READY_SECONDS = 20
STOP_SECONDS = 20


def free_ports(count):
    """Ports on loopback that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Server:
    """One server under test: `start`, `stop`, `kill`, `add_account`, and where it listens.

    `storage` is the address of a database that is not the server's own.
    """

    name = "server"
    host = "127.0.0.1"
    # Whether SCRAM can be bound to the certificate (tls-server-end-point).
    has_end_point_binding = False
    # Whether scenarios may start servers set up for them, see `own.py`.
    is_ours = False

    def __init__(self, folder, storage=None):
        self.folder = Path(folder)
        self.storage = storage
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        self.log_path = self.folder / f"{self.name}.log"
        (
            self.tcp_port, self.tls_port, self.http_port, self.https_port, self.component_port
        ) = free_ports(5)
        self.process = None

    @property
    def ws_url(self):
        return f"ws://{DOMAIN}:{self.http_port}{self.ws_path}"

    @property
    def wss_url(self):
        return f"wss://{DOMAIN}:{self.https_port}{self.ws_path}"

    @property
    def bosh_url(self):
        return f"http://{DOMAIN}:{self.http_port}/http-bind"

    @property
    def secure_bosh_url(self):
        return f"https://{DOMAIN}:{self.https_port}/http-bind"

    @property
    def certificate(self):
        """The PEM file that clients are told to trust."""
        raise NotImplementedError

    @property
    def ready_ports(self):
        """The listeners that must answer before the server counts as started."""
        return (self.tcp_port, self.tls_port, self.http_port, self.https_port)

    def command(self):
        raise NotImplementedError

    def add_account(self, name, password):
        raise NotImplementedError

    async def start(self):
        """Starts the process and waits until every listener answers."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        limit = time.monotonic() + READY_SECONDS
        for port in self.ready_ports:
            while not await self._answers(port):
                if self.process.poll() is not None:
                    raise RuntimeError(f"{self.name} ended with {self.process.returncode}")
                if time.monotonic() > limit:
                    raise RuntimeError(f"{self.name} does not listen on port {port}")
                await asyncio.sleep(0.02)

    async def _answers(self, port):
        try:
            _, writer = await asyncio.open_connection(self.host, port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self):
        """SIGTERM, and the exit code. A server that does not end in time is killed and fails."""
        return await self._end(signal.SIGTERM)

    async def kill(self):
        """SIGKILL: the process gets no chance to write anything."""
        return await self._end(signal.SIGKILL)

    async def _end(self, how):
        if self.process is None:
            return None
        self.process.send_signal(how)
        limit = time.monotonic() + STOP_SECONDS
        while self.process.poll() is None:
            if time.monotonic() > limit:
                self.process.kill()
                self.process.wait()
                self.process = None
                raise RuntimeError(f"{self.name} did not end within {STOP_SECONDS} s of {how.name}")
            await asyncio.sleep(0.01)
        code, self.process = self.process.returncode, None
        return code

    def log_tail(self, lines=40):
        if not self.log_path.exists():
            return "(no log)"
        text = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(text[-lines:])

    def tls_context(self):
        """A client context that trusts this server's certificate and nothing else."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        return context


class Waxwing(Server):
    """Waxwing's release binary, with the certificate that it made for itself at first start."""

    name = "waxwing"
    has_end_point_binding = True
    is_ours = True
    ws_path = "/xmpp-websocket"

    def __init__(self, folder, storage=None):
        super().__init__(folder, storage)
        binary = os.environ.get("WAXWING_BIN", str(ROOT / "target/release/waxwing"))
        if not Path(binary).exists():
            raise SystemExit(f"{binary} is missing: cargo build --release")
        self.binary = binary
        self.config = self.folder / "waxwing.toml"
        self.config.write_text(self._config_text())

    def _config_text(self):
        # TLS is required by default; `ws://` works because the server is for this machine only.
        storage = f'[storage]\nurl = "{self.storage}"\n' if self.storage else ""
        return f"""\
{storage}[listen]
xmpp = ["{self.host}:{self.tcp_port}"]
xmpp_tls = ["{self.host}:{self.tls_port}"]
http = ["{self.host}:{self.http_port}"]
https = ["{self.host}:{self.https_port}"]
component = ["{self.host}:{self.component_port}"]

[[component]]
domain = "{COMPONENT}"
secret = "{SECRET}"
name = "Echo"

[[host]]
domain = "{DOMAIN}"
"""

    @property
    def certificate(self):
        """The certificate out of the file that Waxwing made, without the key beside it."""
        copy = self.folder / "trusted.pem"
        if not copy.exists():
            text = "".join(path.read_text() for path in sorted(self.data.rglob("*.pem")))
            found = re.search("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)
            if found is None:
                raise RuntimeError(f"no certificate below {self.data}")
            copy.write_text(found.group() + "\n")
        return str(copy)

    def _base(self):
        return ["--config", str(self.config), "--data", str(self.data)]

    def command(self):
        return [self.binary, "serve", *self._base()]

    def add_account(self, name, password):
        subprocess.run(
            [self.binary, "user", "add", *self._base(), f"{name}@{DOMAIN}", "--password-stdin"],
            input=password + "\n",
            text=True,
            check=True,
            capture_output=True,
            timeout=20,
        )

    def remove_account(self, name):
        subprocess.run(
            [self.binary, "user", "remove", "--yes", *self._base(), f"{name}@{DOMAIN}"],
            check=True,
            capture_output=True,
            timeout=20,
        )


class Prosody(Server):
    """Debian's Prosody: proves that a failing scenario is the server's fault and not its own."""

    name = "prosody"
    ws_path = "/xmpp-websocket"

    def __init__(self, folder, storage=None):
        super().__init__(folder, storage)
        if storage:
            raise SystemExit("--storage is for Waxwing")
        if shutil.which("prosody") is None:
            raise SystemExit("prosody is missing: apt-get install prosody")
        self._make_certificate()
        (self.folder / "prosody.cfg.lua").write_text(self._config_text())

    def _make_certificate(self):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", f"/CN={DOMAIN}",
             "-addext", f"subjectAltName=DNS:{DOMAIN}",
             "-keyout", str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem")],
            check=True, capture_output=True,
        )

    @property
    def certificate(self):
        return str(self.folder / "cert.pem")

    def _config_text(self):
        ssl_table = f'{{ key = "{self.folder}/key.pem"; certificate = "{self.folder}/cert.pem" }}'
        return f"""\
run_as_root = true
prosody_user = "root"
prosody_group = "root"
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.data}"
interfaces = {{ "{self.host}" }}
modules_enabled = {{
  "roster"; "saslauth"; "tls"; "disco"; "private"; "vcard_legacy"; "pep"; "version"; "uptime";
  "time"; "ping"; "carbons"; "mam";
  "smacks"; "blocklist"; "csi"; "websocket"; "bosh"; "lastactivity";
}}
modules_disabled = {{ "s2s" }}
c2s_ports = {{ {self.tcp_port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
http_ports = {{ {self.http_port} }}
https_ports = {{ {self.https_port} }}
http_default_host = "{DOMAIN}"
consider_websocket_secure = true
c2s_require_encryption = true
smacks_hibernation_time = 30
ssl = {ssl_table}
c2s_direct_tls_ssl = {ssl_table}
https_ssl = {ssl_table}
authentication = "internal_hashed"
storage = "internal"
log = {{ {{ levels = {{ min = "info" }}, to = "console" }} }}
component_ports = {{ {self.component_port} }}
component_interfaces = {{ "{self.host}" }}
VirtualHost "{DOMAIN}"
Component "{COMPONENT}"
  component_secret = "{SECRET}"
Component "rooms.{DOMAIN}" "muc"
  modules_enabled = {{ "muc_mam" }}
Component "pubsub.{DOMAIN}" "pubsub"
  admins = {{ {self._publishers()} }}
"""

    def _publishers(self):
        """Only admins make nodes in Prosody's service: every scenario's `owner` is one."""
        return "; ".join(f'"owner{number}@{DOMAIN}"' for number in range(500))

    def _config(self):
        return ["--config", str(self.folder / "prosody.cfg.lua")]

    def command(self):
        return ["prosody", *self._config(), "-F"]

    def add_account(self, name, password):
        subprocess.run(
            ["prosodyctl", "--root", *self._config(), "register", name, DOMAIN, password],
            check=True, capture_output=True, timeout=20,
        )


SERVERS = {"waxwing": Waxwing, "prosody": Prosody}
