"""Certificates from an authority: got, renewed and put in use by themselves, whatever fails."""

import datetime
import http.client
import os
import socket
import ssl
import stat

from authority import Authority, shown
from box import until
from registry import scenario
from servers import free_ports

DOMAIN = "chat.example.test"


async def surroundings(box, start=True, listens=True, proxied=False, **acme):
    """An authority, and a server that shall get its certificate there. It `listens` for challenges,
    or a proxy leads the authority to its HTTP port, or it cannot be asked for pages."""
    place = box.place()
    place.hosts = [{"domain": DOMAIN}]
    (place.challenges,) = free_ports(1)
    listens = listens and not proxied
    pages = place.http_port if proxied else place.challenges
    authority = Authority(box, pages, place.https_port)
    if start:
        authority.start()
    ports = {"xmpp": place.tcp_port, "xmpp_tls": place.tls_port, "http": place.http_port,
             "https": place.https_port}
    if listens:
        ports["challenges"] = place.challenges
    place.configure(
        listen={kind: [f"{place.host}:{port}"] for kind, port in ports.items()},
        acme={"enabled": True, "terms_agreed": True, "directory": authority.directory,
              "authorities": str(authority.voucher), "retry_seconds": 1, "order_seconds": 30,
              "contact": ["mailto:admin@example.test"], **acme},
    )
    return place, authority


def row(place):
    """What the server says of its certificate."""
    (one,) = place.json("certificate", "list")["rows"]
    return one


def is_trusted(place, authority):
    """Whether clients that trust the authority trust the server."""
    root = authority.root
    try:
        shown(place, DOMAIN, root)
        return True
    except ssl.SSLError:
        return False


async def got(place, authority, seconds=20):
    await until(lambda: is_trusted(place, authority), "a certificate that is trusted", seconds)


def metric(place, name):
    lines = place.get("/metrics")[2].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), None)


def names(place, authority):
    alternatives = shown(place, DOMAIN, authority.root)[1]["subjectAltName"]
    return {name for kind, name in alternatives if kind == "DNS"}


@scenario("certificates: from none to a trusted one by http-01", seconds=60)
async def by_page(box):
    place, authority = await surroundings(box, challenge="http-01")
    await place.start()
    await got(place, authority)
    one = row(place)
    assert (one["domain"], one["source"], one["trouble"]) == (DOMAIN, "acme", ""), one
    assert names(place, authority) == set(one["names"].split())
    assert {DOMAIN, f"rooms.{DOMAIN}", f"pubsub.{DOMAIN}"} <= names(place, authority)
    # On every port, and for what other servers ask for.
    for port in (place.https_port, place.tls_port):
        for name in (DOMAIN, f"rooms.{DOMAIN}"):
            shown(place, name, authority.root, port)
    assert metric(place, 'waxwing_certificate_orders_total{outcome="done"}') == 1
    ends = metric(place, f'waxwing_certificate_expiry_timestamp_seconds{{domain="{DOMAIN}"}}')
    ends = datetime.datetime.fromtimestamp(ends, datetime.timezone.utc)
    assert ends.date().isoformat() == one["expires"], (ends, one)
    # Nothing else is told where authorities come.
    for method, path in (("GET", "/"), ("GET", "/metrics"), ("GET", "/healthz"),
                         ("POST", "/.well-known/acme-challenge/x"), ("OPTIONS", "*")):
        connection = http.client.HTTPConnection(place.host, place.challenges, timeout=5)
        connection.request(method, path)
        assert connection.getresponse().status == 404, (method, path)
        connection.close()
    # Keys are nobody else's business.
    kept = place.data / "acme"
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o700
    files = sorted(kept.iterdir())
    assert len(files) == 3, files
    assert all(stat.S_IMODE(os.stat(file).st_mode) == 0o600 for file in files), files
    log = place.log()
    assert "made an account" in log and "a new certificate is in use" in log, log
    assert "PRIVATE" not in log
    # The same one after a restart, without a word to the authority.
    before = shown(place, DOMAIN, authority.root)[0]
    await place.stop()
    root = authority.root
    authority.stop()
    await place.start()
    assert shown(place, DOMAIN, root)[0] == before
    assert row(place)["trouble"] == ""


