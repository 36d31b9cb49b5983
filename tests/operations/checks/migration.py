"""A database that an older release wrote: today's server opens it, and nothing is missing.

`fixtures/make.py` made them with the release before history, files and tokens came.
"""

import hashlib
import sqlite3
import subprocess
from base64 import b64decode
from pathlib import Path

from box import PASSWORD
from fixtures.make import PHOTO, SPOKEN
from own import Stranger, ask as asked, condition
from registry import scenario
from wire import CLIENT, Refused, Wire

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
ROSTER = "{jabber:iq:roster}"
CARDS = "{vcard-temp}"


class Seeing(Wire):
    """A client that remembers presence, too."""

    def __init__(self, *given):
        super().__init__(*given)
        self.seen = []

    def _take(self, element):
        if element.tag == CLIENT + "presence":
            self.seen.append(element)
        super()._take(element)


async def sign_in(place, name, resource="desk"):
    return await Seeing(place, name, PASSWORD, resource).sign_in(managed=True)


def sqlite_place(box):
    place = box.place()
    with sqlite3.connect(place.data / "waxwing.db") as database:
        database.executescript((FIXTURES / "core.sqlite.sql").read_text())
    database.close()
    return place


def postgres_place(box, name):
    url = box.postgres().database(name)
    subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", FIXTURES / "core.postgres.sql", url],
        check=True, capture_output=True, text=True, timeout=60,
    )
    place = box.place()
    place.configure(storage={"url": url})
    return place


async def ask(wire, payload, kind="get", to=None):
    to = f" to='{to}'" if to else ""
    return await wire._ask(f"<iq type='{kind}' id='ask'{to}>{payload}</iq>")


async def what_was_kept(place):
    """Contacts, groups, card, private data, blocked addresses, an account that is locked."""
    romeo = await sign_in(place, "romeo")
    roster = (await ask(romeo, "<query xmlns='jabber:iq:roster'/>"))[0]
    item = roster.find(ROSTER + "item")
    assert item.attrib == {
        "jid": "juliet@localhost", "name": "Juliet", "subscription": "both",
    }, item.attrib
    assert [group.text for group in item] == ["Friends", "Verona <3"], list(item)
    card = (await ask(romeo, "<vCard xmlns='vcard-temp'/>"))[0]
    assert card.findtext(CARDS + "FN") == "Romeo Montague"
    assert card.findtext(CARDS + "NICKNAME") == "Ro & meo"
    assert card.findtext(f"{CARDS}PHOTO/{CARDS}BINVAL") == PHOTO
    query = "<query xmlns='jabber:iq:private'><storage xmlns='storage:bookmarks'/></query>"
    marks = (await ask(romeo, query))[0][0]
    assert marks[0].get("jid") == "theplay@conference.shakespeare.example", list(marks)
    locked = Seeing(place, "tybalt", PASSWORD, "desk")
    try:
        await locked.sign_in(managed=False)
    except Refused as refused:
        assert str(refused) == "account-disabled", refused
    else:
        raise AssertionError("a locked account was opened")
    finally:
        await locked.close()
    return romeo


async def what_waits(place, romeo):
    """What was spooled comes once, in order, with its time; then the archive begins."""
    juliet = await sign_in(place, "juliet")
    await juliet.settle()
    asking = [one.get("from") for one in juliet.seen if one.get("type") == "subscribe"]
    assert asking == ["nurse@localhost"], asking
    assert juliet.heard == [(word, True) for word in SPOKEN], juliet.heard
    blocked = (await ask(juliet, "<blocklist xmlns='urn:xmpp:blocking'/>"))[0]
    assert [item.get("jid") for item in blocked] == ["tybalt@localhost"]
    assert set(await juliet.history()) <= set(SPOKEN), "an archive of what was before it"
    before = await juliet.history()
    romeo.send("<message to='juliet@localhost' type='chat' id='new'><body>new</body></message>")
    await romeo.settle()
    await juliet.settle()
    assert await juliet.history() == [*before, "new"]
    assert await romeo.history() == ["new"]
    await juliet.close()
    again = await sign_in(place, "juliet", "again")
    await again.settle()
    assert again.heard == [], again.heard
    await again.close()


async def what_is_new(place, romeo):
    """What came since works on what was there."""
    # A card in its other form.
    four = (await ask(romeo, "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'/>"))[0]
    ns = "{urn:ietf:params:xml:ns:vcard-4.0}"
    assert four.findtext(f"{ns}fn/{ns}text") == "Romeo Montague", list(four)
    assert PHOTO in four.findtext(f"{ns}photo/{ns}uri")
    # The hash of a picture that was kept before hashes were (XEP-0153).
    hashes = [one.findtext(".//{vcard-temp:x:update}photo") for one in romeo.seen]
    assert hashlib.sha1(b64decode(PHOTO)).hexdigest() in hashes, hashes
    # A name that looks like one that is older than the list of such names.
    async with Stranger(place) as stranger:
        form = (
            "<query xmlns='jabber:iq:register'><username>rorneo</username>"
            f"<password>{PASSWORD}</password></query>"
        )
        refused = condition(await asked(stranger, "set", form, "localhost"))
        assert refused == "conflict", refused


async def survey(place):
    """Twice: the second start finds nothing left to do."""
    place.configure(modules__register={"open": True})
    await place.start()
    romeo = await what_was_kept(place)
    await what_waits(place, romeo)
    await what_is_new(place, romeo)
    await romeo.close()
    assert await place.stop() == 0
    assert "wrong" not in place.done("check"), place.done("check")
    await place.start()
    romeo = await what_was_kept(place)
    assert await romeo.history() == ["new"], await romeo.history()
    await romeo.close()
    assert place.is_ready()
    assert PASSWORD not in place.log()


@scenario("migration: a SQLite database of the release before history", seconds=60)
async def sqlite(box):
    await survey(sqlite_place(box))


@scenario("migration: a PostgreSQL database of the release before history", seconds=60)
async def postgres(box):
    await survey(postgres_place(box, "before_history"))
