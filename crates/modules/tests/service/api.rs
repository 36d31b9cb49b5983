//! Commands by HTTP, asked of the module as the network layer asks it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use waxwing_jid::BareJid;
use waxwing_kernel::command::Caller;
use waxwing_kernel::http::{
    Bytes, Content, HeaderMap, HeaderName, HttpReply, HttpRequest, Intake, Method, header,
};
use waxwing_kernel::request::Answer;

use crate::world::World;

mod description;
mod events;

const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");

/// A body in one piece.
struct Body(Option<Bytes>);

impl Intake for Body {
    fn length(&self) -> Option<u64> {
        None
    }

    fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>> {
        let piece = self.0.take().map(Ok);
        Box::pin(async move { piece })
    }
}

/// Somebody who asks.
#[derive(Clone)]
struct Program {
    world: std::sync::Arc<World>,
    host: &'static str,
    token: Option<String>,
    client: IpAddr,
    is_secure: bool,
}

impl Program {
    async fn new(settings: &str, scopes: &[&str]) -> Self {
        Self::on(World::with(settings).await, scopes).await
    }

    /// On a machine whose clock stands still.
    async fn frozen(folder: &TempDir, scopes: &[&str]) -> Self {
        Self::on(World::keeping("", Some(folder.path())).await, scopes).await
    }

    async fn on(world: World, scopes: &[&str]) -> Self {
        let token = Some(token(&world, "ci", scopes).await);
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let world = std::sync::Arc::new(world);
        Self { world, host: "localhost", token, client, is_secure: true }
    }

    fn with(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    fn at(&self, client: &str) -> Self {
        Self { client: client.parse().unwrap(), ..self.clone() }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(HeaderName, &str)],
        body: &[u8],
    ) -> HttpReply {
        let site = self.world.hub.site(self.host).unwrap();
        let (_, route) = site.router.https().find(|(module, _)| *module == "api").unwrap();
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (path, None),
        };
        let fields = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let mut headers: HeaderMap = fields.collect();
        if let Some(token) = &self.token {
            headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let request = HttpRequest {
            method,
            path: format!("v1/{path}"),
            query,
            headers,
            client: self.client,
            is_secure: self.is_secure,
            body: Box::new(Body(Some(Bytes::copy_from_slice(body)))),
        };
        route(request).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.send(Method::GET, path, &[], b"").await)
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(self.send(Method::POST, path, &[JSON], body.to_string().as_bytes()).await)
    }

    async fn status(&self) -> u16 {
        self.get("user/count").await.0
    }
}

async fn token(world: &World, name: &str, scopes: &[&str]) -> String {
    let mut values = vec![("name", name)];
    values.extend(scopes.iter().map(|scope| ("scopes", *scope)));
    let said = world.order("token create", &values).await.unwrap();
    said.facts[0].values[0].clone()
}

fn read(reply: HttpReply) -> (u16, Value) {
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
    let status = reply.status.as_u16();
    let kind = reply.headers.get(header::CONTENT_TYPE).cloned();
    let Content::Bytes(bytes) = reply.content else { panic!("no few bytes") };
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    if status >= 400 {
        assert_eq!(kind.unwrap(), "application/problem+json");
        assert_eq!(body["status"], status, "{body}");
        assert!(body["detail"].as_str().is_some_and(|it| !it.is_empty()), "{body}");
    } else {
        assert_eq!(kind.unwrap(), "application/json");
    }
    (status, body)
}

