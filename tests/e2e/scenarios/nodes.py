"""slixmpp at the nodes of a service: publish-subscribe (XEP-0060)."""

from xml.etree import ElementTree

from meeting import ask, form_in, guest, guests, refusal, service
from registry import ours, scenario
from walk import Walk

PUBSUB = "http://jabber.org/protocol/pubsub"
EVENT = f"{{{PUBSUB}#event}}"
RSM = "http://jabber.org/protocol/rsm"
ATOM = "http://www.w3.org/2005/Atom"


def entry(text):
    return ElementTree.fromstring(f"<entry xmlns='{ATOM}'><title>{text}</title></entry>")


def titles(items):
    return [item["payload"].findtext(f"{{{ATOM}}}title") for item in items]


def news(node, kind="items", child=None, id=None):
    """Whether a stanza is an event of this node: of items, or with a child like <retract/>."""

    def matches(stanza):
        if stanza.name != "message":
            return False
        found = stanza.xml.find(f"{EVENT}event/{EVENT}{kind}")
        if found is None or found.get("node") != node:
            return False
        return child is None or any(
            id in (None, one.get("id")) for one in found.findall(f"{EVENT}{child}")
        )

    return matches


async def hears(peer, *what, **which):
    return await peer.wait("wire", news(*what, **which))


async def silent(peer, *what, **which):
    await peer.stays_silent("wire", news(*what, **which))


def form(peer, kind, **fields):
    made = peer.plugin["xep_0004"].make_form(ftype="submit")
    made.add_field(var="FORM_TYPE", ftype="hidden", value=f"{PUBSUB}#{kind}")
    for name, value in fields.items():
        made.add_field(var=f"pubsub#{name}", value=value)
    return made


async def node(world, owner, name, **config):
    """A new node of this owner: the service's address, its name, and the owner's plugin."""
    host = await service(owner, "pubsub", "service")
    name = f"{name}{world.number}"
    pubsub = owner.plugin["xep_0060"]
    made = form(owner, "node_config", **config) if config else None
    await pubsub.create_node(host, name, config=made, timeout=10)
    return host, name, pubsub


