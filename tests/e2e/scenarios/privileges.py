"""Components that act for people (XEP-0356): slixmpp's plugin, granted and not granted."""

import contextlib
import signal

from slixmpp.exceptions import IqError

from gateway import Gateway, condition
from own import own_server, people
from registry import ours
from servers import DOMAIN, SECRET

GATE = f"gate.{DOMAIN}"
GRANTED = f"""
[[component]]
domain = "{GATE}"
secret = "{SECRET}"
roster = "both"
message = "outgoing"
presence = "managed_entity"
iq = ["get jabber:iq:version"]
"""
LITTLE = f"""
[[component]]
domain = "{GATE}"
secret = "{SECRET}"
presence = "managed_entity"
"""


@contextlib.asynccontextmanager
async def gate(top):
    """A server of its own with a component that may do what `top` says, and a way to sign in."""
    async with own_server(top=top) as server, people(server) as signed_in:
        component = Gateway(GATE, SECRET, ["xep_0356"])
        try:
            await component.attach(server)
            await component.wait("privileges")
            component.granted_by = server
            yield component, signed_in
        finally:
            await component.leave()


@ours("slixmpp component with privileges: puts its contacts into a roster", seconds=40)
async def roster(world):
    async with gate(GRANTED) as (component, signed_in):
        romeo = await signed_in("romeo")
        friend = f"friend@{GATE}"
        await component["xep_0356"].set_roster(
            romeo.boundjid.bare, {friend: {"name": "A friend", "groups": ["Gate"]}}
        )
        pushed = await romeo.wait("roster", lambda iq: friend in iq["roster"]["items"])
        assert pushed["roster"]["items"][friend]["name"] == "A friend", pushed
        answer = await component["xep_0356"].get_roster(romeo.boundjid.bare)
        assert friend in answer["roster"]["items"], answer


@ours("slixmpp component with privileges: speaks and asks for somebody", seconds=40)
async def speaks(world):
    async with gate(GRANTED) as (component, signed_in):
        romeo, juliet = await signed_in("romeo"), await signed_in("juliet")
        # Who is online is told to the component, from the beginning.
        await component.wait("available", lambda p: p["from"] == romeo.boundjid)
        await component.wait("available", lambda p: p["from"] == juliet.boundjid)
        message = component.make_message(
            mto=romeo.boundjid.bare, mfrom=juliet.boundjid.bare, mbody="written elsewhere",
            mtype="chat",
        )
        component["xep_0356"].send_privileged_message(message)
        heard = await romeo.hear("written elsewhere")
        assert heard["from"] == juliet.boundjid.bare, heard
        question = component.make_iq_get(
            queryxmlns="jabber:iq:version", ito=DOMAIN, ifrom=juliet.boundjid.bare
        )
        answer = await component["xep_0356"].send_privileged_iq(question)
        name = answer.xml.findtext(".//{jabber:iq:version}name")
        assert name == "Waxwing", answer
        await romeo.sign_out()
        await component.wait("unavailable", lambda p: p["from"].bare == romeo.boundjid.bare)


@ours("slixmpp component with few privileges: is refused what it was not granted", seconds=40)
async def refused(world):
    async with gate(LITTLE) as (component, signed_in):
        romeo = await signed_in("romeo")
        plugin = component["xep_0356"]
        for question in (
            plugin._make_get_roster(romeo.boundjid.bare),
            plugin._make_set_roster(romeo.boundjid.bare, {f"x@{GATE}": {"name": "x"}}),
        ):
            try:
                answer = await question.send(timeout=5)
                raise AssertionError(f"not refused: {answer}")
            except IqError as error:
                assert condition(error.iq) == "forbidden", error
        message = component.make_message(
            mto=romeo.boundjid.bare, mfrom=romeo.boundjid.bare, mbody="forged", mtype="chat"
        )
        plugin._make_privileged_message(message).send()
        error = await component.wait("message error")
        assert condition(error) == "forbidden", error
        await romeo.stays_silent("message")


@ours("slixmpp component with privileges: hears at a reload that it has less", seconds=40)
async def reloaded(world):
    async with gate(GRANTED) as (component, signed_in):
        romeo = await signed_in("romeo")
        assert component["xep_0356"].granted_privileges[DOMAIN].roster == "both"
        server = component.granted_by
        text = server.config.read_text()
        server.config.write_text(text.replace('roster = "both"', 'roster = "none"'))
        server.process.send_signal(signal.SIGHUP)
        await component.wait("privileges")
        assert component["xep_0356"].granted_privileges[DOMAIN].roster == "none"
        assert component["xep_0356"].granted_privileges[DOMAIN].message == "outgoing"
        try:
            answer = await component["xep_0356"]._make_get_roster(romeo.boundjid.bare).send()
            raise AssertionError(f"not refused: {answer}")
        except IqError as error:
            assert condition(error.iq) == "forbidden", error
        server.config.write_text(text.replace(GRANTED, ""))
        server.process.send_signal(signal.SIGHUP)
        # The port is there for another component, so the last of these may go.
        error = await component.wait("stream error")
        assert error["condition"] == "host-gone", error
