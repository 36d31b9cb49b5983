//! HTTP over real sockets: routes, bounds, discovery, proxies.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use waxwing_net::http::{Discovery, HttpRoute, Method, Proxies, Reply, Site, StatusCode};
use waxwing_net::http::{HeaderValue, WEBSOCKET_PATH, header};
use waxwing_net::{Kind, Limits};

use crate::support::*;

fn site() -> Site {
    let who = HttpRoute::get("/who", |request| async move {
        let query = request.query.unwrap_or_default();
        let text = format!("{} {} {query}", request.client, request.is_secure);
        Reply::text(StatusCode::OK, text)
    });
    let mut echo = HttpRoute::post("/echo/*", |request| async move {
        let path = HeaderValue::from_str(&request.path).unwrap();
        Reply::json(StatusCode::OK, request.body)
            .with(header::LOCATION, path)
            .with(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"))
    });
    echo.body_bytes_max = 100;
    let url = "wss://chat.example/xmpp-websocket";
    Site {
        routes: vec![who, echo],
        websocket_paths: vec![WEBSOCKET_PATH.to_owned()],
        discovery: Some(Discovery::new(Some(url), None, vec![]).unwrap()),
        proxies: Proxies { networks: vec!["127.0.0.1".parse().unwrap()], ..Proxies::default() },
        ..Site::default()
    }
}

async fn server() -> Server {
    let limits = Limits { header_seconds: 1, body_seconds: 1, ..Limits::default() };
    Server::start(limits, None, site(), Kind::Http).await
}

fn post(path: &str, body: &str) -> String {
    let length = format!("Content-Length: {}", body.len());
    request(path, &[&length]).replace("GET", "POST") + body
}

#[tokio::test]
async fn requests_find_their_routes() {
    let server = server().await;
    let who = ask(&server, &request("/who?a=b", &[])).await;
    assert!(who.starts_with("HTTP/1.1 200") && who.ends_with("127.0.0.1 false a=b"), "{who}");
    for line in [
        "x-content-type-options: nosniff",
        "x-frame-options: DENY",
        "referrer-policy: no-referrer",
        "content-security-policy: default-src 'self'",
    ] {
        assert!(who.contains(line), "{line}: {who}");
    }
    let head = ask(&server, &request("/who", &[]).replace("GET", "HEAD")).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    let echo = ask(&server, &post("/echo/deep", "{}")).await;
    assert!(echo.contains("location: /echo/deep") && echo.ends_with("{}"), "{echo}");
    assert!(echo.contains("x-frame-options: SAMEORIGIN"), "a route knows better: {echo}");
    assert!(ask(&server, &request("/none", &[])).await.starts_with("HTTP/1.1 404"));
    let homeless = request("/who", &[]).replace("Host: localhost\r\n", "");
    assert!(ask(&server, &homeless).await.starts_with("HTTP/1.1 400"));
    let twice = request("/who", &["Host: other"]);
    assert!(ask(&server, &twice).await.starts_with("HTTP/1.1 400"));
    let wrong = ask(&server, &post("/who", "")).await;
    assert!(wrong.starts_with("HTTP/1.1 405") && wrong.contains("allow: GET"), "{wrong}");
    let options = ask(&server, &request("/who", &[]).replace("GET", "OPTIONS")).await;
    assert!(options.starts_with("HTTP/1.1 204") && options.contains("allow: GET"), "{options}");
}

#[tokio::test]
async fn bodies_are_bounded_in_size_and_time() {
    let server = server().await;
    assert!(ask(&server, &post("/echo/", &"x".repeat(100))).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&server, &post("/echo/", &"x".repeat(101))).await.starts_with("HTTP/1.1 413"));
    let chunked = request("/echo/", &["Transfer-Encoding: chunked"]).replace("GET", "POST");
    let chunked = chunked + "65\r\n" + &"x".repeat(101) + "\r\n0\r\n\r\n";
    assert!(ask(&server, &chunked).await.starts_with("HTTP/1.1 413"));
    let never = request("/echo/", &["Content-Length: 50"]).replace("GET", "POST");
    assert!(ask(&server, &never).await.starts_with("HTTP/1.1 408"));
}

