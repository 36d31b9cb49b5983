"""Debian's ejabberd, started without `ejabberdctl`, which has it run as a user of its own."""

import asyncio
import json
import shutil
import urllib.request

from sides.side import PASSWORD, Side

LIBRARIES = "/usr/lib/x86_64-linux-gnu"


class Ejabberd(Side):
    name = "ejabberd"
    # Bidirectional streams came with 24.10, Debian 12 has 23.01. Contacts on other servers are
    # not told that who blocks them is gone (XEP-0191 §3.3), nor what was last published when they
    # come, nor that something was taken back.
    lacks = frozenset({"bidi", "absence of who blocks", "last items", "retractions"})
    ports = (5223, 5269, 5270, 5280)

    @property
    def log_path(self):
        """It writes one of its own, and the same to standard output."""
        return self.folder / "ejabberd.log"

    @log_path.setter
    def log_path(self, _):
        pass

    def prepare(self):
        if shutil.which("ejabberdctl") is None:
            raise SystemExit("ejabberd is missing: apt-get install ejabberd")
        (self.folder / "ejabberd.yml").write_text(self._config_text())
        (self.folder / "inetrc").write_text(
            '{lookup, [file, native]}.\n{file, resolv, "/etc/resolv.conf"}.\n'
        )

    def _config_text(self):
        hosts = "\n".join(f"  - {domain.name}" for domain in self.domains.values())
        files = "\n".join(f"  - {domain.certificate.both}" for domain in self.domains.values())
        return f"""\
loglevel: {self.world.log_level}
log_rotate_count: 0
hosts:
{hosts}
certfiles:
{files}
ca_file: {self.world.authority.chain}
auth_method: internal
auth_password_format: plain
s2s_use_starttls: required
s2s_max_retry_delay: 1
s2s_dns_timeout: 5
negotiation_timeout: 10
listen:
  - {{ port: {self.tcp_port}, ip: "::", module: ejabberd_c2s, starttls_required: true }}
  - {{ port: {self.tls_port}, ip: "::", module: ejabberd_c2s, tls: true }}
  - {{ port: 5269, ip: "::", module: ejabberd_s2s_in, max_stanza_size: 524288 }}
  - {{ port: 5270, ip: "::", module: ejabberd_s2s_in, tls: true, max_stanza_size: 524288 }}
  - {{ port: 5280, ip: "::", module: ejabberd_http, request_handlers: {{ /api: mod_http_api }} }}
acl:
  local: {{ user_regexp: "" }}
access_rules:
  local: {{ allow: local }}
api_permissions:
  tests: {{ from: [mod_http_api], who: all, what: "*" }}
modules:
  mod_adhoc: {{}}
  mod_admin_extra: {{}}
  mod_vcard_xupdate: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_last: {{}}
  mod_mam: {{ default: always, assume_mam_usage: true }}
  mod_muc: {{ host: "rooms.@HOST@", access_create: all, default_room_options: {{ mam: true }} }}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_pubsub: {{ host: "pubsub.@HOST@", access_createnode: all, plugins: [flat, pep] }}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_stream_mgmt: {{ resend_on_timeout: if_offline }}
  mod_time: {{}}
  mod_vcard: {{}}
  mod_version: {{ show_os: false }}
"""

    def command(self):
        environment = {
            "EJABBERD_CONFIG_PATH": self.folder / "ejabberd.yml",
            "EJABBERD_LOG_PATH": self.folder / "ejabberd.log",
            "ERL_CRASH_DUMP": self.folder / "erl_crash.dump",
            "ERL_INETRC": self.folder / "inetrc",
            "ERL_LIBS": LIBRARIES,
            "HOME": self.folder,
        }
        return self.machine.command(
            "env", *(f"{name}={value}" for name, value in environment.items()),
            # Busy waiting would take a core from the others.
            "erl", "-noinput", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none", "+S", "2",
            "-mnesia", "dir", f'"{self.data}"', "-s", "ejabberd",
        )


    async def add_people(self):
        for domain in self.domains.values():
            for person in self.people:
                await asyncio.to_thread(
                    self.ask, "register", user=person, host=domain.name, password=PASSWORD
                )

    def ask(self, command, **arguments):
        """A command of ejabberd's API."""
        request = urllib.request.Request(
            f"http://{self.host}:{self.http_port}/api/{command}",
            json.dumps(arguments).encode(), {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
