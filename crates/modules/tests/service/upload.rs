//! XEP-0363: what comes and goes by HTTP, asked of the module as the network layer asks it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use waxwing_jid::BareJid;
use waxwing_kernel::http::{
    Bytes, Content, HeaderMap, HttpReply, HttpRequest, Intake, Method, header,
};
use waxwing_kernel::request::Answer;

use crate::world::{Client, World, attribute};

/// A server with a data folder, and romeo.
struct House {
    world: World,
    romeo: Client,
    folder: TempDir,
}

/// The two addresses of a file, without the folder in front.
struct Slot {
    put: String,
    get: String,
}

/// A body: pieces, and perhaps an error at the end.
struct Pieces {
    length: Option<u64>,
    pieces: VecDeque<Bytes>,
    end: Option<ErrorKind>,
}

impl Intake for Pieces {
    fn length(&self) -> Option<u64> {
        self.length
    }

    fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>> {
        let next = self.pieces.pop_front().map(Ok);
        let next = next.or_else(|| self.end.take().map(|kind| Err(kind.into())));
        Box::pin(async move { next })
    }
}

impl Pieces {
    fn of(text: &'static str) -> Self {
        let pieces = text.as_bytes().chunks(3).map(Bytes::from_static).collect();
        Self { length: Some(text.len() as u64), pieces, end: None }
    }
}

impl House {
    async fn new(settings: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let world = World::keeping(settings, Some(folder.path())).await;
        let romeo = world.bind("romeo@localhost/orchard").await;
        Self { world, romeo, folder }
    }

    async fn slot(&self, request: &str) -> Slot {
        let payload = format!("<request xmlns='urn:xmpp:http:upload:0' {request}</request>");
        let answer = self.romeo.ask_at("upload.localhost", "get", &payload).await;
        let root = "https://localhost/upload/localhost/";
        let of = |element: &str| {
            let url = attribute(&answer[answer.find(element).unwrap()..], "url");
            url.strip_prefix(root).unwrap().to_owned()
        };
        Slot { put: of("<put"), get: of("<get") }
    }

    /// A slot for ten bytes of text.
    async fn usual(&self) -> Slot {
        self.slot("filename='a b.txt' size='10' content-type='text/plain'>").await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(header::HeaderName, &str)],
        body: Pieces,
    ) -> HttpReply {
        let mut routes = self.world.site.router.https();
        let (_, route) = routes.find(|(module, _)| *module == "upload").unwrap();
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let request = HttpRequest {
            method,
            path: path.to_owned(),
            query: None,
            headers: headers.collect::<HeaderMap>(),
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            is_secure: true,
            body: Box::new(body),
        };
        route(request).await
    }

    async fn put(&self, path: &str, body: Pieces) -> u16 {
        self.send(Method::PUT, path, &[], body).await.status.as_u16()
    }

    async fn get(&self, path: &str, headers: &[(header::HeaderName, &str)]) -> HttpReply {
        self.send(Method::GET, path, headers, Pieces::of("")).await
    }

    /// Every file below the data folder.
    fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { walk(&path, found) } else { found.push(path) }
            }
        }
        let mut found = Vec::new();
        walk(self.folder.path(), &mut found);
        found
    }

    fn pass(&self, seconds: u64) {
        self.world.hub.clock().advance(Duration::from_secs(seconds));
    }
}

