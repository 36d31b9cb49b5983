"""Signing in with a client certificate (SASL EXTERNAL, RFC 6120 §13.7.1.4, XEP-0178)."""

import base64
import contextlib
import subprocess
import tempfile
from pathlib import Path

from modern import FEATURES, Modern, REQUEST, SASL2, address_of, bind, refusal_of, token_of
from own import Stranger, own_server
from registry import ours
from servers import DOMAIN
from world import PASSWORD

XMPP_ADDR = "1.3.6.1.5.5.7.8.5"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, capture_output=True)


class Authority:
    """Somebody who signs client certificates."""

    def __init__(self, folder, name):
        self.folder, self.name = Path(folder), name
        self.file = self.folder / f"{name}.pem"
        openssl(
            "req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}",
            "-addext", "keyUsage=critical,keyCertSign",
            "-keyout", f"{folder}/{name}.key", "-out", str(self.file),
        )

    def certify(self, *addresses):
        """The file with key and certificate for these addresses."""
        base = self.folder / f"{self.name}-{len(list(self.folder.iterdir()))}"
        names = ",".join(f"otherName:{XMPP_ADDR};UTF8:{address}" for address in addresses)
        base.with_suffix(".ext").write_text(
            f"subjectAltName={names}\nextendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n"
        )
        openssl(
            "req", "-new", *NEW_KEY, "-subj", "/CN=somebody",
            "-keyout", f"{base}.key", "-out", f"{base}.csr",
        )
        openssl(
            "x509", "-req", "-days", "2", "-in", f"{base}.csr", "-extfile", f"{base}.ext",
            "-CA", str(self.file), "-CAkey", f"{self.folder}/{self.name}.key", "-CAcreateserial",
            "-out", f"{base}.crt",
        )
        both = base.with_suffix(".pem")
        both.write_text(Path(f"{base}.crt").read_text() + Path(f"{base}.key").read_text())
        return both


@contextlib.asynccontextmanager
async def hall():
    """A server with two accounts, the authority that it trusts, and one that it does not."""
    with tempfile.TemporaryDirectory(prefix="waxwing-authority-") as folder:
        known, unknown = Authority(folder, "known"), Authority(folder, "unknown")
        async with own_server(f'[tls]\nclient_authorities = "{known.file}"\n') as server:
            for name in ("romeo", "juliet"):
                server.add_account(name, PASSWORD)
            yield server, known, unknown


def visitor(server, certificate=None):
    context = server.tls_context()
    if certificate:
        context.load_cert_chain(certificate)
    return Stranger(server, context)


def encoded(address):
    return base64.b64encode(address.encode()).decode()


@ours("EXTERNAL: a certificate signs its account in, with and without saying which")
async def accepted(world):
    async with hall() as (server, known, _):
        certificate = known.certify(ROMEO)
        for data in ("=", encoded(ROMEO)):
            async with visitor(server, certificate) as romeo:
                assert "EXTERNAL" in romeo.mechanisms, romeo.mechanisms
                assert await romeo.authenticate("EXTERNAL", data) is None
                address = await romeo.bind()
                assert address.startswith(f"{ROMEO}/"), address


@ours("EXTERNAL: by the extensible profile, with a resource and a token along")
async def extensible(world):
    device = "d4565fa7-4d72-4749-b3d3-740edbf87770"
    async with hall() as (server, known, unknown):

        def phone(certificate=None):
            context = server.tls_context()
            if certificate:
                context.load_cert_chain(certificate)
            return Modern(server, "romeo", device, context)

        certificate = known.certify(ROMEO)
        for address in ("", ROMEO):
            async with phone(certificate) as romeo:
                assert "EXTERNAL" in romeo.mechanisms, romeo.mechanisms
                success = await romeo.with_certificate(address, REQUEST + bind("Phone"))
                assert success.tag == SASL2 + "success", refusal_of(success)
                assert address_of(success).startswith(f"{ROMEO}/Phone/"), success
                assert (await romeo._next()).tag == FEATURES
                token = token_of(success)
        # The token stands for the certificate from then on.
        async with phone() as romeo:
            assert "EXTERNAL" not in romeo.mechanisms, romeo.mechanisms
            assert refusal_of(await romeo.with_certificate(ROMEO)) == "invalid-mechanism"
            success = await romeo.with_token(token)
            assert success.tag == SASL2 + "success", refusal_of(success)
        async with phone(certificate) as romeo:
            assert refusal_of(await romeo.with_certificate(JULIET)) == "invalid-authzid"
        async with phone(unknown.certify(ROMEO)) as mallory:
            assert refusal_of(await mallory.with_certificate(ROMEO)) == "invalid-mechanism"


@ours("EXTERNAL: a certificate for two accounts must be told which")
async def two(world):
    async with hall() as (server, known, _):
        async with visitor(server, known.certify(ROMEO, JULIET)) as both:
            assert await both.authenticate("EXTERNAL", "=") == "not-authorized"
            assert await both.authenticate("EXTERNAL", encoded(JULIET)) is None
            address = await both.bind()
            assert address.startswith(f"{JULIET}/"), address


@ours("EXTERNAL: another account is refused, and so is one that does not exist")
async def another(world):
    async with hall() as (server, known, _):
        async with visitor(server, known.certify(ROMEO)) as romeo:
            refusal = await romeo.authenticate("EXTERNAL", encoded(JULIET))
            assert refusal == "invalid-authzid", refusal
        async with visitor(server, known.certify(f"nobody@{DOMAIN}")) as nobody:
            refusal = await nobody.authenticate("EXTERNAL", "=")
            assert refusal == "not-authorized", refusal


@ours("EXTERNAL: a certificate that nobody vouches for is refused")
async def untrusted(world):
    async with hall() as (server, _, unknown):
        async with visitor(server, unknown.certify(ROMEO)) as mallory:
            assert "EXTERNAL" not in mallory.mechanisms, mallory.mechanisms
            assert any(name.startswith("SCRAM-") for name in mallory.mechanisms)
            refusal = await mallory.authenticate("EXTERNAL", encoded(ROMEO))
            assert refusal in ("invalid-mechanism", "not-authorized"), refusal


@ours("EXTERNAL: is not offered to those without a certificate")
async def without(world):
    async with hall() as (server, _, _):
        async with visitor(server) as nobody:
            assert "EXTERNAL" not in nobody.mechanisms, nobody.mechanisms
            refusal = await nobody.authenticate("EXTERNAL", encoded(ROMEO))
            assert refusal == "invalid-mechanism", refusal
