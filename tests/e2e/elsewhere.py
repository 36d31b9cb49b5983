"""Who else knows accounts: a directory (slapd), an identity provider and a program of the operator,
each a real process or server of its own; and a client that signs in with what they know.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import shutil
import subprocess
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from own import Stranger
from peer import Peer
from servers import DOMAIN, ROOT
from wire import SASL

SLAPD = ROOT / "tests/services/slapd"
SUFFIX = "dc=verona,dc=example"
PEOPLE = {"romeo": "o blessed night", "juliet": "ay me", "odd)(uid=*": "a name with signs"}
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"


class Visitor(Stranger):
    """A connection that can fail on the way, and answer challenges."""

    async def plain(self, name, password):
        message = f"\0{name}\0{password}".encode()
        return await self.authenticate("PLAIN", base64.b64encode(message).decode())

    async def bearer(self, token, authzid=""):
        """OAUTHBEARER whole. None for success; else the condition and what the challenge said."""
        a = f"a={authzid}" if authzid else ""
        message = base64.b64encode(f"n,{a},\1auth=Bearer {token}\1\1".encode()).decode()
        self._write(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='OAUTHBEARER'>"
            f"{message}</auth>"
        )
        answer, told = await self._next(), None
        if answer.tag == SASL + "challenge":
            told = json.loads(base64.b64decode(answer.text))
            self._write("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AQ==</response>")
            answer = await self._next()
        if answer.tag == SASL + "success":
            self._restart()
            self.features = await self._next()
            return None
        return answer[0].tag.removeprefix(SASL), told

    async def sasl2(self, mechanism, message, more=""):
        """One round trip of XEP-0388; the answer."""
        initial = base64.b64encode(message).decode()
        self._write(
            f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>"
            f"<initial-response>{initial}</initial-response>"
            f"<user-agent id='{AGENT}'><software>e2e</software></user-agent>{more}"
            "<bind xmlns='urn:xmpp:bind:0'/></authenticate>"
        )
        return await self._next()


def peer(world, server, name, password):
    """slixmpp with a password that this server does not know."""
    client = Peer(f"{name}@{DOMAIN}/desk", password, server.certificate, mechanism="PLAIN")
    world.peers.append(client)
    return client


# --- a directory ----------------------------------------------------------------------------------


class Directory:
    """A running slapd."""

    def __init__(self, folder):
        self.folder = folder
        people = "".join(
            f"dn: cn=person {n},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {uid}\n"
            f"cn: person {n}\nsn: {n}\nuserPassword: {password}\n\n"
            f"dn: uid={escape_dn(uid)},{SUFFIX}\nobjectClass: inetOrgPerson\n"
            f"uid: {uid}\ncn: {n}\nsn: {n}\nuserPassword: {password}\n\n"
            for n, (uid, password) in enumerate(PEOPLE.items())
        )
        twins = "".join(
            f"dn: cn=twin {n},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: twin\n"
            f"cn: twin {n}\nsn: {n}\nuserPassword: same\n\n"
            for n in range(2)
        )
        (folder / "people.ldif").write_text(people + twins)
        self.port, self.tls_port = map(int, self.do("start").split())

    def do(self, what):
        done = subprocess.run([SLAPD, what, self.folder], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


def escape_dn(text):
    return "".join("\\" + letter if letter in ',+"\\<>;=' else letter for letter in text)


@contextlib.contextmanager
def directory():
    folder = Path(tempfile.mkdtemp(prefix="waxwing-slapd-"))
    place = Directory(folder)
    try:
        yield place
    finally:
        place.do("stop")


def by_template(place):
    return f"""
[modules.ldap]
enabled = true
url = "ldaps://127.0.0.1:{place.tls_port}"
authorities = "{place.folder}/ca.pem"
dn = "uid={{user}},{SUFFIX}"
seconds = 3
"""


def by_search(place, more=""):
    return f"""
