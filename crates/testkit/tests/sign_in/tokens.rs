//! Tokens (XEP-0484), from the first to the last.

use std::time::Duration;

use base64::Engine;
use waxwing_jid::BareJid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::directory::ClientId;
use waxwing_kernel::outgoing::StatusCode;
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::domains::clients::{Clients, Sighting, Token};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::world::PASSWORD;
use waxwing_testkit::{Plan, Way, World};

use crate::{
    MODULES, Profile, SASL, WAYS, additional, ask, begin, connect, end_point, scram, world,
};

pub(crate) const FAST: &str = "urn:xmpp:fast:0";
const NONE: &str = "HT-SHA-256-NONE";
const DESK: &str = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const PHONE: &str = "0b2c8c3e-1f0a-4b0e-9d39-7d9f6f1d2c11";
const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn agent(id: &str) -> String {
    format!("<user-agent id='{id}'/>")
}

/// Signs in with the password and asks for a token.
pub(crate) async fn first_token(world: &World, way: Way, client: &str, mechanism: &str) -> String {
    let mut stream = connect(world, way).await;
    let request =
        format!("{}<request-token xmlns='{FAST}' mechanism='{mechanism}'/>", agent(client));
    let message = format!("\0romeo\0{PASSWORD}");
    let answer =
        ask(&mut stream, &begin(Profile::Sasl2, "PLAIN", message.as_bytes(), &request)).await;
    token(&answer).unwrap_or_else(|| panic!("no token: {answer}"))
}

fn token(success: &Node) -> Option<String> {
    success.child("token", FAST)?.attribute("token").map(str::to_owned)
}

/// Signs in with a token.
struct Attempt<'a> {
    way: Way,
    client: &'a str,
    mechanism: &'a str,
    binding: &'a [u8],
    /// Attributes of `<fast/>`.
    fast: &'a str,
    /// Elements beside it.
    more: &'a str,
}

impl Default for Attempt<'_> {
    fn default() -> Self {
        let way = Way::Memory(Framing::Tcp);
        Self { way, client: DESK, mechanism: NONE, binding: b"", fast: "", more: "" }
    }
}

impl Attempt<'_> {
    async fn with(&self, world: &World, token: &str) -> Result<Node, String> {
        let mut stream = connect(world, self.way).await;
        let (message, expected) = scram::token("romeo", token, self.binding);
        let fast =
            format!("{}<fast xmlns='{FAST}' {}/>{}", agent(self.client), self.fast, self.more);
        let answer =
            ask(&mut stream, &begin(Profile::Sasl2, self.mechanism, &message, &fast)).await;
        if !answer.is("success", crate::SASL2) {
            let condition = answer.children.iter().find(|child| child.namespace == SASL);
            return Err(condition.map_or(answer.to_string(), |condition| condition.name.clone()));
        }
        assert_eq!(additional(Profile::Sasl2, &answer), expected, "the server's proof");
        Ok(answer)
    }
}

async fn in_memory() -> World {
    let world = World::start(Plan::in_memory(MODULES)).await.expect("a world");
    world.add_account("romeo@localhost").await.expect("an account");
    world
}

fn refused(outcome: Result<Node, String>) {
    assert_eq!(outcome.map(drop), Err("not-authorized".to_owned()));
}

#[tokio::test]
async fn a_token_signs_in_on_every_transport_with_what_binds_it() {
    let world = world().await;
    let end_point = end_point();
    for way in WAYS {
        let held = first_token(&world, way, DESK, NONE).await;
        let plain = Attempt { way, ..Attempt::default() };
        plain.with(&world, &held).await.unwrap();
        let mechanism = "HT-SHA-256-ENDP";
        let bound = first_token(&world, way, PHONE, mechanism).await;
        let attempt = Attempt { client: PHONE, mechanism, binding: &end_point, ..plain };
        let has_channel = matches!(way, Way::StartTls | Way::DirectTls | Way::SecureWebSocket);
        match (has_channel, attempt.with(&world, &bound).await) {
            (false, outcome) => assert_eq!(outcome.unwrap_err(), "invalid-mechanism"),
            (true, outcome) => drop(outcome.unwrap()),
        }
        // §3.4: "an attempt to use a mechanism without channel binding MUST fail even if the token
        // would otherwise be accepted by that mechanism."
        refused(Attempt { client: PHONE, way, ..Attempt::default() }.with(&world, &bound).await);
        let other = Attempt { binding: &[7; 32], ..attempt };
        if has_channel {
            refused(other.with(&world, &bound).await);
        }
    }
    world.stop().await.expect("an end");
}

