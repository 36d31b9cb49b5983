"""A component at slixmpp (XEP-0114): speaks for a domain, and writes down what it is told."""

import asyncio

import slixmpp

from peer import Peer

PLUGINS = ("xep_0030", "xep_0092", "xep_0199", "xep_0203", "xep_0297")


class Gateway(slixmpp.ComponentXMPP):
    """One slixmpp component. `seen` is what it was told, as of `Peer`."""

    _note, wait, hear, stays_silent = Peer._note, Peer.wait, Peer.hear, Peer.stays_silent

    def __init__(self, domain, secret, plugins=()):
        super().__init__(domain, secret)
        self.auto_authorize = None
        self.auto_subscribe = False
        self.seen = []
        self.news = asyncio.Event()
        for plugin in (*PLUGINS, *plugins):
            self.register_plugin(plugin)
        kinds = {
            "session_start": "online",
            "disconnected": "offline",
            "message": "message",
            "message_error": "message error",
            "stream_error": "stream error",
            "privileges_advertised": "privileges",
        }
        for event, kind in kinds.items():
            self.add_event_handler(event, lambda data=None, kind=kind: self._note(kind, data))
        self.add_event_handler(
            "presence", lambda p: self._note(p.xml.attrib.get("type", "available"), p)
        )

    async def attach(self, server):
        """Connects, and waits until the server has taken the handshake."""
        self.connect(server.host, server.component_port)
        await self.wait("online")
        return self

    def say(self, who, to, body):
        """Sends a chat message in the name of `who`, an address of this domain."""
        message = self.make_message(mto=to, mfrom=who, mbody=body, mtype="chat")
        message["id"] = self.new_id()
        message.send()
        return message["id"]

    def echo(self):
        """Answers every message with its own words."""
        self.add_event_handler("message", self._answer)

    def _answer(self, message):
        if message["type"] in ("chat", "normal") and message["body"]:
            message.reply(f"echo: {message['body']}").send()

    async def leave(self):
        if self.is_connected():
            await self.disconnect(wait=2)
        self.cancel_connection_attempt()


def condition(stanza):
    """The condition of an error; slixmpp looks for it in the namespace of clients only."""
    error = stanza.xml.find("{jabber:component:accept}error")
    return error[0].tag.rpartition("}")[2]
