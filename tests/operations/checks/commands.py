"""Every command of the manual, with a server and without one, for people and for programs."""

import json
import re
import subprocess

from box import PASSWORD, until
from registry import scenario
from wire import Refused, Wire


async def may_sign_in(place, name, password):
    wire = Wire(place, name, password, "try")
    try:
        await wire.sign_in(managed=False)
        await wire.close()
        return True
    except Refused:
        wire.cut()
        return False


@scenario("commands: every --help exits with 0 and has an example")
async def helps(box):
    place = box.place()
    seen = []

    def look(words):
        shown = subprocess.run(
            [place.binary, *words, "--help"], text=True, capture_output=True, timeout=10
        )
        assert shown.returncode == 0 and not shown.stderr, (words, shown.stderr)
        text = shown.stdout
        assert re.search(r"(Example|First steps):\n +waxwing", text), f"{words}: {text}"
        assert "Usage: waxwing" in text
        seen.append(words)
        listed = re.search(r"^Commands:\n((?:  .*\n)+)", text, re.M)
        for line in listed.group(1).splitlines() if listed else []:
            if found := re.match(r"  ([a-z-]+) ", line):
                look([*words, found.group(1)])

    look([])
    assert ["user", "add"] in seen and ["session", "kick"] in seen, seen
    assert len(seen) > 20, seen
    assert not any(place.data.iterdir())


@scenario("commands: accounts, on a running server and without one", seconds=60)
async def accounts(box):
    place = box.place()
    told = place.refused("user", "list")
    assert "no database" in told and "waxwing serve" in told, told
    await place.start()
    for is_running in (True, False):
        name = "romeo" if is_running else "juliet"
        jid = f"{name}@localhost"
        if not is_running:
            assert await place.stop() == 0
        made = place.json("user", "add", jid, "--generate")
        password = made["password"]
        assert len(password) >= 16, made
        again = place.run("user", "add", jid, "--generate", "--json")
        assert again.returncode == 1
        assert json.loads(again.stdout)["condition"] == "conflict", again
        assert "exists already" in place.refused("user", "add", jid, "--generate")
        assert jid in place.json("user", "list")["facts"]["registereduserjids"]
        assert jid in place.done("user", "list")

        async def holds(password, truth):
            if is_running:
                assert await may_sign_in(place, name, password) is truth, (password, truth)

        await holds(password, True)
        place.done("user", "passwd", jid, "--password-stdin", input="another pass 1\n")
        await holds(password, False)
        await holds("another pass 1", True)
        place.done("user", "disable", jid)
        await holds("another pass 1", False)
        assert jid in str(place.json("user", "list-disabled"))
        place.done("user", "enable", jid)
        await holds("another pass 1", True)
        unsure = place.run("user", "remove", jid)
        assert unsure.returncode != 0 and "--yes" in unsure.stderr, unsure
        place.done("user", "remove", jid, "--yes")
        await holds("another pass 1", False)
        assert jid not in place.done("user", "list")
        assert "no account" in place.refused("user", "show", jid)
    # What was done without the server, it knows when it starts.
    place.done("user", "add", "nurse@localhost", "--password-stdin", input=PASSWORD + "\n")
    await place.start()
    assert await may_sign_in(place, "nurse", PASSWORD)


@scenario("commands: nonsense is refused in words")
async def nonsense(box):
    place = await box.serving()
    for words, part in (
        (("user", "add", "not an address", "--generate"), "jid"),
        (("user", "add", "a@elsewhere.example", "--generate"), "elsewhere.example"),
        (("user", "add", "@localhost", "--generate"), "jid"),
        (("user", "show"), "required"),
        (("session", "kick", "romeo@localhost"), "romeo"),
    ):
        told = place.refused(*words)
        assert part in told and "panicked" not in told, f"{words}: {told}"
    short = place.run("user", "add", "x@localhost", "--password-stdin", input="\n")
    assert short.returncode != 0 and "password" in short.stderr, short