#[tokio::test]
async fn a_token_is_for_one_client_of_one_account() {
    let world = in_memory().await;
    let memory = Way::Memory(Framing::WebSocket);
    let held = first_token(&world, memory, DESK, NONE).await;
    refused(Attempt { client: PHONE, ..Attempt::default() }.with(&world, &held).await);
    refused(Attempt::default().with(&world, &held.to_uppercase()).await);
    refused(Attempt::default().with(&world, "").await);
    Attempt { way: memory, ..Attempt::default() }.with(&world, &held).await.unwrap();
    // Another client gets one of its own, and neither disturbs the other.
    let other = first_token(&world, memory, PHONE, NONE).await;
    assert_ne!(held, other);
    Attempt { client: PHONE, ..Attempt::default() }.with(&world, &other).await.unwrap();
    Attempt::default().with(&world, &held).await.unwrap();
}

#[tokio::test]
async fn a_token_is_replaced_and_ends_when_the_newer_one_is_used() {
    let world = in_memory().await;
    let desk = Attempt::default();
    let one = first_token(&world, desk.way, DESK, NONE).await;
    assert_eq!(token(&desk.with(&world, &one).await.unwrap()), None, "it is new");
    world.hub().clock().advance(DAY);
    let lost = token(&desk.with(&world, &one).await.unwrap()).expect("a newer one");
    // §3.5: the server "MUST NOT invalidate the existing token until the new token is actually used
    // by the client"; "any tokens previously generated that have not been used" end.
    let two = token(&desk.with(&world, &one).await.unwrap()).expect("a newer one");
    refused(desk.with(&world, &lost).await);
    assert_eq!(token(&desk.with(&world, &two).await.unwrap()), None);
    // "the server MUST invalidate all tokens issued to the same client with an earlier expiry".
    refused(desk.with(&world, &one).await);
    desk.with(&world, &two).await.unwrap();
    // Every use within its time makes it last; who stays away longer needs the password.
    for _ in 0..3 {
        world.hub().clock().advance(20 * DAY);
        first_token(&world, desk.way, PHONE, NONE).await;
    }
    refused(desk.with(&world, &two).await);
}

#[tokio::test]
async fn a_client_ends_its_token_and_counts_its_attempts() {
    let world = in_memory().await;
    let desk = Attempt::default();
    let held = first_token(&world, desk.way, DESK, NONE).await;
    let counted = |fast| Attempt { fast, ..Attempt::default() };
    counted("count='2'").with(&world, &held).await.unwrap();
    // §3.4: "where the count is less than or equal to a count that has already been processed for
    // this token": what was recorded is not to be played again.
    for again in ["count='2'", "count='1'", "count='0'", "count='-3'", "count='many'"] {
        refused(counted(again).with(&world, &held).await);
    }
    counted("count='3'").with(&world, &held).await.unwrap();
    // §3.6: no new one, "unless the client also included a FAST <request-token/> element".
    world.hub().clock().advance(2 * DAY);
    let last = counted("invalidate='true'").with(&world, &held).await.unwrap();
    assert_eq!(token(&last), None);
    refused(desk.with(&world, &held).await);
    let held = first_token(&world, desk.way, DESK, NONE).await;
    let more = format!("<request-token xmlns='{FAST}' mechanism='{NONE}'/>");
    let swap = Attempt { fast: "invalidate='1'", more: &more, ..Attempt::default() };
    let next = token(&swap.with(&world, &held).await.unwrap()).expect("the one asked for");
    refused(desk.with(&world, &held).await);
    desk.with(&world, &next).await.unwrap();
}

