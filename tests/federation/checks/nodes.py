"""Nodes of a publishing service (XEP-0060) on the other side."""

from person import condition, fresh, text
from world import exchange

PUBSUB = "{http://jabber.org/protocol/pubsub}"
OWNER = "http://jabber.org/protocol/pubsub#owner"
EVENT = "{http://jabber.org/protocol/pubsub#event}"


def _pubsub(inner):
    return f"<pubsub xmlns='http://jabber.org/protocol/pubsub'>{inner}</pubsub>"


def _entry(words):
    return f"<entry xmlns='http://www.w3.org/2005/Atom'><title>{words}</title></entry>"


async def _publish(one, service, node, item, words):
    return await one.ask(
        "set",
        _pubsub(f"<publish node='{node}'><item id='{item}'>{_entry(words)}</item></publish>"),
        service,
    )


def _item(node, item, service):
    def matches(stanza):
        found = stanza.find(f"{EVENT}event/{EVENT}items")
        return (
            found is not None and stanza.get("from") == service and found.get("node") == node
            and any(one.get("id") == item for one in found)
        )

    return matches


@exchange("nodes: subscribed to, published, read, and left")
async def whole(one, other):
    romeo, juliet = await one.person(), await other.person()
    node, service = f"news-{fresh()}", other.pubsub
    await juliet.done(
        "set", _pubsub(
            f"<create node='{node}'/><configure><x xmlns='jabber:x:data' type='submit'><field "
            "var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#node_config"
            "</value></field><field var='pubsub#access_model'><value>open</value></field>"
            "<field var='pubsub#persist_items'><value>1</value></field>"
            "<field var='pubsub#max_items'><value>10</value></field></x></configure>"
        ), service,
    )
    answer = await romeo.done(
        "set", _pubsub(f"<subscribe node='{node}' jid='{romeo.bare}'/>"), service,
    )
    subscription = answer.find(f"{PUBSUB}pubsub/{PUBSUB}subscription")
    assert subscription.get("subscription") == "subscribed", text(answer)
    assert (await _publish(juliet, service, node, "one", "Ünó")).get("type") == "result"
    event = await romeo.wait(_item(node, "one", service), "the first item")
    assert event.findtext(".//{http://www.w3.org/2005/Atom}title") == "Ünó", text(event)
    answer = await romeo.done("get", _pubsub(f"<items node='{node}'/>"), service)
    assert answer.findtext(".//{http://www.w3.org/2005/Atom}title") == "Ünó", text(answer)
    # Nobody publishes who may not; then one may.
    refused = await _publish(romeo, service, node, "two", "Due")
    assert condition(refused) in {"forbidden", "not-authorized"}, text(refused)
    await juliet.done(
        "set", f"<pubsub xmlns='{OWNER}'><affiliations node='{node}'><affiliation "
        f"jid='{romeo.bare}' affiliation='publisher'/></affiliations></pubsub>", service,
    )
    published = await _publish(romeo, service, node, "two", "Due")
    assert published.get("type") == "result", text(published)
    await romeo.wait(_item(node, "two", service), "the second item")
    retracted = await juliet.ask(
        "set", _pubsub(f"<retract node='{node}' notify='true'><item id='one'/></retract>"), service,
    )
    assert retracted.get("type") == "result", text(retracted)
    event = await romeo.wait(_item(node, "one", service), "that the first item is gone")
    assert event.find(f".//{EVENT}retract") is not None, text(event)
    await romeo.done("set", _pubsub(f"<unsubscribe node='{node}' jid='{romeo.bare}'/>"), service)
    await _publish(juliet, service, node, "three", "Tre")
    await romeo.settled(juliet)
    assert not romeo.has(_item(node, "three", service))
    await juliet.done("set", f"<pubsub xmlns='{OWNER}'><delete node='{node}'/></pubsub>", service)
    answer = await romeo.ask("get", _pubsub(f"<items node='{node}'/>"), service)
    assert condition(answer) == "item-not-found", text(answer)


@exchange("nodes: nobody is subscribed by somebody else")
async def others(one, other):
    romeo, juliet = await one.person(), await other.person()
    node, service = f"news-{fresh()}", other.pubsub
    await juliet.done("set", _pubsub(f"<create node='{node}'/>"), service)
    # XEP-0060 §6.1.3.1: "the bare JID portions of the JIDs do not match".
    answer = await romeo.ask(
        "set", _pubsub(f"<subscribe node='{node}' jid='{juliet.bare}'/>"), service,
    )
    assert condition(answer) in {"bad-request", "forbidden"}, text(answer)
    answer = await romeo.ask(
        "set", f"<pubsub xmlns='{OWNER}'><delete node='{node}'/></pubsub>", service,
    )
    assert condition(answer) == "forbidden", text(answer)
    await juliet.done("set", f"<pubsub xmlns='{OWNER}'><delete node='{node}'/></pubsub>", service)
