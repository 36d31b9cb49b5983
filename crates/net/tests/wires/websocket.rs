//! RFC 6455 and the handshake of RFC 7395, byte by byte over real sockets.

use std::sync::Arc;

use crate::support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use waxwing_kernel::wire::Transport;
use waxwing_net::http::{Site, WEBSOCKET_PATH};
use waxwing_net::websocket::handshake::Origins;
use waxwing_net::{Kind, Limits};
use waxwing_stream::{MarkKind, Violation};

async fn server() -> Server {
    let limits = Limits { message_bytes_max: 1000, ..Limits::default() };
    let site = Site {
        websocket_paths: vec![WEBSOCKET_PATH.to_owned(), "/ws".to_owned()],
        origins: Origins::Only(vec!["https://good.example".to_owned()]),
        deflate: Some(Arc::default()),
        ..Site::default()
    };
    Server::start(limits, None, site, Kind::Http).await
}

async fn opened() -> (Server, TcpStream, Session) {
    let mut server = server().await;
    let mut stream = server.connect().await;
    open(&mut stream).await;
    let session = server.session().await;
    (server, stream, session)
}

fn message(text: &str) -> Heard {
    Heard::Message(text.to_owned())
}

#[tokio::test]
async fn the_handshake_names_the_subprotocol_once() {
    for offer in [
        &["Sec-WebSocket-Protocol: xmpp"][..],
        &["Sec-WebSocket-Protocol: foo, xmpp"],
        &["Sec-WebSocket-Protocol: foo", "Sec-WebSocket-Protocol: xmpp"],
    ] {
        let mut server = server().await;
        let mut stream = server.connect().await;
        let headers = [&UPGRADE[..4], offer].concat();
        stream.write_all(request("/ws", &headers).as_bytes()).await.unwrap();
        let head = head(&mut stream).await;
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert_eq!(head.matches("sec-websocket-protocol: xmpp\r\n").count(), 1, "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
        let session = server.session().await;
        assert_eq!(session.transport, Transport::WebSocket);
        assert!(!session.security.is_encrypted());
    }
}

#[tokio::test]
async fn the_stream_hears_from_which_page_it_comes() {
    for (lines, origin) in
        [(&["Origin: https://good.example"][..], Some("https://good.example")), (&[], None)]
    {
        let mut server = server().await;
        let mut stream = server.connect().await;
        let headers = [UPGRADE, lines].concat();
        stream.write_all(request("/ws", &headers).as_bytes()).await.unwrap();
        assert!(head(&mut stream).await.starts_with("http/1.1 101"));
        assert_eq!(server.session().await.security.origin.as_deref(), origin);
    }
}

#[tokio::test]
async fn a_request_that_is_no_handshake_is_told_why() {
    let server = server().await;
    let with = |line: &'static str| request(WEBSOCKET_PATH, &[UPGRADE, &[line]].concat());
    let without = |place: usize| {
        let mut headers = UPGRADE.to_vec();
        headers.remove(place);
        request(WEBSOCKET_PATH, &headers)
    };
    let page = ask(&server, &request(WEBSOCKET_PATH, &["Accept: text/html"])).await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("XMPP over WebSocket"), "{page}");
    let plain = ask(&server, &request(WEBSOCKET_PATH, &[])).await;
    assert!(plain.starts_with("HTTP/1.1 426") && plain.contains("upgrade: websocket"), "{plain}");
    let version = ask(&server, &without(2)).await;
    assert!(version.starts_with("HTTP/1.1 426"), "{version}");
    assert!(version.contains("sec-websocket-version: 13"), "{version}");
    assert!(ask(&server, &without(3)).await.starts_with("HTTP/1.1 400"));
    let offer = ask(&server, &without(4)).await;
    assert!(offer.starts_with("HTTP/1.1 400") && offer.contains("'xmpp'"), "{offer}");
    let proxy = ask(&server, &without(0)).await;
    assert!(proxy.starts_with("HTTP/1.1 400") && proxy.contains("nginx"), "{proxy}");
    assert!(ask(&server, &with("Origin: https://evil.example")).await.starts_with("HTTP/1.1 403"));
    let post = request(WEBSOCKET_PATH, &["Content-Length: 0"]).replace("GET", "POST");
    let post = ask(&server, &post).await;
    assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET"), "{post}");
}