#[tokio::test]
async fn commands_are_given_answered_and_noted() {
    let program = Program::new("", &["*"]).await;
    let nurse = json!({ "accountjid": "nurse@localhost", "password": "very secret" });
    let (status, said) = program.post("user/add", nurse).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said, json!({ "note": "The account nurse@localhost was added." }));
    let (status, said) = program.get("user/list?prefix=nu&max_items=25").await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(said["facts"]["registereduserjids"], json!(["nurse@localhost"]));
    let (_, said) = program.get("session/list").await;
    assert_eq!(said["rows"], json!([]));
    let (_, said) = program.get("user/count").await;
    assert_eq!(said["facts"]["registeredusersnum"], "4");
    let log = program.world.order("audit list", &[]).await.unwrap().table.unwrap().rows;
    let noted: Vec<&[String]> = log.iter().map(|row| &row[2..]).collect();
    assert_eq!(noted[0], ["token ci", "user add", "accountjid: nurse@localhost", "done"]);
    assert_eq!(noted[1][..2], ["operator", "token create"]);
    assert_eq!(noted.len(), 2);
}

#[tokio::test]
async fn the_log_tells_a_token_for_all_domains_from_another_of_the_same_name() {
    let program = Program::new("", &["*"]).await;
    let values = [("name", "ci"), ("scopes", "*"), ("everywhere", "true")];
    let said = program.world.order("token create", &values).await.unwrap();
    let wide = program.with(&said.facts[0].values[0]);
    for (program, name) in [(&program, "nurse"), (&wide, "friar")] {
        let jid = format!("{name}@localhost");
        let body = json!({ "accountjid": jid, "password": "very secret" });
        assert_eq!(program.post("user/add", body).await.0, 200);
    }
    let log = program.world.order("audit list", &[]).await.unwrap().table.unwrap().rows;
    let added: Vec<_> = log.iter().filter(|row| row[3] == "user add").collect();
    let by: Vec<_> = added.iter().map(|row| (row[2].as_str(), row[4].as_str())).collect();
    let (friar, nurse) = ("accountjid: friar@localhost", "accountjid: nurse@localhost");
    assert_eq!(by, [("server-wide token ci", friar), ("token ci", nurse)]);
}

#[tokio::test]
async fn what_is_wrong_has_its_status_and_names_its_field() {
    let program = Program::new("[modules.api]\nbody_size = '1 KiB'", &["user:write"]).await;
    for (path, body, expected) in [
        ("user/add", json!({ "password": "x" }), (400, "not-acceptable", "accountjid")),
        ("user/add", json!({ "jid": "a@localhost" }), (400, "not-acceptable", "jid")),
        (
            "user/add",
            json!({ "accountjid": "a b@localhost" }),
            (400, "not-acceptable", "accountjid"),
        ),
        ("user/add", json!({ "accountjid": {} }), (400, "not-acceptable", "accountjid")),
        ("user/add", json!([1]), (400, "bad-request", "")),
        (
            "user/add",
            json!({ "accountjid": "a@verona.example", "password": "x" }),
            (400, "not-acceptable", "accountjid"),
        ),
        (
            "user/add",
            json!({ "accountjid": "romeo@localhost", "password": "x" }),
            (409, "conflict", "accountjid"),
        ),
        (
            "user/remove",
            json!({ "accountjids": ["nobody@localhost"] }),
            (404, "item-not-found", "accountjids"),
        ),
        ("user/add", json!({ "password": "x".repeat(2000) }), (413, "not-acceptable", "")),
        ("user/ad", json!({}), (404, "item-not-found", "")),
        ("user", json!({}), (404, "item-not-found", "")),
        ("", json!({}), (404, "item-not-found", "")),
        ("user/count", json!({}), (405, "not-allowed", "")),
        ("openapi.json", json!({}), (405, "not-allowed", "")),
        ("session/kick", json!({ "accountjids": [] }), (403, "forbidden", "")),
        ("token/create", json!({}), (403, "forbidden", "")),
    ] {
        let (status, problem) = program.post(path, body).await;
        let condition = problem["condition"].as_str().unwrap();
        let field = problem["field"].as_str().unwrap_or_default();
        assert_eq!((status, condition, field), expected, "{path}: {problem}");
    }
    let (_, problem) = program.post("user/ad", json!({})).await;
    assert!(problem["detail"].as_str().unwrap().contains("did you mean `user add`"), "{problem}");
    let reply = program.send(Method::GET, "user/add", &[], b"").await;
    assert_eq!(
        (reply.status.as_u16(), &reply.headers[header::ALLOW]),
        (405, &"POST".parse().unwrap())
    );
    let xml = [(header::CONTENT_TYPE, "text/xml")];
    assert_eq!(read(program.send(Method::POST, "user/add", &xml, b"{}").await).0, 415);
    for broken in ["{", "nothing", "{\"a\":\u{1}}"] {
        let reply = program.send(Method::POST, "user/add", &[JSON], broken.as_bytes()).await;
        assert_eq!(read(reply).0, 400, "{broken}");
    }
    assert_eq!(program.get("user/list?prefx=a").await.1["field"], "prefx");
}

