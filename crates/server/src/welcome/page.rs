//! What the browser gets: pages filled in, their parts, and answers in JSON.

use qrcode::QrCode;
use qrcode::render::svg;
use serde_json::{Value, json};
use waxwing_jid::BareJid;
use waxwing_kernel::Hub;
use waxwing_net::http::{HeaderValue, HttpRoute, Reply, StatusCode, WEBSOCKET_PATH, header};

use super::reach::Reach;

const ASK: &str = include_str!("../../web/welcome.html");
const PAGE: &str = include_str!("../../web/page.html");
const STYLE: &str = include_str!("../../web/waxwing.css");
const SCRIPT: &str = include_str!("../../web/welcome.js");
const BIRD: &str = include_str!("../../web/waxwing.svg");

/// Nothing from elsewhere, nothing inline, and no other page around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'self'; \
                      frame-ancestors 'none'";

/// What the pages load.
pub(super) fn parts() -> Vec<HttpRoute> {
    let part = |path: &'static str, content_type: &'static str, text: &'static str| {
        HttpRoute::get(path, move |_| async move {
            let reply = Reply::new(StatusCode::OK, content_type, text);
            guarded(reply, "no-cache")
        })
    };
    vec![
        part("/assets/waxwing.css", "text/css; charset=utf-8", STYLE),
        part("/assets/welcome.js", "text/javascript; charset=utf-8", SCRIPT),
        part("/favicon.svg", "image/svg+xml", BIRD),
    ]
}

/// The page that asks for a name and a password.
pub(super) fn ask(hub: &Hub) -> Reply {
    let domains = domains(hub);
    let first = domains.first().map(String::as_str).unwrap_or_default();
    let domain = match domains.as_slice() {
        [only] => format!(
            "<span class=\"domain\" aria-hidden=\"true\">@{0}</span>\
             <input type=\"hidden\" id=\"domain\" value=\"{0}\">",
            escape(only)
        ),
        several => {
            let option =
                |name: &String| format!("<option value=\"{0}\">@{0}</option>", escape(name));
            let options: String = several.iter().map(option).collect();
            format!("<select id=\"domain\" aria-label=\"Domain\">{options}</select>")
        }
    };
    let page = ASK.replace("{{first}}", &escape(first)).replace("{{domain}}", &domain);
    guarded(Reply::html(StatusCode::OK, page), "no-store")
}

/// What a link shows that was used, or never was one.
pub(super) fn spent(status: StatusCode, hub: &Hub) -> Reply {
    let domains = domains(hub);
    let domain = domains.first().map_or("localhost", String::as_str);
    let content = format!(
        "<h1>This link is spent</h1>\n\
         <p class=\"lead\">A link to the first account works once, and until the server is \
         stopped. There are two ways on:</p>\n\
         <ul class=\"ways\">\n\
         <li>Make accounts in a terminal on the server:<br>\
         <code>waxwing user add name@{}</code></li>\n\
         <li>Restart the server. As long as it has no account it prints a new link.</li>\n\
         </ul>",
        escape(domain)
    );
    page(status, "This link is spent – Waxwing", &content, "no-store")
}

/// What stands at `/`.
pub(super) fn home(hub: &Hub) -> Reply {
    let domain = |name: &String| format!("<dd><code>@{}</code></dd>", escape(name));
    let domains: String = domains(hub).iter().map(domain).collect();
    let content = format!(
        "<h1>This is a Waxwing server</h1>\n\
         <p class=\"lead\">It carries chat for the people who have an account here. They use it \
         with an XMPP program, not with this page.</p>\n\
         <dl class=\"settings\">\n\
         <div><dt>Addresses end in</dt>{domains}</div>\n\
         <div><dt>WebSocket</dt><dd><code>{WEBSOCKET_PATH}</code></dd></div>\n\
         <div><dt>Discovery</dt><dd><a href=\"/.well-known/host-meta\">host-meta</a>, \
         <a href=\"/.well-known/host-meta.json\">JSON</a></dd></div>\n\
         </dl>"
    );
    page(StatusCode::OK, "Waxwing", &content, "no-cache")
}

/// The account is there: how to use it.
pub(super) fn made(jid: &BareJid, reach: &Reach) -> Reply {
    let uri = uri(jid);
    let body = json!({
        "address": jid.as_str(),
        "qr": qr(&uri),
        "uri": uri,
        "settings": reach.settings(jid.domain()),
        "notes": reach.notes(jid.domain()),
    });
    json(StatusCode::CREATED, &body)
}

/// A sentence that belongs to no field.
pub(super) fn refused(status: StatusCode, message: &str) -> Reply {
    json(status, &json!({ "message": message }))
}

/// An answer that nobody keeps.
pub(super) fn json(status: StatusCode, body: &Value) -> Reply {
    guarded(Reply::json(status, body.to_string()), "no-store")
}

fn page(status: StatusCode, title: &str, content: &str, cache: &'static str) -> Reply {
    let page = PAGE.replace("{{title}}", title).replace("{{content}}", content);
    guarded(Reply::html(status, page), cache)
}

fn guarded(reply: Reply, cache: &'static str) -> Reply {
    reply
        .with(header::CACHE_CONTROL, HeaderValue::from_static(cache))
        .with(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))
        .with(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
}

/// The default one first, the others by name.
fn domains(hub: &Hub) -> Vec<String> {
    let sites = hub.sites();
    let first = sites.first().map(|site| site.domain()).unwrap_or_default();
    let mut domains: Vec<String> = sites.iter().map(|site| site.domain().to_owned()).collect();
    domains.sort_by(|a, b| (a != first, a).cmp(&(b != first, b)));
    domains
}

/// RFC 5122 §2.2: what neither the name nor the domain may say as it is becomes `%XX`.
pub(super) fn uri(jid: &BareJid) -> String {
    let mut uri = "xmpp:".to_owned();
    for byte in jid.as_str().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => uri.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'@' | b'[' | b']' | b':' => uri.push(char::from(byte)),
            b'!' | b'$' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                uri.push(char::from(byte));
            }
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}

/// A picture for a phone's camera: always dark on light, with the quiet zone that scanners need.
/// None for an address longer than fits.
fn qr(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    Some(code.render::<svg::Color>().module_dimensions(4, 4).build())
}

/// For text and for values in quotes.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            _ => out.push(c),
        }
    }
    out
}
