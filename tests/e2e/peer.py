"""A person at slixmpp: signs in over TCP, writes down all that happens, and can be asked for it."""

import asyncio

import slixmpp

PLUGINS = ("xep_0030", "xep_0184", "xep_0191", "xep_0199", "xep_0203", "xep_0280", "xep_0359")


class Peer(slixmpp.ClientXMPP):
    """One slixmpp client. `seen` holds (kind, stanza) in order; `wait` takes the first match."""

    def __init__(self, jid, password, certificate, direct_tls=False, resume=False, mechanism=None):
        super().__init__(jid, password, sasl_mech=mechanism)
        self.ca_certs = str(certificate)
        self.enable_direct_tls = direct_tls
        self.enable_starttls = not direct_tls
        self.auto_authorize = None
        self.auto_subscribe = False
        self.seen = []
        self.news = asyncio.Event()
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        if resume:
            self.register_plugin("xep_0198", {"window": 1})
        self.plugin["xep_0184"].auto_ack = True
        self._write_down()

    def _write_down(self):
        kinds = {
            "session_start": "online",
            "session_resumed": "resumed",
            "disconnected": "offline",
            "failed_auth": "refused",
            "message": "message",
            "message_error": "message error",
            "receipt_received": "receipt",
            "carbon_received": "carbon received",
            "carbon_sent": "carbon sent",
            "roster_update": "roster",
            "stanza_acked": "acked",
            "stream_error": "stream error",
        }
        for event, kind in kinds.items():
            self.add_event_handler(event, lambda data, kind=kind: self._note(kind, data))
        # A presence is noted under its type on the wire: slixmpp's own events mix in <show/>.
        self.add_event_handler(
            "presence", lambda p: self._note(p.xml.attrib.get("type", "available"), p)
        )

    def _note(self, kind, data):
        self.seen.append((kind, data))
        self.news.set()

    async def wait(self, kind, matches=lambda data: True, seconds=10):
        """The first event of this kind that matches and was not taken before."""
        limit = asyncio.get_running_loop().time() + seconds
        while True:
            for i, (k, data) in enumerate(self.seen):
                if k == kind and matches(data):
                    del self.seen[i]
                    return data
            self.news.clear()
            left = limit - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self.news.wait(), max(left, 0))
            except asyncio.TimeoutError:
                kinds = [f"{k}: {str(d)[:400]}" for k, d in self.seen]
                raise AssertionError(
                    f"{self.requested_jid} waited {seconds} s for {kind!r}; saw {kinds}"
                ) from None

    async def sign_in(self, host, port, presence=True):
        """Connects, waits for the session, asks for the roster, and says that it is here."""
        self.at = (host, port)
        self.connect(host, port)
        await self.wait("online")
        await self.get_roster()
        self.seen.clear()
        if presence:
            self.send_presence()
            await self.wait("available", lambda p: p["from"] == self.boundjid)
        return self

    async def rejoin(self):
        """Connects again after a loss; slixmpp resumes by itself where it can."""
        self.connect(*self.at)

    def say(self, to, body, receipt=False):
        """Sends a chat message and gives back its id."""
        message = self.make_message(mto=to, mbody=body, mtype="chat")
        message["id"] = self.new_id()
        if receipt:
            message["request_receipt"] = True
        message.send()
        return message["id"]

    async def until_acked(self, ids):
        """Waits until the server has acknowledged the messages with these ids (XEP-0198)."""
        await self.waiting_queue.join()
        self.plugin["xep_0198"].request_ack()
        for id in ids:
            await self.wait("acked", lambda stanza, id=id: stanza["id"] == id)

    async def hear(self, body, seconds=10):
        """The message with this body."""
        return await self.wait("message", lambda m: m["body"] == body, seconds)

    async def stays_silent(self, kind, matches=lambda data: True, seconds=0.7):
        """Fails when such an event comes within the time: for what must not happen."""
        await asyncio.sleep(seconds)
        for k, data in self.seen:
            assert not (k == kind and matches(data)), f"{self.requested_jid} got {data}"

    async def sign_out(self):
        if self.is_connected():
            await self.disconnect(wait=2)
        self.cancel_connection_attempt()


async def befriend(one, other):
    """Both ask and both agree, until each sees the other's presence."""
    for a, b in ((one, other), (other, one)):
        a.send_presence_subscription(pto=b.boundjid.bare, ptype="subscribe")
        await b.wait("subscribe", lambda p, a=a: p["from"].bare == a.boundjid.bare)
        b.send_presence_subscription(pto=a.boundjid.bare, ptype="subscribed")
        await a.wait("subscribed", lambda p, b=b: p["from"].bare == b.boundjid.bare)
        await a.wait("available", lambda p, b=b: p["from"] == b.boundjid)
