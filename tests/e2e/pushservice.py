"""A browser's push service (RFC 8030), as a process of its own: it takes what a server sends for
its browsers over TLS, and believes nobody who does not sign (RFC 8292).

    python pushservice.py CERTIFICATE KEY

It tells its port, and then every request with what was wrong with it, as lines of JSON; the line
`answer 410` on its input makes it answer so from then on.
"""

import asyncio
import base64
import json
import ssl
import sys
import time

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256


def unbase64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verify(authorization, origin):
    """The public key and the claims of a signed request; an AssertionError says what is wrong."""
    scheme, _, rest = authorization.partition(" ")
    assert scheme == "vapid", authorization
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    head, claims, signature = parts["t"].split(".")
    point = unbase64(parts["k"])
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    raw = unbase64(signature)
    assert len(raw) == 64, "the signature has no 64 bytes"
    r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    try:
        key.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise AssertionError("the signature is wrong") from None
    assert json.loads(unbase64(head)) == {"typ": "JWT", "alg": "ES256"}, head
    claims = json.loads(unbase64(claims))
    assert claims["aud"] == origin, claims
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600, claims
    assert claims["sub"].startswith(("mailto:", "https://")), claims
    return parts["k"], claims


class Service:
    def __init__(self):
        self.status = 201
        self.origin = None

    async def take(self, request):
        """RFC 8030 §5: what a push service wants to know of a message."""
        body = await request.read()
        told = {"path": request.path}
        told["headers"] = {name.lower(): value for name, value in request.headers.items()}
        told["body"] = base64.b64encode(body).decode()
        status = self.status
        try:
            assert 0 < len(body) <= 4096, len(body)
            assert request.headers["Content-Encoding"] == "aes128gcm", told["headers"]
            assert int(request.headers["TTL"]) >= 0, told["headers"]
            assert request.headers["Urgency"] in ("very-low", "low", "normal", "high")
            assert len(request.headers.get("Topic", "")) <= 32, told["headers"]
            told["key"], told["claims"] = verify(request.headers["Authorization"], self.origin)
        except (AssertionError, KeyError, ValueError) as error:
            told["wrong"], status = repr(error), 403
        told["status"] = status
        print(json.dumps(told), flush=True)
        headers = {"Location": f"{self.origin}/message/1"} if status == 201 else {}
        return web.Response(status=status, headers=headers)

    async def obey(self):
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while line := await reader.readline():
            word, number = line.decode().split()
            assert word == "answer", line
            self.status = int(number)
            print(json.dumps({"answers": self.status}), flush=True)


async def main(certificate, key):
    service = Service()
    application = web.Application()
    application.router.add_post("/wpush/{browser}", service.take)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    port = runner.addresses[0][1]
    service.origin = f"https://localhost:{port}"
    print(json.dumps({"port": port}), flush=True)
    await service.obey()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
