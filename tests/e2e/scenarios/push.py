"""Push: Web Push (RFC 8030, 8291, 8292) through a push service that is a process of its own, with a
browser that decrypts; and UnifiedPush, with slixmpp in front of an app.
"""

import asyncio
import base64
import contextlib
import datetime
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from own import own_server
from registry import ours
from servers import DOMAIN
from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from world import World

HERE = Path(__file__).resolve().parents[1]
SERVICE = f"push.{DOMAIN}"
PUSH = "urn:xmpp:push:0"
UNIFIED = "http://gultsch.de/xmpp/drafts/unified-push"
COMMANDS = "http://jabber.org/protocol/commands"
FORMS = "jabber:x:data"
OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"
DISCO = "http://jabber.org/protocol/disco#info"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def certificate(folder):
    """A certificate for localhost, vouching for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), False)
        .sign(key, hashes.SHA256())
    )
    paths = Path(folder) / "push.pem", Path(folder) / "push.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ))
    return paths


class PushService:
    """The process of `pushservice.py`."""

    def __init__(self, process, port):
        self.process, self.port = process, port

    @classmethod
    async def start(cls, paths):
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(HERE / "pushservice.py"), *map(str, paths),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        service = cls(process, None)
        service.port = (await service.told())["port"]
        return service

    async def told(self, seconds=10):
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        assert line, "the push service ended"
        return json.loads(line)

    async def answer(self, status):
        self.process.stdin.write(f"answer {status}\n".encode())
        assert await self.told() == {"answers": status}

    async def taken(self, seconds=10):
        """The next message, which must be as the specifications want it."""
        told = await self.told(seconds)
        assert "wrong" not in told, told
        return told

    async def stays_silent(self, seconds=0.7):
        try:
            told = await self.told(seconds)
        except asyncio.TimeoutError:
            return
        raise AssertionError(f"the push service got {told}")

    async def end(self):
        self.process.kill()
        await self.process.wait()


class Browser:
    """What a browser keeps of a subscription (Push API), and how it reads messages (RFC 8291)."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.auth = os.urandom(16)
        self.point = self.key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )

    def fields(self):
        return {
            "endpoint": self.endpoint,
            "p256dh": base64url(self.point),
            "auth": base64url(self.auth),
        }

    def read(self, body):
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        point, sealed = body[21 : 21 + length], body[21 + length :]
        assert (size, length) == (4096, 65), (size, length)
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        secret = self.key.exchange(ec.ECDH(), theirs)

        def derive(salt, secret, info, length):
            return HKDF(hashes.SHA256(), length, salt, info).derive(secret)

        info = b"WebPush: info\0" + self.point + point
        secret = derive(self.auth, secret, info, 32)
        key = derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = derive(salt, secret, b"Content-Encoding: nonce\0", 12)
        text = AESGCM(key).decrypt(nonce, sealed, None).rstrip(b"\0")
        assert text[-1:] == b"\2", text
        return json.loads(text[:-1])


async def ask(peer, payload, kind="set", to=SERVICE):
    iq = peer.make_iq(ito=to, itype=kind)
    iq.append(ElementTree.fromstring(payload))
    return (await iq.send(timeout=10)).xml


def form(**fields):
    inside = "".join(
        f"<field var='{name}'><value>{value}</value></field>" for name, value in fields.items()
    )
    return f"<x xmlns='{FORMS}' type='submit'>{inside}</x>"


def values(xml):
    fields = xml.iter(f"{{{FORMS}}}field")
    return {field.get("var"): field.findtext(f"{{{FORMS}}}value") for field in fields}


async def command(peer, name, /, **fields):
    filled = form(**fields)
    payload = f"<command xmlns='{COMMANDS}' node='{name}' action='execute'>{filled}</command>"
    return values(await ask(peer, payload))


async def enable(peer, browser):
    """Registers a browser and enables it; gives back the node."""
    given = await command(peer, "register-push-webpush", **browser.fields())
    assert given["jid"] == SERVICE, given
    options = form(FORM_TYPE=OPTIONS, secret=given["secret"])
    where = f"jid='{given['jid']}' node='{given['node']}'"
    payload = f"<enable xmlns='{PUSH}' {where}>{options}</enable>"
    await ask(peer, payload, to=peer.boundjid.bare)
    return given["node"]


