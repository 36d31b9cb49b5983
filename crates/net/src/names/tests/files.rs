//! Files on the web servers of others, from a web of the tests' own.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use serde_json::{Value, json};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::outgoing::{
    Bytes, Fetch, FetchError, FetchReply, FetchRequest, HeaderMap, HeaderValue, Reach, StatusCode,
    header,
};
use waxwing_kernel::request::Answer;

use crate::limits::Limits;
use crate::names::{Dnssec, Names, NamesOptions, Way};

/// Files by URL; a text is where to look instead.
#[derive(Default)]
struct Web {
    files: HashMap<&'static str, Value>,
    asked: Mutex<Vec<FetchRequest>>,
}

impl Fetch for Web {
    fn fetch(&self, request: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>> {
        let mut headers = HeaderMap::new();
        let (status, body) = match self.files.get(request.url.as_str()) {
            Some(Value::String(to)) => {
                headers.insert(header::LOCATION, HeaderValue::from_str(to).unwrap());
                (StatusCode::FOUND, Bytes::new())
            }
            Some(Value::Number(status)) => {
                let status = StatusCode::from_u16(status.as_u64().unwrap() as u16).unwrap();
                (status, Bytes::from_static(b"no"))
            }
            Some(json) => (StatusCode::OK, json.to_string().into()),
            None => (StatusCode::NOT_FOUND, Bytes::new()),
        };
        self.asked.lock().push(request);
        Box::pin(async move { Ok(FetchReply { status, headers, body }) })
    }
}

fn names(files: &[(&'static str, Value)], clock: &Clock) -> (Names, Arc<Web>) {
    let web = Arc::new(Web { files: files.iter().cloned().collect(), ..Web::default() });
    let servers = vec!["127.0.0.1:9".parse().unwrap()]; // nobody is asked
    let options = NamesOptions { servers, dnssec: Dnssec::Off, ..NamesOptions::default() };
    let names = Names::new(&options, &Limits::default(), web.clone(), clock.clone());
    (names.unwrap(), web)
}

fn fingerprints(of: u8, expires: u32) -> Value {
    let hash = STANDARD.encode([of; 32]);
    json!({ "fingerprints": [{ "sha-256": hash }], "expires": expires })
}

const POSH: &str = "https://xn--bcher-kva.example/.well-known/posh/xmpp-server.json";
const META: &str = "https://example.org/.well-known/host-meta.json";

/// RFC 7711 §3.1: any number of seconds may stand there.
#[tokio::test]
async fn no_file_is_kept_for_ever() {
    let clock = Clock::simulated(0, 1);
    let mut file = fingerprints(1, 1);
    file["expires"] = u64::MAX.into();
    let (names, web) = names(&[(POSH, file)], &clock);
    for asked in [1, 1, 2] {
        assert!(names.posh("bücher.example").await.is_some());
        assert_eq!(web.asked.lock().len(), asked);
        clock.advance(Duration::from_secs(302_400)); // half a week
    }
}

/// What is told of a file comes to the operator's terminal, and is kept for a while.
#[tokio::test]
async fn an_address_that_is_none_is_not_repeated() {
    for url in ["https://x/\u{1b}[2J".to_owned(), "https://x/ü".to_owned(), "http://x/".repeat(500)]
    {
        let reference = json!({ "url": url, "expires": 10 });
        let (names, web) = names(&[(POSH, reference)], &Clock::simulated(0, 1));
        let why = names.posh_file(&"xn--bcher-kva.example".into()).await.unwrap_err();
        assert!(why.contains("which is no address"), "{why:?}");
        assert!(!why.contains(&url) && why.len() < 200);
        assert_eq!(web.asked.lock().len(), 1);
    }
}

/// Each redirect in time, and all of them not.
#[tokio::test]
async fn a_round_of_redirects_takes_no_longer_than_one_answer() {
    struct Slow;
    impl Fetch for Slow {
        fn fetch(&self, request: FetchRequest) -> Answer<'static, Result<FetchReply, FetchError>> {
            let mut headers = HeaderMap::new();
            headers.insert(header::LOCATION, HeaderValue::from_str(&request.url).unwrap());
            Box::pin(async move {
                tokio::time::sleep(Duration::from_millis(600)).await;
                Ok(FetchReply { status: StatusCode::FOUND, headers, body: Bytes::new() })
            })
        }
    }
    let servers = vec!["127.0.0.1:9".parse().unwrap()];
    let options = NamesOptions { servers, dnssec: Dnssec::Off, ..NamesOptions::default() };
    let limits = Limits { well_known_seconds: 1, ..Limits::default() };
    let names = Names::new(&options, &limits, Arc::new(Slow), Clock::system()).unwrap();
    let why = names.posh_file(&"x.example".into()).await.unwrap_err();
    assert!(why.ends_with("no answer in time"), "{why}");
}

#[tokio::test]
async fn posh_is_kept_until_it_expires() {
    let clock = Clock::simulated(0, 1);
    let (names, web) = names(&[(POSH, fingerprints(1, 100))], &clock);
    for seconds in [0, 99] {
        clock.advance(Duration::from_secs(seconds));
        let posh = names.posh("bücher.example").await.unwrap();
        assert_eq!(posh.fingerprints[0].sha256, Some([1; 32]));
        assert_eq!(web.asked.lock().len(), 1);
    }
    clock.advance(Duration::from_secs(1));
    assert!(names.posh("bücher.example").await.is_some());
    assert_eq!(web.asked.lock().len(), 2);
    let asked = web.asked.lock()[0].clone();
    let limits = Limits::default();
    assert_eq!((asked.reach, asked.reply_bytes), (Reach::Public, limits.well_known_bytes_max));
    assert!(names.posh("absent.example").await.is_none());
    assert!(names.posh("absent.example").await.is_none());
    assert!(names.posh("127.0.0.1").await.is_none());
    assert_eq!(web.asked.lock().len(), 3);
}

/// RFC 7711 §3.2: a reference document names where the fingerprints are; the shorter time counts.
#[tokio::test]
async fn a_posh_reference_is_followed_once() {
    let host = "https://host.example/posh.json";
    let reference = json!({ "url": host, "expires": 50 });
    let clock = Clock::simulated(0, 1);
    let files = [(POSH, reference.clone()), (host, fingerprints(2, 100))];
    let (names_, web) = names(&files, &clock);
    assert!(names_.posh("bücher.example").await.is_some());
    clock.advance(Duration::from_secs(50));
    assert!(names_.posh("bücher.example").await.is_some());
    assert_eq!(web.asked.lock().len(), 4);
    for elsewhere in [
        json!({ "url": "https://third.example/", "expires": 50 }),
        json!("http://host.example/insecure.json"),
        json!("https://host.example/posh.json"), // round and round
        json!(500),
        json!({ "fingerprints": [], "expires": 50 }),
    ] {
        let (names, _) = names(&[(POSH, reference.clone()), (host, elsewhere.clone())], &clock);
        assert!(names.posh("bücher.example").await.is_none(), "{elsewhere}");
    }
}

#[tokio::test]
async fn redirects_are_followed_over_https() {
    let host = "https://host.example/posh.json";
    let (names_, _) = names(&[(POSH, json!(host)), (host, fingerprints(3, 9))], &Clock::system());
    assert!(names_.posh("bücher.example").await.is_some());
    let insecure = "http://host.example/posh.json";
    let (names_, web) =
        names(&[(POSH, json!(insecure)), (insecure, fingerprints(3, 9))], &Clock::system());
    assert!(names_.posh("bücher.example").await.is_none());
    assert_eq!(web.asked.lock().len(), 1);
}

/// XEP-0487, XEP-0468.
#[tokio::test]
async fn host_meta_names_other_ways_in() {
    let link = |rel: &str, priority: u16| {
        json!({
            "rel": format!("urn:xmpp:alt-connections:{rel}"), "href": "wss://ws.example.org/s2s",
            "port": 443, "ips": ["192.0.2.1", "2001:4860::1"], "sni": "Other.example.org",
            "priority": priority, "weight": 1,
        })
    };
    let links = [("s2s-websocket", 20), ("s2s-tls", 10), ("s2s-quic", 1), ("tls", 0)];
    let links = links.map(|(rel, priority)| link(rel, priority));
    let file = json!({ "xmpp": { "ttl": 100 }, "links": links });
    let clock = Clock::simulated(0, 1);
    let (names, web) = names(&[(META, file)], &clock);
    let others = names.others("example.org").await;
    let ways: Vec<_> = others.iter().map(|other| (&*other.host, other.port, &other.way)).collect();
    let websocket = Way::WebSocket { path: "/s2s".into() };
    assert_eq!(
        ways,
        [("other.example.org", 443, &Way::DirectTls), ("ws.example.org", 443, &websocket)]
    );
    // The document brings addresses, and ours are not among those that are dialled.
    let addresses = names.addresses(&others[1]).await.unwrap();
    assert_eq!((addresses.v4.len(), addresses.v6.len(), addresses.is_signed), (0, 1, false));
    assert_eq!(names.others("example.org").await.len(), 2);
    assert_eq!(web.asked.lock().len(), 1);
    clock.advance(Duration::from_secs(100));
    assert_eq!(names.others("example.org").await.len(), 2);
    assert_eq!(web.asked.lock().len(), 2);
    assert_eq!(names.others("absent.example").await, []);
    assert_eq!(names.others("not a name").await, []);
}
