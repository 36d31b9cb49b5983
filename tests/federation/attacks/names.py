"""Names that somebody has no right to: in stanzas, in headers, in dialback, in certificates."""

import asyncio

from raw import key
from siege import attack


@attack("names: a proven server writes in the name of another")
async def forged_sender(siege):
    domain = siege.domain()
    for sender in (f"romeo@{siege.honest.name}", f"nurse@{siege.ours.name}/desk", siege.ours.name,
                   f"romeo@sub.{domain}"):
        line = await siege.proven(domain)
        await line.message(sender, siege.victim.bare, "forged")
        # RFC 6120 §4.9.3.9: invalid-from.
        assert await line.stream_error() == "invalid-from"
    await siege.heard_nothing("forged")
    await siege.known(domain, "invalid-from")


@attack("names: stanzas for nobody here, or from nobody")
async def forged_receiver(siege):
    domain = siege.domain()
    sender, to = f"m@{domain}", siege.victim.bare
    for attributes, condition in (
        (f"from='{sender}' to='somebody@elsewhere.example'", {"host-unknown"}),
        (f"from='{sender}' to='romeo@{siege.honest.name}'", {"host-unknown"}),
        # Ours, but nothing was proven towards it (XEP-0220 §2.1.3: target piggybacking).
        (f"from='{sender}' to='romeo@{siege.other.name}'", {"not-authorized"}),
        (f"from='{sender}'", {"improper-addressing"}),
        (f"to='{to}'", {"improper-addressing"}),
        (f"from='' to='{to}'", {"improper-addressing"}),
        (f"from='@{domain}' to='{to}'", {"improper-addressing", "invalid-from"}),
    ):
        line = await siege.proven(domain)
        await line.say(f"<message {attributes}><body>forged</body></message>")
        found = await line.stream_error()
        assert found in condition, f"{attributes}: {found}"
    # What is no address is told to whoever wrote it (RFC 6120 §8.3.3.8); no link of others ends.
    fake = await siege.fake(domain)
    line = await siege.proven(domain)
    await line.say(f"<message from='{sender}' to='@@' id='m'><body>forged</body></message>")
    await fake.hears("jid-malformed")
    await siege.heard_nothing("forged")


@attack("names: stanzas before anything is proven")
async def unproven(siege):
    domain = siege.domain()
    line = await siege.secured(domain)
    await line.message(f"m@{domain}", siege.victim.bare, "unproven")
    # RFC 6120 §4.9.3.12: not-authorized.
    assert await line.stream_error() == "not-authorized"
    # Also while the proof is on its way (XEP-0220 §2.1.3).
    fake = await siege.fake(domain, verdict=None)
    line = await siege.secured(domain)
    await line.say(f"<db:result from='{domain}' to='{siege.ours.name}'>abc</db:result>")
    await line.message(f"m@{domain}", siege.victim.bare, "unproven")
    assert await line.stream_error() == "not-authorized"
    assert not fake.heard.count("unproven")
    await siege.heard_nothing("unproven")


@attack("names: a second domain that is claimed and not proven yet")
async def piggybacking(siege):
    domain, second = siege.domain(), siege.domain()
    await siege.fake(domain)
    silent = await siege.fake(second, verdict=None)
    line = await siege.secured(domain)
    assert await line.claim(domain, siege.ours.name) == "valid"
    await line.say(f"<db:result from='{second}' to='{siege.ours.name}'>abc</db:result>")
    await silent.hears("db:verify")
    await line.message(f"m@{second}", siege.victim.bare, "piggyback")
    assert await line.stream_error() in {"invalid-from", "not-authorized"}
    await siege.heard_nothing("piggyback")


@attack("names: a second domain that was proven is let in, beside the first")
async def multiplexed(siege):
    domain, second = siege.domain(), siege.domain()
    await siege.fake(domain)
    await siege.fake(second)
    line = await siege.secured(domain)
    for sender in (domain, second):
        assert await line.claim(sender, siege.ours.name) == "valid"
        await line.message(f"m@{sender}", siege.victim.bare, f"from {sender}")
        await siege.victim.hears(f"from {sender}", sender=f"m@{sender}")
    # And one more of ours, for the first alone.
    assert await line.claim(domain, siege.other.name) == "valid"
    await line.message(f"m@{second}", f"juliet@{siege.other.name}", "forged")
    assert await line.stream_error() in {"not-authorized", "invalid-from"}


@attack("names: a key that the domain's server does not know")
async def wrong_key(siege):
    domain = siege.domain()
    fake = await siege.fake(domain, verdict="invalid")
    line = await siege.secured(domain)
    assert await line.claim(domain, siege.ours.name, "wrong") == "invalid"
    assert fake.verified == [(line.id, "wrong")], fake.verified
    await line.message(f"m@{domain}", siege.victim.bare, "wrong key")
    await line.rest()
    await siege.heard_nothing("wrong key")
    await siege.known(domain, "refused", "it was not it")


