"""For scenarios that need a server set up for them: one of their own, and a client that says what
it is told to.
"""

import contextlib
import shutil
import tempfile

from peer import Peer
from servers import DOMAIN, Waxwing
from wire import CLIENT, SASL, Wire
from world import PASSWORD

BIND = "urn:ietf:params:xml:ns:xmpp-bind"
STREAM_ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"


class Own(Waxwing):
    """Waxwing with more in its configuration."""

    def __init__(self, folder, top="", host=""):
        self.top, self.of_host = top, host
        super().__init__(folder)

    def _config_text(self):
        return f"{self.top}\n{super()._config_text()}{self.of_host}\n"


@contextlib.asynccontextmanager
async def own_server(top="", host=""):
    """A running server: `top` are whole sections, `host` more keys of the host."""
    folder = tempfile.mkdtemp(prefix="waxwing-own-")
    server = Own(folder, top, host)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def people(server):
    """A way to make accounts on it that are signed in with slixmpp, until the end."""
    peers = []

    async def signed_in(name):
        server.add_account(name, PASSWORD)
        peer = Peer(f"{name}@{DOMAIN}/desk", PASSWORD, server.certificate)
        peers.append(peer)
        return await peer.sign_in(server.host, server.tcp_port)

    try:
        yield signed_in
    finally:
        for peer in peers:
            await peer.sign_out()


class Stranger(Wire):
    """One connection over direct TLS that is nobody yet."""

    def __init__(self, server, context=None):
        super().__init__(server, user=None, password=None, resource=None)
        self.context = context or server.tls_context()

    async def __aenter__(self):
        await self._dial(self.context)
        self.features = await self._next()
        return self

    async def __aexit__(self, *_):
        await self.close()

    @property
    def mechanisms(self):
        return {mechanism.text for mechanism in self.features.iter(SASL + "mechanism")}

    async def authenticate(self, mechanism, data=""):
        """One step. None for success, or the condition of the failure."""
        self._write(
            f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{data}</auth>"
        )
        answer = await self._next()
        if answer.tag != SASL + "success":
            return answer[0].tag.removeprefix(SASL)
        self._restart()
        self.features = await self._next()
        return None

    async def bind(self):
        """Its full address from now on."""
        answer = await ask(self, "set", f"<bind xmlns='{BIND}'/>")
        return answer.findtext(f".//{{{BIND}}}jid")


async def ask(wire, kind, payload, to=None):
    """The answer to a question; what else comes before it is passed over."""
    to = f" to='{to}'" if to else ""
    wire.send(f"<iq type='{kind}' id='q'{to}>{payload}</iq>")
    while (answer := await wire._next()).get("id") != "q":
        pass
    return answer


async def ended_with(wire):
    """The condition of the stream error that ends a connection."""
    while (error := await wire._next()).tag != "{http://etherx.jabber.org/streams}error":
        pass
    return error[0].tag.removeprefix(STREAM_ERRORS)


def condition(iq):
    """The condition of an error; None for a result."""
    if iq.get("type") == "result":
        return None
    error = iq.find(CLIENT + "error")
    return next(e.tag for e in error if e.tag.startswith(STANZA_ERRORS)).removeprefix(STANZA_ERRORS)
