use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use waxwing_kernel::outgoing::{HeaderValue, StatusCode, header};

use super::*;

/// Answers every request on a loopback port with `reply`, and hands on what was asked.
async fn server(reply: &'static str) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    #[allow(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut asked = vec![0; 4096];
            let count = socket.read(&mut asked).await.unwrap();
            let _ = tell.send(String::from_utf8_lossy(&asked[..count]).into_owned());
            let _ = socket.write_all(reply.as_bytes()).await;
        }
    });
    (port, told)
}

const OK: &str = "HTTP/1.1 201 Created\r\nLocation: /m/1\r\nContent-Length: 5\r\n\r\nhello";

fn fetcher() -> Fetcher {
    Fetcher::trusting(&Limits::default(), RootCertStore::empty())
}

#[tokio::test]
async fn the_operators_machines_are_asked() {
    let (port, mut asked) = server(OK).await;
    let url = format!("http://127.0.0.1:{port}/a?b=c");
    let request = FetchRequest::post(url, Reach::Anywhere, "body")
        .with(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let reply = fetcher().fetch(request).await.unwrap();
    assert_eq!(reply.status, StatusCode::CREATED);
    assert_eq!(reply.headers["location"], "/m/1");
    assert_eq!(reply.body.as_ref(), b"hello");
    let asked = asked.recv().await.unwrap();
    assert!(asked.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{asked}");
    assert!(asked.contains("content-length: 4\r\n") && asked.ends_with("\r\n\r\nbody"), "{asked}");
}

#[tokio::test]
async fn what_clients_name_leads_to_the_open_internet_only() {
    let (port, mut asked) = server(OK).await;
    for host in ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "169.254.169.254"] {
        let url = format!("https://{host}:{port}/");
        let outcome = fetcher().fetch(FetchRequest::get(url, Reach::Public)).await;
        // A name that the system does not resolve leads nowhere either.
        let is_refused = matches!(outcome, Err(FetchError::NotPublic | FetchError::Unreachable(_)));
        assert!(is_refused, "{host}: {outcome:?}");
    }
    let url = format!("https://127.0.0.1:{port}/");
    let outcome = fetcher().fetch(FetchRequest::get(url, Reach::Public)).await;
    assert_eq!(outcome.unwrap_err(), FetchError::NotPublic);
    assert!(asked.try_recv().is_err(), "nobody was asked");
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for (url, reach) in [
        ("http://example.org/", Reach::Public),
        ("https://me@example.org/", Reach::Public),
        ("https://me:secret@example.org/", Reach::Anywhere),
        ("file:///etc/passwd", Reach::Anywhere),
        ("/only/a/path", Reach::Anywhere),
        ("https://", Reach::Public),
        ("https://exa mple.org/", Reach::Public),
    ] {
        let outcome = fetcher().fetch(FetchRequest::get(url, reach)).await;
        assert!(matches!(outcome, Err(FetchError::BadUrl(_))), "{url}: {outcome:?}");
    }
}

#[tokio::test]
async fn an_answer_has_its_bounds() {
    let (port, _asked) = server(OK).await;
    let url = format!("http://127.0.0.1:{port}/");
    let request = FetchRequest::get(url.as_str(), Reach::Anywhere).at_most(4);
    assert_eq!(fetcher().fetch(request).await.unwrap_err(), FetchError::TooLong);
    let request = FetchRequest::get(url, Reach::Anywhere).at_most(5);
    assert_eq!(fetcher().fetch(request).await.unwrap().body.len(), 5);
    let (port, _asked) = server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{port}/");
    let outcome = fetcher().fetch(FetchRequest::get(url, Reach::Anywhere)).await;
    assert!(matches!(outcome, Err(FetchError::Broken(_))), "{outcome:?}");
}

#[tokio::test]
async fn whoever_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let request =
        FetchRequest::get(url.as_str(), Reach::Anywhere).within(Duration::from_millis(50));
    assert_eq!(fetcher().fetch(request).await.unwrap_err(), FetchError::TimedOut);
    drop(listener);
    let outcome = fetcher().fetch(FetchRequest::get(url, Reach::Anywhere)).await;
    assert!(matches!(outcome, Err(FetchError::Unreachable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let (port, _asked) = server(moved).await;
    let url = format!("http://127.0.0.1:{port}/");
    let reply = fetcher().fetch(FetchRequest::get(url, Reach::Anywhere)).await.unwrap();
    assert_eq!(reply.status, StatusCode::FOUND);
}

#[tokio::test]
async fn one_host_cannot_take_all_places() {
    let limits = Limits { fetches_per_host_max: 1, ..Limits::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let fetcher = Fetcher::trusting(&limits, RootCertStore::empty());
    let (port, _asked) = server(OK).await;
    let other = format!("http://127.0.0.1:{port}/");
    let slow = |millis| {
        FetchRequest::get(url.as_str(), Reach::Anywhere).within(Duration::from_millis(millis))
    };
    let (first, second, third) = tokio::join!(
        fetcher.fetch(slow(200)),
        fetcher.fetch(slow(100)),
        fetcher.fetch(FetchRequest::get(other, Reach::Anywhere)),
    );
    assert_eq!(first.unwrap_err(), FetchError::TimedOut);
    assert_eq!(second.unwrap_err(), FetchError::TimedOut);
    third.expect("another program on the same machine");
    assert!(fetcher.anywhere.busy.lock().is_empty());
    let url = |url: &str| url.parse::<Uri>().unwrap();
    let held = fetcher.public.enter(&url("https://push.example/a")).unwrap();
    let error = fetcher.public.enter(&url("https://PUSH.example:444/b")).err();
    assert_eq!(error, Some(FetchError::Busy));
    drop(held);
    assert!(fetcher.public.enter(&url("https://push.example/a")).is_ok());
}

/// Who waits for a host of the operator's comes next when it is free.
#[tokio::test]
async fn the_operators_hosts_are_waited_for() {
    let limits = Limits { fetches_per_host_max: 1, ..Limits::default() };
    let last = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let (port, _asked) = server(last).await;
    let url = format!("http://127.0.0.1:{port}/");
    let fetcher = Fetcher::trusting(&limits, RootCertStore::empty());
    let ask = || fetcher.fetch(FetchRequest::get(url.as_str(), Reach::Anywhere));
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!((first.unwrap().status, second.unwrap().status), (StatusCode::OK, StatusCode::OK));
}

#[tokio::test]
async fn a_certificate_must_be_vouched_for() {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[allow(clippy::disallowed_methods, reason = "a server of the test")]
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let Ok(mut socket) = acceptor.accept(socket).await else { continue };
            let mut asked = [0; 4096];
            let _ = socket.read(&mut asked).await;
            let _ = socket.write_all(OK.as_bytes()).await;
            let _ = socket.shutdown().await;
        }
    });
    let url = format!("https://localhost:{port}/");
    let request = FetchRequest::get(url, Reach::Anywhere);
    let outcome = fetcher().fetch(request.clone()).await;
    assert!(matches!(outcome, Err(FetchError::Untrusted(_))), "{outcome:?}");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let fetcher = Fetcher::trusting(&Limits::default(), roots);
    assert_eq!(fetcher.fetch(request).await.unwrap().body.as_ref(), b"hello");
}
