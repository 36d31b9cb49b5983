"""Both ends of a server's stream with nothing that keeps its rules: `Line` calls Waxwing, `Fake` is
called by it. What they say is up to each attack.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os
import re
import ssl

from line import Gone
from line import Line as HostileLine

SERVER = "jabber:server"
DIALBACK = "jabber:server:dialback"
TLS = "urn:ietf:params:xml:ns:xmpp-tls"
SASL = "urn:ietf:params:xml:ns:xmpp-sasl"
FEATURES = rb"<stream:features.*?</stream:features>|<stream:features/>"
SECONDS = 10


def header(to, sender, id=None, namespace=SERVER, dialback=True, version="1.0"):
    """A stream header. With an id it is an answer."""
    parts = [
        "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams'",
        f"xmlns='{namespace}'",
        f"xmlns:db='{DIALBACK}'" if dialback else "",
        f"to='{to}'" if to else "",
        f"from='{sender}'" if sender else "",
        f"id='{id}'" if id else "",
        f"version='{version}'>" if version else ">",
    ]
    return " ".join(part for part in parts if part)


def client_context(certificate=None):
    """Shows this certificate and believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate.chain, certificate.key)
    return context


class Line(HostileLine):
    """A connection to Waxwing that says it is some server's."""

    @classmethod
    async def dial(cls, siege, port=5269, tls=None, name=None):
        reader, writer = await asyncio.open_connection(
            siege.side.host, port, ssl=tls, server_hostname=name if tls else None
        )
        line = cls(reader, writer, siege)
        siege.lines.append(line)
        return line

    async def open(self, sender, to, **how):
        """Sends the header and hears the features."""
        await self.say(header(to, sender, **how))
        self.id = (await self.hear(rb"<stream:stream [^>]*\bid=[\"']([^\"']*)"))[1].decode()
        await self.hear(rb">")
        return (await self.hear(FEATURES))[0].decode()

    async def secure(self, certificate=None, name=None):
        """STARTTLS."""
        await self.say(f"<starttls xmlns='{TLS}'/>")
        await self.hear(rb"<proceed[^>]*>")
        await self.shake(certificate, name)

    async def shake(self, certificate, name):
        """The handshake of TLS."""
        await asyncio.wait_for(
            self.writer.start_tls(client_context(certificate), server_hostname=name), SECONDS
        )
        self.heard = b""

    async def external(self, authzid=None):
        """None, or the condition of the failure."""
        text = base64.b64encode(authzid.encode()).decode() if authzid else "="
        await self.say(f"<auth xmlns='{SASL}' mechanism='EXTERNAL'>{text}</auth>")
        found = await self.hear(rb"<success |<failure [^>]*><([a-z-]+)")
        if found[1]:
            return found[1].decode()
        await self.hear(rb">")
        return None

    async def claim(self, sender, to, key="abc"):
        """Dialback: says that this is `sender`; the type of the answer."""
        await self.say(f"<db:result from='{sender}' to='{to}'>{key}</db:result>")
        return await self.claimed(sender)

    async def claimed(self, sender, seconds=SECONDS):
        """The answer about this domain."""
        while True:
            found = await self.hear(rb"<db:result ([^>]*)>", seconds)
            attributes = dict(re.findall(r"([a-z:]+)=[\"']([^\"']*)", found[1].decode()))
            if attributes.get("to") == sender:
                return attributes.get("type")

    async def verify(self, sender, to, id, key):
        """Asks whether a key is right; the type of the answer."""
        await self.say(f"<db:verify from='{sender}' to='{to}' id='{id}'>{key}</db:verify>")
        found = await self.hear(rb"<db:verify ([^>]*)>")
        return re.search(r"type=[\"']([^\"']*)", found[1].decode())[1]

    async def message(self, sender, to, words, namespace=""):
        await self.say(
            f"<message from='{sender}' to='{to}' type='chat'{namespace}>"
            f"<body>{words}</body></message>"
        )


