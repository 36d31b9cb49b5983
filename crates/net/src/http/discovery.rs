//! `/.well-known/host-meta` and `host-meta.json`: where a domain's WebSocket and BOSH are
//! (XEP-0156), all other ways in (XEP-0487 0.1.0), and those for other servers (XEP-0468).

use std::net::IpAddr;

use hyper::StatusCode;
use hyper::header::{ACCEPT, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, VARY};

use super::route::Reply;

const WEBSOCKET: &str = "urn:xmpp:alt-connections:websocket";
const BOSH: &str = "urn:xmpp:alt-connections:xbosh";
const TLS: &str = "urn:xmpp:alt-connections:tls";
/// Where other servers find this one's WebSocket (XEP-0468) and its port for direct TLS.
const SERVER_WEBSOCKET: &str = "urn:xmpp:alt-connections:s2s-websocket";
const SERVER_TLS: &str = "urn:xmpp:alt-connections:s2s-tls";
/// How long clients may keep what they read, in seconds.
const TTL_SECONDS: u32 = 3600;
/// XEP-0487 §2.1 "Use as defined in RFC 2782": all links of one priority weigh the same.
const WEIGHT: u32 = 50;

/// One link of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// What it leads to.
    pub rel: String,
    /// A `wss:` or `https:` URL.
    pub href: String,
}

/// What the two documents say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovery {
    links: Vec<Link>,
    everything: Option<Everything>,
}

/// What makes the JSON document tell of every way in: then clients need not ask DNS (XEP-0487).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    /// The addresses that all links lead to.
    pub ips: Vec<IpAddr>,
    /// The port of XMPP on TLS (XEP-0368), if there is one.
    pub tls_port: Option<u16>,
    /// The port for other servers with direct TLS, if they are let in.
    pub server_tls_port: Option<u16>,
    /// The name to ask for in TLS.
    pub sni: String,
}

impl Discovery {
    /// Links to the public address of the WebSocket and of BOSH, and `others` for whatever else
    /// the site declares there (WebFinger, for example).
    ///
    /// # Errors
    /// A URL that is not `wss:` or `https:`, or holds characters that no URL has. The error is a
    /// sentence for the operator.
    pub fn new(
        websocket: Option<&str>,
        bosh: Option<&str>,
        others: Vec<Link>,
    ) -> Result<Self, String> {
        let link = |rel: &str, href: &str| Link { rel: rel.to_owned(), href: href.to_owned() };
        let mut links = Vec::new();
        if let Some(url) = websocket {
            check(url, &["wss://"])?;
            links.push(link(WEBSOCKET, url));
        }
        if let Some(url) = bosh {
            check(url, &["https://"])?;
            links.push(link(BOSH, url));
        }
        for other in &others {
            check(&other.rel, &[""])?;
            check(&other.href, &["https://", "wss://"])?;
        }
        links.extend(others);
        Ok(Self { links, everything: None })
    }

    /// The same with the WebSocket for other servers.
    ///
    /// # Errors
    /// As [`Discovery::new`].
    pub fn with_servers(mut self, websocket: &str) -> Result<Self, String> {
        check(websocket, &["wss://"])?;
        let (rel, href) = (SERVER_WEBSOCKET.to_owned(), websocket.to_owned());
        self.links.push(Link { rel, href });
        Ok(self)
    }

    /// The same with all other ways in.
    #[must_use]
    pub fn with_everything(self, everything: Everything) -> Self {
        Self { everything: Some(everything), ..self }
    }