#[tokio::test]
async fn heads_are_bounded_in_number_size_and_time() {
    let server = server().await;
    let many: Vec<_> = (0..70).map(|number| format!("X-{number}: x")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(ask(&server, &request("/who", &many)).await.starts_with("HTTP/1.1 431"));
    let long = format!("X-Long: {}", "x".repeat(20_000));
    assert!(ask(&server, &request("/who", &[&long])).await.starts_with("HTTP/1.1 431"));
    let mut slow = server.connect().await;
    slow.write_all(b"GET /who HTTP/1.1\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    soon(slow.read_to_end(&mut rest)).await.unwrap();
    let mut silent = server.connect().await;
    soon(silent.read_to_end(&mut rest)).await.unwrap();
    let mut kept_alive = server.connect().await;
    kept_alive.write_all(request("/who", &[]).as_bytes()).await.unwrap();
    rest.clear();
    soon(kept_alive.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn host_meta_leads_to_the_websocket_for_pages_of_any_origin() {
    let server = server().await;
    let from_page = &["Origin: https://other.example"][..];
    let xml = ask(&server, &request("/.well-known/host-meta", from_page)).await;
    assert!(xml.contains("content-type: application/xrd+xml\r\n"), "{xml}");
    assert!(xml.contains("href='wss://chat.example/xmpp-websocket'"), "{xml}");
    let json = ask(&server, &request("/.well-known/host-meta.json", from_page)).await;
    assert!(json.contains("content-type: application/json\r\n"), "{json}");
    assert!(json.contains("\"href\": \"wss://chat.example/xmpp-websocket\""), "{json}");
    for answer in [&xml, &json] {
        assert!(answer.contains("access-control-allow-origin: *\r\n"), "{answer}");
    }
    let other = ask(&server, &request("/who", from_page)).await;
    assert!(!other.contains("access-control"), "only these two files: {other}");
    let post = ask(&server, &post("/.well-known/host-meta", "")).await;
    assert!(post.starts_with("HTTP/1.1 405"), "{post}");
    server.net.replace_site(Site { discovery: None, ..site() });
    let gone = ask(&server, &request("/.well-known/host-meta", &[])).await;
    assert!(gone.starts_with("HTTP/1.1 404"), "{gone}");
}

#[tokio::test]
async fn a_trusted_proxy_speaks_for_its_client() {
    let mut server = server().await;
    let forwarded = ["X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https"];
    let who = ask(&server, &request("/who", &forwarded)).await;
    assert!(who.ends_with("192.0.2.7 true "), "{who}");
    let mut stream = server.connect().await;
    let upgrade = [UPGRADE, &forwarded].concat();
    stream.write_all(request(WEBSOCKET_PATH, &upgrade).as_bytes()).await.unwrap();
    let session = server.session().await;
    assert_eq!(session.peer.ip().to_string(), "192.0.2.7");
    assert!(session.security.trusted_proxy && !session.security.tls);
    assert_eq!((session.security.exporter, session.security.end_point), (None, None));
    server.net.replace_site(Site { proxies: Proxies::default(), ..site() });
    let who = ask(&server, &request("/who", &forwarded)).await;
    assert!(who.ends_with("127.0.0.1 false "), "nobody is trusted unasked: {who}");
}

#[tokio::test]
async fn a_client_behind_a_proxy_is_counted_for_itself() {
    let limits = Limits { address_connections_max: 1, ..Limits::default() };
    let mut server = Server::start(limits, None, site(), Kind::Http).await;
    let forwarded = [UPGRADE, &["X-Forwarded-For: 192.0.2.7"]].concat();
    let handshake = request(WEBSOCKET_PATH, &forwarded);
    let mut first = server.connect().await;
    first.write_all(handshake.as_bytes()).await.unwrap();
    let session = server.session().await;
    let mut second = server.connect().await;
    second.write_all(handshake.as_bytes()).await.unwrap();
    assert!(head(&mut second).await.starts_with("http/1.1 429"));
    drop((first, session));
    for _ in 0..100 {
        let mut third = server.connect().await;
        third.write_all(handshake.as_bytes()).await.unwrap();
        if head(&mut third).await.starts_with("http/1.1 101") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the address still counts");
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_server_stops() {
    let slow = HttpRoute::new(Method::GET, "/slow", |_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Reply::text(StatusCode::OK, "done")
    });
    let site = Site { routes: vec![slow], ..Site::default() };
    let server = Server::start(Limits::default(), None, site, Kind::Http).await;
    let mut stream = server.connect().await;
    stream.write_all(request("/slow", &[]).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(30)).await;
    soon(server.listening.stop()).await;
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_folder_gets_bodies_piece_by_piece_and_is_answered_at_once() {
    use std::sync::Arc;
    use waxwing_kernel::http::{HttpReply, HttpRequest, HttpRoute};
    use waxwing_net::http::Folder;

    let route: HttpRoute = Arc::new(|mut request: HttpRequest| {
        Box::pin(async move {
            if request.path == "refused" {
                return HttpReply::text(StatusCode::PAYLOAD_TOO_LARGE, "too much\n");
            }
            let (length, mut count) = (request.body.length(), 0);
            while let Some(Ok(piece)) = request.body.next().await {
                count += piece.len();
            }
            let text = format!("{} {length:?} {count}", request.path);
            HttpReply::text(StatusCode::OK, text)
        })
    });
    let folders = vec![Folder { path: "/files/".to_owned(), route }];
    let limits = Limits { body_seconds: 1, ..Limits::default() };
    let server = Server::start(limits, None, Site { folders, ..Site::default() }, Kind::Http).await;
    let sent = ask(&server, &post("/files/a%20b", &"x".repeat(100_000))).await;
    assert!(sent.ends_with("\r\n\r\na%20b Some(100000) 100000"), "{sent}");
    // The answer does not wait for the body, which never comes.
    let mut stream = server.connect().await;
    let endless = request("/files/refused", &["Content-Length: 1000000000"]);
    stream.write_all(endless.replace("GET", "PUT").as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    assert!(head.starts_with("http/1.1 413"), "{head}");
    assert!(head.contains("connection: close\r\n"), "{head}");
}

#[tokio::test]
async fn pieces_go_out_as_they_come_and_one_who_takes_none_is_let_go() {
    use std::sync::Arc;
    use tokio::sync::mpsc::{Sender, channel};
    use waxwing_kernel::http::{Bytes, Content, HttpReply, HttpRequest, HttpRoute};
    use waxwing_net::http::Folder;

    let (opened, mut streams) = channel::<Sender<Bytes>>(8);
    let route: HttpRoute = Arc::new(move |_: HttpRequest| {
        let opened = opened.clone();
        Box::pin(async move {
            let (pieces, content) = channel(4);
            opened.send(pieces).await.unwrap();
            HttpReply { content: Content::Stream(content), ..HttpReply::status(StatusCode::OK) }
        })
    });
    let folders = vec![Folder { path: "/files/".to_owned(), route }];
    let limits = Limits { body_seconds: 1, ..Limits::default() };
    let server = Server::start(limits, None, Site { folders, ..Site::default() }, Kind::Http).await;
    let ask = || async {
        let mut stream = server.connect().await;
        stream.write_all(request("/files/", &[]).as_bytes()).await.unwrap();
        stream
    };

    // One that is taken: at once, and until its maker ends it.
    let mut reader = ask().await;
    let pieces = soon(streams.recv()).await.unwrap();
    pieces.send("first".into()).await.unwrap();
    let head = head(&mut reader).await;
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    let mut chunk = [0; 10];
    soon(reader.read_exact(&mut chunk)).await.unwrap();
    assert_eq!(&chunk, b"5\r\nfirst\r\n");
    pieces.send("last".into()).await.unwrap();
    drop(pieces);
    let mut chunk = [0; 14];
    soon(reader.read_exact(&mut chunk)).await.unwrap();
    assert_eq!(&chunk, b"4\r\nlast\r\n0\r\n\r\n");

    // Whoever makes the pieces learns that the client has left.
    let reader = ask().await;
    let pieces = soon(streams.recv()).await.unwrap();
    drop(reader);
    soon(pieces.closed()).await;

    // One that is not taken makes its maker wait, and then ends.
    let idle = ask().await;
    let pieces = soon(streams.recv()).await.unwrap();
    let pour = async {
        let mut count = 0;
        while pieces.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {
            count += 1;
        }
        count
    };
    let count = soon(pour).await;
    assert!(count < 64, "{count} MiB went out to nobody");
    drop(idle);
}
