"""A component that answers in the place of the server (XEP-0355), made by hand on slixmpp."""

import contextlib
from xml.etree import ElementTree

from slixmpp.exceptions import IqError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from gateway import Gateway
from own import own_server, people
from registry import ours
from servers import DOMAIN, SECRET

MOODS = f"moods.{DOMAIN}"
DELEGATION = "urn:xmpp:delegation:2"
FORWARD = "urn:xmpp:forward:0"
MOOD = "urn:example:mood"
SETTINGS = f"""
[[component]]
domain = "{MOODS}"
secret = "{SECRET}"
delegate = ["{MOOD}"]
"""


class Moods(Gateway):
    """Keeps the mood of everybody, asked by the server."""

    def __init__(self):
        super().__init__(MOODS, SECRET)
        self.moods = {}
        self["xep_0030"].add_feature(MOOD, node=f"{DELEGATION}::{MOOD}", jid=self.boundjid)
        self["xep_0030"].add_identity(
            category="automation", itype="moods", node=f"{DELEGATION}:bare:{MOOD}",
            jid=self.boundjid,
        )
        path = f"{{jabber:component:accept}}iq/{{{DELEGATION}}}delegation"
        self.register_handler(Callback("Delegated", MatchXPath(path), self._delegated))
        path = f"{{jabber:component:accept}}message/{{{DELEGATION}}}delegation"
        self.register_handler(
            Callback("Advertised", MatchXPath(path), lambda m: self._note("delegation", m))
        )

    def _delegated(self, carrier):
        asked = carrier.xml.find(f".//{{{FORWARD}}}forwarded")[0]
        owner = asked.get("to") or asked.get("from").split("/")[0]
        mood = asked.find(f"{{{MOOD}}}mood")
        if asked.get("type") == "set":
            self.moods[owner] = mood.text
        answer = carrier.reply()
        delegation = ElementTree.SubElement(answer.xml, f"{{{DELEGATION}}}delegation")
        forwarded = ElementTree.SubElement(delegation, f"{{{FORWARD}}}forwarded")
        iq = ElementTree.SubElement(forwarded, "{jabber:client}iq", {
            "type": "result", "id": asked.get("id"), "to": asked.get("from"),
        })
        if asked.get("type") == "get":
            ElementTree.SubElement(iq, f"{{{MOOD}}}mood").text = self.moods.get(owner)
        answer.send()


def question(peer, kind, to=None, text=None):
    iq = peer.make_iq(itype=kind, ito=to)
    mood = ElementTree.Element(f"{{{MOOD}}}mood")
    mood.text = text
    iq.append(mood)
    return iq


@contextlib.asynccontextmanager
async def delegated():
    async with own_server(top=SETTINGS) as server, people(server) as signed_in:
        moods = Moods()
        try:
            await moods.attach(server)
            await moods.wait("delegation")
            yield moods, signed_in
        finally:
            await moods.leave()


@ours("slixmpp component with a delegation: answers for people and for the server", seconds=40)
async def answers(world):
    async with delegated() as (_, signed_in):
        romeo, juliet = await signed_in("romeo"), await signed_in("juliet")
        await question(juliet, "set", text="annoyed").send(timeout=5)
        answer = await question(romeo, "get", juliet.boundjid.bare).send(timeout=5)
        assert answer["from"] == juliet.boundjid.bare, answer
        assert answer.xml.findtext(f"{{{MOOD}}}mood") == "annoyed", answer
        info = await romeo["xep_0030"].get_info(jid=DOMAIN)
        assert {DELEGATION, MOOD} <= info["disco_info"]["features"], info
        info = await romeo["xep_0030"].get_info(jid=romeo.boundjid.bare, cached=False)
        kinds = {identity[:2] for identity in info["disco_info"]["identities"]}
        assert {("account", "registered"), ("automation", "moods")} <= kinds, kinds


@ours("slixmpp component with a delegation: who is gone does not answer", seconds=40)
async def gone(world):
    async with delegated() as (moods, signed_in):
        romeo = await signed_in("romeo")
        await question(romeo, "set", text="well").send(timeout=5)
        await moods.leave()
        try:
            answer = await question(romeo, "get").send(timeout=5)
            raise AssertionError(f"not refused: {answer}")
        except IqError as error:
            assert error.condition == "service-unavailable", error
