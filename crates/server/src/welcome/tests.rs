//! The handlers, called as the network layer calls them, on a database in memory.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use waxwing_jid::BareJid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::config::Source;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::{Limits, Sites};
use waxwing_net::http::{HeaderMap, HeaderValue, Method};
use waxwing_store::domains::accounts::Accounts;
use waxwing_store::{Db, Location};

use super::*;
use crate::wiring;

const ONE: &str = "[[host]]\ndomain = \"localhost\"\n";
const TWO: &str = "[[host]]\ndomain = \"localhost\"\n[[host]]\ndomain = \"a.example\"\n";

/// A server with this configuration, and the routes of its pages.
struct Visit {
    welcome: Arc<Welcome>,
    routes: Vec<HttpRoute>,
    accounts: Accounts,
}

impl Visit {
    async fn new(text: &str) -> Self {
        let source = Source { name: "test", text };
        let config = Config::read(source, &crate::sections()).expect("a configuration");
        let db = Db::open(&Location::Memory, Default::default()).await.expect("a database");
        db.migrate(&wiring::tables()).await.expect("tables");
        let clock = Clock::simulated(1_795_249_680_007, 7);
        let hub = Hub::new(db.clone(), clock, Limits::default(), Arc::new(Metrics::new("0", "t")));
        hub.serve(Sites::new(wiring::sites(&hub, &config, [0; 32]).expect("sites")));
        let local = |kind, port| (kind, SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let listening =
            vec![local(Kind::Xmpp, 5222), local(Kind::Http, 5280), local(Kind::Https, 5443)];
        let welcome = Arc::new(Welcome::new(hub, listening));
        let routes = routes(&welcome, &config);
        Self { welcome, routes, accounts: Accounts::new(db) }
    }

    async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, "").await
    }

    async fn ask(&self, name: &str, domain: &str, password: &str) -> (u16, Value) {
        let wish = json!({ "name": name, "domain": domain, "password": password });
        let path = format!("{}/account", self.welcome.path());
        let reply = self.call(Method::POST, &path, &wish.to_string()).await;
        let body = serde_json::from_slice(&reply.body).expect("an answer in JSON");
        (reply.status.as_u16(), body)
    }

    async fn call(&self, method: Method, path: &str, body: &str) -> Reply {
        let serves = |route: &&HttpRoute| {
            let is_under = route.path.strip_suffix('*').is_some_and(|f| path.starts_with(f));
            route.method == method && (route.path == path || is_under)
        };
        let route = self.routes.iter().find(serves).expect("a route");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request = Request {
            method,
            path: path.to_owned(),
            query: None,
            headers,
            body: body.to_owned().into(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            is_secure: false,
        };
        (route.handler)(request).await
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.to_vec()).expect("UTF-8")
}

#[tokio::test]
async fn a_link_makes_one_account_and_is_spent() {
    let visit = Visit::new(ONE).await;
    let page = visit.get(&visit.welcome.path()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(text(&page).contains("value=\"localhost\""), "{}", text(&page));
    assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");

    let (status, answer) = visit.ask("Juliet", "localhost", "a good password").await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["address"], "juliet@localhost");
    assert_eq!(answer["uri"], "xmpp:juliet@localhost");
    assert!(answer["qr"].as_str().is_some_and(|qr| qr.contains("<svg")), "{answer}");
    assert_eq!(answer["settings"][0], json!({ "label": "Server", "value": "localhost" }));
    assert_eq!(answer["settings"][1]["value"], "5222");
    assert_eq!(answer["settings"][2]["value"], "ws://localhost:5280/xmpp-websocket");

    let account = visit.accounts.find("juliet@localhost").await.expect("a database");
    assert_eq!(account.map(|account| account.created), Some(1_795_249_680_007));
    let keys = visit.accounts.credentials("juliet@localhost").await.expect("a database");
    assert_eq!(keys.len(), 3, "one for every SCRAM mechanism");

    assert_eq!(visit.ask("romeo", "localhost", "another").await.0, 410);
    assert_eq!(visit.get(&visit.welcome.path()).await.status, StatusCode::GONE);
    assert_eq!(visit.accounts.count("localhost").await.expect("a count"), 1);
}

#[tokio::test]
async fn of_two_at_once_one_wins() {
    let visit = Visit::new(ONE).await;
    let (one, two) =
        tokio::join!(visit.ask("romeo", "localhost", "p"), visit.ask("juliet", "localhost", "p"));
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 410], "{one:?} {two:?}");
    assert_eq!(visit.accounts.count("localhost").await.expect("a count"), 1);
}

#[tokio::test]
async fn a_browser_that_goes_away_does_not_leave_the_link_open() {
    let visit = Visit::new(ONE).await;
    {
        let asked = visit.ask("juliet", "localhost", "p");
        // Asked once, so the request is on its way; then dropped.
        let mut asked = std::pin::pin!(asked);
        let waker = &mut std::task::Context::from_waker(std::task::Waker::noop());
        assert!(asked.as_mut().poll(waker).is_pending());
    }
    assert_eq!(visit.ask("romeo", "localhost", "p").await.0, 410);
    assert!(visit.accounts.find("juliet@localhost").await.expect("a database").is_some());
}

