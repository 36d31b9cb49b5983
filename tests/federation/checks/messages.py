"""Messages, and what comes back of those that cannot be delivered."""

from person import CLIENT, condition
from world import exchange


@exchange("messages: ids, languages and unknown payloads arrive as they were sent")
async def whole(one, other):
    romeo, juliet = await one.person(), await other.person()
    words = "Wherefore art thou? ☂ \U0001f98b <&> 'ÿ' \u202bשלום\u202c\r\n\tend"
    more = (
        "<x xmlns='urn:example:unknown' a='1'><b xmlns='urn:example:other'>ü</b></x>"
        "<origin-id xmlns='urn:xmpp:sid:0' id='origin-1'/><body xml:lang='de'>Wo?</body>"
    )
    id = romeo.message(juliet.bare, words, more=more, id="ids & “signs”")
    message = await juliet.hears(id=id)
    assert message.get("from") == romeo.jid, message.get("from")
    assert message.get("type") == "chat"
    bodies = {b.get("{http://www.w3.org/XML/1998/namespace}lang"): b.text
              for b in message.iter(CLIENT + "body")}
    assert bodies["de"] == "Wo?" and words.replace("\r\n", "\n") in bodies.values(), bodies
    unknown = message.find("{urn:example:unknown}x")
    assert unknown.get("a") == "1" and unknown[0].text == "ü"
    assert message.find("{urn:xmpp:sid:0}origin-id").get("id") == "origin-1"
    # And back, to the full address.
    juliet.message(romeo.jid, "Here.")
    assert (await romeo.hears("Here.")).get("from") == juliet.jid


@exchange("messages: many at once keep their order")
async def order(one, other):
    romeo, juliet = await one.person(), await other.person()
    for number in range(200):
        romeo.message(juliet.jid, f"line {number}")
        juliet.message(romeo.jid, f"answer {number}")
    await juliet.hears("line 199")
    await romeo.hears("answer 199")
    for who, word in ((juliet, "line"), (romeo, "answer")):
        heard = [s.findtext(CLIENT + "body") for s in who.stanzas if s.tag == CLIENT + "message"]
        assert heard == [f"{word} {number}" for number in range(199)], heard


@exchange("messages: an unknown account, an unknown service and an unknown domain are errors")
async def refused(one, other):
    romeo = await one.person()
    expected = {
        f"nobody@{other.name}": {"service-unavailable", "item-not-found"},
        f"nobody@nothing.{other.name}": {"remote-server-not-found", "remote-server-timeout"},
        "somebody@there-is-no-such-domain.example": {
            "remote-server-not-found", "remote-server-timeout",
        },
    }
    for to, conditions in expected.items():
        id = romeo.message(to, "Hello?")
        error = await romeo.hears(id=id, seconds=20)
        assert error.get("type") == "error" and error.get("from") == to, error.attrib
        assert condition(error) in conditions, f"{to}: {condition(error)}"
    # An error for an error would go on for ever.
    romeo.send(
        f"<message type='error' id='e1' to='nobody@{other.name}'><error type='cancel'>"
        "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    )
    romeo.message(f"nobody@{other.name}", "Hello?", id="after")
    await romeo.hears(id="after")
    assert not romeo.has(lambda s: s.get("id") == "e1")


@exchange("messages: what is said to somebody who is away waits, with the time it was said")
async def away(one, other):
    romeo = await one.person()
    user = other.fresh()
    romeo.message(f"{user}@{other.name}", "Are you there?")
    await romeo.done("get", "<ping xmlns='urn:xmpp:ping'/>", other.name)
    juliet = await other.person(user)
    message = await juliet.hears("Are you there?", sender=romeo.jid)
    delays = message.findall("{urn:xmpp:delay}delay")
    assert delays, "it does not say that it waited"


@exchange("messages: typing and receipts go to the session that was named, and back")
async def receipts(one, other):
    romeo, juliet = await one.person(), await other.person()
    id = romeo.message(
        juliet.jid, "Look.",
        more="<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>"
        "<active xmlns='http://jabber.org/protocol/chatstates'/>",
    )
    message = await juliet.hears("Look.")
    assert message.find("{urn:xmpp:receipts}request") is not None
    juliet.send(
        f"<message to='{romeo.jid}' type='chat' id='r1'>"
        f"<received xmlns='urn:xmpp:receipts' id='{id}'/></message>"
    )
    receipt = await romeo.hears(id="r1")
    assert receipt.find("{urn:xmpp:receipts}received").get("id") == id
