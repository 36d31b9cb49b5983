"""Converse.js in headless Chromium, in a room: what a person in a browser sees and does there."""

from meeting import Occupant, guest, opened
from registry import scenario
from scenarios.browser import browser
from walk import Walk

LONG = 70  # more than one page of Converse's, which are of 50


async def shows(page, *texts):
    for text in texts:
        page.do("shows", text=text)
        await page.wait("shown", seconds=25, text=text)


async def in_company(page, *nicks):
    page.do("company", nicks=nicks)
    await page.wait("company", seconds=25, nicks=list(nicks))


@scenario("Converse.js: joins a room, sees who is there, talks, and keeps order", seconds=120)
async def moderates(world):
    steps = ("join", "see", "talk", "retract", "kick", "reload")
    romeo, tybalt = await guest(world, "romeo"), await guest(world, "tybalt")
    one = await opened(world, romeo, "square", "Romeo", roomname="Verona, a public place")
    await one.muc.set_affiliation(
        one.room, "admin", jid=world.account("juliet"), timeout=10
    )
    loud = Occupant(tybalt, one.room, "Tybalt")
    await loud.enter()
    with Walk(*steps) as walk:
        async with browser(world, "juliet", world.server.ws_url, "converse-room.png") as page:
            with walk.step("join"):
                page.do("enterRoom", to=one.room, nick="Juliet")
                await page.wait("entered", seconds=30)
                await one.sees("Juliet", role="moderator", affiliation="admin")
            with walk.step("see"):
                await in_company(page, "Juliet", "Romeo", "Tybalt")
            with walk.step("talk"):
                page.do("sayInRoom", body="What man art thou?")
                await one.hears("What man art thou?", "Juliet")
                one.say("By a name I know not how to tell thee")
                loud.say("This villain is a Montague")
                await shows(page, "By a name I know not how", "This villain is a Montague")
            with walk.step("retract"):
                if world.server.is_ours:  # Debian's Prosody has no XEP-0425
                    page.do("retract", text="This villain is a Montague", reason="Manners")
                    await page.wait("retracted", seconds=30)
                    await romeo.wait(
                        "wire",
                        lambda s: s.xml.find("{urn:xmpp:message-retract:1}retract") is not None,
                    )
                    page.do("picture", file=str(world.artefacts / "converse-room-retracted.png"))
                    await page.wait("taken")
            with walk.step("kick"):
                page.do("sayInRoom", body="/kick Tybalt Be gone")
                gone = await loud.sees("Tybalt", "unavailable", codes={110, 307})
                assert "Be gone" in str(gone), gone
                await in_company(page, "Juliet", "Romeo")
            with walk.step("reload"):
                page.do("comeBack")
                await page.wait("online", seconds=40)
                await in_company(page, "Juliet", "Romeo")
                await shows(page, "By a name I know not how")
                one.say("I take thee at thy word")
                await shows(page, "I take thee at thy word")


@scenario("Converse.js: reads a room's history page by page, and again after a reload", seconds=150)
async def history(world):
    romeo = await guest(world, "romeo")
    one = await opened(world, romeo, "book", "Romeo", roomname="The Prologue")
    lines = [f"line {i:02} of the prologue" for i in range(LONG)]
    for line in lines:
        one.say(line)
        await one.hears(line, "Romeo")
    async with browser(world, "juliet", world.server.ws_url, "converse-room-history.png") as page:
        page.do("enterRoom", to=one.room, nick="Juliet")
        await page.wait("entered", seconds=30)
        await shows(page, lines[-1])
        page.do("scrollBack", text=lines[0])
        await page.wait("found", seconds=40)
        page.do("leave")
        await page.wait("left")
        one.say("said while the page was away")
        page.do("comeBack")
        await page.wait("online", seconds=40)
        await shows(page, "said while the page was away")
        page.do("scrollBack", text=lines[0])
        await page.wait("found", seconds=40)
        page.do("counts", texts=[lines[0], lines[LONG // 2], lines[-1], "said while the page"])
        found = (await page.wait("counted"))["found"]
        assert found == [1, 1, 1, 1], found
