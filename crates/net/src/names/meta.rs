//! Host-meta of other servers: XEP-0487 0.1.0, and XEP-0156 1.4.0 where the file has no more.
//!
//! The JSON document is read only: XEP-0487 has no other, and the parser of our streams refuses
//! what XML files on web servers may hold, as it should.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use waxwing_kernel::outgoing::Uri;

use super::domain::is_name;
use super::order::Ranked;
use super::target::{FoundBy, Meta, Target, Way};
use super::wellknown::Asking;

const WEBSOCKET: &str = "urn:xmpp:alt-connections:s2s-websocket";
const TLS: &str = "urn:xmpp:alt-connections:s2s-tls";
/// Links and, in each, addresses and pins that are read.
const LINKS: usize = 16;
/// What XEP-0156 says nothing about.
const TTL: Duration = Duration::from_secs(3600);
/// XEP-0487 §5: "it is advised to put a max limit on TTL of 1 week".
const TTL_MAX: Duration = Duration::from_secs(604_800);

/// What a host-meta says of servers, and how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) links: Vec<(u16, u16, Target)>,
    pub(super) keep: Duration,
}

/// Asks the web server of `domain` (A-labels). None: it has no such file.
///
/// # Errors
/// Words on what is wrong with its file, or with getting it.
pub(super) async fn ask(asking: &Asking<'_>, domain: &str) -> Result<Option<Document>, String> {
    let url = format!("https://{domain}/.well-known/host-meta.json");
    Ok(asking.json(&url).await?.as_ref().map(read))
}

impl Document {
    /// The links, for [`in_order`](super::order::in_order).
    pub(super) fn ranked(&self) -> Vec<Ranked<usize>> {
        let links = self.links.iter().enumerate();
        links.map(|(item, &(priority, weight, _))| Ranked { priority, weight, item }).collect()
    }
}

fn read(json: &Value) -> Document {
    let xmpp = json.get("xmpp").filter(|xmpp| xmpp.is_object());
    let ttl = xmpp.and_then(|xmpp| xmpp.get("ttl")).and_then(Value::as_u64);
    let pins: Vec<_> = xmpp
        .and_then(|xmpp| xmpp.get("public-key-pins-sha-256"))
        .map(|pins| strings(pins).filter_map(pin).collect())
        .unwrap_or_default();
    let links = json.get("links").and_then(Value::as_array).map(Vec::as_slice);
    let link = |link| read_link(link, xmpp.is_some(), &pins);
    Document {
        links: links.unwrap_or_default().iter().filter_map(link).take(LINKS).collect(),
        keep: ttl.map_or(TTL, Duration::from_secs).min(TTL_MAX),
    }
}

/// A link to a server for servers; None for any other, and for one that is broken.
fn read_link(link: &Value, has_more: bool, pins: &[[u8; 32]]) -> Option<(u16, u16, Target)> {
    // §2.1: "software only implementing XEP-0156" reads nothing but `rel` and `href`.
    let more = |name: &str| link.get(name).filter(|_| has_more);
    let number = |name| more(name).and_then(Value::as_u64).and_then(|it| u16::try_from(it).ok());
    let sni = more("sni").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let sni = sni.filter(|sni| is_name(sni));
    let (host, port, way) = match link.get("rel")?.as_str()? {
        WEBSOCKET => of_url(link.get("href")?.as_str()?)?,
        TLS => (sni.clone()?, number("port").filter(|port| *port > 0)?, Way::DirectTls),
        _ => return None,
    };
    let ips = more("ips").map(|ips| strings(ips).filter_map(|ip| ip.parse().ok()).collect());
    let sni = sni.unwrap_or_else(|| host.clone()).into();
    let meta = Meta { sni, ips: ips.unwrap_or_default(), pins: pins.to_vec() };
    let priority = number("priority").unwrap_or(0);
    let target = Target {
        host: host.into(),
        port,
        priority,
        way,
        found_by: FoundBy::HostMeta,
        is_signed: false,
        meta: Some(Arc::new(meta)),
    };
    Some((priority, number("weight").unwrap_or(0), target))
}