@scenario("certificates: from none to a trusted one by tls-alpn-01", seconds=60)
async def by_certificate(box):
    place, authority = await surroundings(box, challenge="tls-alpn-01", listens=False, key="p384")
    await place.start()
    await got(place, authority)
    assert row(place)["source"] == "acme"
    # Whoever comes in that way when nothing is to be proven is turned away.
    context = ssl._create_unverified_context()
    context.set_alpn_protocols(["acme-tls/1"])
    with socket.create_connection((place.host, place.https_port), timeout=5) as plain:
        try:
            context.wrap_socket(plain, server_hostname=DOMAIN)
            raise AssertionError("acme-tls/1 was spoken")
        except ssl.SSLError as error:
            assert "NO_APPLICATION_PROTOCOL" in str(error).upper().replace(" ", "_"), error
    for path in ("", "x", "../metrics"):
        assert place.get(f"/.well-known/acme-challenge/{path}")[0] == 404


@scenario("certificates: by pages that a proxy passes on", seconds=60)
async def by_proxy(box):
    place, authority = await surroundings(box, challenge="http-01", proxied=True, services=False)
    await place.start()
    await got(place, authority)
    assert names(place, authority) == {DOMAIN}


@scenario("certificates: renewed in time, and nobody who is connected notices", seconds=90)
async def renewal(box):
    place, authority = await surroundings(box, start=False)
    authority.start(certificateValidityPeriod=15)
    await place.start()
    await got(place, authority)
    first, words = shown(place, DOMAIN, authority.root)
    context = ssl.create_default_context(cafile=authority.root)
    with socket.create_connection((place.host, place.https_port), timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname=DOMAIN) as open_for_long:
            await until(
                lambda: shown(place, DOMAIN, authority.root)[0] != first, "the next one", 15
            )
            # With about a third of its life left, so the old one was still good.
            left = ssl.cert_time_to_seconds(words["notAfter"]) - datetime.datetime.now().timestamp()
            assert 2 < left < 8, left
            open_for_long.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert open_for_long.recv(100).startswith(b"HTTP/1.1 200"), "cut off"
    # By hand it is renewed at once.
    second = shown(place, DOMAIN, authority.root)[0]
    assert "in use" in place.done("certificate", "renew", "--host", DOMAIN)
    assert shown(place, DOMAIN, authority.root)[0] not in (first, second)


@scenario("certificates: the authority is away, and comes back without a memory", seconds=90)
async def failure(box):
    place, authority = await surroundings(box, start=False)
    await place.start()
    # Clients are served meanwhile.
    await until(lambda: row(place)["trouble"], "words about what is wrong")
    one = row(place)
    assert one["source"] == "self-signed", one
    assert authority.directory in one["trouble"] and "could not be asked" in one["trouble"], one
    assert metric(place, 'waxwing_certificate_orders_total{outcome="failed"}') >= 1
    assert "no certificate: The authority at" in place.log()
    assert "could not be asked" in place.refused("certificate", "renew")
    authority.start()
    await got(place, authority, 30)
    assert row(place)["trouble"] == ""
    first = shown(place, DOMAIN, authority.root)[0]
    # It forgets the account: one that is new is made.
    authority.stop()
    assert "could not be asked" in place.refused("certificate", "renew")
    authority.start()
    assert "in use" in place.done("certificate", "renew")
    assert shown(place, DOMAIN, authority.root)[0] != first
    unknown = [file.name for file in (place.data / "acme").iterdir() if "unknown" in file.name]
    assert len(unknown) == 1, unknown


@scenario("certificates: a restart does not bring an order forward", seconds=60)
async def patience(box):
    place, _ = await surroundings(box, start=False, retry_seconds=3600)
    failed = 'waxwing_certificate_orders_total{outcome="failed"}'
    for _ in range(2):
        await place.start()
        await until(lambda: "could not be asked" in row(place)["trouble"], "what was wrong")
        await place.stop()
    assert place.log().count("ordering a certificate") == 1, place.log()
    # Whoever has mended it need not wait.
    await place.start()
    assert metric(place, failed) is None
    place.refused("certificate", "renew")
    assert metric(place, failed) == 1
    place.configure(acme={"contact": []})
    place.done("reload")
    await until(lambda: metric(place, failed) == 2, "an order under other settings")


@scenario("certificates: damaged files keep no server from starting", seconds=60)
async def damaged(box):
    place, authority = await surroundings(box)
    await place.start()
    await got(place, authority)
    await place.stop()
    kept = place.data / "acme"
    (kept / f"{DOMAIN}.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n")
    await place.start()
    await got(place, authority)
    assert "a certificate is of no use" in place.log()
    await place.stop()
    (account,) = kept.glob("account-*.json")
    account.write_text("{")
    (kept / f"{DOMAIN}.json").write_text("{")
    (kept / f"{DOMAIN}.pem").unlink()
    await place.start()
    await until(lambda: account.name in row(place)["trouble"], "the file that is damaged")
    assert "remove it, and a new account is made" in row(place)["trouble"]
    account.unlink()
    await got(place, authority)


@scenario("certificates: a name that leads elsewhere is left out, or told of", seconds=90)
async def elsewhere(box):
    place, authority = await surroundings(box)
    authority.mislead(f"rooms.{DOMAIN}", "127.0.0.9")
    await place.start()
    await got(place, authority, 30)
    assert DOMAIN in names(place, authority)
    assert f"rooms.{DOMAIN}" not in names(place, authority)
    one = row(place)
    assert f"rooms.{DOMAIN} leads here" in one["trouble"] and "Port" in one["trouble"], one
    # It is not ordered again and again for that.
    assert metric(place, 'waxwing_certificate_orders_total{outcome="done"}') == 1
    # The domain itself: the certificate in use stays.
    authority.mislead(DOMAIN, "127.0.0.9")
    before = shown(place, DOMAIN, authority.root)[0]
    told = place.refused("certificate", "renew")
    assert f"Port 80 of {DOMAIN} must lead to" in told, told
    assert shown(place, DOMAIN, authority.root)[0] == before


@scenario("certificates: where one way to prove a name is closed, the other is taken", seconds=60)
async def other_way(box):
    place, authority = await surroundings(box, listens=False)
    await place.start()
    await got(place, authority, 30)
    notes = (place.data / "acme" / f"{DOMAIN}.json").read_text()
    assert '"tls-alpn-01"' in notes, notes


@scenario("certificates: an authority that wants an account of its own kind", seconds=60)
async def external(box):
    key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    place, authority = await surroundings(box, start=False)
    authority.start(externalAccountBindingRequired=True, externalAccountMACKeys={"kid-1": key})
    await place.start()
    await until(lambda: "acme.external_account" in row(place)["trouble"], "what is missing")
    place.configure(acme={"external_account": "kid-1", "external_key": key})
    place.done("reload")
    await got(place, authority)
    assert key not in place.log()


@scenario("certificates: the authority says when to renew", seconds=60)
async def suggested(box):
    moment = datetime.datetime.now(datetime.timezone.utc)
    far = (moment + datetime.timedelta(days=30), moment + datetime.timedelta(days=31))
    windows = [far]
    place, authority = await surroundings(box)
    stamp = "%Y-%m-%dT%H:%M:%SZ"
    suggesting = authority.suggesting(box, lambda: [at.strftime(stamp) for at in windows[0]])
    place.configure(acme={"directory": suggesting.directory})
    await place.start()
    await got(place, authority)
    await until(lambda: row(place)["renewed"] in [at.date().isoformat() for at in far],
                "the day that was suggested")
    first = shown(place, DOMAIN, authority.root)[0]
    # RFC 9773 §4.2: what should have been renewed in the past is renewed now.
    windows[0] = (moment - datetime.timedelta(days=2), moment - datetime.timedelta(days=1))
    await place.stop()
    await place.start()
    await until(lambda: windows.pop(1) if len(windows) > 1 else
                shown(place, DOMAIN, authority.root)[0] != first, "the new certificate", 20)
    assert suggesting.asked and all(len(path.split(".")) == 2 for path in suggesting.asked)


@scenario("certificates: a domain that comes while the server runs gets one too", seconds=60)
async def added(box):
    place, authority = await surroundings(box)
    await place.start()
    await got(place, authority)
    other = "second.example.test"
    place.done("host", "add", other)

    def is_there():
        try:
            return other in str(shown(place, other, authority.root)[1]["subjectAltName"])
        except ssl.SSLError:
            return False

    await until(is_there, "the certificate of the new domain", 20)
    first, second = place.json("certificate", "list")["rows"]
    assert (first["domain"], second["domain"]) == (DOMAIN, other), (first, second)
    assert second["source"] == "acme" and f"rooms.{other}" in second["names"], second
    # The new domain did not cost the old one an order.
    assert metric(place, 'waxwing_certificate_orders_total{outcome="done"}') == 2
    assert [one["domain"] for one in
            place.json("certificate", "list", "--host", other)["rows"]] == [other]


@scenario("certificates: settings without sense are told")
async def settings(box):
    place = box.place(acme={"enabled": True})
    assert "terms_agreed" in place.refused("check")
    place.configure(acme={"terms_agreed": True, "directory": "http://ca.example/dir"})
    assert "https://" in place.refused("check")
    place.configure(acme={"directory": "https://127.0.0.1:1/dir", "external_account": "kid"})
    assert "external_key" in place.refused("check")
    place.sections["acme"].pop("external_account")
    place.write()
    await place.start()
    told = place.refused("certificate", "renew")
    assert "No certificate is ordered for localhost" in told, told