#[tokio::test]
async fn messages_pass_both_ways_also_right_behind_the_handshake() {
    let mut server = server().await;
    let mut stream = server.connect().await;
    let mut bytes = request(WEBSOCKET_PATH, UPGRADE).into_bytes();
    bytes.extend(frame(0x81, b"<open/>"));
    bytes.extend(frame(0x81, b"<auth/>"));
    bytes.extend(&frame(0x81, b"<late/>")[..3]);
    stream.write_all(&bytes).await.unwrap();
    head(&mut stream).await;
    let mut session = server.session().await;
    assert_eq!(session.heard().await, message("<open/>"));
    assert_eq!(session.heard().await, message("<auth/>"));
    stream.write_all(&frame(0x81, b"<late/>")[3..]).await.unwrap();
    assert_eq!(session.heard().await, message("<late/>"));
    session.order(Order::Send(outbox(&[
        ("<open/>", MarkKind::Text),
        ("", MarkKind::Ping),
        ("<a/>", MarkKind::Text),
    ])));
    assert_eq!(read_frame(&mut stream).await, Some((0x81, b"<open/>".to_vec())));
    assert_eq!(read_frame(&mut stream).await, Some((0x89, vec![])));
    assert_eq!(read_frame(&mut stream).await, Some((0x81, b"<a/>".to_vec())));
}

#[tokio::test]
async fn a_ping_is_answered_while_a_message_is_half_received() {
    let (_server, mut stream, mut session) = opened().await;
    stream.write_all(&frame(0x01, b"<a>")).await.unwrap();
    stream.write_all(&frame(0x89, b"are you there")).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, Some((0x8A, b"are you there".to_vec())));
    stream.write_all(&frame(0x8A, b"unasked")).await.unwrap();
    stream.write_all(&frame(0x00, b"b")).await.unwrap();
    for byte in frame(0x80, b"</a>") {
        stream.write_all(&[byte]).await.unwrap();
    }
    let mut heard = session.heard().await;
    while heard == Heard::Alive {
        heard = session.heard().await;
    }
    assert_eq!(heard, message("<a>b</a>"));
}

#[tokio::test]
async fn every_broken_rule_is_one_violation_and_nothing_more() {
    let gibibyte = [&[0x81, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0][..], &[0; 4]].concat();
    let table = [
        ("unmasked", vec![0x81, 1, b'x'], Violation::Protocol),
        ("rsv1", frame(0xC1, b"x"), Violation::Protocol),
        ("reserved opcode", frame(0x83, b"x"), Violation::Protocol),
        ("long ping", frame(0x89, &[0; 126]), Violation::Protocol),
        ("fragmented ping", frame(0x09, b""), Violation::Protocol),
        ("bad close code", frame(0x88, &1005u16.to_be_bytes()), Violation::Protocol),
        ("binary", frame(0x82, b"x"), Violation::Binary),
        ("not UTF-8", frame(0x81, b"<body>\xC3\x28</body>"), Violation::NotUtf8),
        ("limit + 1", frame(0x81, &[b'x'; 1001]), Violation::TooBig),
        ("one gibibyte", gibibyte, Violation::TooBig),
    ];
    for (name, bytes, violation) in table {
        let (_server, mut stream, mut session) = opened().await;
        stream.write_all(&bytes).await.unwrap();
        stream.write_all(&frame(0x81, b"<more/>")).await.unwrap();
        assert_eq!(session.heard().await, Heard::Violation(violation), "{name}");
        let last_words = [("<close/>", MarkKind::Text), ("", MarkKind::Close(1002))];
        session.order(Order::Send(outbox(&last_words)));
        session.order(Order::Close);
        assert_eq!(read_frame(&mut stream).await, Some((0x81, b"<close/>".to_vec())), "{name}");
        assert_eq!(read_frame(&mut stream).await, Some((0x88, vec![0x03, 0xEA])), "{name}");
        assert_eq!(read_frame(&mut stream).await, None, "{name}");
    }
}

#[tokio::test]
async fn the_longest_message_is_taken() {
    let (_server, mut stream, mut session) = opened().await;
    stream.write_all(&frame(0x81, &[b'x'; 1000])).await.unwrap();
    assert_eq!(session.heard().await, message(&"x".repeat(1000)));
}

