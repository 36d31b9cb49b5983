//! Every way to sign in, and every way that must not work: mechanism × transport × profile × what
//! the client binds the channel by. One function, [`Cell::outcome`], says what each cell has to
//! give, and what is offered has to follow from it, so that nobody forgets a cell.

use std::collections::BTreeSet;
use std::future::poll_fn;

use base64::Engine;
use waxwing_testkit::client::Client;
use waxwing_testkit::link::{Link, Sent};
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Way, World};

use crate::tokens::{FAST, agent, first_token};
use crate::{
    BASE64, PASSWORD, Profile, SASL, SASL2, WAYS, additional, ask, begin, end_point, namespace,
    scram, world,
};

const PROFILES: [Profile; 2] = [Profile::Sasl1, Profile::Sasl2];
const ROMEO: &str = "romeo@localhost";

/// What a client proves itself with.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Plain,
    /// PLAIN with another password.
    WrongPlain,
    /// SCRAM with this hash; with `true` its -PLUS form.
    Scram(&'static str, bool),
    /// A token.
    Token(&'static str),
    /// What is not offered here, or not known anywhere.
    Other(&'static str),
}

/// What it binds the channel by.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    Nothing,
    /// The client could, and says that it was offered nothing to bind (RFC 5802 §6).
    Hidden,
    Exporter,
    EndPoint,
    /// The right type and the data of another connection.
    WrongExporter,
    /// The right type and another certificate.
    WrongEndPoint,
    /// A type that is not offered.
    Unique,
}

impl Bound {
    const ALL: [Self; 7] = [
        Self::Nothing,
        Self::Hidden,
        Self::Exporter,
        Self::EndPoint,
        Self::WrongExporter,
        Self::WrongEndPoint,
        Self::Unique,
    ];

    /// The first word of a SCRAM message (RFC 5802 §7, `gs2-header`).
    fn flag(self) -> &'static str {
        match self {
            Self::Nothing => "n,,",
            Self::Hidden => "y,,",
            Self::Exporter | Self::WrongExporter => "p=tls-exporter,,",
            Self::EndPoint | Self::WrongEndPoint => "p=tls-server-end-point,,",
            Self::Unique => "p=tls-unique,,",
        }
    }

    fn data(self, client: &Client) -> Vec<u8> {
        match self {
            Self::Nothing | Self::Hidden => Vec::new(),
            // Where there is no TLS there is nothing to export; then the type alone must fail.
            Self::Exporter => client.exporter().unwrap_or([7; 32]).to_vec(),
            Self::EndPoint => end_point(),
            Self::WrongExporter | Self::WrongEndPoint | Self::Unique => vec![7; 32],
        }
    }
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
struct Cell {
    way: Way,
    profile: Profile,
    method: Method,
    bound: Bound,
}

const TOKENS: [(&str, Bound); 3] = [
    ("HT-SHA-256-EXPR", Bound::Exporter),
    ("HT-SHA-256-ENDP", Bound::EndPoint),
    ("HT-SHA-256-NONE", Bound::Nothing),
];
const OTHERS: [&str; 5] =
    ["EXTERNAL", "ANONYMOUS", "OAUTHBEARER", "HT-SHA-256-UNIQ", "SCRAM-SHA-224"];

fn methods() -> Vec<Method> {
    let mut all = vec![Method::Plain, Method::WrongPlain];
    for hash in scram::hashes() {
        all.extend([false, true].map(|plus| Method::Scram(hash.name, plus)));
    }
    all.extend(TOKENS.map(|(name, _)| Method::Token(name)));
    all.extend(OTHERS.map(Method::Other));
    all
}

fn cells(way: Way) -> Vec<Cell> {
    let mut all = Vec::new();
    for profile in PROFILES {
        for method in methods() {
            for bound in Bound::ALL {
                let cell = Cell { way, profile, method, bound };
                if cell.makes_sense() {
                    all.push(cell);
                }
            }
        }
    }
    all
}

impl Cell {
    /// Only some mechanisms have words for a binding.
    fn makes_sense(self) -> bool {
        match self.method {
            Method::Plain | Method::WrongPlain | Method::Other(_) => self.bound == Bound::Nothing,
            Method::Scram(..) => true,
            // A hash says nothing of what it was bound by: it fits or it does not.
            Method::Token(_) => !matches!(self.bound, Bound::Hidden | Bound::Unique),
        }
    }

    /// What the cell has to give: this is the table.
    fn outcome(self) -> Result<(), &'static str> {
        let has_channel = matches!(self.way, Way::StartTls | Way::DirectTls | Way::SecureWebSocket);
        match (self.method, self.bound) {
            (Method::Plain, _) => Ok(()),
            (Method::WrongPlain, _) => Err("not-authorized"),
            // Not offered: RFC 6120 §6.5.7.
            (Method::Other(_), _) => Err("invalid-mechanism"),
            // XEP-0484 builds on the extensible profile.
            (Method::Token(_), _) if self.profile == Profile::Sasl1 => Err("invalid-mechanism"),
            (Method::Token(name), bound) => {
                let wanted = TOKENS.iter().find(|(known, _)| *known == name).map(|it| it.1);
                match wanted == Some(bound) {
                    _ if !has_channel && wanted != Some(Bound::Nothing) => Err("invalid-mechanism"),
                    true => Ok(()),
                    false => Err("not-authorized"),
                }
            }
            // Behind a proxy, and over connections that come and go, there is no channel to bind.
            (Method::Scram(_, true), _) if !has_channel => Err("invalid-mechanism"),
            (Method::Scram(_, true), Bound::Exporter | Bound::EndPoint) => Ok(()),
            (Method::Scram(_, true), Bound::Nothing | Bound::Hidden) => Err("malformed-request"),
            (Method::Scram(_, true), _) => Err("not-authorized"),
            (Method::Scram(_, false), Bound::Nothing) => Ok(()),
            // RFC 5802 §6: "the server MUST fail authentication" if it does support it.
            (Method::Scram(_, false), Bound::Hidden) if has_channel => Err("not-authorized"),
            (Method::Scram(_, false), Bound::Hidden) => Ok(()),
            (Method::Scram(_, false), _) => Err("malformed-request"),
        }
    }

    fn mechanism(self) -> String {
        match self.method {
            Method::Plain | Method::WrongPlain => "PLAIN".to_owned(),
            Method::Scram(name, plus) => format!("{name}{}", if plus { "-PLUS" } else { "" }),
            Method::Token(name) | Method::Other(name) => name.to_owned(),
        }
    }

    /// Attempts it. The condition of the refusal.
    async fn attempt(self, client: &mut Client, tokens: &[String]) -> Result<(), String> {
        let data = self.bound.data(client);
        let (first, more, expected) = match self.method {
            Method::Plain => (format!("\0romeo\0{PASSWORD}").into_bytes(), String::new(), vec![]),
            Method::WrongPlain => (b"\0romeo\0a cursed night".to_vec(), String::new(), vec![]),
            Method::Scram(..) => (scram::first("romeo", self.bound.flag()), String::new(), vec![]),
            Method::Token(name) => {
                let which = TOKENS.iter().position(|(known, _)| *known == name).expect("known");
                let (first, expected) = scram::token("romeo", &tokens[which], &data);
                (first, format!("{}<fast xmlns='{FAST}'/>", agent(name)), expected)
            }
            Method::Other(_) => (b"romeo".to_vec(), String::new(), vec![]),
        };
        let mut answer = ask(client, &begin(self.profile, &self.mechanism(), &first, &more)).await;
        let mut expected = expected;
        if answer.is("challenge", namespace(self.profile)) {
            let challenge = BASE64.decode(&answer.text).expect("base64");
            let challenge = String::from_utf8(challenge).expect("text");
            let Method::Scram(name, _) = self.method else { panic!("{self:?}: {answer}") };
            let hash = scram::hashes().into_iter().find(|hash| hash.name == name).expect("known");
            let flag = (self.bound.flag(), &data[..]);
            let (last, proof) = scram::last(hash, "romeo", flag, &challenge);
            let (ns, last) = (namespace(self.profile), BASE64.encode(last));
            answer = ask(client, &format!("<response xmlns='{ns}'>{last}</response>")).await;
            expected = proof;
        }
        if answer.is("success", namespace(self.profile)) {
            assert_eq!(additional(self.profile, &answer), expected, "{self:?}: a false server");
            return Ok(());
        }
        assert!(answer.is("failure", namespace(self.profile)), "{self:?}: {answer}");
        Err(condition(&answer))
    }
}

