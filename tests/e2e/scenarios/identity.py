"""Signing in with what others know: a directory (slapd), the tokens of an identity provider, and a
program of the operator that is asked over HTTP. Each is a real process or server of its own.
"""

import asyncio
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

from own import Stranger, ask, condition, own_server
from peer import Peer
from registry import scenario
from servers import DOMAIN, ROOT
from wire import SASL

SLAPD = ROOT / "tests/services/slapd"
SUFFIX = "dc=verona,dc=example"
PEOPLE = {"romeo": "o blessed night", "juliet": "ay me", "odd)(uid=*": "a name with signs"}
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"
SASL2 = "{urn:xmpp:sasl:2}"
FAST = "{urn:xmpp:fast:0}"


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


ELSEWHERE = "internal_passwords = false"


@scenario("LDAP: slixmpp signs in with a password of slapd, by the template of a name and by search")
async def directory_passwords(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        for settings in (by_template(place), by_search(place)):
            async with own_server(settings, ELSEWHERE) as server:
                romeo = peer(world, server, "romeo", PEOPLE["romeo"])
                await romeo.sign_in(server.host, server.tcp_port)
                juliet = peer(world, server, "juliet", PEOPLE["juliet"])
                await juliet.sign_in(server.host, server.tcp_port)
                romeo.say(juliet.boundjid.bare, "Art thou not Juliet?")
                await juliet.hear("Art thou not Juliet?")
                mallory = peer(world, server, "romeo", "a guess")
                mallory.connect(server.host, server.tcp_port)
                await mallory.wait("refused")


@scenario("LDAP: only PLAIN is offered, and what is no password is refused")
async def directory_refusals(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                # An unauthenticated bind (RFC 4513 §5.1.2) would succeed at this slapd.
                assert await visitor.plain("romeo", "") == "malformed-request"
                assert await visitor.plain("nobody", "x") == "not-authorized"
            async with Visitor(server) as visitor:
                # Two entries have this name: nobody knows whose password it is.
                assert await visitor.plain("twin", "same") == "not-authorized"
                # A star stands for itself.
                assert await visitor.plain("rome*", PEOPLE["romeo"]) == "not-authorized"
            async with Visitor(server) as visitor:
                for name in ("romeo)(cn=*", "*"):
                    refused = await visitor.plain(name, PEOPLE["romeo"])
                    assert refused == "not-authorized", refused
            async with Visitor(server) as visitor:
                assert await visitor.plain("odd)(uid=*", PEOPLE["odd)(uid=*"]) is None
            for arguments in (("user", "add"), ("user", "passwd")):
                done = subprocess.run(
                    [server.binary, *arguments, *server._base(), f"romeo@{DOMAIN}",
                     "--password-stdin"],
                    input="whatever it is\n", text=True, capture_output=True, timeout=20,
                )
                assert done.returncode != 0
                assert "internal_passwords" in done.stdout + done.stderr, done


@scenario("LDAP: an account with a password here is checked here, others by slapd")
async def directory_beside(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        async with own_server(by_search(place)) as server:
            server.add_account("romeo", "kept here")
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "not-authorized"
                assert await visitor.plain("romeo", "kept here") is None
            async with Visitor(server) as visitor:
                assert await visitor.plain("juliet", PEOPLE["juliet"]) is None


@scenario("LDAP: a token (XEP-0484) goes on working, and a disabled account does not")
async def directory_tokens(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            message = f"\0romeo\0{PEOPLE['romeo']}".encode()
            wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            async with Visitor(server) as visitor:
                success = await visitor.sasl2("PLAIN", message, wish)
                token = success.find(FAST + "token").get("token")
            proof = token_proof("romeo", token)
            fast = "<fast xmlns='urn:xmpp:fast:0'/>"
            place.do("halt")
            async with Visitor(server) as visitor:
                success = await visitor.sasl2("HT-SHA-256-NONE", proof, fast)
                assert success.tag == SASL2 + "success", success.tag
            place.do("again")
            subprocess.run(
                [server.binary, "user", "disable", *server._base(), f"romeo@{DOMAIN}"],
                check=True, capture_output=True, timeout=20,
            )
            async with Visitor(server) as visitor:
                refused = await visitor.sasl2("HT-SHA-256-NONE", proof, fast)
                assert refused.tag == SASL2 + "failure", refused.tag
                assert await visitor.plain("romeo", "a guess") == "not-authorized"
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "account-disabled"


@scenario("LDAP: when slapd is gone sign-in says try later, sessions stay, and it heals", seconds=60)
async def directory_gone(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            place.do("halt")
            async with Visitor(server) as visitor:
                refused = await visitor.plain("juliet", PEOPLE["juliet"])
                assert refused == "temporary-auth-failure", refused
            romeo.say(f"romeo@{DOMAIN}", "Still here")
            await romeo.hear("Still here")
            place.do("again")
            async with Visitor(server) as visitor:
                assert await visitor.plain("juliet", PEOPLE["juliet"]) is None


@scenario("LDAP: a message to somebody who never signed in is kept; to nobody it comes back")
async def directory_lookup(world):
    if not world.server.is_ours:
        return
    with directory() as place:
        async with own_server(by_search(place, "lookup = true"), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            romeo.say(f"juliet@{DOMAIN}", "Wherefore art thou not here?")
            romeo.say(f"nobody@{DOMAIN}", "Is anybody there?")
            error = await romeo.wait("message error")
            assert error["from"].bare == f"nobody@{DOMAIN}", error
            juliet = peer(world, server, "juliet", PEOPLE["juliet"])
            juliet.connect(server.host, server.tcp_port)
            await juliet.wait("online")
            juliet.send_presence()
            await juliet.hear("Wherefore art thou not here?")


@scenario("LDAP: a certificate that nobody vouches for is no server to send passwords to")
async def directory_untrusted(world):
    if not world.server.is_ours:
        return
    with directory() as place, directory() as other:
        settings = by_search(place).replace(str(place.folder), str(other.folder))
        async with own_server(settings, ELSEWHERE) as server:
            async with Visitor(server) as visitor:
                refused = await visitor.plain("romeo", PEOPLE["romeo"])
                assert refused == "temporary-auth-failure", refused


def token_proof(name, token):
    """XEP-0484, HT-SHA-256-NONE (draft-schmaus-kitten-sasl-ht)."""
    return name.encode() + b"\0" + hmac.digest(token.encode(), b"Initiator", hashlib.sha256)


# --- an identity provider -------------------------------------------------------------------------


class Web:
    """A small web server of the test: `answer(method, path, headers, body)` gives (status, JSON)."""

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


CLAIMS = {"iss": "https://id.example", "aud": "chat", "preferred_username": "romeo"}


@contextlib.contextmanager
def provider():
    place = Provider()
    try:
        yield place
    finally:
        place.web.close()
        shutil.rmtree(place.folder, ignore_errors=True)


@scenario("OAUTHBEARER: tokens signed by RS256 and ES256 with published keys, and new keys later")
async def published_keys(world):
    if not world.server.is_ours:
        return
    with provider() as place:
        rsa, curve = place.add("one", "RS256"), place.add("two", "ES256")
        async with own_server(place.settings()) as server:
            for key in (rsa, curve):
                async with Visitor(server) as romeo:
                    assert "OAUTHBEARER" in romeo.mechanisms, romeo.mechanisms
                    assert "SCRAM-SHA-256" in romeo.mechanisms, romeo.mechanisms
                    token = key.token(**CLAIMS)
                    assert await romeo.bearer(token, f"romeo@{DOMAIN}") is None
                    assert (await romeo.bind()).startswith(f"romeo@{DOMAIN}/")
            assert place.asked == 1, "keys are kept"
            # The provider changes its keys: one that is not known yet is asked for.
            place.keys = []
            three = place.add("three", "RS256")
            await asyncio.sleep(1.1)
            async with Visitor(server) as romeo:
                assert await romeo.bearer(three.token(**CLAIMS)) is None
            async with Visitor(server) as romeo:
                refused, _ = await romeo.bearer(rsa.token(**CLAIMS))
                assert refused == "not-authorized", "its key was taken back"
            # Without the provider the keys that there are go on working, and others do not.
            place.is_broken = True
            async with Visitor(server) as romeo:
                assert await romeo.bearer(three.token(**CLAIMS)) is None


@scenario("OAUTHBEARER: forged, expired and foreign tokens are refused, and the client is told why")
async def forged_tokens(world):
    if not world.server.is_ours:
        return
    with provider() as place:
        key = place.add("one", "RS256")
        other = Key(place.folder, "one-of-mallory", "RS256")
        other.name = "one"
        secret = key.public.read_bytes()
        now = int(time.time())
        forged = {
            "by a key of somebody else": other.token(**CLAIMS),
            "expired": key.token(**{**CLAIMS, "exp": now - 3600}),
            "not good yet": key.token(**CLAIMS, nbf=now + 3600),
            "for somebody else": key.token(**{**CLAIMS, "aud": "mail"}),
            "of another provider": key.token(**{**CLAIMS, "iss": "https://mallory.example"}),
            "without a name": key.token(iss=CLAIMS["iss"], aud="chat"),
            "without a signature": unsigned(CLAIMS),
            "with the public key as a secret": confused(secret, CLAIMS),
        }
        async with own_server(place.settings(), ELSEWHERE) as server:
            for what, token in forged.items():
                async with Visitor(server) as mallory:
                    assert mallory.mechanisms == {"OAUTHBEARER"}, mallory.mechanisms
                    refused, told = await mallory.bearer(token)
                    assert refused == "not-authorized", (what, refused)
                    assert told["status"] == "invalid_token", (what, told)
                    assert told["openid-configuration"].startswith("https://id.example/"), told
            async with Visitor(server) as romeo:
                refused, told = await romeo.bearer("")
                assert refused == "not-authorized" and "openid-configuration" in told
                refused, _ = await romeo.bearer(key.token(**CLAIMS), f"juliet@{DOMAIN}")
                assert refused == "invalid-authzid", refused
                assert await romeo.bearer(key.token(**CLAIMS), f"romeo@{DOMAIN}") is None


def unsigned(claims):
    parts = ({"alg": "none"}, {"exp": int(time.time()) + 60, **claims})
    return ".".join(url64(json.dumps(part).encode()) for part in parts) + "."


def confused(secret, claims):
    parts = ({"alg": "HS256", "kid": "one"}, {"exp": int(time.time()) + 60, **claims})
    text = ".".join(url64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{url64(hmac.digest(secret, text.encode(), hashlib.sha256))}"


@scenario("OAUTHBEARER: without the provider's keys sign-in says try later, and heals")
async def provider_gone(world):
    if not world.server.is_ours:
        return
    with provider() as place:
        key = place.add("one", "ES256")
        place.is_broken = True
        async with own_server(place.settings()) as server:
            server.add_account("juliet", "kept here")
            async with Visitor(server) as romeo:
                refused, told = await romeo.bearer(key.token(**CLAIMS))
                assert refused == "temporary-auth-failure" and told is None, (refused, told)
            # Those with a password here notice nothing.
            async with Visitor(server) as juliet:
                assert await juliet.plain("juliet", "kept here") is None
            place.is_broken = False
            await asyncio.sleep(1.1)
            async with Visitor(server) as romeo:
                assert await romeo.bearer(key.token(**CLAIMS)) is None


@scenario("OAUTHBEARER: in one round trip, with a token of XEP-0484; a JWT as slixmpp's password")
async def token_as_password(world):
    if not world.server.is_ours:
        return
    with provider() as place:
        key = place.add("one", "ES256")
        async with own_server(place.settings("as_password = true"), ELSEWHERE) as server:
            token = key.token(**CLAIMS)
            message = f"n,,\1auth=Bearer {token}\1\1".encode()
            wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            async with Visitor(server) as romeo:
                success = await romeo.sasl2("OAUTHBEARER", message, wish)
                assert success.tag == SASL2 + "success", success.tag
                kept = success.find(FAST + "token").get("token")
            async with Visitor(server) as romeo:
                fast = "<fast xmlns='urn:xmpp:fast:0'/>"
                success = await romeo.sasl2("HT-SHA-256-NONE", token_proof("romeo", kept), fast)
                assert success.tag == SASL2 + "success", success.tag
            romeo = peer(world, server, "romeo", token)
            await romeo.sign_in(server.host, server.tcp_port)
            mallory = peer(world, server, "juliet", token)
            mallory.connect(server.host, server.tcp_port)
            await mallory.wait("refused")


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


@scenario("HTTP hook: slixmpp signs in with a password that a program knows; wrong ones are refused")
async def hook_passwords(world):
    if not world.server.is_ours:
        return
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            question = {
                "ask": "password", "user": "romeo", "domain": DOMAIN, "password": PEOPLE["romeo"]
            }
            assert place.asked == [("POST", "/auth?x=1", "Bearer between us", question)], place.asked
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                assert await visitor.plain("romeo", "a guess") == "not-authorized"
                assert await visitor.plain("Romeo", PEOPLE["romeo"]) is None
            # Nothing is remembered: what is wrong now was right before.
            place.answer = (200, {"ok": False})
            async with Visitor(server) as visitor:
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "not-authorized"
            place.answer = None
            romeo.say(f"juliet@{DOMAIN}", "Later, then")
            juliet = peer(world, server, "juliet", PEOPLE["juliet"])
            juliet.connect(server.host, server.tcp_port)
            await juliet.wait("online")
            juliet.send_presence()
            await juliet.hear("Later, then")


@scenario("HTTP hook: a program that is out of order means try later, whatever it says")
async def hook_broken(world):
    if not world.server.is_ours:
        return
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            wrong = [(500, {"ok": True}), (403, {}), (200, {"ok": "true"}), (200, [True]), (302, {})]
            for answer in wrong:
                place.answer = answer
                async with Visitor(server) as visitor:
                    refused = await visitor.plain("romeo", PEOPLE["romeo"])
                    assert refused == "temporary-auth-failure", (answer, refused)
            place.web.close()
            async with Visitor(server) as visitor:
                refused = await visitor.plain("romeo", PEOPLE["romeo"])
                assert refused == "temporary-auth-failure", refused
            romeo.say(f"romeo@{DOMAIN}", "Still here")
            await romeo.hear("Still here")


@scenario("Accounts known elsewhere: no password is set here and no account removed in-band")
async def in_band(world):
    if not world.server.is_ours:
        return
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            async with Visitor(server) as romeo:
                assert await romeo.plain("romeo", PEOPLE["romeo"]) is None
                await romeo.bind()
                wishes = (
                    "<username>romeo</username><password>something else</password>",
                    "<remove/>",
                )
                for wish in wishes:
                    query = f"<query xmlns='jabber:iq:register'>{wish}</query>"
                    answer = await ask(romeo, "set", query, to=DOMAIN)
                    assert condition(answer) == "not-allowed", wish
            done = subprocess.run(
                [server.binary, "user", "remove", "--yes", *server._base(), f"romeo@{DOMAIN}"],
                capture_output=True, timeout=20,
            )
            assert done.returncode == 0, done
            # What was kept of the account is gone; the account itself is not here to be removed.
            async with Visitor(server) as romeo:
                assert await romeo.plain("romeo", PEOPLE["romeo"]) is None