    /// The document for `path`, if it is one of the two.
    pub(super) fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Reply> {
        let is_json = match path {
            "/.well-known/host-meta.json" => true,
            // RFC 6415 §3: a client may ask for JSON here by its Accept field.
            "/.well-known/host-meta" => wants_json(headers),
            _ => return None,
        };
        let reply = if is_json {
            Reply::json(StatusCode::OK, self.json())
        } else {
            Reply::new(StatusCode::OK, "application/xrd+xml", self.xml())
        };
        // XEP-0156 §3.1: "the HTTP host-meta files … SHOULD be served with CORS headers".
        Some(
            reply
                .with(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"))
                .with(VARY, HeaderValue::from_static("Accept")),
        )
    }

    fn xml(&self) -> String {
        let mut out = String::from(
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n",
        );
        for Link { rel, href } in &self.links {
            let [rel, href] = [rel, href].map(|text| text.replace('&', "&amp;"));
            out += &format!("  <Link rel='{rel}' href='{href}'/>\n");
        }
        out + "</XRD>\n"
    }

    fn json(&self) -> String {
        let everything = self.everything.as_ref();
        let more = |rel: &str| everything.and_then(|it| it.fields(rel)).unwrap_or_default();
        let link = |Link { rel, href }: &Link| {
            let more = more(rel);
            format!("    {{ \"rel\": \"{rel}\", \"href\": \"{href}\"{more} }}")
        };
        let mut links: Vec<_> = self.links.iter().map(link).collect();
        let ports = everything.map(|it| [(TLS, it.tls_port), (SERVER_TLS, it.server_tls_port)]);
        for (rel, port) in ports.into_iter().flatten() {
            let Some(port) = port else { continue };
            let more = more(rel);
            links.push(format!("    {{ \"rel\": \"{rel}\", \"port\": {port}{more} }}"));
        }
        // XEP-0487 §2.2: the object "xmpp" means that clients find everything here.
        let xmpp = everything.map(|_| format!("  \"xmpp\": {{ \"ttl\": {TTL_SECONDS} }},\n"));
        let (xmpp, links) = (xmpp.unwrap_or_default(), links.join(",\n"));
        format!("{{\n{xmpp}  \"links\": [\n{links}\n  ]\n}}\n")
    }
}

impl Everything {
    /// What XEP-0487 §2.1 adds to a link; None to one of another kind.
    fn fields(&self, rel: &str) -> Option<String> {
        let priority = match rel {
            TLS | SERVER_TLS => 10,
            WEBSOCKET | SERVER_WEBSOCKET => 20,
            BOSH => 30,
            _ => return None,
        };
        let ips: Vec<_> = self.ips.iter().map(|ip| format!("\"{ip}\"")).collect();
        let (ips, sni) = (ips.join(", "), &self.sni);
        Some(format!(
            ", \"ips\": [{ips}], \"priority\": {priority}, \"weight\": {WEIGHT}, \"sni\": \"{sni}\""
        ))
    }
}

/// Neither document has to escape more than `&` after this.
fn check(url: &str, schemes: &[&str]) -> Result<(), String> {
    let is_plain = |char: char| char.is_ascii_graphic() && !"\"'<>\\`{}|^".contains(char);
    if url.is_empty() || !url.chars().all(is_plain) {
        return Err(format!("'{url}' is not a URL: use ASCII, percent-encoded where needed"));
    }
    if !schemes.iter().any(|scheme| url.starts_with(scheme)) {
        let schemes = schemes.join(" or ");
        return Err(format!("'{url}' must begin with {schemes}: clients refuse anything less"));
    }
    Ok(())
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let json = accepted.find("json");
    match (json, accepted.find("xml")) {
        (Some(json), Some(xml)) => json < xml,
        (json, _) => json.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_documents_hold_the_same_links() {
        let discovery = Discovery::new(
            Some("wss://example.org/xmpp-websocket?a=1&b=2"),
            Some("https://example.org/http-bind"),
            vec![],
        )
        .unwrap();
        assert_eq!(
            discovery.xml(),
            "<?xml version='1.0' encoding='utf-8'?>\n\
             <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n  \
             <Link rel='urn:xmpp:alt-connections:websocket' \
             href='wss://example.org/xmpp-websocket?a=1&amp;b=2'/>\n  \
             <Link rel='urn:xmpp:alt-connections:xbosh' href='https://example.org/http-bind'/>\n\
             </XRD>\n"
        );
        assert_eq!(
            discovery.json(),
            "{\n  \"links\": [\n    { \"rel\": \"urn:xmpp:alt-connections:websocket\", \"href\": \
             \"wss://example.org/xmpp-websocket?a=1&b=2\" },\n    { \"rel\": \
             \"urn:xmpp:alt-connections:xbosh\", \"href\": \"https://example.org/http-bind\" }\n  \
             ]\n}\n"
        );
    }

    /// XEP-0487 §2.
    #[test]
    fn everything_is_told_in_one_document() {
        let everything = Everything {
            ips: vec!["203.0.113.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
            tls_port: Some(5223),
            server_tls_port: None,
            sni: "example.org".to_owned(),
        };
        let urls = (Some("wss://example.org/ws"), Some("https://example.org/http-bind"));
        let discovery = Discovery::new(urls.0, urls.1, vec![]).unwrap();
        let before = discovery.xml();
        let discovery = discovery.with_everything(everything);
        assert_eq!(discovery.xml(), before);
        let more = |priority: u32| {
            format!(
                "\"ips\": [\"203.0.113.7\", \"2001:db8::7\"], \"priority\": {priority}, \
                 \"weight\": 50, \"sni\": \"example.org\" }}"
            )
        };
        let json = discovery.json();
        for part in [
            "\"xmpp\": { \"ttl\": 3600 }".to_owned(),
            format!("\"href\": \"wss://example.org/ws\", {}", more(20)),
            format!("\"href\": \"https://example.org/http-bind\", {}", more(30)),
            format!("\"rel\": \"urn:xmpp:alt-connections:tls\", \"port\": 5223, {}", more(10)),
        ] {
            assert!(json.contains(&part), "{part} in {json}");
        }
    }

    /// XEP-0468, XEP-0487: what `waxwing` tells other servers it finds itself.
    #[test]
    fn other_servers_are_told_when_they_are_let_in() {
        let everything = Everything {
            ips: vec!["203.0.113.7".parse().unwrap()],
            tls_port: None,
            server_tls_port: Some(5270),
            sni: "example.org".to_owned(),
        };
        let discovery = Discovery::new(None, None, vec![]).unwrap();
        assert!(!discovery.clone().with_everything(everything.clone()).xml().contains("s2s"));
        assert!(discovery.clone().with_servers("ws://example.org/s2s").is_err());
        let discovery = discovery.with_servers("wss://example.org/s2s").unwrap();
        assert!(discovery.xml().contains(
            "<Link rel='urn:xmpp:alt-connections:s2s-websocket' href='wss://example.org/s2s'/>"
        ));
        let json = discovery.with_everything(everything).json();
        let more = "\"ips\": [\"203.0.113.7\"], \"priority\": ";
        for part in [
            format!("s2s-websocket\", \"href\": \"wss://example.org/s2s\", {more}20"),
            format!("s2s-tls\", \"port\": 5270, {more}10"),
        ] {
            assert!(json.contains(&part), "{part} in {json}");
        }
    }

    #[test]
    fn insecure_and_broken_urls_are_refused() {
        for url in ["ws://example.org/", "http://x/", "", "wss://exa mple/", "wss://x/'><y"] {
            assert!(Discovery::new(Some(url), None, vec![]).is_err(), "{url}");
        }
        assert!(Discovery::new(None, Some("wss://x/"), vec![]).is_err());
        let other = Link { rel: "lrdd".to_owned(), href: "http://x/".to_owned() };
        assert!(Discovery::new(None, None, vec![other]).is_err());
    }

    #[test]
    fn json_is_chosen_by_path_or_accept() {
        let discovery = Discovery::new(Some("wss://x/ws"), None, vec![]).unwrap();
        let kind = |path: &str, accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            let reply = discovery.answer(path, &headers)?;
            assert_eq!(reply.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
            Some(reply.headers["content-type"].to_str().unwrap().to_owned())
        };
        let xrd = Some("application/xrd+xml".to_owned());
        let json = Some("application/json".to_owned());
        assert_eq!(kind("/.well-known/host-meta", "*/*"), xrd);
        assert_eq!(kind("/.well-known/host-meta", "application/json"), json);
        assert_eq!(kind("/.well-known/host-meta", "application/xrd+xml, application/json"), xrd);
        assert_eq!(kind("/.well-known/host-meta.json", "*/*"), json);
        assert_eq!(kind("/.well-known/other", "*/*"), None);
    }
}
