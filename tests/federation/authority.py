"""Certificates, good and bad: an authority that every server trusts, and what it never signed."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
}


class Certificate:
    """A certificate and its key in files: `chain`, `key`, and `both` in one."""

    def __init__(self, folder, name, certificate, key):
        self.certificate = certificate
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain = certificate.public_bytes(serialization.Encoding.PEM)
        self.chain, self.key, self.both = (
            Path(folder, f"{name}{end}.pem") for end in ("", "-key", "-both")
        )
        for path, text in ((self.chain, chain), (self.key, private), (self.both, chain + private)):
            path.write_bytes(text)

    def spki_sha256(self):
        """What a TLSA record `3 1 1` says of it."""
        digest = hashes.Hash(hashes.SHA256())
        digest.update(self.certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ))
        return digest.finalize()


class Authority:
    """Signs certificates; its own is the file `chain`."""

    def __init__(self, folder, name="authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(f"Test {name}")
        now = datetime.datetime.now(datetime.timezone.utc)
        certificate = (
            _builder(self.name, self.name, self.key, now - DAY, now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(is_authority=True), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = certificate
        self.chain = self.folder / f"{name}.pem"
        self.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file, *domains, days=30, is_self_signed=False, usages=("server", "client")):
        """A certificate for these domains; negative `days` ago it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.timezone.utc)
        begins, ends = now - (DAY if days > 0 else 60 * DAY), now + days * DAY
        subject = _name(domains[0])
        issuer, issuer_key = (subject, key) if is_self_signed else (self.name, self.key)
        builder = (
            _builder(subject, issuer, key, begins, ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains]),
                critical=False,
            )
            .add_extension(_usage(is_authority=False), critical=True)
        )
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([USAGES[usage] for usage in usages]), critical=False
        )
        return Certificate(self.folder, file, builder.sign(issuer_key, hashes.SHA256()), key)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(subject, issuer, key, begins, ends):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(is_authority):
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=is_authority, crl_sign=is_authority,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )
