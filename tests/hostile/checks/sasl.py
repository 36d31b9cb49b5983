"""Signing in as somebody else, and never getting it done."""

import asyncio
import base64
import os
import socket
import struct

from attack import attack, expect
from line import HEADER, SASL, STREAM_ERROR, Gone, Line

STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
FAILURE = rb"<failure [^>]*><([a-z-]+)/>"


@attack("sign-in: wrong passwords: not-authorized thrice, then policy-violation", 30)
async def brute_force(node):
    for _ in range(20):
        line = await node.stream()
        for _ in range(3):
            failure = await line.authenticate("victim", os.urandom(9).hex())
            expect(failure == "not-authorized", failure)
        heard = await line.stream_error()
        expect(heard == "policy-violation", heard)


@attack("sign-in: wrong passwords on 50 connections at once", 30)
async def brute_force_wide(node):
    async def guess(user):
        line = await node.stream()
        failure = await line.authenticate(user, "wrong password")
        expect(failure == "not-authorized", failure)
        line.cut()

    # Half of them for accounts that do not exist, which must look the same.
    await asyncio.gather(*(guess("victim" if i % 2 else f"nobody{i}") for i in range(50)))


@attack("sign-in: begun and aborted without end: aborted, then policy-violation")
async def aborts(node):
    line = await node.stream()
    first = base64.b64encode(b"n,,n=victim,r=x").decode()
    await line.say(
        # Few enough to be held while the first is looked up; more is a policy-violation at once.
        f"<auth {SASL} mechanism='SCRAM-SHA-1'>{first}</auth><abort {SASL}/>" * 20
    )
    heard = (await line.hear(FAILURE))[1]
    expect(heard == b"aborted", heard)
    heard = await line.stream_error()
    expect(heard == "policy-violation", heard)


@attack("sign-in: mechanisms that nobody offers: invalid-mechanism, then policy-violation")
async def mechanisms(node):
    line = await node.stream()
    for name in ("EXTERNAL", "ANONYMOUS", "X" * 1000):
        await line.say(f"<auth {SASL} mechanism='{name}'>=</auth>")
        heard = (await line.hear(FAILURE))[1]
        expect(heard == b"invalid-mechanism", heard)
    heard = await line.stream_error()
    expect(heard == "policy-violation", heard)


@attack("sign-in: a password in the clear is not taken")
async def plain(node):
    line = await node.stream()
    text = base64.b64encode(f"\0mallory\0{node.password}".encode()).decode()
    await line.say(f"<auth {SASL} mechanism='PLAIN'>{text}</auth>")
    heard = (await line.hear(FAILURE))[1]
    expect(heard in (b"encryption-required", b"invalid-mechanism"), heard)


@attack("STARTTLS: what is said behind it in the clear is not heard inside TLS")
async def injection(node):
    evil = base64.b64encode(f"\0mallory\0{node.password}".encode()).decode()
    line = await node.stream()
    await line.say(f"{STARTTLS}{HEADER}<auth {SASL} mechanism='PLAIN'>{evil}</auth>")
    await line.hear(rb"<proceed [^>]*>")
    expect(line.heard == b"", f"answered in the clear: {line.heard!r}")
    try:
        await line.writer.start_tls(node.tls_context(), server_hostname="localhost")
    except OSError:
        return  # it took the injected bytes for a broken handshake: as good
    await line.say(HEADER)
    heard = await line.hear(rb"<stream:features.*?</stream:features>")
    expect(b"<mechanism>PLAIN" in heard[0], heard[0])
    await asyncio.sleep(0.3)
    expect(b"<success" not in line.heard, "the injected commands were carried out")


@attack("STARTTLS: 200 times, with garbage where the handshake should be", 40)
async def garbage_upgrade(node):
    for _ in range(200):
        line = await node.stream()
        await line.say(STARTTLS)
        await line.hear(rb"<proceed [^>]*>")
        await line.say(os.urandom(500))
        await line.rest()


@attack("TLS: garbage, plain XMPP and plain HTTP on the ports for TLS")
async def garbage(node):
    hello = b"\x16\x03\x01\xff\xff\x01\x00\xff\xfb\x03\x03"  # a ClientHello far too long
    for port in (node.tls_port, node.https_port):
        for said in (os.urandom(5000), HEADER.encode(), b"GET / HTTP/1.1\r\n\r\n", hello * 5000):
            line = await node.line(port=port)
            await line.say(said)
            heard = await line.rest(15)
            expect(b"<stream" not in heard and b"HTTP/1" not in heard, heard[:100])


@attack("TLS: 500 connections that stop in the middle of the handshake", 40, slow=True)
async def half_open(node):
    start = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(40)
    ports = [node.tls_port, node.https_port]
    lines = [await node.line(port=ports[i % 2]) for i in range(500)]
    for line in lines:
        await line.say(start)
    await asyncio.gather(*(line.rest(25) for line in lines))


@attack("TCP: 500 connections that say nothing end: connection-timeout", 40, slow=True)
async def silent(node):
    lines = [await node.line() for _ in range(500)]
    for line in lines:
        heard = (await line.hear(STREAM_ERROR, 25))[1]
        expect(heard == b"connection-timeout", heard)


@attack("TCP: 500 connections reset right after their header")
async def resets(node):
    for _ in range(500):
        raw = socket.create_connection((node.host, node.tcp_port))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sendall(HEADER.encode())
        raw.close()


@attack("registration: off, so nobody signs up")
async def sign_up(node):
    line = await node.stream()
    await line.say(
        "<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>evil</username>"
        "<password>evil and long</password></query></iq>"
    )
    try:
        heard = await line.hear(rb"<iq [^>]*>|<stream:error>")
    except Gone:
        return
    expect(b"'result'" not in heard[0], heard[0])
    again = await Line.begin(node)
    failure = await again.authenticate("evil", "evil and long")
    expect(failure == "not-authorized", failure)
