"""A server that cannot start says why in a sentence, and what to do, and leaves nothing behind."""

import asyncio
import os
import shutil
import socket
import sqlite3
import subprocess
import time

from box import PASSWORD, Skip, until
from registry import scenario

# How long a server may take to give up.
GIVE_UP = 8
NOBODY = 65534


def gives_up(place, *words, code=1, command=None, **options):
    """`serve` ends with `code`, and standard error has each of the words and nothing wild."""
    begun = time.monotonic()
    ended = subprocess.run(
        command or place.command(), stdin=subprocess.DEVNULL, text=True, capture_output=True,
        timeout=GIVE_UP * 4, cwd=place.folder, **options,
    )
    took = time.monotonic() - begun
    told = ended.stderr
    assert ended.returncode == code, f"exit code {ended.returncode}\n{ended.stdout}{told}"
    assert took < GIVE_UP, f"it took {took:.1f} s"
    assert ended.stdout == "", ended.stdout
    for word in words:
        assert word.lower() in told.lower(), f"{word!r} is not in: {told}"
    for wild in ("panicked", "RUST_BACKTRACE", "Error(", "Err(", "Os {", "ERROR", "WARN"):
        assert wild not in told, told
    assert told.count("\n") <= 8, told
    left = [name for name in ("control.sock", "control.new") if (place.data / name).exists()]
    assert not left, f"{left} left behind"
    return told


async def starts(place):
    """The same place serves once the cause is gone."""
    await place.start()
    assert await place.stop() == 0


@scenario("start: a port that is in use")
async def port_in_use(box):
    place = box.place()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((place.host, place.https_port))
        taken.listen()
        gives_up(place, f"127.0.0.1:{place.https_port}", "in use", "ss -ltnp", "another port")
    await starts(place)


@scenario("start: an address that this machine does not have")
async def foreign_address(box):
    place = box.place()
    place.configure(listen={"xmpp": ["192.0.2.1:5222"]})
    gives_up(place, "192.0.2.1", "no address")


@scenario("start: a certificate that is missing")
async def certificate_missing(box):
    place = box.place()
    chain, key = box.certificate("one", "localhost")
    place.hosts[0].update(certificate=str(box.folder / "none.pem"), key=str(key))
    place.write()
    gives_up(place, "none.pem", "No such file", "check that the file exists")
    place.hosts[0].update(certificate=str(chain))
    place.write()
    await starts(place)


@scenario("start: a key that is another certificate's, and files that are no PEM")
async def key_mismatch(box):
    place = box.place()
    chain, _ = box.certificate("one", "localhost")
    _, other = box.certificate("two", "localhost")
    place.hosts[0].update(certificate=str(chain), key=str(other))
    place.write()
    gives_up(place, "two-key.pem", "does not belong", "one.pem", "of one certificate")
    other.write_text("not a key\n")
    gives_up(place, "two-key.pem", "no private key", "BEGIN")
    chain.write_text("")
    gives_up(place, "one.pem", "no certificate", "BEGIN")


@scenario("start: a key that this user may not read")
async def key_unreadable(box):
    place = box.place()
    chain, key = box.certificate("one", "localhost")
    place.hosts[0].update(certificate=str(chain), key=str(key))
    place.write()
    options = as_nobody(place)
    key.chmod(0o000)
    gives_up(place, "one-key.pem", "permission denied", "user may use it", **options)


def as_nobody(place):
    """Lets an ordinary user run the server in this place, where we are root."""
    if os.getuid() != 0:
        return {}
    # The way to the binary may be closed to others.
    copy = place.folder / "waxwing"
    shutil.copy(place.binary, copy)
    place.binary = str(copy)
    for path in (place.folder.parent, place.folder):
        path.chmod(0o755)
    shutil.chown(place.data, NOBODY, NOBODY)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}


@scenario("start: a data folder that is read-only, new and with a database in it")
async def read_only_folder(box):
    place = box.place()
    options = as_nobody(place)
    place.data.chmod(0o555)
    gives_up(place, str(place.data), "may not be written", "--data", **options)
    place.data.chmod(0o755)
    # Once more with what a server leaves there.
    ended = subprocess.Popen(
        place.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=place.folder,
        **options,
    )
    await until(lambda: (place.data / "control.sock").exists(), "the first start")
    ended.terminate()
    assert ended.wait(GIVE_UP) == 0
    place.data.chmod(0o555)
    gives_up(place, str(place.data), "--data", **options)
    place.data.chmod(0o755)
    (place.data / "waxwing.db").chmod(0o444)
    gives_up(place, "waxwing.db", "read-only", "writable", **options)


