"""Health, metrics and the log: what machines read of the server."""

import json
import re

from box import PASSWORD
from openmetrics import parse
from registry import scenario
from wire import Refused, Wire

SECRET = "Unutterable-Pass-9"
WORDS = "a whisper that no log may repeat"


@scenario("pages: health, and metrics as OpenMetrics")
async def metrics(box):
    place = await box.serving()
    assert place.get("/healthz")[0] == 200 and place.is_ready()
    before = parse(*place.get("/metrics"))
    romeo, juliet = await place.signed_in("romeo"), await place.signed_in("juliet", managed=False)
    try:
        await Wire(place, "romeo", "wrong", "x").sign_in(False)
    except Refused:
        pass
    romeo.say("juliet@localhost", "one")
    await romeo.settle()
    after = parse(*place.get("/metrics"))

    def grew(name, by, **labels):
        old, new = (page.value(name, **labels) or 0 for page in (before, after))
        assert new - old >= by, f"{name}{labels}: {old} to {new}"

    grew("waxwing_sessions", 2)
    grew("waxwing_connections", 2, transport="tls")
    grew("waxwing_sessions_bound_total", 2, transport="tls")
    grew("waxwing_stanzas_received_total", 1, kind="message")
    grew("waxwing_stanzas_sent_total", 1, kind="message")
    grew("waxwing_auth_failures_total", 1, condition="not-authorized")
    assert after.value("process_resident_memory_bytes") > 1e6
    assert after.value("process_open_fds") > 5
    await romeo.close()
    await juliet.close()
    # The label of whoever asks decides nothing.
    status, headers, _ = place.get("/nothing-here")
    assert status == 404 and "text/" in headers["content-type"]


@scenario("pages: the log holds no bodies and no passwords, in text and in JSON", seconds=60)
async def log(box):
    for form in ("text", "json"):
        place = box.place(form, server={"log_level": "debug", "log_format": form})
        place.configure(modules__register={"open": True})
        await place.start()
        place.add_account("romeo", SECRET)
        place.done("user", "add", "juliet@localhost", "--password-stdin", input=SECRET + "\n")
        place.done("user", "passwd", "juliet@localhost", "--password-stdin", input=SECRET + "2\n")
        generated = place.json("user", "add", "nurse@localhost", "--generate")["password"]
        romeo = await Wire(place, "romeo", SECRET, "desk").sign_in(True)
        juliet = await Wire(place, "juliet", SECRET + "2", "desk").sign_in(False)
        try:
            await Wire(place, "romeo", SECRET + " wrong", "x").sign_in(False)
        except Refused:
            pass
        for to in ("juliet@localhost", "nurse@localhost", "nobody@localhost", "x@far.example"):
            romeo.send(
                f"<message type='chat' to='{to}' id='m'><body>{WORDS}</body>"
                f"<subject>{WORDS}</subject><thread>{WORDS}</thread></message>", "m"
            )
        romeo.send(f"<presence><status>{WORDS}</status></presence>")
        romeo.send(f"<iq type='set' id='p'><query xmlns='jabber:iq:private'>"
                   f"<n xmlns='x'>{WORDS}</n></query></iq>")
        romeo.send(f"<iq type='set' id='r'><query xmlns='jabber:iq:register'>"
                   f"<username>romeo</username><password>{SECRET}3</password></query></iq>")
        await romeo.settle()
        juliet._write(f"<message><body>{WORDS}</body></oops>")
        await juliet.drain()
        romeo.cut()
        assert await place.stop() == 0
        text = place.log()
        for secret in (WORDS, WORDS.split()[1], SECRET, generated, "wrong"):
            assert secret not in text, re.findall(f".*{re.escape(secret)}.*", text)[:3]
        assert "romeo@localhost" in text and "DEBUG" in text
        lines = [line for line in text.splitlines() if line.startswith("{")]
        if form == "json":
            assert len(lines) > 10
            for line in lines:
                entry = json.loads(line)
                assert {"timestamp", "level", "target", "message"} <= set(entry), entry
        else:
            assert not lines
    assert PASSWORD