fn condition(failure: &Node) -> String {
    let is_it = |child: &&Node| child.namespace == SASL && child.name != "text";
    failure.children.iter().find(is_it).map(|child| child.name.clone()).unwrap_or_default()
}

async fn open(world: &World, way: Way, who: Option<&str>) -> Client {
    let name = Name::parse("romeo").expect("a name");
    let link = world.connect(way, "localhost").await.expect("a connection");
    Client::connect_as(name, link, who).await.expect("a stream")
}

/// A token for each mechanism, each for a client of its own.
async fn tokens(world: &World) -> Vec<String> {
    let mut all = Vec::new();
    for (name, _) in TOKENS {
        all.push(first_token(world, Way::DirectTls, name, name).await);
    }
    all
}

/// Failures of one network that have no consequence.
const FREE_FAILURES: usize = 5;

async fn fill(way: Way) {
    let mut world = world().await;
    let mut held = tokens(&world).await;
    let (mut filled, mut legal, mut failures) = (0, 0, 0);
    for cell in cells(way) {
        if failures == FREE_FAILURES {
            world.stop().await.expect("an end");
            world = crate::world().await;
            (held, failures) = (tokens(&world).await, 0);
        }
        // Who can succeed does so with and without saying in the header who they are.
        let headers: &[_] = match cell.outcome() {
            Ok(()) => &[None, Some(ROMEO)],
            Err(_) => &[None],
        };
        for who in headers {
            let mut client = open(&world, way, *who).await;
            let outcome = cell.attempt(&mut client, &held).await;
            assert_eq!(outcome, cell.outcome().map_err(str::to_owned), "{cell:?} {who:?}");
            (filled, legal) = (filled + 1, legal + usize::from(outcome.is_ok()));
            failures += usize::from(outcome.is_err());
        }
    }
    eprintln!("{way:?}: {filled} attempts, {legal} sign in");
    world.stop().await.expect("an end");
}

