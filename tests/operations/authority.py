"""An authority that speaks ACME: Pebble, Let's Encrypt's own for tests, on loopback.

It gets every name of the DNS from a server of its own, where all of them lead to 127.0.0.1, and
looks at the ports that the check names instead of 80 and 443.
"""

import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

from box import Skip
from servers import free_ports

READY_SECONDS = 15


def program(name):
    """Where a program of the package `pebble` is."""
    found = shutil.which(name, path=os.environ.get("PEBBLE_BIN", os.environ["PATH"]))
    if found is None:
        raise Skip(f"{name} is not installed (Debian: apt-get install pebble)")
    return found


class Authority:
    """Pebble with its DNS. `stop` and `start` lose all that it knew, as a Pebble does."""

    def __init__(self, box, http_port, tls_port):
        self.folder = box.folder / "authority"
        self.folder.mkdir(parents=True)
        self.pebble, self.names = program("pebble"), program("pebble-challtestsrv")
        self.port, self.manager, self.dns, self.mocks = free_ports(4)
        self.settings = {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self.manager}",
            "httpPort": http_port, "tlsPort": tls_port, "ocspResponderURL": "",
            **self._certificate(),
        }
        self.process = self.resolver = None
        self.log = self.folder / "pebble.log"
        box.at_end(self.end)

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    @property
    def voucher(self):
        """Who vouches for the authority itself."""
        return self.folder / "voucher.pem"

    @property
    def root(self):
        """Who vouches for the certificates that it gives, as long as it runs."""
        path = self.folder / "root.pem"
        path.write_bytes(self._ask(self.manager, "/roots/0"))
        return path

    def _certificate(self):
        """A certificate for 127.0.0.1 by an authority of its own, as the settings name it."""
        root, root_key = self.voucher, self.folder / "voucher-key.pem"
        chain, key, request = (self.folder / f"own{end}" for end in (".pem", "-key.pem", ".csr"))
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        names = self.folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n")
        for words in (
            ["req", "-x509", *curve, "-days", "30", "-subj", "/CN=voucher",
             "-keyout", root_key, "-out", root],
            ["req", *curve, "-subj", "/CN=authority", "-keyout", key, "-out", request],
            ["x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-CAcreateserial",
             "-days", "30", "-extfile", names, "-out", chain],
        ):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
        return {"certificate": str(chain), "privateKey": str(key)}

    def _ask(self, port, path):
        context = ssl.create_default_context(cafile=self.voucher)
        with urllib.request.urlopen(f"https://127.0.0.1:{port}{path}", context=context,
                                    timeout=5) as answer:
            return answer.read()

    def start(self, **settings):
        """Starts it with further settings of Pebble."""
        if self.resolver is None:
            self.resolver = subprocess.Popen(
                [self.names, "-dns01", f"127.0.0.1:{self.dns}", "-defaultIPv6", "",
                 "-management", f"127.0.0.1:{self.mocks}",
                 "-http01", "", "-https01", "", "-tlsalpn01", ""],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            )
        self.settings.update(settings)
        config = self.folder / "pebble.json"
        config.write_text(json.dumps({"pebble": self.settings}))
        # It refuses good nonces now and then, and forgets what was proven: clients must bear it.
        surroundings = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5",
                        "PEBBLE_AUTHZREUSE": "0"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.pebble, "-config", config, "-strict",
                 "-dnsserver", f"127.0.0.1:{self.dns}"],
                stdout=log, stderr=log, cwd=self.folder, env=surroundings,
            )
        limit = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._ask(self.port, "/dir")
                return self
            except OSError as error:
                assert self.process.poll() is None, self.log.read_text()[-2000:]
                assert time.monotonic() < limit, f"the authority does not answer: {error}"
                time.sleep(0.05)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def end(self):
        for process in filter(None, (self.process, self.resolver)):
            process.kill()
            process.wait()

    def mislead(self, name, address):
        """Lets a name lead elsewhere."""
        body = json.dumps({"host": name + ".", "addresses": [address]})
        connection = http.client.HTTPConnection("127.0.0.1", self.mocks, timeout=5)
        connection.request("POST", "/add-a", body)
        assert connection.getresponse().status == 200
        connection.close()

    def suggesting(self, box, window):
        """The address of a directory that also suggests renewals (RFC 9773), which this Pebble does
        not: `window()` gives the times in which a certificate should be renewed. It notes what is
        asked in `asked`."""
        return Suggesting(box, self, window)


class Suggesting:
    """Pebble's directory with `renewalInfo` in it; everything else is asked of Pebble itself."""

    def __init__(self, box, authority, window):
        self.asked = []
        own = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/dir":
                    text = json.loads(authority._ask(authority.port, "/dir"))
                    text["renewalInfo"] = own.address("/info")
                else:
                    own.asked.append(self.path)
                    start, end = window()
                    text = {"suggestedWindow": {"start": start, "end": end}}
                body = json.dumps(text).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Retry-After", "60")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.settings["certificate"],
                                authority.settings["privateKey"])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        box.at_end(self.server.shutdown)

    def address(self, path):
        return f"https://127.0.0.1:{self.server.server_address[1]}{path}"

    @property
    def directory(self):
        return self.address("/dir")


def shown(place, name, root, port=None):
    """The certificate that is shown for `name`, in DER and in words; it is trusted by `root`, or
    this fails."""
    context = ssl.create_default_context(cafile=root)
    with socket.create_connection((place.host, port or place.https_port), timeout=5) as plain:
        with context.wrap_socket(plain, server_hostname=name) as secure:
            return secure.getpeercert(True), secure.getpeercert()