@attack("names: dialback in the name of a server that is asked, and denies it")
async def cross_domain(siege):
    domain = siege.domain()
    await siege.fake(domain)
    line = await siege.secured(domain)
    assert await line.claim(domain, siege.ours.name) == "valid"
    # The honest server is asked, and does not know the key.
    assert await line.claim(siege.honest.name, siege.ours.name) in {"invalid", "error"}
    await line.message(f"nurse@{siege.honest.name}", siege.victim.bare, "cross domain")
    await line.rest()
    # Nor our own domains.
    line = await siege.secured(domain)
    await line.say(f"<db:result from='{siege.other.name}' to='{siege.ours.name}'>abc</db:result>")
    await line.message(f"nurse@{siege.other.name}", siege.victim.bare, "cross domain")
    await line.rest()
    await siege.heard_nothing("cross domain")


@attack("names: somebody answers for the server that should be asked")
async def unasked(siege):
    domain = siege.domain()
    silent = await siege.fake(domain, verdict=None)
    line = await siege.secured(domain)
    await line.say(f"<db:result from='{domain}' to='{siege.ours.name}'>abc</db:result>")
    await silent.hears("db:verify")
    id, _ = silent.verified[0]
    for name in ("verify", "result"):
        await line.say(
            f"<db:{name} from='{domain}' to='{siege.ours.name}' id='{id}' type='valid'/>"
        )
    await line.message(f"m@{domain}", siege.victim.bare, "answered myself")
    await line.rest()
    await siege.heard_nothing("answered myself")


@attack("names: keys of ours are good for one stream and one pair")
async def replayed(siege):
    domain, second = siege.domain(), siege.domain()
    fake = await siege.fake(domain)
    siege.victim.message(f"m@{domain}", "Who are you?")
    await fake.hears("Who are you?")
    ours = siege.ours.name
    line = await siege.secured(domain)
    assert await line.verify(domain, ours, fake.key_id, fake.key) == "valid"
    for sender, to, id, what in (
        (domain, ours, "another", fake.key),
        (second, ours, fake.key_id, fake.key),
        (domain, siege.other.name, fake.key_id, fake.key),
        (domain, ours, fake.key_id, fake.key[:-1] + "x"),
        (domain, ours, fake.key_id, ""),
        (domain, ours, fake.key_id, key("secret", domain, ours, fake.key_id)),
    ):
        assert await line.verify(sender, to, id, what) in {"invalid", "error"}, (sender, to, id)
    # A key that was good once opens no stream of somebody else's.
    another = await siege.secured(second)
    refusing = await siege.fake(second, verdict="invalid")
    assert await another.claim(second, ours, fake.key) == "invalid"
    assert refusing.verified


@attack("names: streams that say they come from here")
async def own_name(siege):
    ours = siege.ours.name
    for sender in (ours, siege.other.name, siege.ours.rooms):
        line = await siege.line()
        await line.say(
            f"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' "
            f"xmlns:db='jabber:server:dialback' from='{sender}' to='{ours}' version='1.0'>"
        )
        await line.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await asyncio.sleep(0.1)
        await line.message(f"nurse@{sender}", siege.victim.bare, "from here")
    await siege.heard_nothing("from here")


@attack("names: a certificate of another domain, and a name that is not the stream's")
async def authorized_as(siege):
    domain = siege.domain()
    # RFC 6120 §6.5.6, XEP-0178 §3: the authorization identity is the `from` of the stream.
    line = await siege.secured(domain, certificate=siege.certificate(domain))
    assert await line.external(siege.honest.name) in {"invalid-authzid", "not-authorized"}
    await line.message(f"nurse@{siege.honest.name}", siege.victim.bare, "as another")
    await line.rest()
    # The header says another name than the certificate.
    line = await siege.secured(siege.honest.name, certificate=siege.certificate(domain))
    if "EXTERNAL" in line.features:
        assert await line.external(siege.honest.name) == "not-authorized"
    await line.message(f"nurse@{siege.honest.name}", siege.victim.bare, "as another")
    await line.rest()
    await siege.heard_nothing("as another")


@attack("names: what contacts never asked for is not believed")
async def subscriptions(siege):
    domain = siege.domain()
    line = await siege.proven(domain)
    sender, to = f"m@{domain}", siege.victim.bare
    await line.say(f"<presence from='{sender}' to='{to}' type='subscribed'/>")
    await line.say(f"<presence from='{sender}/x' to='{siege.victim.jid}' type='probe'/>")
    await line.say(
        f"<iq from='{sender}' to='{siege.victim.jid}' type='set' id='push'>"
        f"<query xmlns='jabber:iq:roster'><item jid='{sender}' subscription='both'/></query></iq>"
    )
    await line.say(
        f"<iq from='{sender}' to='{to}' type='set' id='push2'>"
        f"<query xmlns='jabber:iq:roster'><item jid='{sender}' subscription='both'/></query></iq>"
    )
    await line.say(f"<iq from='{sender}/x' to='{siege.ours.name}' type='get' id='last'>"
                   "<ping xmlns='urn:xmpp:ping'/></iq>")
    answer = await siege.victim.done("get", "<query xmlns='jabber:iq:roster'/>")
    contacts = [item.get("jid") for item in answer.iter("{jabber:iq:roster}item")]
    assert sender not in contacts, contacts
