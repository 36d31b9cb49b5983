"""Judges every message that any check receives: rules that hold at all times."""

import re
from collections import defaultdict
from xml.etree import ElementTree

from frames import CLOSE, TEXT

STREAM = "http://etherx.jabber.org/streams"
ERRORS = "urn:ietf:params:xml:ns:xmpp-streams"
CLIENT = "jabber:client"
ROW = {
    "R05": "every data frame of the server is a text frame",
    "R12": "every message of the server parses alone, and is one element",
    "R13": "every stanza declares jabber:client, inside wrappers too",
    "R14": "features and errors declare the stream prefix themselves",
    "R15": "every other element carries its namespace itself",
    "R16": "every message of the server begins with '<' and ends with '>'",
    "R17": "the server sends no XML declaration",
    "R18": "the server sends no comment, instruction or DTD",
    "R21": "every stream id of this run is new, with 128 bits",
    "R30": "the server never sends <stream:stream> or its end",
    "R40": "no <close/> comes at a restart",
    "R41": "the server sends no whitespace",
    "W05": "the server's frames are not masked",
    "W12": "no frame follows the server's close frame",
    "W17": "no message is compressed before its client is signed in, no other reserved bit is set",
    "H05": "stream errors: prefix 'stream', condition with its own xmlns",
    "H06": "no prefixes but 'stream' and 'xml'",
    "H07": "no message holds more than one element, or a declaration",
    "H09": "a parser that is shared by all messages stays balanced",
    "H12": "no comment ever reaches a streaming parser",
}
SAME = {"R16": ["R41"], "R12": ["H07", "H09"], "R17": ["H07"], "R18": ["H12"]}


class Judge:
    """Collects what was wrong, by row."""

    def __init__(self):
        self.messages = 0
        self.faults = defaultdict(list)
        self.ids = set()

    def frame(self, frame, is_closed):
        self._hold("W05", not frame.is_masked, frame)
        self._hold("W17", frame.first & 0x70 == 0, frame)
        self._hold("W12", not is_closed, frame)
        if frame.opcode < CLOSE:
            self._hold("R05", frame.opcode == TEXT and frame.first & 0x80, frame)
            self._message(frame.payload.decode(errors="replace"))

    def compressed(self, text, is_begun):
        self._hold("W17", is_begun, text)

    def _hold(self, row, is_so, what):
        if not is_so:
            for each in [row, *SAME.get(row, [])]:
                self.faults[each].append(str(what)[:300])

    def _message(self, text):
        self.messages += 1
        self._hold("R16", text[:1] == "<" and text[-1:] == ">", text)
        self._hold("R17", "<?xml" not in text, text)
        self._hold("R18", not re.search(r"<\?|<!(?!\[CDATA)", text), text)
        self._hold("R30", not re.search(r"</?stream:stream", text), text)
        self._hold("H06", not re.search(r"</?(?!stream:)[\w.-]+:", text), text)
        self._hold("H06", not re.search(r"\sxmlns:(?!stream=)", text), text)
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            return self._hold("R12", False, f"{error}: {text}")
        self._root(root, text[: text.index(">") + 1])
        for inner in root.iter():
            name = inner.tag.rpartition("}")[2]
            if name in ("message", "presence", "iq") and inner is not root:
                self._hold("R13", inner.tag == f"{{{CLIENT}}}{name}", text)

    def _root(self, root, start):
        namespace, _, name = root.tag[1:].rpartition("}")
        if namespace == STREAM:
            declares = f"<stream:{name} xmlns:stream='{STREAM}'"
            self._hold("R14", start.startswith(declares), start)
        elif name in ("message", "presence", "iq"):
            self._hold("R13", namespace == CLIENT and " xmlns='jabber:client'" in start, start)
        else:
            self._hold("R15", re.search(r"\sxmlns=", start), start)
        if root.tag == f"{{{STREAM}}}error":
            condition = root[0].tag
            self._hold("H05", condition.startswith(f"{{{ERRORS}}}"), condition)
        if name == "open":
            id = root.get("id", "")
            self._hold("R21", re.fullmatch("[0-9a-f]{32,}", id) and id not in self.ids, id)
            self.ids.add(id)

    def verdicts(self):
        """(row, title, why not) for each rule; None where it held."""
        for row, title in ROW.items():
            faults = self.faults.get(row, [])
            why = f"{len(faults)} times, first: {faults[0]}" if faults else None
            yield row, f"{title} ({self.messages} messages)", why
