"""A client of our own that signs in as phones do today: SASL2 with Bind 2, tokens and resumption.

It counts its flights: what it writes before it waits for an answer is one.
"""

import base64
import hmac

from own import Stranger
from servers import DOMAIN
from wire import SM

SASL2 = "{urn:xmpp:sasl:2}"
FAST = "urn:xmpp:fast:0"
BIND2 = "urn:xmpp:bind:0"
TOKEN = "HT-SHA-256-NONE"
FEATURES = "{http://etherx.jabber.org/streams}features"


class Modern(Stranger):
    """One connection of one installation, known by `device`."""

    def __init__(self, server, user, device, context=None):
        super().__init__(server, context)
        self.user, self.device = user, device
        self.flights = 0

    @property
    def mechanisms(self):
        return {mechanism.text for mechanism in self.features.iter(SASL2 + "mechanism")}

    async def quick_start(self):
        """Opens the stream and does not wait for its features (XEP-0509)."""
        await self._dial(self.context)
        return self

    async def with_certificate(self, address="", more=""):
        """Signs in with the certificate of the connection."""
        return await self._sign_in("EXTERNAL", address.encode(), more)

    async def _sign_in(self, mechanism, message, more):
        """The answer to one <authenticate/>, which is one flight."""
        said = base64.b64encode(message).decode()
        self._write(
            f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>"
            f"<initial-response>{said}</initial-response>"
            f"<user-agent id='{self.device}'><software>Waxwing's tests</software></user-agent>"
            f"{more}</authenticate>"
        )
        self.flights += 1
        return await self._next()

    async def with_password(self, password, more=""):
        """Signs in with PLAIN: <success/>, or <failure/>."""
        message = f"\0{self.user}\0{password}".encode()
        return await self._sign_in("PLAIN", message, more)

    async def with_token(self, token, more="", count=None):
        """Signs in with a token; the server's proof is checked as well."""
        count = f" count='{count}'" if count is not None else ""
        proof = hmac.digest(token.encode(), b"Initiator", "sha256")
        answer = await self._sign_in(
            TOKEN, self.user.encode() + b"\0" + proof, f"<fast xmlns='{FAST}'{count}/>{more}"
        )
        if answer.tag == SASL2 + "success":
            told = base64.b64decode(answer.findtext(SASL2 + "additional-data"))
            assert told == hmac.digest(token.encode(), b"Responder", "sha256"), "a false server"
        return answer


def bind(tag, *inside):
    return f"<bind xmlns='{BIND2}'><tag>{tag}</tag>{''.join(inside)}</bind>"


REQUEST = f"<request-token xmlns='{FAST}' mechanism='{TOKEN}'/>"
ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
CARBONS = "<enable xmlns='urn:xmpp:carbons:2'/>"


def resume(previd, h):
    return f"<resume xmlns='urn:xmpp:sm:3' previd='{previd}' h='{h}'/>"


def token_of(success):
    """The token that came along, or None."""
    token = success.find(f"{{{FAST}}}token")
    return None if token is None else token.get("token")


def refusal_of(answer):
    """The SASL condition of a failure; None for success."""
    if answer.tag != SASL2 + "failure":
        return None
    return answer[0].tag.split("}")[1]


def session_of(success):
    """The id under which the session can be resumed."""
    return success.find(f"{{{BIND2}}}bound/{SM}enabled").get("id")


def address_of(success):
    address = success.findtext(SASL2 + "authorization-identifier")
    assert address.endswith(f"@{DOMAIN}") or f"@{DOMAIN}/" in address, address
    return address
