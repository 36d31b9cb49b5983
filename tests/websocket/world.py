"""What a check gets: nodes, fresh accounts, clients, and HTTP."""

import asyncio

from client import Client
from frames import Socket, handshake, read_reply
from judge import Judge


class World:
    """One per check; what it opened is cut at its end."""

    def __init__(self, nodes, judge: Judge, number):
        self.nodes, self.judge, self.number = nodes, judge, number
        self.sockets = []
        self.closers = []
        self.made = 0

    def __getattr__(self, name):
        """`world.main`, `world.brisk` and so on."""
        try:
            return self.__dict__["nodes"][name]
        except KeyError:
            raise AttributeError(name) from None

    async def account(self, node=None, password=None):
        """A new account; its password is its name unless given."""
        self.made += 1
        name = f"u{self.number}-{self.made}"
        await asyncio.to_thread((node or self.main).add_account, name, password or name)
        return name

    async def dial(self, node=None, **how):
        """An open WebSocket on which nothing was said."""
        return await Client.dial(self, node or self.main, **how)

    async def signed_in(self, user=None, node=None, **how):
        """Authenticated, nothing bound."""
        node = node or self.main
        user = user or await self.account(node)
        client = await self.dial(node, **how)
        client.user = user
        return await client.sign_in(user)

    async def bound(self, user=None, node=None, resource="tab", **how):
        """A session that has not sent presence."""
        return await (await self.signed_in(user, node, **how)).bind(resource)

    async def online(self, user=None, node=None, resource="tab", **how):
        """A session that is available."""
        return await (await self.bound(user, node, resource, **how)).present()

    async def socket(self, node=None, **how):
        socket = await Socket.open(node or self.main, judge=self.judge, **how)
        self.sockets.append(socket)
        return socket

    async def http(self, node=None, tls=False, change=None, path="/", method="GET"):
        """A plain request; with `Connection: close` and none of the WebSocket's headers."""
        node = node or self.main
        reader, writer = await node.connect(tls)
        names = ["Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol"]
        headers = dict.fromkeys(names) | {"Connection": "close"} | (change or {})
        first_line = f"{method} {path} HTTP/1.1"
        writer.write(handshake(node.host_header(tls), headers, first_line=first_line))
        try:
            return await read_reply(reader)
        finally:
            writer.transport.abort()

    async def clean_up(self):
        for socket in self.sockets:
            socket.cut()
        for close in self.closers:
            close()