@scenario("commands: sessions are listed and ended, and need a server")
async def sessions(box):
    place = await box.serving()
    romeo = await place.signed_in("romeo", "desk")
    phone = await place.signed_in("romeo", "phone", managed=False)
    listed = place.json("session", "list")
    assert "romeo@localhost/desk" in str(listed) and "romeo@localhost/phone" in str(listed), listed
    assert "romeo@localhost/desk" in place.done("session", "list")
    place.done("session", "kick", "romeo@localhost/phone")
    await until(lambda: phone.is_lost, "the phone's end")
    assert not romeo.is_lost
    await until(lambda: "phone" not in place.done("session", "list"), "the list to tell")
    place.done("user", "disable", "romeo@localhost")
    await until(lambda: romeo.is_lost, "the end of a disabled account's session")
    assert await place.stop() == 0
    for words in (["session", "list"], ["session", "kick", "romeo@localhost/desk"], ["reload"]):
        told = place.refused(*words)
        assert "no server is running" in told and "waxwing serve" in told, told
        told = place.run(*words, "--json")
        assert "no server" in json.loads(told.stdout)["text"], told


@scenario("commands: many at the same time, without a server too", seconds=60)
async def at_once(box):
    place = await box.serving(accounts=[])
    for is_running in (True, False):
        if not is_running:
            assert await place.stop() == 0
        kind = "with" if is_running else "without"
        running = [
            subprocess.Popen(
                [place.binary, "user", "add", *place._base(), f"{kind}{n}@localhost", "--generate"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for n in range(6)
        ]
        for process in running:
            out, err = process.communicate(timeout=30)
            assert process.returncode == 0, err
        listed = place.json("user", "list")["facts"]["registereduserjids"]
        assert sum(jid.startswith(kind + "0") or kind in jid for jid in listed) >= 6, listed


@scenario("commands: check, on what is well and on what is not")
async def check(box):
    place = box.place()
    place.data.chmod(0o700)
    found = place.json("check")
    assert len(found) >= 6 and all(one["verdict"] == "ok" for one in found), found
    assert not any(place.data.iterdir()), "check made something"
    await place.start()
    assert "is running" in place.done("check")
    # The same ports, another folder.
    other = box.place("b")
    other.configure(listen={"xmpp": [f"127.0.0.1:{place.tcp_port}"]})
    told = other.run("check")
    assert told.returncode == 1 and "ss -ltnp" in told.stdout, told.stdout
    chain, _ = box.certificate("one", "elsewhere.example")
    _, key = box.certificate("two", "localhost")
    other.configure(listen={"xmpp": []})
    for files, words in (
        ({"certificate": "gone.pem", "key": "gone.pem"}, "gone.pem"),
        ({"certificate": str(chain), "key": str(key)}, "does not belong"),
        ({"certificate": str(chain), "key": str(chain).replace(".pem", "-key.pem")}, "not made"),
    ):
        other.hosts[0].update(files)
        other.write()
        told = other.run("check")
        assert told.returncode == 1 and words in told.stdout, told.stdout
        verdicts = [one["verdict"] for one in json.loads(other.run("check", "--json").stdout)]
        assert "wrong" in verdicts


@scenario("commands: the example passes its check, as it is and with every mark taken away")
async def example(box):
    place = box.place()
    text = place.done("config", "example")
    place.config.write_text(text)
    found = json.loads(place.run("check", "--json").stdout)
    # Its usual ports may be taken on this machine.
    wrong = [one for one in found if one["verdict"] == "wrong" and "port" not in one["about"]]
    assert not wrong, wrong
    reference = place.done("config", "reference")
    for key in re.findall(r"^#([a-z_]+) = ", text, re.M):
        assert f"`{key}`" in reference, key
    routes = place.done("routes")
    assert "urn:xmpp:ping" in routes and len(routes.splitlines()) > 20