@scenario("start: a data folder that another server uses, or wants at the same moment")
async def folder_in_use(box):
    place = await box.serving()
    other = box.place("b")
    command = [*other.command()[:-1], str(place.data)]
    told = subprocess.run(command, text=True, capture_output=True, timeout=GIVE_UP, cwd=box.folder)
    assert told.returncode == 1 and "already running" in told.stderr, told.stderr
    assert "--data" in told.stderr
    # The same database under another data folder.
    other.configure(storage={"url": f"sqlite:{place.data / 'waxwing.db'}"})
    gives_up(other, "waxwing.db", "in use", str(place.process.pid), "another data folder")
    # The first one noticed nothing.
    assert place.json("user", "list")
    assert await place.stop() == 0


@scenario("start: of servers that start at once on one folder, one serves", seconds=60)
async def started_at_once(box):
    for storage in (None, box.postgres().database("at_once")):
        data = box.folder / "shared"
        places = [box.place(f"{'p' if storage else 's'}{i}") for i in range(4)]
        for place in places:
            place.data = data
            if storage:
                place.configure(storage={"url": storage})
        for place in places:
            with place.log_path.open("ab") as log:
                place.process = subprocess.Popen(
                    place.command(), stdout=log, stderr=log, cwd=place.folder
                )
        await until(
            lambda: sum(place.process.poll() is None for place in places) <= 1, "all but one end"
        )
        await asyncio.sleep(0.3)
        alive = [place for place in places if place.process.poll() is None]
        assert len(alive) == 1, [place.process.returncode for place in places]
        await until(alive[0].is_ready, "the one that is left serves")
        assert alive[0].json("user", "count") is not None
        assert "is_running" not in alive[0].log()
        for place in places:
            if place is not alive[0]:
                assert place.process.returncode == 1
                assert "already running" in place.log() or "in use" in place.log(), place.log()
        assert await alive[0].stop() == 0