[modules.ldap]
enabled = true
url = "ldap://localhost:{place.port}"
authorities = "{place.folder}/ca.pem"
base = "ou=people,{SUFFIX}"
filter = "(&(objectClass=inetOrgPerson)(uid={{user}}))"
bind_dn = "cn=admin,{SUFFIX}"
bind_password = "secret"
seconds = 3
{more}
"""


def token_proof(name, token):
    """XEP-0484, HT-SHA-256-NONE (draft-schmaus-kitten-sasl-ht)."""
    return name.encode() + b"\0" + hmac.digest(token.encode(), b"Initiator", hashlib.sha256)


# --- an identity provider -------------------------------------------------------------------------


class Web:
    """A small web server: `answer(method, path, headers, body)` gives (status, JSON)."""

    def __init__(self, answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                size = int(self.headers.get("content-length") or 0)
                status, value = answer(self.command, self.path, self.headers, self.rfile.read(size))
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Key:
    """A key of the provider, made and used by the openssl command."""

    def __init__(self, folder, name, algorithm):
        self.name, self.algorithm = name, algorithm
        self.file, self.public = Path(folder) / f"{name}.key", Path(folder) / f"{name}.pem"
        kind = {
            "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        }[algorithm]
        openssl("genpkey", *kind, "-out", str(self.file))
        openssl("pkey", "-in", str(self.file), "-pubout", "-out", str(self.public))

    def published(self):
        """As a JWK (RFC 7517)."""
        common = {"kid": self.name, "use": "sig", "alg": self.algorithm}
        if self.algorithm == "RS256":
            text = openssl("rsa", "-in", str(self.file), "-noout", "-modulus").decode()
            n = bytes.fromhex(text.strip().removeprefix("Modulus="))
            return {**common, "kty": "RSA", "n": url64(n), "e": "AQAB"}
        der = openssl("pkey", "-in", str(self.file), "-pubout", "-outform", "DER")
        x, y = der[-64:-32], der[-32:]
        return {**common, "kty": "EC", "crv": "P-256", "x": url64(x), "y": url64(y)}

    def token(self, **claims):
        """A token for a minute, with these claims besides."""
        header = {"alg": self.algorithm, "kid": self.name, "typ": "JWT"}
        return self.sign(header, {"exp": int(time.time()) + 60, **claims})

    def sign(self, header, claims):
        text = ".".join(url64(json.dumps(part).encode()) for part in (header, claims))
        signature = openssl("dgst", "-sha256", "-sign", str(self.file), data=text.encode())
        if self.algorithm == "ES256":
            signature = raw_signature(signature)
        return f"{text}.{url64(signature)}"


def raw_signature(der):
    """RFC 7518 §3.4: R and S side by side, out of the SEQUENCE of two INTEGERs."""
    size = der[3]
    r, rest = der[4:4 + size], der[4 + size:]
    s = rest[2:2 + rest[1]]
    return b"".join(part.lstrip(b"\0").rjust(32, b"\0") for part in (r, s))


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, check=True, capture_output=True).stdout


class Provider:
    """An identity provider: keys that are published at a URL."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="waxwing-provider-")
        self.keys, self.asked, self.is_broken = [], 0, False
        self.web = Web(self._answer)

    def _answer(self, *_):
        self.asked += 1
        if self.is_broken:
            return 503, {}
        return 200, {"keys": [key.published() for key in self.keys]}

    def add(self, name, algorithm):
        key = Key(self.folder, name, algorithm)
        self.keys.append(key)
        return key

    def settings(self, more=""):
        return f"""
[modules.jwt]
enabled = true
keys_url = "{self.web.url}/keys"
issuer = "https://id.example"
audience = ["chat"]
account = "{{preferred_username}}"
discovery = "https://id.example/.well-known/openid-configuration"
refresh_seconds = 1
{more}
"""


@contextlib.contextmanager
def provider():
    place = Provider()
    try:
        yield place
    finally:
        place.web.close()
        shutil.rmtree(place.folder, ignore_errors=True)


def unsigned(claims):
    parts = ({"alg": "none"}, {"exp": int(time.time()) + 60, **claims})
    return ".".join(url64(json.dumps(part).encode()) for part in parts) + "."


def confused(secret, claims):
    parts = ({"alg": "HS256", "kid": "one"}, {"exp": int(time.time()) + 60, **claims})
    text = ".".join(url64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{url64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


# --- a program of the operator --------------------------------------------------------------------


class Hook:
    """The operator's program."""

    def __init__(self):
        self.asked, self.answer = [], None
        self.web = Web(self._answer)

    def _answer(self, method, path, headers, body):
        question = json.loads(body)
        self.asked.append((method, path, headers.get("authorization"), question))
        if self.answer:
            return self.answer
        name = question["user"]
        if question["ask"] == "account":
            return 200, {"ok": name in PEOPLE}
        return 200, {"ok": PEOPLE.get(name) == question["password"]}

    def settings(self):
        return f"""
[modules.authhook]
enabled = true
url = "{self.web.url}/auth?x=1"
secret = "between us"
seconds = 2
lookup = true
"""


@contextlib.contextmanager
def hook():
    place = Hook()
    try:
        yield place
    finally:
        place.web.close()
