#!/usr/bin/env python3
"""A minute of load on the release server: is everything delivered once and in order?

Speed is not looked at: a busy machine must not fail this. The generator ends with an error when a
message is lost, doubled, refused or out of order, when a sign-in fails, or a session goes away.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "target/release"
PATIENCE_SECONDS = 20

CONFIG = """
[server]
log_level = "warn"
[listen]
xmpp = ["127.0.0.1:{tcp}"]
xmpp_tls = ["127.0.0.1:{tls}"]
http = ["127.0.0.1:{ws}"]
https = ["127.0.0.1:{wss}"]
[tls]
required = false
[[host]]
domain = "localhost"
[modules.register]
open = true
per_hour = 100000
"""

# Transport, words for the generator, and the least that has to be counted.
RUNS = [
    ("tcp", "idle --register --first 0 --users 200 --settle 0 --seconds 1", 200),
    ("tcp", "chat --pairs 50 --window 8 --warm-up 0 --seconds 2", 100),
    ("starttls", "chat --pairs 10 --window 1 --warm-up 0 --seconds 1", 10),
    ("tls", "chat --pairs 20 --rate 500 --warm-up 0 --seconds 2", 500),
    ("ws", "chat --pairs 20 --window 4 --warm-up 0 --seconds 1", 20),
    ("wss", "chat --pairs 20 --rate 300 --warm-up 0 --seconds 1", 100),
    ("tcp", "fairness --pairs 10 --rate 500 --warm-up 0 --seconds 2 --turns 1", 1000),
    ("wss", "fairness --pairs 5 --rate 200 --warm-up 0 --seconds 1 --turns 1", 200),
    ("tcp", "presence --contacts 50 --warm-up 0 --seconds 1", 50),
    ("tcp", "room --occupants 100 --talkers 10 --warm-up 0 --seconds 2", 1000),
    ("starttls", "room --occupants 30 --talkers 30 --window 2 --warm-up 0 --seconds 1", 100),
    ("tls", "room --occupants 50 --talkers 5 --rate 100 --warm-up 0 --seconds 1", 1000),
    ("ws", "room --occupants 50 --talkers 5 --warm-up 0 --seconds 1", 100),
    ("wss", "room --occupants 30 --talkers 3 --rate 50 --warm-up 0 --seconds 1", 300),
    ("tcp", "room-join --occupants 80 --warm-up 0 --seconds 2", 80),
    ("ws", "room-join --occupants 30 --newcomers 5 --warm-up 0 --seconds 1", 30),
    ("tcp", "pubsub --subscribers 150 --warm-up 0 --seconds 1", 150),
    ("tls", "pubsub --subscribers 50 --rate 20 --warm-up 0 --seconds 1", 500),
    ("wss", "pubsub --subscribers 50 --kept 5 --warm-up 0 --seconds 1", 50),
    ("tcp", "soak --occupants 60 --rate 150 --warm-up 0 --seconds 15", 1000),
    ("wss", "soak --occupants 20 --rate 60 --warm-up 0 --seconds 5", 100),
    ("tcp", "login --users 50 --warm-up 0 --seconds 1", 5),
    ("tls", "login --users 50 --warm-up 0 --seconds 1", 5),
    ("tcp", "roster --users 5 --items 10 --warm-up 0 --seconds 1", 5),
    ("wss", "idle --first 0 --users 200 --settle 0 --seconds 1", 200),
]


def free_ports(names):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: one.getsockname()[1] for name, one in zip(names, held)}
    for one in held:
        one.close()
    return ports


def wait_for(port):
    for _ in range(PATIENCE_SECONDS * 20):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the server does not answer")


def load(ports, pid, transport, words):
    port = ports["tcp" if transport == "starttls" else transport]
    where = ["--address", f"127.0.0.1:{port}", "--transport", transport, "--pid", str(pid)]
    done = subprocess.run(
        [PROGRAMS / "waxwing-load", *words.split(), *where, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        return None, done.stderr.strip()
    return json.loads(done.stdout), ""


def check(ports, server):
    failures = 0
    for transport, words, least in RUNS:
        result, reason = load(ports, server.pid, transport, words)
        if result is not None and (result["count"] < least or not result["checked"]):
            reason = f"{result['count']} {result['operations']}, {least} at least"
        failures += bool(reason)
        told = reason or f"{result['count']} {result['operations']}"
        print(f"{'FAILED' if reason else 'ok':<7}{transport:<9}{words.split()[0]:<10}{told}")
    if server.poll() is not None:
        print(f"FAILED the server has ended with {server.returncode}")
        failures += 1
    return failures


def main():
    ports = free_ports(["tcp", "tls", "ws", "wss"])
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "waxwing.toml"
        config.write_text(CONFIG.format(**ports))
        log = open(Path(folder) / "log", "w+")
        command = [PROGRAMS / "waxwing", "serve", "--config", config, "--data", f"{folder}/data"]
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(ports["tcp"])
            failures = check(ports, server)
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)
        if failures:
            log.seek(0)
            print(log.read())
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