def key(secret, to, sender, id):
    """XEP-0185."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return hmac.new(digest.encode(), f"{to} {sender} {id}".encode(), hashlib.sha256).hexdigest()


class Fake:
    """A server for one domain, as honest as its options say. `heard` has all that Waxwing said."""

    def __init__(self, domain, certificate=None, has_tls=True, is_direct=False, verdict="valid",
                 script=None, external=False):
        self.domain, self.certificate = domain, certificate
        self.has_tls, self.is_direct, self.external = has_tls, is_direct, external
        self.verdict, self.script = verdict, script
        self.heard, self.verified, self.calls = "", [], 0
        self.news = asyncio.Event()
        self.tasks = set()

    async def listen(self, address, port):
        context = None
        if self.certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(self.certificate.chain, self.certificate.key)
            context = self.context if self.is_direct else None
        self.server = await asyncio.start_server(self._serve, address, port, ssl=context)
        return self

    def close(self):
        self.server.close()
        for task in list(self.tasks):
            task.cancel()

    async def _serve(self, reader, writer):
        self.calls += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            if self.script:
                await self.script(self, reader, writer)
            else:
                await self._talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, Gone):
            pass
        finally:
            self.tasks.discard(task)
            with contextlib.suppress(OSError, RuntimeError):
                writer.transport.abort()

    async def _talk(self, reader, writer):
        is_secure = self.is_direct
        while True:
            ours, rest = await self._opened(reader)
            self.id = os.urandom(8).hex()
            writer.write((header(ours, self.domain, self.id) + self._features(is_secure)).encode())
            if is_secure or not self.has_tls:
                break
            while "<starttls" not in rest:
                rest += await self._read(reader)
            writer.write(f"<proceed xmlns='{TLS}'/>".encode())
            await writer.drain()
            await writer.start_tls(self.context)
            is_secure = True
        while True:
            if "<auth " in rest:
                writer.write(f"<success xmlns='{SASL}'/>".encode())
                ours, rest = await self._opened(reader)
                writer.write(f"{header(ours, self.domain, self.id)}<stream:features/>".encode())
            rest = self._answer(rest, writer)
            rest += await self._read(reader)

    def _features(self, is_secure):
        if self.has_tls and not is_secure:
            inner = f"<starttls xmlns='{TLS}'><required/></starttls>"
        elif self.external:
            inner = f"<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>"
        else:
            inner = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>"
        return f"<stream:features>{inner}</stream:features>"

    async def _opened(self, reader):
        """Our side's domain from the header, and what came after it."""
        text = ""
        while (found := re.search(r"<stream:stream ([^>]*)>", text)) is None:
            text += await self._read(reader)
        attributes = dict(re.findall(r"([a-z:]+)=[\"']([^\"']*)", found[1]))
        return attributes.get("from", ""), text[found.end():]

    async def _read(self, reader):
        data = await reader.read(1 << 16)
        if not data:
            raise asyncio.IncompleteReadError(b"", None)
        self.heard += data.decode(errors="replace")
        self.news.set()
        return data.decode(errors="replace")

    def _answer(self, text, writer):
        """Dialback, both roles; gives back what is not complete yet."""
        while found := re.search(r"<db:(verify|result) ([^>]*)>([^<]*)</db:\1>", text, re.S):
            text = text[found.end():]
            attributes = dict(re.findall(r"([a-z:]+)=[\"']([^\"']*)", found[2]))
            sender, to = attributes["from"], attributes["to"]
            if found[1] == "verify":
                self.verified.append((attributes.get("id"), found[3].strip()))
                self.news.set()
                if self.verdict:
                    writer.write(
                        f"<db:verify from='{to}' to='{sender}' id='{attributes.get('id')}' "
                        f"type='{self.verdict}'/>".encode()
                    )
            else:
                self.key, self.key_id = found[3].strip(), self.id
                writer.write(f"<db:result from='{to}' to='{sender}' type='valid'/>".encode())
        return text

    async def hears(self, text, seconds=SECONDS):
        """Waits until Waxwing has said this, on any connection."""
        limit = asyncio.get_running_loop().time() + seconds
        while text not in self.heard:
            self.news.clear()
            left = limit - asyncio.get_running_loop().time()
            assert left > 0, f"{self.domain} did not hear {text!r}, but {self.heard[-600:]!r}"
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.news.wait(), left)
