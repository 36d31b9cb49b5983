"""Debian's Prosody."""

import shutil

from sides.side import PASSWORD, Side


class Prosody(Side):
    name = "prosody"
    # Goodbyes: RFC 6121 §3.3.3 has the contact's server send unavailable presence to whoever
    # unsubscribes.
    # Clean ids: it leaves ids that others made up in an account's name (XEP-0359 §3.1).
    # Memory of links: links are not resumed, and what comes again on the next is taken as new.
    lacks = frozenset({"goodbyes", "clean ids", "memory of links"})

    def prepare(self):
        if shutil.which("prosody") is None:
            raise SystemExit("prosody is missing: apt-get install prosody")
        (self.folder / "prosody.cfg.lua").write_text(self._config_text())
        self._copy_certificates()
        for domain in self.domains.values():
            for person in self.people:
                self._write_account(domain.name, person)

    def _copy_certificates(self):
        """Under the names by which it finds them, for SNI as well."""
        folder = self.folder / "certificates"
        folder.mkdir()
        for domain in self.domains.values():
            for name in domain.all:
                shutil.copy(domain.certificate.chain, folder / f"{name}.crt")
                shutil.copy(domain.certificate.key, folder / f"{name}.key")

    def _write_account(self, domain, person):
        """As `internal_plain` keeps it."""
        folder = self.data / _encoded(domain) / "accounts"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{_encoded(person)}.dat").write_text(
            f'return {{ ["password"] = "{PASSWORD}" }};\n'
        )

    def _config_text(self):
        hosts = "".join(self._host_text(domain) for domain in self.domains.values())
        return f"""\
run_as_root = true
prosody_user = "root"
prosody_group = "root"
pidfile = "{self.folder}/prosody.pid"
data_path = "{self.data}"
modules_enabled = {{
  "roster"; "saslauth"; "tls"; "disco"; "private"; "vcard4"; "vcard_legacy"; "pep"; "version";
  "uptime"; "time"; "ping"; "carbons"; "mam"; "smacks"; "blocklist"; "csi"; "lastactivity";
  "dialback"; "s2s_bidi"; "bookmarks";
}}
c2s_ports = {{ {self.tcp_port} }}
c2s_direct_tls_ports = {{ {self.tls_port} }}
s2s_direct_tls_ports = {{ 5270 }}
s2s_secure_auth = false
s2s_require_encryption = true
c2s_require_encryption = true
smacks_s2s_resend = true
s2s_timeout = 10
authentication = "internal_plain"
storage = "internal"
certificates = "{self.folder}/certificates"
ssl = {{ cafile = "{self.world.authority.chain}" }}
unbound = {{ resolvconf = true; trustfile = "{self.world.names.anchor}" }}
use_dane = true
log = {{ {{ levels = {{ min = "{self.world.log_level}" }}, to = "console" }} }}
{hosts}"""

    def _host_text(self, domain):
        admins = "; ".join(f'"{person}@{domain.name}"' for person in self.people)
        return f"""\
VirtualHost "{domain.name}"
Component "{domain.rooms}" "muc"
  modules_enabled = {{ "muc_mam" }}
Component "{domain.pubsub}" "pubsub"
  admins = {{ {admins} }}
"""

    def command(self):
        return self.machine.command(
            "prosody", "--config", str(self.folder / "prosody.cfg.lua"), "-F"
        )

    async def add_people(self):
        """They are in the files that `prepare` wrote."""


def _encoded(name):
    """As Prosody names its files."""
    return "".join(c if c.isalnum() else f"%{ord(c):02x}" for c in name)
