"""Domains come, change and go by command and by HTTP, while the server runs."""

import json
import ssl
import urllib.error
import urllib.request

from box import PASSWORD, until
from checks.reload import ask, certificate_of, identity
from registry import scenario
from wire import Wire

SHOP = "shop.example"


async def guest_of(place, domain, resource="desk"):
    """Somebody with an account there, who trusts the certificates that the server made."""
    made = sorted((place.data / "certificates").glob("*.pem"))
    (place.folder / "trusted.pem").write_text("".join(file.read_text() for file in made))
    return await Wire(place, "guest", PASSWORD, resource, domain=domain).sign_in(managed=True)


def add_guest(place, domain):
    place.done("user", "add", f"guest@{domain}", "--password-stdin", input=PASSWORD + "\n")


@scenario("domains: one is added, changed, kept over a restart, and removed", seconds=90)
async def whole(box):
    place = await box.serving()
    romeo = await place.signed_in("romeo")
    told = place.done("host", "add", SHOP, "--admins", f"boss@{SHOP}")
    assert f"{SHOP} is served from now on" in told, told
    assert certificate_of(place) != certificate_of(place, SHOP)
    add_guest(place, SHOP)
    guest = await guest_of(place, SHOP)
    romeo.say(f"guest@{SHOP}", "across")
    await until(lambda: [id for id, _ in guest.heard] == ["across"], "a message across domains")
    # Settings of a module, put over those that are there.
    settings = '[modules.disco]\nname = "The shop"'
    place.done("host", "change", SHOP, "--settings", settings)
    assert await identity(romeo, SHOP) == "The shop"
    place.done("host", "change", SHOP, "--settings", 'language = "de"')
    shown = place.json("host", "show", SHOP)["facts"]["settings"]
    assert 'name = "The shop"' in shown and 'language = "de"' in shown, shown
    assert f'admins = ["boss@{SHOP}"]' in shown, shown
    place.done("host", "change", SHOP, "--unset", "modules.disco.name")
    assert await identity(romeo, SHOP) != "The shop"
    rows = {row["domain"]: row for row in place.json("host", "list")["rows"]}
    assert rows[SHOP]["from"] == "command" and rows[SHOP]["accounts"] == "1", rows
    assert rows["localhost"]["from"] == "configuration file", rows
    assert not romeo.is_lost and not guest.is_lost
    # It is there after a restart, with what was set.
    guest.cut()
    romeo.cut()
    await place.stop()
    await place.start()
    assert 'language = "de"' in place.json("host", "show", SHOP)["facts"]["settings"]
    guest = await guest_of(place, SHOP)
    # It goes, and its people with it; everybody else stays.
    romeo = await place.signed_in("romeo")
    place.done("host", "remove", SHOP, "--yes")
    error = await guest._next()
    assert error[0].tag.endswith("}host-gone"), error[0].tag
    guest.cut()
    assert certificate_of(place, SHOP) == certificate_of(place)
    assert not list((place.data / "hosts").iterdir()), "nothing is left of it"
    answer = await ask(romeo, SHOP, "<ping xmlns='urn:xmpp:ping'/>")
    assert answer.get("type") == "error"
    # It comes back with all it had.
    place.done("host", "add", SHOP)
    await (await guest_of(place, SHOP)).close()


@scenario("domains: what cannot be is refused with the reason, and changes nothing", seconds=60)
async def refused(box):
    place = await box.serving()
    place.done("host", "add", SHOP)

    def no(*words):
        return place.refused("host", *words)

    assert "is served already" in no("add", SHOP)
    assert "no domain" in no("add", "a b")
    assert "stands in the configuration file" in no("remove", "localhost", "--yes")
    assert "stands in the configuration file" in no("change", "localhost", "--settings", "a = 1")
    assert "not served here" in no("remove", "other.example", "--yes")
    wrong = no("change", SHOP, "--settings", "[modules.register]\nopen = 7")
    assert f"{SHOP}.toml" in wrong and "open" in wrong and "true or false" in wrong, wrong
    assert "no such module" in no("change", SHOP, "--settings", "[modules.regster]\nopen = true")
    assert "no TOML" in no("change", SHOP, "--settings", "open = ")
    missing = no("change", SHOP, "--settings", 'certificate = "no.pem"\nkey = "no.pem"')
    assert "no.pem" in missing, missing
    assert "not set by a command" in no("change", SHOP, "--unset", "language")
    shown = place.json("host", "show", SHOP)["facts"]["settings"]
    assert [line for line in shown if "=" in line] == [f'domain = "{SHOP}"'], shown
    names = sorted(file.name for file in (place.data / "hosts").iterdir())
    assert names == [f"{SHOP}.toml"], names
    # The one that is there goes on.
    add_guest(place, SHOP)
    await (await guest_of(place, SHOP)).close()
    # By hand, with a mistake: the reload says where, and what runs goes on.
    file = place.data / "hosts" / f"{SHOP}.toml"
    good = file.read_text()
    file.write_text(good + "languag = 'de'\n[server]\npublic = true\n")
    told = place.refused("reload")
    assert "languag" in told and "only [[host]] stands in this file" in told, told
    file.write_text(good + "language = 'fr'\n")
    assert f"{SHOP}.language" in place.done("reload")


@scenario("domains: by HTTP, with a certificate, and only with a token for everywhere", seconds=60)
async def by_http(box):
    place = await box.serving()
    place.done("user", "add", "boss@localhost", "--password-stdin", input=PASSWORD + "\n")
    certificate, key = box.certificate("shop", SHOP)
    token = place.json("token", "create", "panel", "*", "--everywhere")["facts"]["token"]
    local = place.json("token", "create", "local", "*")["facts"]["token"]

    def post(path, token, **body):
        request = urllib.request.Request(
            f"http://{place.host}:{place.http_port}/api/localhost/v1/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    status, said = post("host/add", local, domain=SHOP)
    assert status == 403 or "operator" in json.dumps(said), (status, said)
    pem = certificate.read_text() + key.read_text()
    status, said = post("host/add", token, domain=SHOP, pem=pem.splitlines())
    assert status == 200, (status, said)
    shown = ssl.DER_cert_to_PEM_cert(certificate_of(place, SHOP))
    assert shown.split() == certificate.read_text().split()[: len(shown.split())]
    kept = list((place.data / "hosts").glob("*.pem"))
    assert len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600, kept
    audit = place.done("audit", "list")
    assert "PRIVATE KEY" not in audit and "host add" in audit, audit
    status, said = post("host/change", token, domain=SHOP, pem=["-----BEGIN NOTHING-----"])
    assert status != 200, said
    assert len(list((place.data / "hosts").glob("*.pem"))) == 1
    status, said = post("host/remove", token, domain=SHOP)
    assert status == 200 and not list((place.data / "hosts").iterdir()), said