#[tokio::test]
async fn a_token_reaches_as_far_as_its_scopes() {
    let program = Program::new("", &["user:read", "session:write"]).await;
    assert_eq!(program.status().await, 200);
    assert_eq!(program.get("session/count").await.0, 200);
    let kick = json!({ "accountjids": ["romeo@localhost"] });
    assert_eq!(program.post("session/kick", kick.clone()).await.0, 404);
    for path in ["user/disable", "user/roster"] {
        let reply = program.send(Method::POST, path, &[JSON], kick.to_string().as_bytes()).await;
        let challenge = reply.headers[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        assert_eq!(read(reply).0, 403, "{path}");
        let expected = "error=\"insufficient_scope\", scope=\"user:write\"";
        assert!(challenge.ends_with(expected), "{challenge}");
    }
    assert_eq!(program.get("events").await.0, 403);
    let all = program.with(&token(&program.world, "all", &["*"]).await);
    assert_eq!(all.post("user/disable", kick).await.0, 200);
    // One that got into the wrong hands makes no others.
    let more = json!({ "name": "more", "scopes": ["read"] });
    let (status, problem) = all.post("token/create", more).await;
    assert_eq!((status, &problem["detail"]), (403, &json!("a token cannot make tokens")));
}

#[tokio::test]
async fn nothing_is_answered_without_a_good_token() {
    let folder = TempDir::new().unwrap();
    let program = Program::frozen(&folder, &["*"]).await;
    let nobody = Program { token: None, ..program.clone() };
    let reply = nobody.send(Method::GET, "openapi.json", &[], b"").await;
    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"waxwing\"");
    assert_eq!(read(reply).0, 401);
    assert_eq!(nobody.get("nothing").await.0, 401);
    let reply = program.with("waxwing_0").send(Method::GET, "user/count", &[], b"").await;
    let challenge = "Bearer realm=\"waxwing\", error=\"invalid_token\"";
    assert_eq!(reply.headers[header::WWW_AUTHENTICATE], challenge);
    assert_eq!(read(reply).0, 401);
    // In the open it is not even looked at.
    let open = Program { is_secure: false, ..program.clone() };
    assert_eq!(open.at("192.0.2.1").status().await, 403);
    assert_eq!((open.status().await, program.at("192.0.2.1").status().await), (200, 200));

    program.world.hub.clock().advance(Duration::from_secs(90 * 24 * 3600 + 1));
    assert_eq!(program.status().await, 401, "its time is over");
    let program = program.with(&token(&program.world, "ci", &["read", "token:write"]).await);
    assert_eq!(program.status().await, 200);
    let (_, said) = program.get("token/list").await;
    let row = &said["rows"][0];
    assert_eq!((&row["name"], &row["owner"]), (&json!("ci"), &json!("operator")));
    assert!(row["used"].as_str().unwrap().starts_with("1970-"), "{row}");
    let number = json!({ "number": row["number"] });
    assert_eq!(program.post("token/revoke", number.clone()).await.0, 200);
    assert_eq!(program.status().await, 401, "it was revoked");
    assert_eq!(program.world.order("token list", &[]).await.unwrap().note, "There is none.");
}

