//! What happens, as it happens.

use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;
use waxwing_kernel::http::{Bytes, Content, HeaderName, Method, header};

use super::Program;

const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// An open stream.
struct Stream(Receiver<Bytes>);

/// One event: its id, its name and what it says.
type Seen = (Option<u64>, String, Value);

impl Stream {
    /// Opens one and takes the `open`.
    async fn open(program: &Program, query: &str, last: Option<u64>) -> (Self, u64) {
        let last = last.map(|last| last.to_string());
        let headers: Vec<_> = last.iter().map(|last| (LAST, last.as_str())).collect();
        let reply = program.send(Method::GET, &format!("events{query}"), &headers, b"").await;
        assert_eq!(reply.status.as_u16(), 200);
        assert_eq!(reply.headers[header::CONTENT_TYPE], "text/event-stream");
        let Content::Stream(pieces) = reply.content else { panic!("it is a stream") };
        let mut stream = Self(pieces);
        let (id, name, data) = stream.next().await.unwrap();
        assert_eq!((name.as_str(), &data["host"]), ("open", &json!("localhost")));
        (stream, id.unwrap())
    }

    /// The next event; None at the end. Comments are passed over.
    async fn next(&mut self) -> Option<Seen> {
        loop {
            let piece = tokio::time::timeout(Duration::from_secs(5), self.0.recv());
            let piece = piece.await.expect("something comes")?;
            let text = String::from_utf8(piece.to_vec()).unwrap();
            assert!(text.ends_with("\n\n"), "{text}");
            if !text.starts_with(':') {
                let field = |name: &str| {
                    let start = format!("{name}: ");
                    text.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
                };
                let data = serde_json::from_str(&field("data").unwrap()).unwrap();
                let id = field("id").map(|id| id.parse().unwrap());
                return Some((id, field("event").unwrap(), data));
            }
        }
    }

    async fn name(&mut self) -> String {
        self.next().await.map(|(_, name, _)| name).unwrap_or_default()
    }
}

async fn order(program: &Program, words: &str, jid: &str) {
    let field = if words == "user add" { "accountjid" } else { "accountjids" };
    let mut values = vec![(field, jid)];
    values.extend((words == "user add").then_some(("password", "very secret")));
    program.world.order(words, &values).await.unwrap();
}

#[tokio::test]
async fn what_happens_is_told_to_those_who_want_it() {
    let program = Program::new("", &["events"]).await;
    let (mut all, start) = Stream::open(&program, "", None).await;
    let query = "?types=account.disabled,account.removed";
    let (mut some, _) = Stream::open(&program, query, None).await;
    order(&program, "user add", "nurse@localhost").await;
    order(&program, "user disable", "nurse@localhost").await;
    order(&program, "user enable", "nurse@localhost").await;
    order(&program, "user remove", "nurse@localhost").await;
    let mut names = Vec::new();
    let mut last = start;
    for _ in 0..8 {
        let (id, name, data) = all.next().await.unwrap();
        assert!(id.unwrap() > last, "ids rise");
        last = id.unwrap();
        assert_eq!((&data["type"], &data["host"]), (&json!(name), &json!("localhost")));
        assert!(data["at"].as_str().unwrap().ends_with('Z'));
        names.push(name);
    }
    names.retain(|name| name != "audit.entry");
    let expected = ["account.created", "account.disabled", "account.enabled", "account.removed"];
    assert_eq!(names, expected);
    let (_, name, data) = some.next().await.unwrap();
    assert_eq!((name.as_str(), &data["jid"]), ("account.disabled", &json!("nurse@localhost")));
    assert_eq!(some.name().await, "account.removed");
}

#[tokio::test]
async fn each_domain_hears_of_itself() {
    let program = Program::new("", &["events"]).await;
    let (mut stream, _) = Stream::open(&program, "?types=account.disabled", None).await;
    let about = &waxwing_kernel::events::ACCOUNT_DISABLED;
    program.world.hub.tell("verona.example", about, || json!({ "jid": "a@verona.example" }));
    program.world.hub.tell(
        "localhost",
        about,
        || json!({ "jid": "a@localhost", "reason": "x".repeat(9000) }),
    );
    let (_, _, data) = stream.next().await.unwrap();
    assert_eq!(data["jid"], "a@localhost");
    assert_eq!(data["reason"].as_str().unwrap().chars().count(), 501);
}

#[tokio::test]
async fn nothing_is_made_while_nobody_listens() {
    let folder = TempDir::new().unwrap();
    let program = Program::frozen(&folder, &["events"]).await;
    let hub = program.world.hub.clone();
    let about = &waxwing_kernel::events::ACCOUNT_CREATED;
    hub.tell("localhost", about, || panic!("nobody listens"));
    let (stream, _) = Stream::open(&program, "", None).await;
    assert!(hub.is_watched());
    drop(stream);
    // Who left may come back.
    while program.world.hub.is_watched() {
        tokio::task::yield_now().await;
        hub.clock().advance(Duration::from_secs(60));
        hub.tell("localhost", about, || json!({ "jid": "a@localhost" }));
    }
    hub.tell("localhost", about, || panic!("nobody listens any more"));
}

