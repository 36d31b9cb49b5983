"""`waxwing check` looks at the server as others find it, and says what to add."""

from registry import scenario
from servers import free_ports
from zone import Zone

DOMAIN = "chat.example.test"


@scenario("check: records, ports and certificates as others find them", seconds=90)
async def outside(box):
    zone = Zone(box)
    place = box.place()
    chain, key = box.certificate("one", DOMAIN, f"rooms.{DOMAIN}", days=60)
    place.hosts = [{"domain": DOMAIN, "certificate": str(chain), "key": str(key)}]
    server, server_tls = free_ports(2)
    ports = {"xmpp": place.tcp_port, "xmpp_tls": place.tls_port, "http": place.http_port,
             "https": place.https_port, "server": server, "server_tls": server_tls}
    place.configure(
        server={"public": True}, federation={"dns": [zone.address]},
        listen={kind: [f"{place.host}:{port}"] for kind, port in ports.items()},
    )
    place.data.chmod(0o700)

    def told():
        """What the check says of each thing."""
        return {one["about"]: (one["verdict"], one["text"] or "") for one in place.json("check")}

    def one(found, start):
        (about,) = [about for about in found if about.startswith(start)]
        return about, *found[about]

    # Nobody is found: everything is missing, and told as it stands in a zone.
    found = told()
    _, verdict, text = one(found, f"SRV records of {DOMAIN} for clients")
    assert verdict == "note" and "clients try" in text, text
    line = f"_xmpps-client._tcp.{DOMAIN}. 3600 IN SRV 5 0 {place.tls_port} {DOMAIN}."
    assert line in text, text
    _, _, text = one(found, f"records of {DOMAIN}")
    assert f"_xmpp-server._tcp.{DOMAIN}. 3600 IN SRV 5 0 {server} {DOMAIN}." in text, text
    _, verdict, text = one(found, f"name rooms.{DOMAIN}")
    assert verdict == "careful", text
    assert f"_xmpps-server._tcp.rooms.{DOMAIN}. 3600 IN SRV 5 0 {server_tls} {DOMAIN}." in text
    # The zone as the check wants it.
    zone.address_of(DOMAIN)
    for service, port in (("xmpp-client", place.tcp_port), ("xmpps-client", place.tls_port),
                          ("xmpp-server", server), ("xmpps-server", server_tls)):
        zone.service(f"_{service}._tcp.{DOMAIN}", port, DOMAIN)
    zone.service(f"_xmpp-server._tcp.rooms.{DOMAIN}", server, DOMAIN)
    found = told()
    assert one(found, f"SRV records of {DOMAIN} for clients")[1] == "ok"
    assert one(found, f"name rooms.{DOMAIN}")[1] == "ok", found
    assert one(found, f"name pubsub.{DOMAIN}")[1] == "careful"
    assert not any(" at " + DOMAIN in about for about in found), "ports of a server that is off"
    # What its ports show: TLS, and a certificate that nobody trusts.
    await place.start()
    found = told()
    for who in ("clients with STARTTLS", "clients with direct TLS", "servers with STARTTLS",
                "servers with direct TLS"):
        about, verdict, text = one(found, f"{who} at {DOMAIN}")
        assert "TLS 1.3, TLS_AES_" in about and "days" in about, about
        assert verdict == "careful" and "is self-signed" in text, text
    _, _, text = one(found, f"records of {DOMAIN}")
    assert f"_{server}._tcp.{DOMAIN}. 3600 IN TLSA 3 1 1 " in text, text
    # Where it is trusted all is well, but for a port that nobody listens on.
    place.configure(federation={"authorities": str(chain)})
    zone.service(f"_xmpps-client._tcp.{DOMAIN}", free_ports(1)[0], DOMAIN)
    found = told()
    looks = [about for about in found if f" at {DOMAIN}" in about]
    assert len(looks) == 5, looks
    assert sorted(found[about][0] for about in looks) == ["careful"] + ["ok"] * 4, found
    (closed,) = [found[about][1] for about in looks if found[about][0] != "ok"]
    assert "firewall" in closed, closed


@scenario("check: a certificate that is to be got by itself")
async def ordered(box):
    place = box.place(acme={"enabled": True, "terms_agreed": True})
    place.hosts = [{"domain": DOMAIN}]
    place.write()
    place.data.chmod(0o700)
    (found,) = [one for one in place.json("check") if "certificate" in one["about"]]
    assert found["verdict"] == "note" and "listen.challenges" in found["text"], found
