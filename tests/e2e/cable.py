"""A TCP cable between a client and the server that a test can hold still or cut."""

import asyncio


class Cable:
    """Passes bytes on; `hold` lets them vanish in one direction, `cut` breaks the connection."""

    def __init__(self, host, target_port):
        self.host = host
        self.target_port = target_port
        self.port = None
        self.held = set()
        self.pairs = set()
        self.listener = None

    async def lay(self):
        self.listener = await asyncio.start_server(self._accept, self.host, 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    def hold(self, direction):
        """Swallows what is sent `up` (to the server) or `down` (to the client) until the cut.

        Each end believes that its bytes arrived: what a dead mobile network looks like.
        """
        assert direction in ("up", "down")
        self.held.add(direction)

    def cut(self):
        """Breaks every connection at once, without a goodbye; new ones pass again."""
        for writers in self.pairs:
            for writer in writers:
                writer.transport.abort()
        self.pairs.clear()
        self.held.clear()

    def remove(self):
        self.cut()
        self.listener.close()

    async def _accept(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection(self.host, self.target_port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, up_writer)
        self.pairs.add(pair)
        await asyncio.gather(
            self._pump(reader, up_writer, "up"), self._pump(up_reader, writer, "down")
        )
        self.pairs.discard(pair)

    async def _pump(self, reader, writer, direction):
        try:
            while data := await reader.read(65536):
                if direction not in self.held:
                    writer.write(data)
                    await writer.drain()
            writer.close()
        except (OSError, RuntimeError):
            writer.transport.abort()