@contextlib.asynccontextmanager
async def surroundings(world, settings):
    """A server that trusts a push service of ours, that service, and people."""
    folder = tempfile.TemporaryDirectory(prefix="waxwing-push-")
    paths = certificate(folder.name)
    before = {name: os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")}
    os.environ["SSL_CERT_FILE"] = str(paths[0])
    os.environ.pop("SSL_CERT_DIR", None)
    service = await PushService.start(paths)
    try:
        async with own_server(f"[modules.push]\n{settings}\n") as server:
            elsewhere = World(server, 0, world.artefacts)
            try:
                yield elsewhere, service
            finally:
                await elsewhere.clean_up()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        await service.end()
        folder.cleanup()


@ours("Web Push: a browser that is away is told over its push service, and can read it", 60)
async def web_push(world):
    settings = f"private_hosts = ['{DOMAIN}']\npause_seconds = 0\ncontact = 'mailto:a@{DOMAIN}'"
    async with surroundings(world, settings) as (here, service):
        juliet = await here.signed_in("juliet")
        romeo = await here.signed_in("romeo", "browser")
        info = await ask(romeo, f"<query xmlns='{DISCO}'/>", "get")
        identity = info.find(f".//{{{DISCO}}}identity")
        assert (identity.get("category"), identity.get("type")) == ("pubsub", "push")
        vapid = values(info)["vapid"]
        account = await ask(romeo, f"<query xmlns='{DISCO}'/>", "get", romeo.boundjid.bare)
        features = {it.get("var") for it in account.iter(f"{{{DISCO}}}feature")}
        assert PUSH in features, features

        browser = Browser(f"https://{DOMAIN}:{service.port}/wpush/romeo")
        node = await enable(romeo, browser)
        juliet.say(romeo.boundjid.bare, "he sees this himself")
        await romeo.hear("he sees this himself")
        await romeo.sign_out()
        juliet.say(romeo.boundjid.bare, "Wherefore art thou?")
        told = await service.taken()
        assert told["path"] == "/wpush/romeo", told
        assert told["key"] == vapid, "it is signed with the key that was announced"
        assert told["claims"]["sub"] == f"mailto:a@{DOMAIN}", told
        assert told["headers"]["urgency"] == "high", told
        read = browser.read(base64.b64decode(told["body"]))
        assert read == {"message-count": 1, "priority": "high"}, read

        # What need not wake anybody does not.
        state = juliet.make_message(mto=romeo.boundjid.bare, mtype="chat")
        state.append(ElementTree.fromstring(
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
        ))
        state.send()
        await service.stays_silent()

        # The server and its keys survive a kill, and so does what was enabled.
        await here.server.kill()
        await here.server.start()
        juliet = await here.signed_in("juliet", "desk")
        juliet.say(f"{romeo.boundjid.bare}", "and again")
        told = await service.taken()
        assert told["key"] == vapid, "the key is another one"
        assert browser.read(base64.b64decode(told["body"]))["message-count"] == 1

        # The browser is gone: it is told once more, and never again.
        await service.answer(410)
        juliet.say(romeo.boundjid.bare, "once more")
        assert (await service.taken())["status"] == 410
        juliet.say(romeo.boundjid.bare, "never again")
        await service.stays_silent()
        romeo = await here.signed_in("romeo", "browser")
        try:
            await command(romeo, "unregister-push", node=node)
        except IqError as error:
            assert error.condition == "item-not-found", error
        else:
            raise AssertionError("the browser was still registered")


@ours("Web Push: nobody reaches this machine through the address of a browser", 60)
async def no_way_in(world):
    async with surroundings(world, "pause_seconds = 0") as (here, service):
        juliet = await here.signed_in("juliet")
        romeo = await here.signed_in("romeo", "browser")
        for host in (DOMAIN, "127.0.0.1", "[::1]"):
            await enable(romeo, Browser(f"https://{host}:{service.port}/wpush/romeo"))
        await romeo.sign_out()
        juliet.say(romeo.boundjid.bare, "Wherefore art thou?")
        await service.stays_silent(1.5)


class Phone:
    """slixmpp as the distributor of UnifiedPush on somebody's phone."""

    def __init__(self, peer):
        self.peer, self.pushes, self.knows = peer, asyncio.Queue(), True
        path = f"{{jabber:client}}iq/{{{UNIFIED}}}push"
        peer.register_handler(Callback("unified push", MatchXPath(path), self.take))

    def take(self, iq):
        push = iq.xml.find(f"{{{UNIFIED}}}push")
        self.pushes.put_nowait((iq["from"].full, dict(push.attrib), push.text))
        reply = iq.reply()
        if not self.knows:
            reply["type"] = "error"
            reply["error"]["condition"] = "item-not-found"
        reply.send()

    async def register(self, app):
        """Registers an app; its names are hashes, as Conversations makes them."""
        names = {
            name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            for name, text in (("application", app), ("instance", f"{app} 1"))
        }
        inside = " ".join(f"{name}='{value}'" for name, value in names.items())
        answer = await ask(self.peer, f"<register xmlns='{UNIFIED}' {inside}/>")
        registered = answer.find(f"{{{UNIFIED}}}registered")
        expiration = datetime.datetime.fromisoformat(registered.get("expiration"))
        assert expiration > datetime.datetime.now(datetime.timezone.utc), expiration
        return registered.get("endpoint"), names


async def post(url, data, method="POST"):
    async with aiohttp.ClientSession() as session:
        async with session.request(method, url, data=data) as answer:
            return answer.status, answer.headers, await answer.read()


@ours("UnifiedPush: an app's server reaches the app through slixmpp", 60)
async def unified_push(world):
    async with own_server("") as server:
        here = World(server, 0, world.artefacts)
        try:
            phone = Phone(await here.signed_in("romeo", "phone"))
            endpoint, names = await phone.register("org.example.app")
            status, _, body = await post(endpoint, None, "GET")
            assert (status, json.loads(body)) == (200, {"unifiedpush": {"version": 1}}), body
            message = bytes(range(256)) * 16
            status, headers, _ = await post(endpoint, message)
            assert (status, headers["TTL"]) == (201, "0"), (status, headers)
            assert headers["Location"] and headers["Access-Control-Allow-Origin"] == "*", headers
            pushed = await asyncio.wait_for(phone.pushes.get(), 10)
            assert pushed == (SERVICE, names, base64.b64encode(message).decode()), pushed
            assert (await post(endpoint, message + b"x"))[0] == 413
            assert (await post(endpoint, b""))[0] == 400
            assert (await post(endpoint + "0", b"x"))[0] == 404
            assert (await post(endpoint, b"x", "DELETE"))[0] == 405
            # It outlives the server, and stays the same when it is renewed.
            await server.kill()
            await server.start()
            assert (await post(endpoint, b"x"))[0] == 503
            phone = Phone(await here.signed_in("romeo", "phone"))
            assert (await phone.register("org.example.app"))[0] == endpoint
            assert (await post(endpoint, b"x"))[0] == 201
            # The app is uninstalled.
            phone.knows = False
            assert (await post(endpoint, b"x"))[0] == 404
            phone.knows = True
            assert (await post(endpoint, b"x"))[0] == 404
        finally:
            await here.clean_up()