#[tokio::test]
async fn a_new_password_ends_every_token_and_a_locked_account_takes_none() {
    let world = in_memory().await;
    let desk = Attempt::default();
    let held = first_token(&world, desk.way, DESK, NONE).await;
    let accounts = Accounts::new(world.hub().db().clone());
    accounts.disable("romeo@localhost", "banished").await.unwrap();
    refused(desk.with(&world, &held).await);
    accounts.enable("romeo@localhost").await.unwrap();
    desk.with(&world, &held).await.unwrap();
    let keys = accounts.credentials("romeo@localhost").await.unwrap();
    accounts.set_credentials("romeo@localhost", &keys).await.unwrap();
    refused(desk.with(&world, &held).await);
}

/// A password that was proven with the keys from before it was changed gives no token: the proof
/// may have waited for a minute.
#[tokio::test]
async fn an_exchange_that_began_with_the_old_password_gives_no_token() {
    let world = in_memory().await;
    let mut stream = connect(&world, Way::Memory(Framing::Tcp)).await;
    let hash = scram::hashes()[1];
    let more = format!("{}<request-token xmlns='{FAST}' mechanism='{NONE}'/>", agent(DESK));
    let first = begin(Profile::Sasl2, hash.name, &scram::first("romeo", "n,,"), &more);
    let challenge = ask(&mut stream, &first).await;
    let clock = Clock::simulated(0, 7);
    let fresh = waxwing_kernel::auth::credentials(&clock, "a new one").await.unwrap();
    let accounts = Accounts::new(world.hub().db().clone());
    accounts.set_credentials("romeo@localhost", &fresh).await.unwrap();
    let text = crate::BASE64.decode(&challenge.text).expect("base64");
    let text = String::from_utf8(text).expect("text");
    let (last, _) = scram::last(hash, "romeo", ("n,,", b""), &text);
    let last = crate::BASE64.encode(last);
    let answer =
        ask(&mut stream, &format!("<response xmlns='urn:xmpp:sasl:2'>{last}</response>")).await;
    assert!(answer.child("not-authorized", SASL).is_some(), "{answer}");
}

/// A token that no password stands behind, as of somebody who came with a certificate.
#[tokio::test]
async fn a_revoked_client_cannot_use_its_token() {
    let world = in_memory().await;
    let (site, now) = (world.hub().site("localhost").unwrap(), world.hub().clock().wall_millis());
    let romeo = BareJid::new("romeo@localhost").unwrap();
    let client = ClientId::of(&site, &romeo, DESK).to_string();
    let made = Token {
        is_new: true,
        seed: "seed".to_owned(),
        mechanism: NONE.to_owned(),
        issued: now.cast_signed(),
        expiry: now.cast_signed() + 1_000_000,
    };
    let sighting = Sighting { software: None, device: None, at: 0, has_password: false };
    let mut writes = Clients::issue(romeo.as_str(), &client, &made, 10).to_vec();
    writes.extend(Clients::see(romeo.as_str(), &client, sighting, (0, 10)));
    world.hub().db().batch(writes).await.unwrap();
    let seal = site.host().seal("token", &[romeo.as_str(), &client, NONE, "seed"]);
    let held = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(seal);
    let bind = "<bind xmlns='urn:xmpp:bind:0'/>";
    let attempt = Attempt { more: bind, ..Attempt::default() };
    let bound = attempt.with(&world, &held).await.unwrap();
    let address = &bound.child("authorization-identifier", crate::SASL2).unwrap().text;
    assert_eq!(*address, format!("romeo@localhost/{client}"));
    let mut other = connect(&world, Way::Memory(Framing::Tcp)).await;
    other.sign_in().await.unwrap();
    other.bind().await.unwrap();
    let listed = ask(&mut other, "<iq type='get' id='1'><list xmlns='urn:xmpp:cam:0'/></iq>")
        .await
        .to_string();
    assert!(listed.contains(&client) && listed.contains("<fast/>"), "{listed}");
    let revoke =
        format!("<iq type='set' id='2'><revoke xmlns='urn:xmpp:cam:0' id='{client}'/></iq>");
    let answer = ask(&mut other, &revoke).await;
    assert_eq!(answer.attribute("type"), Some("result"), "{answer}");
    refused(attempt.with(&world, &held).await);
    let listed = ask(&mut other, "<iq type='get' id='3'><list xmlns='urn:xmpp:cam:0'/></iq>")
        .await
        .to_string();
    assert!(!listed.contains(&client), "{listed}");
}

