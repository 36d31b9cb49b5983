"""The servers under test: Waxwing with configurations that let its clocks be seen."""

import asyncio
import ssl
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "e2e"))

from servers import DOMAIN, Waxwing  # noqa: E402

SECOND = "second.test"
ELSEWHERE = "https://other.test"

# Nearly the defaults: most checks run here.
PLAIN = """
[http]
public_url = "https://chat.localhost"
"""
# The shortest patience that the configuration allows, a proxy in front, listed origins, and no
# compression.
BRISK = """
[limits]
idle_seconds = 10
answer_seconds = 5
handshake_seconds = 5
close_seconds = 1
stanza_bytes = "20000 B"
early_bytes = "10000 B"
connections_per_address = 2

[http]
origins = ["https://app.example"]
trusted_proxies = ["127.0.0.1"]
deflate = false

[tls]
websocket_binding = true
"""
# What the second domain says of itself, by the node.
SECOND_SETTINGS = {BRISK: 'origins = ["https://second.example"]'}
# Two that will be stopped: one knows another place for its clients.
MOVING = f"""
[server]
drain_seconds = 6
drain_to = "{ELSEWHERE}"
"""
ENDING = """
[server]
drain_seconds = 6
"""


class Node(Waxwing):
    """One Waxwing process."""

    def __init__(self, folder, settings):
        self.settings, self.second = settings, SECOND_SETTINGS.get(settings, "")
        super().__init__(folder)

    def _config_text(self):
        return f"""{self.settings}
[listen]
xmpp = ["{self.host}:{self.tcp_port}"]
xmpp_tls = ["{self.host}:{self.tls_port}"]
http = ["{self.host}:{self.http_port}"]
https = ["{self.host}:{self.https_port}"]

[[host]]
domain = "{DOMAIN}"

[[host]]
domain = "{SECOND}"
{self.second}
"""

    def port_for(self, tls):
        return self.https_port if tls else self.http_port

    def host_header(self, tls):
        return f"{DOMAIN}:{self.port_for(tls)}"

    async def connect(self, tls=False, port=None, protocols=("http/1.1",)):
        """A TCP or TLS connection to the port that speaks HTTP."""
        context = None
        if tls:
            context = self.tls_context()
            context.set_alpn_protocols(list(protocols))
        return await asyncio.wait_for(
            asyncio.open_connection(
                self.host, port or self.port_for(tls), ssl=context,
                server_hostname=DOMAIN if tls else None, limit=1 << 22,
            ),
            10,
        )

    def tls_context(self):
        context = super().tls_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    async def admin(self, *words):
        """Runs `waxwing WORDS` for this node; the finished process."""
        return await asyncio.to_thread(
            subprocess.run,
            [self.binary, *words, *self._base()],
            capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL,
        )

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def log(self):
        return self.log_path.read_text(errors="replace")
