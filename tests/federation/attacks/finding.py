"""Where the server of a domain is, and who says so (RFC 6120 §3.2, RFC 7673)."""

from person import condition, reason
from siege import DANE, DECLINED, FALLBACK, MISPINNED, SECOND, SIX, attack


async def _reached(siege, domain, **how):
    fake = await siege.fake(domain, **how)
    siege.victim.message(f"m@{domain}", f"Are you {domain}?")
    await fake.hears(f"Are you {domain}?")
    return fake


@attack("finding: IPv6 alone, the second place when nobody is at the first, and the domain itself")
async def places(siege):
    for domain in (SIX, SECOND, FALLBACK):
        await _reached(siege, domain)
        await siege.known(domain, "open", "out")


@attack("finding: a self-signed certificate that signed DNS names is as good as any")
async def dane(siege):
    await _reached(siege, DANE, external=True)
    await siege.known(DANE, "dane")


@attack("finding: a certificate that is not the one that signed DNS names is none")
async def mispinned(siege):
    fake = await siege.fake(MISPINNED, external=True)
    id = siege.victim.message(f"m@{MISPINNED}", "my secret")
    error = await siege.victim.hears(id=id, seconds=20)
    assert condition(error) == "remote-server-timeout", condition(error)
    assert "my secret" not in fake.heard
    await siege.known(MISPINNED, "certificate")


@attack("finding: a domain that says in DNS that it has no server")
async def declined(siege):
    id = siege.victim.message(f"m@{DECLINED}", "Hello?")
    error = await siege.victim.hears(id=id)
    assert condition(error) == "remote-server-not-found", condition(error)
    assert reason(error)