#[tokio::test]
async fn a_client_that_closes_gets_its_code_back_and_no_more_data() {
    let (_server, mut stream, mut session) = opened().await;
    stream.write_all(&frame(0x88, b"\x0F\xA1bye")).await.unwrap();
    assert_eq!(session.heard().await, Heard::End);
    session.send("<late/>");
    session.order(Order::Close);
    assert_eq!(read_frame(&mut stream).await, Some((0x88, vec![0x0F, 0xA1])));
    assert_eq!(read_frame(&mut stream).await, None);
    drop(stream);
    assert_eq!(session.heard().await, Heard::Closed);
}

#[tokio::test]
async fn a_server_that_closes_waits_for_the_answer() {
    let (server, mut stream, session) = opened().await;
    let words = [("<close/>", MarkKind::Text), ("", MarkKind::Close(1000))];
    session.order(Order::Send(outbox(&words)));
    session.order(Order::Send(outbox(&[("<late/>", MarkKind::Text)])));
    session.order(Order::Close);
    assert_eq!(read_frame(&mut stream).await, Some((0x81, b"<close/>".to_vec())));
    assert_eq!(read_frame(&mut stream).await, Some((0x88, vec![0x03, 0xE8])));
    stream.write_all(&frame(0x81, b"<on its way/>")).await.unwrap();
    assert_eq!(server.net.counts().open, 1);
    stream.write_all(&frame(0x88, &[0x03, 0xE8])).await.unwrap();
    assert_eq!(read_frame(&mut stream).await, None);
}

#[tokio::test]
async fn nothing_is_compressed_before_the_client_is_trusted_and_has_read_so() {
    let mut server = server().await;
    let mut stream = server.connect().await;
    let headers = [UPGRADE, &["Sec-WebSocket-Extensions: permessage-deflate"][..]].concat();
    stream.write_all(request("/ws", &headers).as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(head.contains("permessage-deflate; server_no_context_takeover;"), "{head}");
    let mut session = server.session().await;
    stream.write_all(&frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")).await.unwrap();
    assert_eq!(session.heard().await, message("Hello"));
    let (long, short) = ("<a>all the same</a>".repeat(40), "x".repeat(511));
    let mut reads = async |text: &str| {
        session.send(text);
        read_frame(&mut stream).await.unwrap()
    };
    assert_eq!(reads(&long).await, (0x81, long.clone().into_bytes()));
    session.order(Order::Trust(1000));
    let mut reads = async |text: &str| {
        session.send(text);
        read_frame(&mut stream).await.unwrap()
    };
    assert_eq!(reads(&long).await.0, 0x81, "the last words of signing in");
    let (first, small) = reads(&long).await;
    assert!(first == 0xC1 && small.len() < 100, "{first:#x} {}", small.len());
    assert_eq!(reads(&short).await.0, 0x81, "a short one");
    assert_eq!(reads(&long).await, (0xC1, small), "nothing is taken over");
}

#[tokio::test]
async fn a_slow_reader_gets_everything_in_order_and_its_pongs() {
    let (_server, mut stream, session) = opened().await;
    let long = "x".repeat(3_000_000);
    session.order(Order::Send(outbox(&[
        (&long, MarkKind::Text),
        ("<b/>", MarkKind::Text),
        (&long, MarkKind::Text),
    ])));
    for count in 0..200u8 {
        stream.write_all(&frame(0x89, &[count])).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    let mut texts = Vec::new();
    let mut pongs = Vec::new();
    while texts.len() < 3 || pongs.last() != Some(&vec![199]) {
        match read_frame(&mut stream).await {
            Some((0x81, text)) => texts.push(text.len()),
            Some((0x8A, payload)) => pongs.push(payload),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(texts, [3_000_000, 4, 3_000_000]);
    assert!(pongs.is_sorted());
}

#[tokio::test]
async fn a_connection_that_is_cut_is_an_end() {
    let (server, stream, mut session) = opened().await;
    drop(stream);
    assert_eq!(session.heard().await, Heard::End);
    drop(session);
    for _ in 0..100 {
        if server.net.counts().open == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the connection still counts");
}

#[tokio::test]
async fn there_is_no_starttls_on_a_websocket() {
    let (_server, mut stream, session) = opened().await;
    session.order(Order::Upgrade);
    assert_eq!(soon(stream.read(&mut [0; 1])).await.unwrap_or(0), 0);
}