#[tokio::test]
async fn over_starttls() {
    Box::pin(fill(Way::StartTls)).await;
}

#[tokio::test]
async fn over_direct_tls() {
    Box::pin(fill(Way::DirectTls)).await;
}

#[tokio::test]
async fn over_tcp_behind_a_proxy_that_ends_tls() {
    Box::pin(fill(Way::Proxied)).await;
}

#[tokio::test]
async fn over_a_websocket_behind_a_proxy_that_ends_tls() {
    Box::pin(fill(Way::WebSocket)).await;
}

#[tokio::test]
async fn over_a_secure_websocket() {
    Box::pin(fill(Way::SecureWebSocket)).await;
}

#[tokio::test]
async fn over_bosh_behind_a_proxy_that_ends_tls() {
    Box::pin(fill(Way::Bosh)).await;
}

#[tokio::test]
async fn over_secure_bosh() {
    Box::pin(fill(Way::SecureBosh)).await;
}

/// The names below `parent`.
fn names(parent: Option<&Node>, name: &str) -> BTreeSet<String> {
    let children = parent.map(|parent| parent.children.as_slice()).unwrap_or_default();
    children.iter().filter(|child| child.name == name).map(|child| child.text.clone()).collect()
}

/// What is offered is what works, in each of the lists.
#[tokio::test]
async fn what_is_offered_is_what_the_table_allows() {
    let world = world().await;
    for way in WAYS {
        let client = open(&world, way, None).await;
        let features = client.features();
        let extensible = features.child("authentication", SASL2);
        let inline = extensible.and_then(|it| it.child("inline", SASL2));
        let offered = [
            names(features.child("mechanisms", SASL), "mechanism"),
            &names(extensible, "mechanism")
                | &names(inline.and_then(|it| it.child("fast", FAST)), "mechanism"),
        ];
        for (profile, offered) in PROFILES.into_iter().zip(offered) {
            let works = |cell: &Cell| cell.profile == profile && cell.outcome().is_ok();
            let wanted = cells(way).into_iter().filter(works).map(Cell::mechanism).collect();
            assert_eq!(offered, wanted, "{way:?} {profile:?}");
        }
        // XEP-0440 §3: the types, where there are any.
        let bindings = features.child("sasl-channel-binding", "urn:xmpp:sasl-cb:0");
        let kinds: BTreeSet<_> = bindings
            .map(|it| it.children.iter().filter_map(|child| child.attribute("type")).collect())
            .unwrap_or_default();
        let wanted = match client.exporter() {
            Some(_) => BTreeSet::from(["tls-exporter", "tls-server-end-point"]),
            None => BTreeSet::new(),
        };
        assert_eq!(kinds, wanted, "{way:?}");
    }
    world.stop().await.expect("an end");
}

