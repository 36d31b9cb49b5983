"""A DNS server on loopback that knows a few records and has no others."""

import socket
import struct
import threading

A, SRV = 1, 33
NXDOMAIN = 3


def labels(name):
    parts = [part.encode() for part in name.rstrip(".").split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


class Zone:
    """`records` leads from (name, type) to lists of answers; what is not there does not exist."""

    def __init__(self, box):
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        box.at_end(self.socket.close)

    def address_of(self, name, address="127.0.0.1"):
        self.records.setdefault((name, A), []).append(socket.inet_aton(address))

    def service(self, name, port, target):
        data = struct.pack("!HHH", 5, 0, port) + labels(target)
        self.records.setdefault((name, SRV), []).append(data)

    def _serve(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(4096)
                self.socket.sendto(self._answer(question), sender)
            except OSError:
                return

    def _answer(self, message):
        """RFC 1035 §4: the question comes back with what there is to say."""
        place, parts = 12, []
        while message[place]:
            size = message[place]
            parts.append(message[place + 1:place + 1 + size].decode().lower())
            place += 1 + size
        name = ".".join(parts)
        (kind,) = struct.unpack("!H", message[place + 1:place + 3])
        question = message[12:place + 5]
        answers = self.records.get((name, kind), [])
        known = any(other == name or other.endswith("." + name) for other, _ in self.records)
        code = 0 if known or not name else NXDOMAIN
        head = message[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(answers), 0, 0)
        rows = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for data in answers
        )
        return head + question + rows
