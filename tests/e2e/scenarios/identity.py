"""Signing in with what others know: a directory (slapd), the tokens of an identity provider, and a
program of the operator that is asked over HTTP.
"""

import asyncio
import json
import subprocess
import time

from elsewhere import (
    PEOPLE, Key, Visitor, by_search, by_template, confused, directory, hook, peer, provider,
    token_proof, unsigned,
)
from own import ask, condition, own_server
from registry import ours
from servers import DOMAIN

SASL2 = "{urn:xmpp:sasl:2}"
FAST = "{urn:xmpp:fast:0}"
ELSEWHERE = "internal_passwords = false"


@ours("LDAP: slixmpp signs in with a password of slapd, by a name's template and by search")
async def directory_passwords(world):
    with directory() as place:
        for settings in (by_template(place), by_search(place)):
            async with own_server(settings, ELSEWHERE) as server:
                romeo = peer(world, server, "romeo", PEOPLE["romeo"])
                await romeo.sign_in(server.host, server.tcp_port)
                juliet = peer(world, server, "juliet", PEOPLE["juliet"])
                await juliet.sign_in(server.host, server.tcp_port)
                romeo.say(juliet.boundjid.bare, "Art thou not Juliet?")
                await juliet.hear("Art thou not Juliet?")
                mallory = peer(world, server, "romeo", "a guess")
                mallory.connect(server.host, server.tcp_port)
                await mallory.wait("refused")


@ours("LDAP: only PLAIN is offered, and what is no password is refused")
async def directory_refusals(world):
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                # An unauthenticated bind (RFC 4513 §5.1.2) would succeed at this slapd.
                assert await visitor.plain("romeo", "") == "malformed-request"
                assert await visitor.plain("nobody", "x") == "not-authorized"
            async with Visitor(server) as visitor:
                # Two entries have this name: nobody knows whose password it is.
                assert await visitor.plain("twin", "same") == "not-authorized"
                # A star stands for itself.
                assert await visitor.plain("rome*", PEOPLE["romeo"]) == "not-authorized"
            async with Visitor(server) as visitor:
                for name in ("romeo)(cn=*", "*"):
                    refused = await visitor.plain(name, PEOPLE["romeo"])
                    assert refused == "not-authorized", refused
            async with Visitor(server) as visitor:
                assert await visitor.plain("odd)(uid=*", PEOPLE["odd)(uid=*"]) is None
            for arguments in (("user", "add"), ("user", "passwd")):
                done = subprocess.run(
                    [server.binary, *arguments, *server._base(), f"romeo@{DOMAIN}",
                     "--password-stdin"],
                    input="whatever it is\n", text=True, capture_output=True, timeout=20,
                )
                assert done.returncode != 0
                assert "internal_passwords" in done.stdout + done.stderr, done


@ours("LDAP: an account with a password here is checked here, others by slapd")
async def directory_beside(world):
    with directory() as place:
        async with own_server(by_search(place)) as server:
            server.add_account("romeo", "kept here")
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "not-authorized"
                assert await visitor.plain("romeo", "kept here") is None
            async with Visitor(server) as visitor:
                assert await visitor.plain("juliet", PEOPLE["juliet"]) is None


@ours("LDAP: a token (XEP-0484) goes on working, and a disabled account does not")
async def directory_tokens(world):
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            message = f"\0romeo\0{PEOPLE['romeo']}".encode()
            wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            async with Visitor(server) as visitor:
                success = await visitor.sasl2("PLAIN", message, wish)
                token = success.find(FAST + "token").get("token")
            proof = token_proof("romeo", token)
            fast = "<fast xmlns='urn:xmpp:fast:0'/>"
            place.do("halt")
            async with Visitor(server) as visitor:
                success = await visitor.sasl2("HT-SHA-256-NONE", proof, fast)
                assert success.tag == SASL2 + "success", success.tag
            place.do("again")
            subprocess.run(
                [server.binary, "user", "disable", *server._base(), f"romeo@{DOMAIN}"],
                check=True, capture_output=True, timeout=20,
            )
            async with Visitor(server) as visitor:
                refused = await visitor.sasl2("HT-SHA-256-NONE", proof, fast)
                assert refused.tag == SASL2 + "failure", refused.tag
                assert await visitor.plain("romeo", "a guess") == "not-authorized"
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "account-disabled"