/// RFC 6120 §6.3.4: before TLS nothing is offered, and nothing that a client says is taken.
#[tokio::test]
async fn before_tls_nothing_is_taken() {
    let world = world().await;
    for cell in cells(Way::StartTls).into_iter().filter(|cell| cell.bound == Bound::Nothing) {
        let mut link = world.connect(cell.way, "localhost").await.expect("a connection");
        let header = "<stream:stream xmlns='jabber:client' version='1.0' to='localhost' \
                      xmlns:stream='http://etherx.jabber.org/streams'>";
        link.send(header).await.expect("sent");
        let features = until(&mut link, "</stream:features>").await;
        assert!(features.contains("<required/>") && !features.contains("mechanism"), "{features}");
        let said = begin(cell.profile, &cell.mechanism(), b"\0romeo\0secret", "");
        link.send(&said).await.expect("sent");
        let answer = until(&mut link, "</failure>").await;
        // What is refused under TLS as well may be told so already.
        let refusals = ["<encryption-required", "<invalid-mechanism"];
        let wanted = &refusals[..if cell.outcome().is_ok() { 1 } else { 2 }];
        assert!(wanted.iter().any(|it| answer.contains(it)), "{cell:?}: {answer}");
    }
    world.stop().await.expect("an end");
}

/// What comes, up to `end`.
async fn until(link: &mut Link, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        match poll_fn(|cx| link.poll_receive(cx)).await {
            Some(Sent::Data(data)) => text.push_str(&String::from_utf8_lossy(&data)),
            _ => panic!("ended after {text}"),
        }
    }
    text
}

/// XEP-0388 §2.3: who says one name in the header and proves another is not let in.
#[tokio::test]
async fn somebody_else_in_the_header_is_refused() {
    let world = world().await;
    // The client of BOSH here says no name: it would stand in its first request.
    for way in WAYS.into_iter().filter(|way| !matches!(way, Way::Bosh | Way::SecureBosh)) {
        let mut client = open(&world, way, Some("juliet@localhost")).await;
        let first = format!("\0romeo\0{PASSWORD}");
        let answer = ask(&mut client, &begin(Profile::Sasl2, "PLAIN", first.as_bytes(), "")).await;
        assert!(answer.is("failure", SASL2), "{way:?}: {answer}");
        assert_eq!(condition(&answer), "invalid-authzid", "{way:?}");
    }
    world.stop().await.expect("an end");
}

/// XEP-0484 §6: a wrong token is counted as a wrong password is, and whoever guesses waits.
#[tokio::test]
async fn wrong_tokens_are_counted() {
    let world = world().await;
    // Behind the proxy the client has an address; who comes from this machine is not counted.
    let way = Way::WebSocket;
    let held = first_token(&world, way, "phone", "HT-SHA-256-NONE").await;
    let attempt = async |token: &str| {
        let mut client = open(&world, way, None).await;
        let (first, _) = scram::token("romeo", token, b"");
        let more = format!("{}<fast xmlns='{FAST}'/>", agent("phone"));
        let begun = world.hub().clock().wall_millis();
        let said = begin(Profile::Sasl2, "HT-SHA-256-NONE", &first, &more);
        let answer = ask(&mut client, &said).await;
        (answer, world.hub().clock().wall_millis() - begun)
    };
    for _ in 0..5 {
        let (answer, _) = attempt("a guess").await;
        assert_eq!(condition(&answer), "not-authorized", "{answer}");
    }
    let (answer, waited) = attempt("one more").await;
    assert_eq!(condition(&answer), "not-authorized", "{answer}");
    assert!(waited >= 200, "{waited} ms");
    // The right one is not kept waiting: what is counted is failures.
    let (answer, _) = attempt(&held).await;
    assert!(answer.is("success", SASL2), "{answer}");
    world.stop().await.expect("an end");
}