/// XEP-0468 §2: "wss (TLS) upgraded to a MUST be used".
fn of_url(href: &str) -> Option<(String, u16, Way)> {
    let url: Uri = href.parse().ok()?;
    let authority = url.authority()?;
    if url.scheme_str() != Some("wss") || authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().to_ascii_lowercase();
    if !is_name(&host) {
        return None;
    }
    let path = url.path_and_query().map_or("/", |path| path.as_str()).into();
    Some((host, authority.port_u16().unwrap_or(443), Way::WebSocket { path }))
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).take(LINKS)
}

fn pin(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of XEP-0487 §2.2, shortened.
    fn example() -> Value {
        json!({
            "xmpp": {
                "ttl": 3000,
                "public-key-pins-sha-256": ["4/mggdlVx8A3pvHAWW5sD+qJyMtUHgiRuPjVC48N0XQ=", "no"],
            },
            "links": [
                { "rel": "urn:xmpp:alt-connections:websocket", "href": "wss://o.example.org/ws" },
                {
                    "rel": "urn:xmpp:alt-connections:s2s-websocket",
                    "href": "wss://Other.example.org/s2s-xmpp-websocket?a=b",
                    "ips": ["1.2.3.4", "fd00:feed:dad:beef::1", "nonsense"],
                    "priority": 15, "weight": 50, "sni": "example.org", "ech": "eG1wcC1jbGllbnQ=",
                },
                {
                    "rel": "urn:xmpp:alt-connections:s2s-tls",
                    "port": 443, "ips": ["1.2.3.4"], "priority": 10, "weight": 50,
                    "sni": "example.org",
                },
                { "rel": "urn:xmpp:alt-connections:s2s-quic", "port": 443, "sni": "example.org" },
            ],
        })
    }

    #[test]
    fn servers_are_found_in_host_meta_2() {
        let document = read(&example());
        assert_eq!(document.keep, Duration::from_secs(3000));
        let [(15, 50, websocket), (10, 50, tls)] = document.links.as_slice() else {
            panic!("{document:?}");
        };
        assert_eq!((&*websocket.host, websocket.port), ("other.example.org", 443));
        let path = "/s2s-xmpp-websocket?a=b".into();
        assert_eq!(websocket.way, Way::WebSocket { path });
        let meta = websocket.meta.as_ref().unwrap();
        assert_eq!((&*meta.sni, meta.ips.len(), meta.pins.len()), ("example.org", 2, 1));
        assert_eq!((&*tls.host, tls.port, &tls.way), ("example.org", 443, &Way::DirectTls));
        assert_eq!(tls.found_by, FoundBy::HostMeta);
    }

    /// XEP-0487 §2.3: "if the top level "xmpp" object does not exist, XEP-0156 rules apply
    /// instead".
    #[test]
    fn without_the_object_only_urls_count() {
        let mut json = example();
        json.as_object_mut().unwrap().remove("xmpp");
        let document = read(&json);
        assert_eq!(document.keep, TTL);
        let [(0, 0, websocket)] = document.links.as_slice() else { panic!("{document:?}") };
        let meta = websocket.meta.as_ref().unwrap();
        assert_eq!((&*meta.sni, meta.ips.len()), ("other.example.org", 0));
        assert!(meta.pins.is_empty());
    }

    #[test]
    fn broken_and_insecure_links_are_passed_over() {
        for link in [
            json!({ "rel": WEBSOCKET, "href": "ws://x.example/" }),
            json!({ "rel": WEBSOCKET, "href": "https://x.example/" }),
            json!({ "rel": WEBSOCKET, "href": "wss://user@x.example/" }),
            json!({ "rel": WEBSOCKET, "href": "wss:///ws" }),
            json!({ "rel": WEBSOCKET, "href": "wss://exa mple/" }),
            json!({ "rel": WEBSOCKET }),
            json!({ "rel": TLS, "port": 0, "sni": "x.example" }),
            json!({ "rel": TLS, "port": 65_536, "sni": "x.example" }),
            json!({ "rel": TLS, "port": 5270 }),
            json!({ "rel": TLS, "port": 5270, "sni": "not a name" }),
            json!({ "href": "wss://x.example/" }),
            json!(7),
        ] {
            let document = read(&json!({ "xmpp": {}, "links": [link] }));
            assert!(document.links.is_empty(), "{document:?}");
        }
        for json in [json!([]), json!({ "links": 7 }), json!({ "xmpp": 7 }), json!(null)] {
            assert!(read(&json).links.is_empty());
        }
    }
}