#[tokio::test]
async fn what_is_wrong_is_said_at_the_field_and_leaves_the_link_open() {
    let visit = Visit::new(ONE).await;
    visit.accounts.create("taken@localhost", 0, &[]).await.expect("an account");
    for (name, password, field, expected) in [
        ("", "p", "name", "Choose a name."),
        ("two words", "p", "name", "A name has no spaces."),
        ("a/b", "p", "name", "A name cannot contain /"),
        ("a@localhost", "p", "name", "Only the part before the @ is needed."),
        ("a\u{0}b", "p", "name", "A name has no invisible characters."),
        ("Taken", "p", "name", "taken@localhost is taken. Choose another name."),
        ("a", "", "password", "Choose a password."),
        ("a", "\u{7}", "password", "This password has a character that no password may have."),
    ] {
        let (status, answer) = visit.ask(name, "localhost", password).await;
        assert_eq!((status, &answer["errors"][field]), (422, &json!(expected)), "{name:?}");
    }
    let (_, both) = visit.ask("", "elsewhere.example", "").await;
    assert_eq!(both["errors"].as_object().map(|errors| errors.len()), Some(3), "{both}");
    assert_eq!(visit.ask("juliet", "localhost", "p").await.0, 201);
}

#[tokio::test]
async fn a_link_cannot_be_tried_for_ever() {
    let visit = Visit::new(ONE).await;
    for _ in 0..ATTEMPTS {
        assert_eq!(visit.ask("", "localhost", "p").await.0, 422);
    }
    assert_eq!(visit.ask("juliet", "localhost", "p").await.0, 429);
    assert_eq!(visit.get(&visit.welcome.path()).await.status, StatusCode::GONE);
    assert_eq!(visit.accounts.count("localhost").await.expect("a count"), 0);
}

#[tokio::test]
async fn other_links_and_other_bodies_are_refused() {
    let visit = Visit::new(ONE).await;
    let wrong = visit.get("/welcome/0123").await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    assert!(text(&wrong).contains("waxwing user add name@localhost"), "{}", text(&wrong));
    let path = visit.welcome.path();
    let one_letter_less = format!("{}/account", &path[..path.len() - 1]);
    for (to, status) in [
        ("/welcome/0123/account", StatusCode::NOT_FOUND),
        (&one_letter_less, StatusCode::NOT_FOUND),
        (&path, StatusCode::NOT_FOUND),
        (&format!("{path}/account"), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(visit.call(Method::POST, to, "{\"name\":1}").await.status, status, "{to}");
    }
}

#[tokio::test]
async fn several_domains_are_offered_the_first_one_first() {
    let visit = Visit::new(TWO).await;
    let page = text(&visit.get(&visit.welcome.path()).await);
    let (first, second) = (page.find("@localhost</option>"), page.find("@a.example</option>"));
    assert!(first.is_some() && first < second, "{page}");
    let (status, answer) = visit.ask("juliet", "a.example", "p").await;
    assert_eq!((status, &answer["address"]), (201, &json!("juliet@a.example")));
    assert_eq!(answer["settings"][0]["value"], "127.0.0.1", "nothing else can be reached");
}

#[tokio::test]
async fn the_websocket_is_one_that_a_client_may_use() {
    for (section, expected) in [
        ("[tls]\nrequired = false\n", "ws://localhost:5280/xmpp-websocket"),
        ("[http]\npublic_url = \"https://chat.example\"\n", "wss://chat.example/xmpp-websocket"),
    ] {
        let visit = Visit::new(&format!("{section}{ONE}")).await;
        let (_, answer) = visit.ask("juliet", "localhost", "p").await;
        assert_eq!(answer["settings"][2]["value"], expected, "{section}");
    }
}

#[tokio::test]
async fn the_pages_allow_nothing_inline_and_have_nothing_inline() {
    let visit = Visit::new(TWO).await;
    let home = visit.get("/").await;
    assert!(text(&home).contains("<code>@a.example</code>"), "{}", text(&home));
    for path in ["/", "/welcome/x", &visit.welcome.path(), "/favicon.svg"] {
        let reply = visit.get(path).await;
        let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().expect("ASCII");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        let page = text(&reply);
        for inline in [" style=", "<style", "onclick", "{{"] {
            assert!(!page.contains(inline), "{path}: {inline}");
        }
        assert!(!page.replace("<script type=\"module\" src", "").contains("<script"), "{path}");
        assert_eq!(path == visit.welcome.path(), page.contains("id=\"form\""), "{path}");
    }
}

#[test]
fn addresses_are_written_as_rfc_5122_asks() {
    for (address, expected) in [
        ("juliet@example.org", "xmpp:juliet@example.org"),
        (
            "nasty!#$%()*+,-.;=?[\\]^_`{|}~node@example.com",
            "xmpp:nasty!%23$%25()*+,-.;=%3F[%5C]%5E_%60%7B%7C%7D~node@example.com",
        ),
        ("jiří@čechy.example", "xmpp:ji%C5%99%C3%AD@%C4%8Dechy.example"),
    ] {
        assert_eq!(page::uri(&BareJid::new(address).expect(address)), expected);
    }
}