#[tokio::test]
async fn a_token_is_worth_what_its_owner_is() {
    let world = World::new().await;
    let admin = Caller::Account("admin@localhost/pc".parse().unwrap());
    let values = [("name", "mine"), ("scopes", "read")];
    let said = world.order_as(admin.clone(), "token create", &values).await.unwrap();
    let secret = said.facts[0].values[0].clone();
    let everywhere = [("name", "all"), ("scopes", "*"), ("everywhere", "true")];
    let refusal = world.order_as(admin.clone(), "token create", &everywhere).await.unwrap_err();
    assert_eq!(refusal.field, Some("everywhere"));
    let program = Program::on(world, &["*"]).await.with(&secret);
    assert_eq!(program.status().await, 200);
    let accounts = program.world.accounts();
    accounts.disable("admin@localhost", "gone").await.unwrap();
    assert_eq!(program.status().await, 401);
    accounts.enable("admin@localhost").await.unwrap();
    assert_eq!(program.status().await, 200);
    let jid = BareJid::new("admin@localhost").unwrap();
    program.world.hub.erase(&program.world.site, &jid).await.unwrap();
    let left = program.world.order("token list", &[]).await.unwrap().table.unwrap().rows;
    assert_eq!(left.len(), 1, "that of the operator is left: {left:?}");
    assert_eq!(program.status().await, 401);
}

#[tokio::test]
async fn a_token_is_good_for_its_domain_or_for_all() {
    let program = Program::new("", &["*"]).await;
    let elsewhere = Program { host: "verona.example", ..program.clone() };
    assert_eq!((program.status().await, elsewhere.status().await), (200, 401));
    let values = [("name", "all"), ("scopes", "read"), ("everywhere", "true")];
    let said = program.world.order("token create", &values).await.unwrap();
    let secret = &said.facts[0].values[0];
    assert_eq!(program.with(secret).status().await, 200);
    assert_eq!(elsewhere.with(secret).status().await, 200);
    // Only the operator takes it back.
    let list = program.world.order("token list", &[]).await.unwrap().table.unwrap();
    let number = list.rows.iter().find(|row| row[4] == "*").unwrap()[0].clone();
    let admin = Caller::Account("admin@localhost/pc".parse().unwrap());
    let revoke = [("number", number.as_str())];
    let refused = program.world.order_as(admin, "token revoke", &revoke).await;
    assert_eq!(refused.unwrap_err().kind.condition(), "not-allowed");
    assert_eq!(elsewhere.with(secret).status().await, 200);
    program.world.order("token revoke", &revoke).await.unwrap();
    assert_eq!(elsewhere.with(secret).status().await, 401);
}

#[tokio::test]
async fn only_sensible_tokens_are_made() {
    let world = World::with("[modules.api]\ntokens = 2").await;
    token(&world, "ci", &["read", "user:write"]).await;
    for (values, field) in [
        (&[("name", "a"), ("scopes", "usr:write")][..], "scopes"),
        (&[("name", "a"), ("scopes", "user")], "scopes"),
        (&[("name", "a")], "scopes"),
        (&[("name", "\u{7}"), ("scopes", "*")], "name"),
        (&[("name", "a"), ("scopes", "*"), ("days", "0")], "days"),
        (&[("name", "a"), ("scopes", "*"), ("days", "3651")], "days"),
        (&[("name", "a"), ("scopes", "*"), ("host", "verona.example")], "host"),
        (&[("name", "ci"), ("scopes", "*")], "name"),
    ] {
        let refusal = world.order("token create", values).await.unwrap_err();
        assert_eq!(refusal.field, Some(field), "{values:?}: {refusal}");
    }
    token(&world, "b", &["*"]).await;
    let refusal = world.order("token create", &[("name", "c"), ("scopes", "*")]).await.unwrap_err();
    assert_eq!(refusal.kind.condition(), "not-allowed");
    let refusal = world.order("token revoke", &[("number", "1")]).await.unwrap_err();
    assert_eq!(refusal.kind.condition(), "item-not-found");
}

