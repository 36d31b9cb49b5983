"""What can change while the server runs, changes, and only if all of it can."""

import asyncio
import re
import shutil
import signal
import socket
import ssl

from box import PASSWORD, until
from registry import scenario
from wire import Lost, Refused, Wire


def certificate_of(place, domain="localhost", versions=None):
    """The certificate shown on the direct TLS port, in DER."""
    context = ssl._create_unverified_context()
    if versions:
        context.maximum_version = versions
    with socket.create_connection((place.host, place.tls_port), timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname=domain) as secure:
            return secure.getpeercert(True)


async def ask(wire, to, payload):
    wire.send(f"<iq type='get' id='q' to='{to}'>{payload}</iq>")
    return await wire._next()


async def identity(wire, domain="localhost"):
    """The server's name in its answer to disco#info."""
    answer = await ask(wire, domain, "<query xmlns='http://jabber.org/protocol/disco#info'/>")
    return answer[0][0].get("name")


def hang_up(place):
    """SIGHUP, and a way to wait for what the log says of it."""
    before = len(place.log())
    place.process.send_signal(signal.SIGHUP)
    return lambda words: words in place.log()[before:]


@scenario("reload: the setting of a module, by command and by SIGHUP")
async def module_setting(box):
    place = await box.serving()
    romeo = await place.signed_in("romeo")
    place.configure(modules__disco={"name": "First"})
    assert "disco.name" in place.done("reload")
    assert await identity(romeo) == "First"
    place.configure(modules__disco={"name": "Second"})
    told = hang_up(place)
    await until(lambda: told("Changed: localhost.modules.disco.name"), "the log of the reload")
    assert await identity(romeo) == "Second"
    assert "as it was" in place.done("reload")


@scenario("reload: hosts come and go while others stay connected", seconds=60)
async def hosts(box):
    place = await box.serving()
    romeo = await place.signed_in("romeo")
    place.hosts.append({"domain": "second.example"})
    place.write()
    assert "second.example" in place.done("reload")
    first, second = certificate_of(place), certificate_of(place, "second.example")
    assert first != second
    (place.folder / "trusted.pem").unlink(missing_ok=True)
    trusted = place.folder / "trusted.pem"
    shutil.copy(place.data / "certificates" / "second.example.pem", trusted)
    place.done("user", "add", "guest@second.example", "--password-stdin", input=PASSWORD + "\n")
    guest = Wire(place, "guest", PASSWORD, "desk", domain="second.example")
    await guest.sign_in(managed=True)
    romeo.say("guest@second.example", "across")
    await until(lambda: [id for id, _ in guest.heard] == ["across"], "a message across hosts")
    assert not romeo.is_lost
    # It goes, and its people with it.
    place.hosts.pop()
    place.write()
    place.done("reload")
    error = await guest._next()
    assert error[0].tag.endswith("}host-gone"), error[0].tag
    guest.cut()
    assert await identity(romeo)
    assert certificate_of(place, "second.example") == first
    # It comes back with all it had.
    place.hosts.append({"domain": "second.example"})
    place.write()
    place.done("reload")
    guest = await Wire(place, "guest", PASSWORD, "again", domain="second.example").sign_in(True)
    await guest.close()


@scenario("reload: limits hold for those who come from then on")
async def limits(box):
    place = await box.serving()
    old = await place.signed_in("romeo", "old")
    place.configure(limits={"stanza_bytes": "20 KiB", "sessions_per_account": 2})
    assert "limits.stanza_bytes" in place.done("reload")
    big = "x" * 30000
    message = f"<message to='romeo@localhost/old' id='big'><body>{big}</body></message>"
    new = await place.signed_in("romeo", "new")
    old.send(message)
    await until(lambda: len(old.heard) == 1, "the old session goes on as it was")
    new.send(message)
    await until(lambda: new.is_lost, "the end of a session that says too much")
    assert (await new._next())[0].tag.endswith("}policy-violation")
    new.cut()
    other = await place.signed_in("romeo", "other", managed=False)
    third = Wire(place, "romeo", PASSWORD, "third")
    try:
        await third._connect()
        answer = await third._ask(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
        )
        assert answer.get("type") == "error", "a third session of two"
    finally:
        third.cut()
    other.cut()


@scenario("reload: TLS 1.3 only, and TLS 1.2 again")
async def tls_version(box):
    place = await box.serving(accounts=[])
    assert certificate_of(place, versions=ssl.TLSVersion.TLSv1_2)
    place.configure(tls={"minimum": "1.3"})
    place.done("reload")
    assert certificate_of(place)
    try:
        certificate_of(place, versions=ssl.TLSVersion.TLSv1_2)
        raise AssertionError("TLS 1.2 although 1.3 is the oldest")
    except ssl.SSLError:
        pass