@scenario("nodes: slixmpp makes one, publishes, and its subscriber hears all of it", seconds=60)
async def life(world):
    steps = ("create", "discover", "subscribe", "publish", "read", "replace", "retract", "purge",
             "configure", "unsubscribe", "delete")
    owner, juliet = await guests(world, ("owner", "juliet"), "xep_0060")
    reader = juliet.plugin["xep_0060"]
    with Walk(*steps) as walk:
        with walk.step("create"):
            host, name, pubsub = await node(
                world, owner, "princely_musings", title="Musings", persist_items="1",
                max_items="5", notify_retract="1", notify_delete="1", notify_config="1",
            )
            assert await refusal(pubsub.create_node(host, name, timeout=10)) == "conflict"
        with walk.step("discover"):
            disco = juliet.plugin["xep_0030"]
            nodes = (await disco.get_items(jid=host))["disco_items"]["items"]
            assert (host, name, "Musings") in nodes, nodes
            info = (await disco.get_info(jid=host, node=name))["disco_info"]
            assert any(one[:2] == ("pubsub", "leaf") for one in info["identities"]), info
        with walk.step("subscribe"):
            answer = await reader.subscribe(host, name, timeout=10)
            assert answer["pubsub"]["subscription"]["subscription"] == "subscribed", answer
            mine = (await reader.get_subscriptions(host, timeout=10))["pubsub"]["subscriptions"]
            assert [one["node"] for one in mine["substanzas"]] == [name], mine
        with walk.step("publish"):
            for i in range(3):
                await pubsub.publish(host, name, id=f"i{i}", payload=entry(f"musing {i}"))
                heard = await hears(juliet, name, child="item", id=f"i{i}")
                assert titles(heard["pubsub_event"]["items"]) == [f"musing {i}"], heard
                assert heard["from"] == host, heard
            stranger = reader.publish(host, name, payload=entry("mine"), timeout=10)
            assert await refusal(stranger) == "forbidden"
        with walk.step("read"):
            found = (await reader.get_items(host, name, timeout=10))["pubsub"]["items"]
            assert sorted(titles(found)) == [f"musing {i}" for i in range(3)], found
            found = (await reader.get_item(host, name, "i1", timeout=10))["pubsub"]["items"]
            assert titles(found) == ["musing 1"], found
        with walk.step("replace"):
            await pubsub.publish(host, name, id="i1", payload=entry("again"))
            heard = await hears(juliet, name, child="item", id="i1")
            found = (await reader.get_item(host, name, "i1", timeout=10))["pubsub"]["items"]
            assert titles(found) == titles(heard["pubsub_event"]["items"]) == ["again"], found
        with walk.step("retract"):
            await pubsub.retract(host, name, "i0", notify="true", timeout=10)
            await hears(juliet, name, child="retract", id="i0")
            found = (await reader.get_items(host, name, timeout=10))["pubsub"]["items"]
            assert sorted(titles(found)) == ["again", "musing 2"], found
        with walk.step("purge"):
            await pubsub.purge(host, name, timeout=10)
            await hears(juliet, name, kind="purge")
            found = (await reader.get_items(host, name, timeout=10))["pubsub"]["items"]
            assert titles(found) == [], found
        with walk.step("configure"):
            asked = (await pubsub.get_node_config(host, name, timeout=10))["pubsub_owner"]
            assert asked["configure"]["form"].get_fields()["pubsub#title"]["value"] == "Musings"
            changed = form(owner, "node_config", title="Princely Musings")
            await pubsub.set_node_config(host, name, changed, timeout=10)
            info = (await disco.get_info(jid=host, node=name))["disco_info"]
            assert "Princely Musings" in str(info), info
        with walk.step("unsubscribe"):
            await reader.unsubscribe(host, name, timeout=10)
            await pubsub.publish(host, name, id="last", payload=entry("to nobody"))
            await silent(juliet, name)
        with walk.step("delete"):
            await reader.subscribe(host, name, timeout=10)
            await pubsub.delete_node(host, name, timeout=10)
            await hears(juliet, name, kind="delete")
            gone = reader.get_items(host, name, timeout=10)
            assert await refusal(gone) == "item-not-found"


@scenario("nodes: slixmpp says who may publish, read and subscribe, and others may not", seconds=60)
async def rights(world):
    steps = ("whitelist", "a member", "not by others", "a publisher", "the lists", "an outcast")
    owner, juliet = await guests(world, ("owner", "juliet"), "xep_0060")
    reader, bare = juliet.plugin["xep_0060"], juliet.boundjid.bare
    with Walk(*steps) as walk:
        with walk.step("whitelist"):
            host, name, pubsub = await node(world, owner, "secrets", access_model="whitelist")
            await pubsub.publish(host, name, id="one", payload=entry("for few"))
            for asked in (reader.subscribe, reader.get_items):
                assert await refusal(asked(host, name, timeout=10)) in ("not-allowed", "forbidden")
        with walk.step("a member"):
            await pubsub.modify_affiliations(host, name, [(bare, "member")], timeout=10)
            await reader.subscribe(host, name, timeout=10)
            found = (await reader.get_items(host, name, timeout=10))["pubsub"]["items"]
            assert titles(found) == ["for few"], found
            asked = reader.publish(host, name, payload=entry("mine"), timeout=10)
            assert await refusal(asked) == "forbidden"
        with walk.step("not by others"):
            for asked in (
                reader.purge(host, name, timeout=10),
                reader.delete_node(host, name, timeout=10),
                reader.get_node_config(host, name, timeout=10),
                reader.get_node_affiliations(host, name, timeout=10),
                reader.get_node_subscriptions(host, name, timeout=10),
            ):
                assert await refusal(asked) == "forbidden"
        with walk.step("a publisher"):
            await pubsub.modify_affiliations(host, name, [(bare, "publisher")], timeout=10)
            await reader.publish(host, name, id="two", payload=entry("mine"), timeout=10)
            await hears(juliet, name, child="item", id="two")
        with walk.step("the lists"):
            answer = (await pubsub.get_node_affiliations(host, name, timeout=10))["pubsub_owner"]
            found = {str(a["jid"]): a["affiliation"] for a in answer["affiliations"]["substanzas"]}
            assert found.get(bare) == "publisher", found
            answer = (await pubsub.get_node_subscriptions(host, name, timeout=10))["pubsub_owner"]
            found = [str(one["jid"]) for one in answer["subscriptions"]["substanzas"]]
            assert found == [bare], found
            if world.server.is_ours:  # Debian's Prosody does not tell
                mine = (await reader.get_affiliations(host, timeout=10))["pubsub"]
                assert (name, "publisher") in [
                    (one["node"], one["affiliation"]) for one in mine["affiliations"]["substanzas"]
                ], mine
        with walk.step("an outcast"):
            if world.server.is_ours:  # Debian's Prosody lets nobody cast anybody out
                await pubsub.modify_affiliations(host, name, [(bare, "outcast")], timeout=10)
                for asked in (
                    reader.get_items(host, name, timeout=10),
                    reader.publish(host, name, payload=entry("still"), timeout=10),
                ):
                    assert await refusal(asked) == "forbidden"