@ours("LDAP: when slapd is gone sign-in says try later, sessions stay, and it heals")
async def directory_gone(world):
    with directory() as place:
        async with own_server(by_search(place), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            place.do("halt")
            async with Visitor(server) as visitor:
                refused = await visitor.plain("juliet", PEOPLE["juliet"])
                assert refused == "temporary-auth-failure", refused
            romeo.say(f"romeo@{DOMAIN}", "Still here")
            await romeo.hear("Still here")
            place.do("again")
            async with Visitor(server) as visitor:
                assert await visitor.plain("juliet", PEOPLE["juliet"]) is None


@ours("LDAP: a directory that never answers keeps only those waiting who need it")
async def directory_silent(world):
    silent = await asyncio.start_server(lambda *_: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    settings = f"""
[modules.ldap]
enabled = true
url = "ldap://127.0.0.1:{port}"
start_tls = false
dn = "uid={{user}},dc=example"
connections = 1
seconds = 2
"""
    async with silent, own_server(settings) as server:
        server.add_account("juliet", "kept here")

        async def waits():
            async with Visitor(server) as romeo:
                return await romeo.plain("romeo", "anything")

        waiting = [asyncio.ensure_future(waits()) for _ in range(3)]
        await asyncio.sleep(0.3)
        begun = time.monotonic()
        async with Visitor(server) as juliet:
            assert await juliet.plain("juliet", "kept here") is None
            assert time.monotonic() - begun < 1.5, "she does not wait for the directory"
        told = await asyncio.gather(*waiting)
        assert told == ["temporary-auth-failure"] * 3, told


@ours("LDAP: a message to somebody who never signed in is kept; to nobody it comes back")
async def directory_lookup(world):
    with directory() as place:
        async with own_server(by_search(place, "lookup = true"), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            romeo.say(f"juliet@{DOMAIN}", "Wherefore art thou not here?")
            romeo.say(f"nobody@{DOMAIN}", "Is anybody there?")
            error = await romeo.wait("message error")
            assert error["from"].bare == f"nobody@{DOMAIN}", error
            juliet = peer(world, server, "juliet", PEOPLE["juliet"])
            juliet.connect(server.host, server.tcp_port)
            await juliet.wait("online")
            juliet.send_presence()
            await juliet.hear("Wherefore art thou not here?")


@ours("LDAP: a certificate that nobody vouches for is no server to send passwords to")
async def directory_untrusted(world):
    with directory() as place, directory() as other:
        settings = by_search(place).replace(str(place.folder), str(other.folder))
        async with own_server(settings, ELSEWHERE) as server:
            async with Visitor(server) as visitor:
                refused = await visitor.plain("romeo", PEOPLE["romeo"])
                assert refused == "temporary-auth-failure", refused


CLAIMS = {"iss": "https://id.example", "aud": "chat", "preferred_username": "romeo"}


@ours("OAUTHBEARER: tokens signed by RS256 and ES256 with published keys, and new keys later")
async def published_keys(world):
    with provider() as place:
        rsa, curve = place.add("one", "RS256"), place.add("two", "ES256")
        async with own_server(place.settings()) as server:
            for key in (rsa, curve):
                async with Visitor(server) as romeo:
                    assert "OAUTHBEARER" in romeo.mechanisms, romeo.mechanisms
                    assert "SCRAM-SHA-256" in romeo.mechanisms, romeo.mechanisms
                    token = key.token(**CLAIMS)
                    assert await romeo.bearer(token, f"romeo@{DOMAIN}") is None
                    assert (await romeo.bind()).startswith(f"romeo@{DOMAIN}/")
            assert place.asked == 1, "keys are kept"
            # The provider changes its keys: one that is not known yet is asked for.
            place.keys = []
            three = place.add("three", "RS256")
            await asyncio.sleep(1.1)
            async with Visitor(server) as romeo:
                assert await romeo.bearer(three.token(**CLAIMS)) is None
            async with Visitor(server) as romeo:
                refused, _ = await romeo.bearer(rsa.token(**CLAIMS))
                assert refused == "not-authorized", "its key was taken back"
            # Without the provider the keys that there are go on working, and others do not.
            place.is_broken = True
            async with Visitor(server) as romeo:
                assert await romeo.bearer(three.token(**CLAIMS)) is None


@ours("OAUTHBEARER: forged, expired and foreign tokens are refused, and the client is told why")
async def forged_tokens(world):
    with provider() as place:
        key = place.add("one", "RS256")
        other = Key(place.folder, "one-of-mallory", "RS256")
        other.name = "one"
        secret = key.public.read_bytes()
        now = int(time.time())
        forged = {
            "by a key of somebody else": other.token(**CLAIMS),
            "expired": key.token(**{**CLAIMS, "exp": now - 3600}),
            "not good yet": key.token(**CLAIMS, nbf=now + 3600),
            "for somebody else": key.token(**{**CLAIMS, "aud": "mail"}),
            "of another provider": key.token(**{**CLAIMS, "iss": "https://mallory.example"}),
            "without a name": key.token(iss=CLAIMS["iss"], aud="chat"),
            "without a signature": unsigned(CLAIMS),
            "with the public key as a secret": confused(secret, CLAIMS),
        }
        async with own_server(place.settings(), ELSEWHERE) as server:
            for what, token in forged.items():
                async with Visitor(server) as mallory:
                    assert mallory.mechanisms == {"OAUTHBEARER"}, mallory.mechanisms
                    refused, told = await mallory.bearer(token)
                    assert refused == "not-authorized", (what, refused)
                    assert told["status"] == "invalid_token", (what, told)
                    assert told["openid-configuration"].startswith("https://id.example/"), told
            async with Visitor(server) as romeo:
                refused, told = await romeo.bearer("")
                assert refused == "not-authorized" and "openid-configuration" in told
                refused, _ = await romeo.bearer(key.token(**CLAIMS), f"juliet@{DOMAIN}")
                assert refused == "invalid-authzid", refused
                assert await romeo.bearer(key.token(**CLAIMS), f"romeo@{DOMAIN}") is None


@ours("OAUTHBEARER: without the provider's keys sign-in says try later, and heals")
async def provider_gone(world):
    with provider() as place:
        key = place.add("one", "ES256")
        place.is_broken = True
        async with own_server(place.settings()) as server:
            server.add_account("juliet", "kept here")
            async with Visitor(server) as romeo:
                refused, told = await romeo.bearer(key.token(**CLAIMS))
                assert refused == "temporary-auth-failure" and told is None, (refused, told)
            # Those with a password here notice nothing.
            async with Visitor(server) as juliet:
                assert await juliet.plain("juliet", "kept here") is None
            place.is_broken = False
            await asyncio.sleep(1.1)
            async with Visitor(server) as romeo:
                assert await romeo.bearer(key.token(**CLAIMS)) is None


@ours("OAUTHBEARER: in one round trip, with a token of XEP-0484; a JWT as slixmpp's password")
async def token_as_password(world):
    with provider() as place:
        key = place.add("one", "ES256")
        async with own_server(place.settings("as_password = true"), ELSEWHERE) as server:
            token = key.token(**CLAIMS)
            message = f"n,,\1auth=Bearer {token}\1\1".encode()
            wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            async with Visitor(server) as romeo:
                success = await romeo.sasl2("OAUTHBEARER", message, wish)
                assert success.tag == SASL2 + "success", success.tag
                kept = success.find(FAST + "token").get("token")
            async with Visitor(server) as romeo:
                fast = "<fast xmlns='urn:xmpp:fast:0'/>"
                success = await romeo.sasl2("HT-SHA-256-NONE", token_proof("romeo", kept), fast)
                assert success.tag == SASL2 + "success", success.tag
            romeo = peer(world, server, "romeo", token)
            await romeo.sign_in(server.host, server.tcp_port)
            mallory = peer(world, server, "juliet", token)
            mallory.connect(server.host, server.tcp_port)
            await mallory.wait("refused")


@ours("HTTP hook: slixmpp signs in with a password that a program knows")
async def hook_passwords(world):
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            question = {
                "ask": "password", "user": "romeo", "domain": DOMAIN, "password": PEOPLE["romeo"]
            }
            asked = [("POST", "/auth?x=1", "Bearer between us", question)]
            assert place.asked == asked, place.asked
            async with Visitor(server) as visitor:
                assert visitor.mechanisms == {"PLAIN"}, visitor.mechanisms
                assert await visitor.plain("romeo", "a guess") == "not-authorized"
                assert await visitor.plain("Romeo", PEOPLE["romeo"]) is None
            # Nothing is remembered: what is wrong now was right before.
            place.answer = (200, {"ok": False})
            async with Visitor(server) as visitor:
                assert await visitor.plain("romeo", PEOPLE["romeo"]) == "not-authorized"
            place.answer = None
            romeo.say(f"juliet@{DOMAIN}", "Later, then")
            juliet = peer(world, server, "juliet", PEOPLE["juliet"])
            juliet.connect(server.host, server.tcp_port)
            await juliet.wait("online")
            juliet.send_presence()
            await juliet.hear("Later, then")


@ours("HTTP hook: a program that is out of order means try later, whatever it says")
async def hook_broken(world):
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            romeo = peer(world, server, "romeo", PEOPLE["romeo"])
            await romeo.sign_in(server.host, server.tcp_port)
            wrong = [
                (500, {"ok": True}), (403, {}), (200, {"ok": "true"}), (200, [True]), (302, {})
            ]
            for answer in wrong:
                place.answer = answer
                async with Visitor(server) as visitor:
                    refused = await visitor.plain("romeo", PEOPLE["romeo"])
                    assert refused == "temporary-auth-failure", (answer, refused)
            place.web.close()
            async with Visitor(server) as visitor:
                refused = await visitor.plain("romeo", PEOPLE["romeo"])
                assert refused == "temporary-auth-failure", refused
            romeo.say(f"romeo@{DOMAIN}", "Still here")
            await romeo.hear("Still here")


@ours("HTTP hook: the token (XEP-0484) of somebody who is there no more is refused")
async def hook_forgets(world):
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            message = f"\0romeo\0{PEOPLE['romeo']}".encode()
            wish = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
            async with Visitor(server) as romeo:
                success = await romeo.sasl2("PLAIN", message, wish)
                proof = token_proof("romeo", success.find(FAST + "token").get("token"))
            fast = "<fast xmlns='urn:xmpp:fast:0'/>"
            # A program that is out of order takes nothing from anybody.
            for answer, expected in (
                (None, "success"), ((500, {}), "success"), ((200, {"ok": False}), "failure"),
            ):
                place.answer = answer
                async with Visitor(server) as romeo:
                    told = await romeo.sasl2("HT-SHA-256-NONE", proof, fast)
                    assert told.tag == SASL2 + expected, (answer, told.tag)


@ours("Accounts known elsewhere: no password is set here and no account removed in-band")
async def in_band(world):
    with hook() as place:
        async with own_server(place.settings(), ELSEWHERE) as server:
            async with Visitor(server) as romeo:
                assert await romeo.plain("romeo", PEOPLE["romeo"]) is None
                await romeo.bind()
                wishes = (
                    "<username>romeo</username><password>something else</password>",
                    "<remove/>",
                )
                for wish in wishes:
                    query = f"<query xmlns='jabber:iq:register'>{wish}</query>"
                    answer = await ask(romeo, "set", query, to=DOMAIN)
                    assert condition(answer) == "not-allowed", wish
            done = subprocess.run(
                [server.binary, "user", "remove", "--yes", *server._base(), f"romeo@{DOMAIN}"],
                capture_output=True, timeout=20,
            )
            assert done.returncode == 0, done
            # What was kept of the account is gone; the account itself is not here to be removed.
            async with Visitor(server) as romeo:
                assert await romeo.plain("romeo", PEOPLE["romeo"]) is None


@ours("Accounts known elsewhere: waxwing check tells who does not answer")
async def checked(world):
    with directory() as slapd, provider() as identities, hook() as program:
        identities.add("one", "ES256")
        settings = by_search(slapd) + identities.settings() + program.settings()
        async with own_server(settings, ELSEWHERE) as server:
            well = {f"{name} of {DOMAIN}": "ok" for name in ("ldap", "jwt", "authhook")}
            assert verdicts(server) == well, verdicts(server)
            slapd.do("halt")
            identities.is_broken = True
            program.answer = (500, {})
            assert verdicts(server) == dict.fromkeys(well, "careful"), verdicts(server)


def verdicts(server):
    done = subprocess.run(
        [server.binary, "check", "--json", *server._base()],
        capture_output=True, text=True, timeout=40,
    )
    found = json.loads(done.stdout)
    ends = tuple(f"{name} of {DOMAIN}" for name in ("ldap", "jwt", "authhook"))
    return {one["about"]: one["verdict"] for one in found if one["about"] in ends}
