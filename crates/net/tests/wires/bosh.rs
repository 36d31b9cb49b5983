//! XEP-0124 over real sockets: how requests reach their session, and where they stop.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waxwing_kernel::wire::Transport;
use waxwing_net::bosh::BOSH_PATH;
use waxwing_net::http::{Proxies, Site};
use waxwing_net::websocket::handshake::Origins;
use waxwing_net::{Kind, Limits};

use crate::support::*;

const NS: &str = "http://jabber.org/protocol/httpbind";

async fn server() -> Server {
    let limits = Limits {
        early_message_bytes_max: 500,
        message_bytes_max: 2000,
        bosh_inactivity_seconds: 1,
        ..Limits::default()
    };
    let site = Site {
        bosh_paths: vec![BOSH_PATH.to_owned()],
        origins: Origins::Only(vec!["https://good.example".to_owned()]),
        proxies: Proxies { networks: vec!["127.0.0.1".parse().unwrap()], ..Proxies::default() },
        ..Site::default()
    };
    Server::start(limits, None, site, Kind::Http).await
}

fn post(body: &str, headers: &[&str]) -> String {
    let length = format!("Content-Length: {}", body.len());
    let headers = [&[length.as_str(), "Connection: close"], headers].concat();
    request(BOSH_PATH, &headers).replacen("GET", "POST", 1) + body
}

fn next(sid: &str, rid: u32, payload: &str) -> String {
    format!("<body xmlns='{NS}' sid='{sid}' rid='{rid}'>{payload}</body>")
}

/// A request that is not answered yet.
async fn send(server: &Server, body: &str, headers: &[&str]) -> TcpStream {
    let mut stream = server.connect().await;
    stream.write_all(post(body, headers).as_bytes()).await.unwrap();
    stream
}

async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap().replace('"', "'")
}

/// A session that has begun with request 10, and its id.
async fn opened(server: &mut Server, headers: &[&str]) -> (Session, String) {
    let first = format!("<body xmlns='{NS}' rid='10' to='localhost' ver='1.11' hold='1'/>");
    let held = send(server, &first, headers).await;
    let mut session = server.session().await;
    let Heard::Message(open) = session.heard().await else { panic!("a stream begins") };
    assert!(open.starts_with("<open "), "{open}");
    session.send("<stream:features/>");
    let greeting = answer(held).await;
    assert!(greeting.contains("<stream:features/></body>"), "{greeting}");
    let sid = greeting.split(" sid='").nth(1).unwrap().split('\'').next().unwrap().to_owned();
    (session, sid)
}

#[tokio::test]
async fn a_session_outlives_its_connections() {
    let mut server = server().await;
    let (mut session, sid) = opened(&mut server, &[]).await;
    assert_eq!(session.transport, Transport::Bosh);
    let held = send(&server, &next(&sid, 11, "<iq xmlns='jabber:client'/>"), &[]).await;
    assert_eq!(session.heard().await, Heard::Message("<iq xmlns='jabber:client'/>".to_owned()));
    // The client's connection breaks; it asks again, and nothing is taken twice.
    drop(held);
    let held = send(&server, &next(&sid, 11, "<iq xmlns='jabber:client'/>"), &[]).await;
    session.send("<message/>");
    let heard = answer(held).await;
    assert!(heard.starts_with("HTTP/1.1 200") && heard.ends_with("<message/></body>"), "{heard}");
    assert!(heard.contains("content-type: text/xml; charset=utf-8\r\n"), "{heard}");
    assert!(heard.contains("access-control-allow-origin: *\r\n"), "{heard}");
    // Nobody comes any more.
    assert_eq!(session.heard().await, Heard::End);
    let heard = answer(send(&server, &next(&sid, 12, ""), &[]).await).await;
    assert!(heard.contains("condition='item-not-found'"), "{heard}");
}

#[tokio::test]
async fn only_pages_that_may_connect_are_heard() {
    let mut server = server().await;
    let first = format!("<body xmlns='{NS}' rid='10' to='localhost'/>");
    let evil = answer(send(&server, &first, &["Origin: https://evil.example"]).await).await;
    assert!(evil.starts_with("HTTP/1.1 403"), "{evil}");
    let (session, _) = opened(&mut server, &["Origin: https://good.example"]).await;
    assert_eq!(session.security.origin.as_deref(), Some("https://good.example"));
    let preflight = request(BOSH_PATH, &[]).replacen("GET", "OPTIONS", 1);
    let allowed = ask(&server, &preflight).await;
    assert!(allowed.starts_with("HTTP/1.1 204"), "{allowed}");
    assert!(allowed.contains("access-control-allow-headers: Content-Type\r\n"), "{allowed}");
}

#[tokio::test]
async fn only_who_has_signed_in_may_send_much() {
    let mut server = server().await;
    let much = format!("<a xmlns='x'>{}</a>", "x".repeat(1000));
    let (mut session, sid) = opened(&mut server, &[]).await;
    let unknown = answer(send(&server, &next("0123", 11, &much), &[]).await).await;
    assert!(unknown.contains("condition='policy-violation'"), "{unknown}");
    session.order(Order::Trust(2000));
    session.send("<a/>");
    let held = answer(send(&server, &next(&sid, 11, ""), &[]).await).await;
    assert!(held.ends_with("<a/></body>"), "{held}");
    assert_eq!(session.heard().await, Heard::Alive);
    let _held = send(&server, &next(&sid, 12, &much), &[]).await;
    assert_eq!(session.heard().await, Heard::Message(much));
}

#[tokio::test]
async fn a_session_on_tls_stays_there() {
    let mut server = server().await;
    let secure = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"];
    let (session, sid) = opened(&mut server, &secure).await;
    assert_eq!(session.transport, Transport::SecureBosh);
    assert_eq!(session.peer.ip().to_string(), "192.0.2.1");
    assert!(session.security.trusted_proxy && !session.security.binds_channel());
    let plain = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: http"];
    let heard = answer(send(&server, &next(&sid, 11, ""), &plain).await).await;
    assert!(heard.contains("condition='item-not-found'"), "{heard}");
}
