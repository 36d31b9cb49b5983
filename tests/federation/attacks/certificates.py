"""Certificates that prove nothing, and connections without any."""

import ssl

from person import condition, reason
from raw import client_context, header
from siege import attack

# How certificates are bad, and what is said of it.
BAD = {
    "expired": ({"days": -3}, "expired"),
    "self-signed": ({"is_self_signed": True}, ""),
    "of another name": ({}, ""),
}


def _bad(siege, domain, fault):
    how, _ = BAD[fault]
    names = ("somebody-else.example",) if fault == "of another name" else (domain,)
    return siege.certificate(domain, *names, **how)


@attack("certificates: bad ones of servers that come prove nothing")
async def incoming(siege):
    for fault in BAD:
        domain = siege.domain()
        line = await siege.secured(domain, certificate=_bad(siege, domain, fault))
        if "EXTERNAL" in line.features:
            assert await line.external(domain) == "not-authorized", fault
        await line.message(f"m@{domain}", siege.victim.bare, "bad certificate")
        assert await line.stream_error() == "not-authorized", fault
    await siege.heard_nothing("bad certificate")


@attack("certificates: with a bad one, dialback lets in who need not have a good one")
async def either(siege):
    for fault in BAD:
        domain = siege.domain()
        await siege.fake(domain, _bad(siege, domain, fault))
        line = await siege.secured(domain, certificate=_bad(siege, domain, fault))
        assert await line.claim(domain, siege.ours.name) == "valid", fault
        await line.message(f"m@{domain}", siege.victim.bare, f"dialback, {fault}")
        await siege.victim.hears(f"dialback, {fault}")


@attack("certificates: a domain that must have a good one is not let in by dialback")
async def strict_incoming(siege):
    for fault, (_, word) in BAD.items():
        domain = siege.domain("strict")
        fake = await siege.fake(domain, _bad(siege, domain, fault))
        line = await siege.line()
        await line.open(domain, siege.ours.name)
        await line.secure(_bad(siege, domain, fault), siege.ours.name)
        await line.say(header(siege.ours.name, domain))
        await line.say(f"<db:result from='{domain}' to='{siege.ours.name}'>abc</db:result>")
        await line.message(f"m@{domain}", siege.victim.bare, "strict")
        assert await line.stream_error() in {"not-authorized", "policy-violation"}
        assert not fake.verified, "it was asked, although its word does not count"
        await siege.known(domain, "certificate", word)
    await siege.heard_nothing("strict")
    domain = siege.domain("strict")
    line = await siege.proven(domain)
    await line.message(f"m@{domain}", siege.victim.bare, "a good one")
    await siege.victim.hears("a good one")


@attack("certificates: nothing is sent to a bad one that must be a good one", seconds=60)
async def strict_outgoing(siege):
    for fault, (_, word) in BAD.items():
        domain = siege.domain("strict")
        fake = await siege.fake(domain, _bad(siege, domain, fault))
        id = siege.victim.message(f"m@{domain}", "my secret")
        error = await siege.victim.hears(id=id, seconds=20)
        assert condition(error) == "remote-server-timeout", condition(error)
        # "an error with a text that a person understands".
        assert "certificate" in reason(error) and word in reason(error), reason(error)
        assert "my secret" not in fake.heard
        await siege.known(domain, "certificate", word)


@attack("certificates: nothing is said to a server without encryption")
async def plaintext(siege):
    domain = siege.domain()
    fake = await siege.fake(domain, has_tls=False)
    id = siege.victim.message(f"m@{domain}", "my secret")
    error = await siege.victim.hears(id=id, seconds=20)
    assert "encryption" in reason(error), reason(error)
    assert "my secret" not in fake.heard
    await siege.known(domain, "encryption")
    # Nor does such a one come in.
    line = await siege.line()
    features = await line.open(domain, siege.ours.name)
    assert "<required/>" in features and "dialback" not in features, features
    await line.say(f"<db:result from='{domain}' to='{siege.ours.name}'>abc</db:result>")
    await line.message(f"m@{domain}", siege.victim.bare, "in the open")
    assert await line.stream_error() in {"policy-violation", "not-authorized"}
    await siege.heard_nothing("in the open")
    assert not fake.verified


@attack("certificates: what is said before encryption does not count behind it")
async def injected(siege):
    domain = siege.domain()
    line = await siege.line()
    await line.open(domain, siege.ours.name)
    # In one write: what follows must not be taken for part of the encrypted stream (CVE-2011-0411).
    await line.say(
        "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        f"<message from='m@{domain}' to='{siege.victim.bare}'><body>injected</body></message>"
    )
    await line.hear(rb"<proceed[^>]*>")
    try:
        await line.shake(siege.certificate(domain), siege.ours.name)
    except (ssl.SSLError, OSError):
        pass
    else:
        await line.open(domain, siege.ours.name)
        assert await line.external(domain) is None
    await siege.heard_nothing("injected")


@attack("certificates: versions of TLS that are too old")
async def old(siege):
    context = client_context()
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        await siege.line(port=5270, tls=context, name=siege.ours.name)
    except (ssl.SSLError, OSError):
        return
    raise AssertionError("TLS 1.1 was spoken")