#[tokio::test]
async fn guesses_are_answered_later_each_time() {
    let folder = TempDir::new().unwrap();
    let good = Program::frozen(&folder, &["*"]).await.at("192.0.2.7");
    let wrong = good.with("waxwing_wrong");
    let clock = good.world.hub.clock().clone();
    for _ in 0..5 {
        assert_eq!(wrong.status().await, 401);
    }
    for millis in [250, 500, 1000] {
        let mut answer = pin!(wrong.status());
        let soon = tokio::time::timeout(Duration::from_millis(50), &mut answer).await;
        assert!(soon.is_err(), "it was answered at once");
        clock.advance(Duration::from_millis(millis));
        assert_eq!(answer.await, 401);
    }
    let mut waiting: Vec<_> = (0..8).map(|_| Box::pin(wrong.status())).collect();
    for answer in &mut waiting {
        assert!(tokio::time::timeout(Duration::from_millis(5), answer).await.is_err());
    }
    // Nothing from there is looked at now; elsewhere nobody notices.
    let reply = good.send(Method::GET, "user/count", &[], b"").await;
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(read(reply).0, 429);
    assert_eq!(wrong.status().await, 429);
    assert_eq!(good.at("192.0.2.8").status().await, 200);
    clock.advance(Duration::from_secs(8));
    for answer in waiting {
        assert_eq!(answer.await, 401);
    }
    assert_eq!(good.status().await, 200);
}

#[tokio::test]
async fn no_more_run_at_a_time_than_may() {
    let program = Program::new("[modules.api]\ncommands = 1", &["*"]).await;
    program.world.bind("romeo@localhost/orchard").await;
    let trace = json!({ "accountjid": "romeo@localhost", "seconds": 1 });
    let traced = program.post("session/trace", trace);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        program.send(Method::GET, "user/count", &[], b"").await
    };
    let ((status, said), reply) = tokio::join!(traced, meanwhile);
    assert_eq!(status, 200, "{said}");
    assert!(reply.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(read(reply).0, 503);
    assert_eq!(program.status().await, 200);
}

#[tokio::test]
async fn a_command_is_done_also_when_nobody_waits_for_it() {
    let program = Program::new("", &["*"]).await;
    {
        let nurse = json!({ "accountjid": "nurse@localhost", "password": "very secret" });
        let mut answer = pin!(program.post("user/add", nurse));
        let soon = tokio::time::timeout(Duration::from_millis(5), &mut answer).await;
        assert!(soon.is_err(), "a password takes longer to prepare");
    }
    for _ in 0..200 {
        let log = program.world.order("audit list", &[]).await.unwrap().table.unwrap().rows;
        if log[0][3] == "user add" {
            assert_eq!(log[0][5], "done");
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("it was not noted");
}

#[tokio::test]
async fn pages_may_ask_where_they_are_listed() {
    let settings = "[modules.api]\norigins = ['https://admin.example']";
    let program = Program::new(settings, &["*"]).await;
    let allowed = |reply: &HttpReply| {
        let name = header::ACCESS_CONTROL_ALLOW_ORIGIN;
        reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let listed = [(header::ORIGIN, "https://admin.example")];
    let other = [(header::ORIGIN, "https://evil.example")];
    let nobody = Program { token: None, ..program.clone() };
    let reply = nobody.send(Method::OPTIONS, "user/add", &listed, b"").await;
    assert_eq!(reply.status.as_u16(), 204);
    assert_eq!(allowed(&reply).as_deref(), Some("https://admin.example"));
    assert!(reply.headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS));
    let reply = nobody.send(Method::OPTIONS, "user/add", &other, b"").await;
    assert_eq!(allowed(&reply), None);
    assert!(!reply.headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS));
    let reply = program.send(Method::GET, "user/count", &listed, b"").await;
    assert_eq!(allowed(&reply).as_deref(), Some("https://admin.example"));
    let reply = program.send(Method::GET, "user/count", &other, b"").await;
    assert_eq!(allowed(&reply), None);
}