fn body(reply: HttpReply) -> String {
    match reply.content {
        Content::Bytes(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
        Content::File { file, length } => {
            let mut text = String::new();
            file.take(length).read_to_string(&mut text).unwrap();
            text
        }
        Content::Stream(_) => panic!("a file is no stream"),
    }
}

#[tokio::test]
async fn a_file_comes_and_is_fetched() {
    let house = House::new("").await;
    let slot = house.usual().await;
    assert_eq!(house.get(&slot.get, &[]).await.status, 404, "nothing is there yet");
    assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
    let reply = house.get(&slot.get, &[]).await;
    assert_eq!(reply.status, 200);
    let field = |name: header::HeaderName| reply.headers[name].to_str().unwrap().to_owned();
    assert_eq!(field(header::CONTENT_TYPE), "text/plain");
    assert_eq!(
        field(header::CONTENT_DISPOSITION),
        "inline; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt"
    );
    assert!(field(header::CONTENT_SECURITY_POLICY).contains("sandbox"));
    assert_eq!(field(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert_eq!(field(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let etag = field(header::ETAG);
    assert_eq!(body(reply), "0123456789");
    let known = house.get(&slot.get, &[(header::IF_NONE_MATCH, &etag)]).await;
    assert_eq!(known.status, 304);
}

#[tokio::test]
async fn a_file_is_never_overwritten() {
    let house = House::new("").await;
    let slot = house.usual().await;
    assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
    assert_eq!(house.put(&slot.put, Pieces::of("abcdefghij")).await, 409);
    assert_eq!(body(house.get(&slot.get, &[]).await), "0123456789");
}

#[tokio::test]
async fn a_slot_is_for_its_file_only() {
    let house = House::new("").await;
    let slot = house.usual().await;
    let sized = |length| Pieces { length, ..Pieces::of("0123456789") };
    assert_eq!(house.put(&slot.put, sized(Some(11))).await, 413);
    assert_eq!(house.put(&slot.put, sized(Some(9))).await, 400);
    assert_eq!(house.put(&slot.put, sized(None)).await, 411);
    let html = [(header::CONTENT_TYPE, "text/html")];
    let reply = house.send(Method::PUT, &slot.put, &html, Pieces::of("0123456789")).await;
    assert_eq!(reply.status, 415);
    // What the length promised does not come, or more than that.
    let lied = |pieces: &'static str| Pieces { length: Some(10), ..Pieces::of(pieces) };
    assert_eq!(house.put(&slot.put, lied("0123")).await, 400);
    assert_eq!(house.put(&slot.put, lied("0123456789more")).await, 400);
    assert!(house.files().is_empty(), "{:?}", house.files());
    // After all that the slot is as good as new.
    let plain = [(header::CONTENT_TYPE, "Text/Plain; charset=utf-8")];
    let reply = house.send(Method::PUT, &slot.put, &plain, Pieces::of("0123456789")).await;
    assert_eq!(reply.status, 201);
    assert_eq!(house.files().len(), 1);
}

#[tokio::test]
async fn who_was_sent_an_address_cannot_upload_there() {
    let house = House::new("").await;
    let slot = house.usual().await;
    let (token, name) = slot.get.split_once('/').unwrap();
    let wrong = format!("{token}/{}/{name}", "0".repeat(32));
    assert_eq!(house.put(&wrong, Pieces::of("0123456789")).await, 403);
    assert_eq!(house.put(&slot.get, Pieces::of("0123456789")).await, 405);
    let other = house.usual().await;
    let secret = other.put.split('/').nth(1).unwrap();
    let crossed = format!("{token}/{secret}/{name}");
    assert_eq!(house.put(&crossed, Pieces::of("0123456789")).await, 403);
    assert_eq!(house.get(&slot.put, &[]).await.status, 405);
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let house = House::new("").await;
    let slot = house.usual().await;
    house.put(&slot.put, Pieces::of("0123456789")).await;
    let secret = house.folder.path().join("secret");
    std::fs::write(&secret, "nobody's").unwrap();
    let (token, _) = slot.get.split_once('/').unwrap();
    for path in [
        "",
        "/",
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "../../secret/x",
        &format!("{token}/other.txt"),
        &format!("{token}/"),
        &format!("{token}/../../secret"),
        &format!("{}/a%20b.txt", token.to_uppercase()),
        &format!("{}.part/a%20b.txt", &token[..27]),
        &format!("{token}/a%2"),
    ] {
        assert_eq!(house.get(path, &[]).await.status, 404, "{path}");
        assert_ne!(house.put(path, Pieces::of("0123456789")).await, 201, "{path}");
    }
    assert_eq!(std::fs::read_to_string(secret).unwrap(), "nobody's");
}

#[tokio::test]
async fn parts_are_served_one_at_a_time() {
    let house = House::new("").await;
    let slot = house.usual().await;
    house.put(&slot.put, Pieces::of("0123456789")).await;
    for (range, status, text, told) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=0-99", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=0-,0-,0-,0-", 200, "0123456789", ""),
        ("bytes=5-2", 200, "0123456789", ""),
    ] {
        let reply = house.get(&slot.get, &[(header::RANGE, range)]).await;
        assert_eq!(reply.status, status, "{range}");
        let field = reply.headers.get(header::CONTENT_RANGE).map(|it| it.to_str().unwrap());
        assert_eq!(field.unwrap_or_default(), told, "{range}");
        assert_eq!(body(reply), text, "{range}");
    }
    let stale = [(header::RANGE, "bytes=2-4"), (header::IF_RANGE, "\"other\"")];
    assert_eq!(house.get(&slot.get, &stale).await.status, 200);
    let head = [(header::RANGE, "bytes=2-4")];
    let reply = house.send(Method::HEAD, &slot.get, &head, Pieces::of("")).await;
    assert_eq!(reply.status, 200, "ranges are for GET only");
}

#[tokio::test]
async fn what_browsers_would_run_is_only_saved() {
    let house = House::new("").await;
    for (name, kind) in [("x.html", "text/html"), ("x.svg", "image/svg+xml")] {
        let request = format!("filename='{name}' size='10' content-type='{kind}'>");
        let slot = house.slot(&request).await;
        assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
        let reply = house.get(&slot.get, &[]).await;
        assert_eq!(reply.headers[header::CONTENT_TYPE], "application/octet-stream");
        let manner = reply.headers[header::CONTENT_DISPOSITION].to_str().unwrap();
        assert!(manner.starts_with("attachment; "), "{manner}");
    }
}

#[tokio::test]
async fn an_upload_that_broke_off_may_be_tried_again() {
    let house = House::new("").await;
    let slot = house.usual().await;
    for (kind, status) in [(ErrorKind::ConnectionReset, 400), (ErrorKind::TimedOut, 408)] {
        let broken = Pieces { length: Some(10), end: Some(kind), ..Pieces::of("0123") };
        assert_eq!(house.put(&slot.put, broken).await, status);
        assert!(house.files().is_empty());
    }
    assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
}

#[tokio::test]
async fn files_and_slots_end() {
    let house = House::new("").await;
    let (late, stored) = (house.usual().await, house.usual().await);
    assert_eq!(house.put(&stored.put, Pieces::of("0123456789")).await, 201);
    house.pass(299);
    assert_eq!(house.get(&stored.get, &[]).await.status, 200);
    house.pass(1);
    assert_ne!(house.put(&late.put, Pieces::of("0123456789")).await, 201);
    house.pass(30 * 24 * 60 * 60);
    assert_eq!(house.get(&stored.get, &[]).await.status, 404);
    // They are swept away by somebody who sleeps on the same clock.
    while !house.files().is_empty() {
        house.pass(300);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_is_ephemeral_ends_when_it_was_to_end() {
    let house = House::new("").await;
    let purpose = "<ephemeral xmlns='urn:xmpp:http:upload:purpose:0' \
                   expire-before='1970-01-01T00:01:00Z'/>";
    let slot = house.slot(&format!("filename='a' size='10'>{purpose}")).await;
    assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
    house.pass(59);
    assert_eq!(house.get(&slot.get, &[]).await.status, 200);
    house.pass(1);
    // §5.3 "MUST NOT make the file available after the time specified"
    assert_eq!(house.get(&slot.get, &[]).await.status, 404);
}

#[tokio::test]
async fn the_newest_picture_of_a_profile_replaces_the_oldest() {
    let house = House::new("modules.upload.profile_quota = 25").await;
    let profile = "<profile xmlns='urn:xmpp:http:upload:purpose:0'/>";
    let mut slots = Vec::new();
    for name in ["1.txt", "2.txt", "3.txt"] {
        let slot = house.slot(&format!("filename='{name}' size='10'>{profile}")).await;
        assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
        slots.push(slot.get);
    }
    let mut there = Vec::new();
    for get in &slots {
        there.push(house.get(get, &[]).await.status.as_u16());
    }
    assert_eq!(there, [404, 200, 200]);
}

#[tokio::test]
async fn an_account_goes_with_its_files() {
    let house = House::new("").await;
    let (slot, half) = (house.usual().await, house.usual().await);
    assert_eq!(house.put(&slot.put, Pieces::of("0123456789")).await, 201);
    let world = &house.world;
    let jid = BareJid::new("romeo@localhost").unwrap();
    world.hub.directory().sessions(&jid).iter().for_each(|it| {
        world.hub.directory().unbind(&it.jid, &it.mailbox);
    });
    assert!(world.hub.erase(&world.site, &jid).await.unwrap());
    assert!(house.files().is_empty(), "{:?}", house.files());
    assert_eq!(house.get(&slot.get, &[]).await.status, 404);
    assert_eq!(house.put(&half.put, Pieces::of("0123456789")).await, 404);
}