@scenario("start: a database that is garbage, cut short, or damaged", seconds=40)
async def corrupted(box):
    place = await box.serving(accounts=[f"user{i}" for i in range(20)])
    assert await place.stop() == 0
    file = place.data / "waxwing.db"
    whole = file.read_bytes()
    page = 4096
    assert len(whole) > 8 * page
    damaged = {
        "garbage": b"this is not a database, whatever its name says\n" * 4000,
        "cut short": whole[: len(whole) // 2 // page * page],
        "no header": b"\0" * 100 + whole[100:],
        "no first page": whole[:100] + b"\xff" * (page - 100) + whole[page:],
        "no pages but the first": whole[:page] + b"\xa5" * (len(whole) - page),
    }
    for what, content in damaged.items():
        file.write_bytes(content)
        told = gives_up(place, "database")
        assert any(word in told for word in ("backup", "move the file away")), f"{what}: {told}"
        assert "waxwing.db" in told, f"{what}: {told}"
        assert file.read_bytes() == content, f"{what}: the file was changed"
        check = place.run("check")
        assert check.returncode == 1 and "wrong    database" in check.stdout, check.stdout
    file.write_bytes(whole)
    await starts(place)


@scenario("start: a database of a newer release")
async def newer_schema(box):
    place = await box.serving()
    assert await place.stop() == 0
    with sqlite3.connect(place.data / "waxwing.db") as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master")]
        versions = next(name for name in tables if "schema" in name)
        database.execute(f"UPDATE {versions} SET version = 99")
    database.close()
    gives_up(place, "version 99", "newer release", "backup")
    assert "newer release" in place.run("check").stdout


@scenario("start: a database folder that is a file")
async def folder_is_a_file(box):
    place = box.place()
    place.data.rmdir()
    place.data.write_text("")
    gives_up(place, str(place.data), "--data")


@scenario("start: PostgreSQL that is not there, refuses the password, or lacks the database")
async def postgres_refuses(box):
    place = box.place()
    postgres = box.postgres()
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        place.configure(storage={"url": f"postgres://waxwing:geheim@127.0.0.1:{port}/waxwing"})
        told = gives_up(place, f"127.0.0.1:{port}", "does not answer", "refused", "host and port")
        assert "geheim" not in told, told
        assert "does not answer" in place.run("check").stdout
    place.configure(storage={"url": postgres.at("postgres", "guarded:wrong")})
    told = gives_up(place, "password authentication failed", "check the user, the password")
    assert "wrong" not in told, told
    place.configure(storage={"url": postgres.at("postgres", "guarded")})
    gives_up(place, "password", "check the user, the password")
    place.configure(storage={"url": postgres.at("nowhere")})
    gives_up(place, '"nowhere" does not exist', "the name of the database")
    place.configure(storage={"url": postgres.database("somewhere")})
    await starts(place)


@scenario("start: PostgreSQL that holds a newer release's tables, or may only be read")
async def postgres_newer(box):
    place = box.place()
    url = box.postgres().database("newer")
    place.configure(storage={"url": url})
    await starts(place)
    versions = box.postgres().sql(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'version' "
        "AND table_schema = 'public' AND table_name LIKE '%schema%'", url
    )
    box.postgres().sql(f"UPDATE {versions} SET version = 99", url)
    gives_up(place, "version 99", "newer release", "backup")
    url = box.postgres().database("read_only")
    box.postgres().sql("ALTER DATABASE read_only SET default_transaction_read_only = on")
    place.configure(storage={"url": url})
    gives_up(place, "read-only")


@scenario("start: a configuration that is wrong, with file and line")
async def wrong_configuration(box):
    place = box.place()
    mistakes = [
        # (text, line, words)
        ("[server]\npubilc = true\n", 2, ["server.pubilc", "did you mean `public`"]),
        ("[sevrer]\npublic = true\n", 1, ["sevrer", "did you mean `server`"]),
        ("[server]\npublic = 1\n", 2, ["server.public", "true or false"]),
        ("[server]\nlog_level = 'loud'\n", 2, ["server.log_level", "info"]),
        ("[server]\ndrain_seconds = 9999\n", 2, ["server.drain_seconds", "300"]),
        ("[listen]\nxmpp = ['nowhere']\n", 2, ["listen.xmpp", "5222"]),
        ("[limits]\nearly_bytes = '1 MiB'\nstanza_bytes = '64 KiB'\n", 2, ["early_bytes"]),
        ("[storage]\nurl = 'mysql://localhost'\n", 2, ["storage.url", "sqlite:"]),
        ("[[host]]\ndomain = 'a.example'\ncertificate = 'a.pem'\n", 3, ["key"]),
        ("[[host]]\ndomain = 'a.example'\n\n[[host]]\ndomain = 'A.example'\n", 5, ["a.example"]),
        ("[[host]]\ndomain = 'not a domain'\n", 2, ["domain"]),
        ("[modules.ping]\nenabeld = false\n", 2, ["enabeld", "did you mean `enabled`"]),
        ("[modules.pong]\nenabled = false\n", 1, ["pong", "did you mean `ping`"]),
        ("[server\n", 1, []),
        ("[server]\npublic = true\npublic = true\n", 3, ["public"]),
    ]
    for text, line, words in mistakes:
        place.config.write_text(text)
        for command in (place.command(), [place.binary, "check", *place._base()]):
            told = gives_up(place, f"{place.config}:{line}:", *words, code=2, command=command)
        assert not any(place.data.iterdir()), f"{text!r}: {told}"
    # Everything that is wrong is told at once.
    place.config.write_text("[server]\npubilc = true\nlog_level = 3\n")
    ended = place.run("check")
    assert ended.stderr.count(f"{place.config}:") == 2, ended.stderr


@scenario("start: a configuration file that is missing, or no text")
async def missing_configuration(box):
    place = box.place()
    place.config.unlink()
    gives_up(place, str(place.config), "no such file", "waxwing config example", code=2)
    place.config.write_bytes(b"\xff\xfe\0")
    gives_up(place, str(place.config), "UTF-8", code=2)


@scenario("start: a folder whose path is too long for a socket")
async def long_path(box):
    place = box.place()
    place.data = place.folder / ("x" * 120)
    gives_up(place, "too long", "shorter --data")


@scenario("start: what the server makes is for its own user only")
async def modes(box):
    place = box.place()
    place.data.rmdir()
    old = os.umask(0o022)
    box.at_end(lambda: os.umask(old))
    await place.start()
    place.add_account("romeo", PASSWORD)
    wrong = [
        f"{path.relative_to(place.data)}: {path.stat().st_mode & 0o777:o}"
        for path in [place.data, *place.data.rglob("*")]
        if path.stat().st_mode & 0o077
    ]
    # Certificates are shown to everybody anyway, but the key may stand in the same file.
    assert not wrong, wrong
    if not (place.data / "waxwing.db").exists():
        raise Skip("the database is elsewhere")
