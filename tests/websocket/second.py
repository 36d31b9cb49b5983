"""HTTP/2 by python-h2: requests, and WebSockets on its streams (RFC 8441)."""

import asyncio

from frames import ANSWER_SECONDS, PATH, Refused, Reply, Socket
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError


class Gone(Exception):
    """A stream was reset, or the connection with it; `code` says why."""

    def __init__(self, code):
        super().__init__(f"reset with {code}")
        self.code = code


class Stream:
    """One request. It is what `frames.Socket` takes for a reader and a writer, too."""

    def __init__(self, connection, number):
        self.connection, self.number = connection, number
        self.reply = asyncio.get_running_loop().create_future()
        self.reader = asyncio.StreamReader(limit=1 << 22)
        self.transport = self
        self.unsent, self.ends = b"", False
        self.is_over = False

    def write(self, data):
        self.unsent += data
        self.connection.push(self)

    def end(self):
        self.ends = True
        self.connection.push(self)

    def is_closing(self):
        return self.is_over

    def abort(self):
        if not self.is_over:
            self.is_over = True
            self.connection.reset(self.number)

    def lost(self, code):
        self.is_over = True
        if not self.reply.done():
            self.reply.set_exception(Gone(code))
            self.reply.exception()  # nobody need ask
        self.reader.feed_eof()

    async def answer(self, seconds=ANSWER_SECONDS):
        """Status, headers and the whole body."""
        status, headers = await asyncio.wait_for(asyncio.shield(self.reply), seconds)
        body = await asyncio.wait_for(self.reader.read(-1), seconds)
        return Reply(status, headers, body)


class Connection:
    """One connection with ALPN `h2`."""

    def __init__(self, reader, writer, authority):
        self.reader, self.writer, self.authority = reader, writer, authority
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.streams = {}
        self.settings = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, world, node=None):
        node = node or world.main
        reader, writer = await node.connect(tls=True, protocols=("h2",))
        self = cls(reader, writer, node.host_header(True))
        self.h2.initiate_connection()
        self.flush()
        self.pump = asyncio.ensure_future(self._pump())
        world.closers.append(self.cut)
        await asyncio.wait_for(asyncio.shield(self.settings), ANSWER_SECONDS)
        return self

    def cut(self):
        self.pump.cancel()
        self.writer.transport.abort()

    def flush(self):
        if not self.writer.transport.is_closing():
            self.writer.write(self.h2.data_to_send())

    def request(self, method, path, headers=(), ends=True, pseudo=()):
        number = self.h2.get_next_available_stream_id()
        stream = self.streams[number] = Stream(self, number)
        lines = [(":method", method), (":scheme", "https"), (":authority", self.authority)]
        self.h2.send_headers(number, [*lines, (":path", path), *pseudo, *headers], end_stream=ends)
        self.flush()
        return stream

    async def ask(self, method, path, headers=(), body=None):
        """A request and its whole answer."""
        stream = self.request(method, path, headers, ends=body is None)
        if body is not None:
            stream.write(body)
            stream.end()
        return await stream.answer()

    def connect(self, path=PATH, change=None, protocol="websocket"):
        """An extended CONNECT; `change` replaces headers, or removes them by None."""
        headers = {"sec-websocket-version": "13", "sec-websocket-protocol": "xmpp"}
        headers |= change or {}
        lines = [(name, value) for name, value in headers.items() if value is not None]
        pseudo = [(":protocol", protocol)]
        return self.request("CONNECT", path, lines, ends=False, pseudo=pseudo)

    async def websocket(self, world, **how):
        """A WebSocket on a stream of its own."""
        stream = self.connect(**how)
        status, headers = await asyncio.wait_for(stream.reply, ANSWER_SECONDS)
        if status != 200:
            raise Refused(await stream.answer())
        socket = Socket(stream.reader, stream, Reply(status, headers, ""), world.judge)
        world.sockets.append(socket)
        return socket

    def push(self, stream):
        """Sends what the windows allow; the rest goes when they open."""
        while stream.unsent and not stream.is_over:
            room = self.h2.local_flow_control_window(stream.number)
            size = min(len(stream.unsent), room, self.h2.max_outbound_frame_size)
            if size <= 0:
                break
            self.h2.send_data(stream.number, stream.unsent[:size])
            stream.unsent = stream.unsent[size:]
        if stream.ends and not stream.unsent and not stream.is_over:
            stream.ends = False
            self.h2.end_stream(stream.number)
        self.flush()

    def reset(self, number):
        try:
            self.h2.reset_stream(number, 8)
            self.flush()
        except ProtocolError:
            pass  # it has ended meanwhile

    async def _pump(self):
        code = None
        try:
            while data := await self.reader.read(65536):
                # python-h2 takes nothing more after GOAWAY; the server may have a PING to send.
                for event in self.h2.receive_data(data) if code is None else []:
                    if isinstance(event, ConnectionTerminated):
                        code = event.error_code
                    self._take(event)
                self.flush()
        except (OSError, ProtocolError):
            pass
        for stream in self.streams.values():
            stream.lost(code)
        if not self.ended.done():
            self.ended.set_result(code)

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        match event:
            case RemoteSettingsChanged() if not self.settings.done():
                changed = event.changed_settings
                self.settings.set_result({code: each.new_value for code, each in changed.items()})
            case ResponseReceived():
                headers = dict(event.headers)
                status = int(headers.pop(":status"))
                stream.reply.set_result((status, list(headers.items())))
            case DataReceived():
                stream.reader.feed_data(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                stream.reader.feed_eof()
            case StreamReset():
                stream.lost(event.error_code)
            case WindowUpdated():
                for each in [stream] if stream else list(self.streams.values()):
                    self.push(each)