/// A server that asks a program about passwords and accounts, and Romeo's token there.
async fn asked_elsewhere(limits: waxwing_kernel::Limits) -> (World, String) {
    let mut plan = Plan::in_memory(MODULES);
    let hook = ["enabled = true", "url = 'https://auth.example/'", "lookup = true"];
    plan.settings = hook.map(|line| format!("modules.authhook.{line}")).join("\n");
    plan.limits = limits;
    let world = World::start(plan).await.expect("a world");
    world.outside().answer(StatusCode::OK, r#"{"ok":true}"#);
    let held = first_token(&world, Attempt::default().way, DESK, NONE).await;
    (world, held)
}

#[tokio::test]
async fn who_is_removed_elsewhere_cannot_fill_the_queue_that_is_asked() {
    let (world, held) = Box::pin(asked_elsewhere(waxwing_kernel::Limits::default())).await;
    let desk = Attempt::default();
    desk.with(&world, &held).await.unwrap();
    // A helper writes to names that nobody has heard of, more than can be asked about at a time.
    world.outside().hang();
    let mut helpers = Vec::new();
    for number in 0..80 {
        let name = Name::parse(&format!("helper{number}")).unwrap();
        world.add_account(&format!("helper{number}@localhost")).await.unwrap();
        let link = world.connect(desk.way, "localhost").await.unwrap();
        let mut helper = Client::connect(name, link).await.unwrap();
        helper.sign_in().await.unwrap();
        helper.bind().await.unwrap();
        let body = "<body>Anybody?</body>";
        let to = format!("nobody{number}@localhost");
        helper.send(&format!("<message to='{to}'>{body}</message>")).await.unwrap();
        helpers.push(helper);
    }
    world.settle().await.unwrap();
    let error = helpers.last_mut().unwrap().next().await.unwrap().unwrap();
    assert_eq!(error.attribute("type"), Some("error"), "there is no room: {error}");
    world.outside().answer(StatusCode::OK, r#"{"ok":false}"#);
    refused(desk.with(&world, &held).await);
    // While the program is out of order, people go on working.
    world.outside().answer(StatusCode::SERVICE_UNAVAILABLE, "");
    desk.with(&world, &held).await.unwrap();
}

#[tokio::test]
async fn when_too_many_wait_to_be_looked_up_a_token_has_to_wait_as_well() {
    let room = waxwing_kernel::Limits { password_waiting: 2, ..Default::default() };
    let (world, held) = Box::pin(asked_elsewhere(room)).await;
    let desk = Attempt::default();
    world.outside().hang();
    let mut waiting = Vec::new();
    let (message, _) = scram::token("romeo", &held, b"");
    let fast = format!("{}<fast xmlns='{FAST}'/>", agent(DESK));
    for _ in 0..10 {
        let mut stream = connect(&world, desk.way).await;
        stream.send(&begin(Profile::Sasl2, NONE, &message, &fast)).await.unwrap();
        world.settle().await.unwrap();
        waiting.push(stream);
    }
    world.outside().answer(StatusCode::OK, r#"{"ok":false}"#);
    let crowded = desk.with(&world, &held).await.map(drop);
    assert_eq!(crowded, Err("temporary-auth-failure".to_owned()));
}

#[tokio::test]
async fn the_clients_with_a_token_are_bounded() {
    let mut plan = Plan::in_memory(MODULES);
    plan.settings = "modules.fast.clients = 2".to_owned();
    let world = World::start(plan).await.expect("a world");
    world.add_account("romeo@localhost").await.expect("an account");
    let way = Way::Memory(Framing::Tcp);
    let mut held = Vec::new();
    for client in ["one", "two", "three"] {
        held.push(first_token(&world, way, client, NONE).await);
        world.hub().clock().advance(Duration::from_secs(1));
    }
    let attempt = |client| Attempt { client, ..Attempt::default() };
    refused(attempt("one").with(&world, &held[0]).await);
    attempt("two").with(&world, &held[1]).await.unwrap();
    attempt("three").with(&world, &held[2]).await.unwrap();
}