#[tokio::test]
async fn who_comes_back_misses_nothing_or_is_told() {
    let program = Program::new("", &["events"]).await;
    let query = "?types=account.created";
    let (mut stream, _) = Stream::open(&program, query, None).await;
    order(&program, "user add", "a@localhost").await;
    let (id, ..) = stream.next().await.unwrap();
    drop(stream);
    order(&program, "user add", "b@localhost").await;
    let (mut stream, at) = Stream::open(&program, query, id).await;
    assert_eq!(Some(at), id);
    let (_, _, data) = stream.next().await.unwrap();
    assert_eq!(data["jid"], "b@localhost");
    // From before anybody listened, and from what never was.
    for unknown in [1, u64::MAX] {
        let (mut stream, _) = Stream::open(&program, query, Some(unknown)).await;
        assert_eq!(stream.name().await, "gap");
        if unknown == 1 {
            assert_eq!(stream.next().await.unwrap().2["jid"], "a@localhost");
        }
    }
    let wrong = program.send(Method::GET, "events", &[(LAST, "yesterday")], b"").await;
    assert_eq!(super::read(wrong).0, 400);
    let (status, problem) = program.get("events?types=account.crated").await;
    assert_eq!((status, &problem["field"]), (400, &json!("types")));
}

#[tokio::test]
async fn one_that_is_too_slow_is_told_and_dropped() {
    let program = Program::new("", &["events"]).await;
    let (mut slow, _) = Stream::open(&program, "", None).await;
    let (mut quick, _) = Stream::open(&program, "", None).await;
    let about = &waxwing_kernel::events::ACCOUNT_CREATED;
    for number in 0..3000 {
        let jid = format!("{number}@localhost");
        program.world.hub.tell("localhost", about, || json!({ "jid": jid }));
        assert_eq!(quick.next().await.unwrap().2["jid"], jid);
    }
    let mut seen = 0;
    let end = loop {
        let (_, name, data) = slow.next().await.unwrap();
        if name == "end" {
            break data;
        }
        assert_eq!(data["jid"], format!("{seen}@localhost"), "what it got was in order");
        seen += 1;
    };
    assert_eq!(end["reason"], "too-slow");
    assert!(seen < 1000, "it held {seen} events");
    assert!(slow.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_the_server() {
    let folder = TempDir::new().unwrap();
    let program = Program::frozen(&folder, &["events"]).await;
    let clock = program.world.hub.clock().clone();
    let (mut first, _) = Stream::open(&program, "", None).await;
    clock.advance(Duration::from_secs(15));
    assert_eq!(&first.0.recv().await.unwrap()[..], b": \n\n");
    let rows = program.world.order("token list", &[]).await.unwrap().table.unwrap().rows;
    let secret = super::token(&program.world, "other", &["events"]).await;
    program.world.order("token revoke", &[("number", &rows[0][0])]).await.unwrap();
    clock.advance(Duration::from_secs(15));
    let mut names = Vec::new();
    while let Some((_, name, data)) = first.next().await {
        names.push((name, data["reason"].clone()));
    }
    assert_eq!(names.last().unwrap(), &("end".to_owned(), json!("revoked")));

    let (mut second, _) = Stream::open(&program.with(&secret), "", None).await;
    let drain = program.world.hub.drain(Duration::ZERO, None);
    let (_, ended) = tokio::join!(drain, second.next());
    let (_, name, data) = ended.unwrap();
    assert_eq!((name.as_str(), &data["reason"]), ("end", &json!("shutdown")));
    assert!(second.next().await.is_none());
}

#[tokio::test]
async fn a_stream_ends_with_its_domain() {
    let folder = TempDir::new().unwrap();
    let program = Program::frozen(&folder, &["events"]).await;
    let (mut stream, _) = Stream::open(&program, "", None).await;
    program.world.hub.serve(waxwing_kernel::Sites::default());
    program.world.hub.clock().advance(Duration::from_secs(15));
    let (_, name, data) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &data["reason"]), ("end", &json!("revoked")));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn streams_are_bounded_and_make_room() {
    let settings = "[modules.api]\nstreams = 3\nstreams_per_token = 2";
    let program = Program::new(settings, &["events"]).await;
    let other = program.with(&super::token(&program.world, "b", &["*"]).await);
    let (first, _) = Stream::open(&program, "", None).await;
    let second = Stream::open(&program, "", None).await;
    assert_eq!(program.get("events").await.0, 429);
    let third = Stream::open(&other, "", None).await;
    assert_eq!(other.get("events").await.0, 503);
    drop(first);
    for _ in 0..100 {
        let reply = other.send(Method::GET, "events", &[], b"").await;
        if reply.status.as_u16() == 200 {
            return drop((second, third));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the place was not given up");
}

#[tokio::test]
async fn messages_are_counted_and_reports_and_refusals_told() {
    let folder = TempDir::new().unwrap();
    let program = Program::frozen(&folder, &["events"]).await;
    let world = &program.world;
    let romeo = world.bind("romeo@localhost/orchard").await;
    world.bind("juliet@localhost/balcony").await;
    let query = "?types=messages.counted,report.filed,signin.failed";
    let (mut stream, _) = Stream::open(&program, query, None).await;
    for number in 0..3 {
        let body = "<body>O blessed, blessed night</body>";
        romeo
            .say(&format!(
                "<message xmlns='jabber:client' type='chat' id='{number}' \
                 to='juliet@localhost'>{body}</message>"
            ))
            .await;
    }
    world.hub.clock().advance(Duration::from_secs(60));
    let (_, name, data) = stream.next().await.unwrap();
    assert_eq!(name, "messages.counted");
    assert_eq!((&data["sent"], &data["received"]), (&json!(3), &json!(3)));
    assert!(!data.to_string().contains("blessed"));

    let report = "<block xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'><report \
                  xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>";
    romeo.say(&format!("<iq xmlns='jabber:client' type='set' id='r'>{report}</iq>")).await;
    let (_, name, data) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &data["reason"]), ("report.filed", &json!("spam")));
    assert_eq!(data["reporter"], "romeo@localhost");

    assert_eq!(program.with("wrong").at("192.0.2.1").status().await, 401);
    let (_, name, data) = stream.next().await.unwrap();
    assert_eq!((name.as_str(), &data["peer"]), ("signin.failed", &json!("192.0.2.1")));
}