@ours("nodes: slixmpp asks to subscribe, and the owner agrees in a form")
async def approval(world):
    owner, juliet = await guests(world, ("owner", "juliet"), "xep_0060")
    host, name, pubsub = await node(world, owner, "letters", access_model="authorize")
    answer = await juliet.plugin["xep_0060"].subscribe(host, name, timeout=10)
    assert answer["pubsub"]["subscription"]["subscription"] == "pending", answer
    asked = await owner.wait("wire", form_in)
    fields = asked["form"].get_fields()
    assert fields["pubsub#subscriber_jid"]["value"] == juliet.boundjid.bare, asked
    fields["pubsub#allow"]["value"] = True
    agreed = owner.make_message(mto=host)
    told = asked["form"]
    told["type"] = "submit"
    agreed.append(told)
    agreed.send()
    heard = await juliet.wait(
        "wire", lambda s: s.name == "message" and (
            s.xml.find(f".//{{{PUBSUB}}}subscription") is not None
            or s.xml.find(f".//{EVENT}subscription") is not None
        )
    )
    assert "subscribed" in str(heard), heard
    await pubsub.publish(host, name, id="one", payload=entry("for thee"))
    await hears(juliet, name, child="item", id="one")


@ours("nodes: slixmpp reads a long one by pages, and only its newest items are kept")
async def pages(world):
    owner = await guest(world, "owner", "xep_0060")
    host, name, pubsub = await node(world, owner, "days", max_items="12", persist_items="1")
    for i in range(15):
        await pubsub.publish(host, name, id=f"d{i:02}", payload=entry(f"day {i}"), timeout=10)
    found, after = [], ""
    while True:
        # slixmpp has no pages for items.
        answer = await ask(
            owner, "get", f"<pubsub xmlns='{PUBSUB}'><items node='{name}'/>"
            f"<set xmlns='{RSM}'><max>5</max>{after}</set></pubsub>", host,
        )
        page = [item.get("id") for item in answer.iter(f"{{{PUBSUB}}}item")]
        if not page:
            break
        assert len(page) <= 5, page
        found += page
        after = f"<after>{answer.findtext(f'.//{{{RSM}}}last')}</after>"
    newest = (await pubsub.get_items(host, name, max_items=2, timeout=10))["pubsub"]["items"]
    assert [item["id"] for item in newest] == ["d13", "d14"], newest
    ids = (await pubsub.get_item_ids(host, name, timeout=10))["disco_items"]["items"]
    assert len(ids) == 12, ids