@scenario("reload: how much is logged")
async def log_level(box):
    place = await box.serving(server={"log_level": "error"})
    await (await place.signed_in("romeo")).close()
    assert "session bound" not in place.log()
    place.configure(server={"log_level": "debug"})
    assert "server.log_level" in place.done("reload")
    await (await place.signed_in("romeo")).close()
    with socket.create_connection((place.host, place.tcp_port), timeout=5) as stranger:
        stranger.sendall(b"nonsense")
        stranger.recv(100)
    assert "session bound" in place.log()
    await until(lambda: "DEBUG" in place.log(), "a line that only debug has")


@scenario("reload: a file that is wrong, or needs a restart, changes nothing")
async def nothing(box):
    place = await box.serving(modules__disco={"name": "Before"})
    romeo = await place.signed_in("romeo")
    place.configure(modules__disco={"name": "After"})
    good = place.config.read_text()
    missing = box.folder / "none.pem"
    host = 'domain = "localhost"\n'
    hosts = good.replace(host, host + f'certificate = "{missing}"\nkey = "{missing}"\n')
    for text, words in (
        (good + "\n[server]\nsecret = 1\n", ["no such setting", "waxwing.toml:"]),
        (good + "\n[limits]\ndepth = 'deep'\n", ["limits.depth", "waxwing.toml:"]),
        (good[: len(good) // 2], ["waxwing.toml:"]),
        (good + "\n[server]\npublic = true\n", ["needs a restart", "server.public"]),
        (good.replace(str(place.tcp_port), "1"), ["needs a restart", "listen.xmpp"]),
        (hosts, ["none.pem", "No such file"]),
    ):
        place.config.write_text(text)
        told = place.refused("reload")
        assert all(word in told for word in words), f"{words}: {told}"
        logged = hang_up(place)
        await until(lambda: logged("not reloaded"), "the log of the refusal")
        assert await identity(romeo) == "Before", words
    place.config.unlink()
    assert "No such file" in place.refused("reload")
    assert await identity(romeo) == "Before"
    place.config.write_text(good)
    place.done("reload")
    assert await identity(romeo) == "After"


@scenario("reload: a certificate that was replaced is shown in new handshakes", seconds=40)
async def certificates(box):
    place = box.place(tls={"watch_seconds": 1})
    chain, key = box.certificate("one", "localhost")
    place.hosts[0].update(certificate=str(chain), key=str(key))
    place.write()
    await place.start()
    place.add_account("romeo", PASSWORD)
    trusted = place.folder / "trusted.pem"
    trusted.write_text(chain.read_text())
    romeo = await place.signed_in("romeo")
    first = certificate_of(place)
    other, other_key = box.certificate("two", "localhost")
    # Half of a renewal is none: the key is written before the certificate.
    shutil.copy(other_key, key)
    await asyncio.sleep(1.5)
    assert certificate_of(place) == first
    assert "does not belong" in place.log()
    shutil.copy(other, chain)
    await until(lambda: certificate_of(place) != first, "the new certificate", 10)
    second = certificate_of(place)
    assert await identity(romeo)
    # And by hand.
    third, third_key = box.certificate("three", "localhost")
    place.configure(tls={"watch_seconds": 3600})
    place.done("reload")
    shutil.copy(third, chain)
    shutil.copy(third_key, key)
    assert "certificates were read again" in place.done("reload")
    assert certificate_of(place) not in (first, second)


@scenario("reload: thirty times under load, nobody notices", seconds=60)
async def often(box):
    place = await box.serving()
    romeo, juliet = await place.signed_in("romeo"), await place.signed_in("juliet")
    for number in range(30):
        place.configure(modules__disco={"name": f"N{number}"})
        told = hang_up(place)
        for part in range(5):
            romeo.say("juliet@localhost", f"{number}-{part}")
        await until(lambda: told("Changed"), "the reload")
    await until(lambda: len(juliet.heard) == 150, "all messages")
    assert not romeo.refused and not romeo.is_lost and not juliet.is_lost


@scenario("reload: settings that are about HTTP and sign-in")
async def other_settings(box):
    place = await box.serving()
    status, _, text = place.get("/.well-known/host-meta")
    assert status == 200 and f":{place.https_port}/" in text
    place.configure(http={"public_url": "https://chat.example.org"})
    place.done("reload")
    assert "wss://chat.example.org/" in place.get("/.well-known/host-meta")[2]
    place.hosts[0]["anonymous"] = True
    place.write()
    place.done("reload")
    wire = Wire(place, "nobody", PASSWORD, "x")
    try:
        await wire._connect()
    except (Refused, Lost):
        pass
    place.hosts[0].pop("anonymous")
    place.write()
    assert re.search("anonymous", place.done("reload"))
    wire.cut()
