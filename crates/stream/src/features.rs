//! Stream features (RFC 6120 §4.3.2) in each phase.

use std::fmt::Write;

use waxwing_xml::write;

use crate::host::{Host, Security};
use crate::limits::Limits;
use crate::role::client::tasks::name;
use crate::{BIND, BIND2, FAST, IAP, SASL, SASL2, SM, STREAM, TLS, UPGRADE, sasl};

const LIMITS: &str = "urn:xmpp:stream-limits:0";
/// XEP-0077 §8.
const REGISTER: &str = "http://jabber.org/features/iq-register";
const CHANNEL_BINDING: &str = "urn:xmpp:sasl-cb:0";
/// What is told of the hash of the features, in bytes: nobody gains from a collision.
const VERSION_BYTES: usize = 15;

/// What a client may do next.
pub(crate) enum Phase {
    /// STARTTLS and nothing else.
    Tls,
    /// Authenticate; with STARTTLS beside it where `true`.
    Sasl(bool),
    /// Bind or resume.
    Bind,
    /// A resource is bound; with stream management on where it is `managed`.
    Bound { managed: bool },
}

/// What the features depend on.
pub(crate) struct Features<'a> {
    pub(crate) host: &'a Host,
    pub(crate) security: &'a Security,
    pub(crate) limits: &'a Limits,
}

impl Features<'_> {
    /// Writes `<stream:features/>`. `declare` binds the prefix on the element itself.
    pub(crate) fn write(&self, phase: &Phase, declare: bool, out: &mut String) {
        out.push_str("<stream:features");
        if declare {
            write::attribute(out, "xmlns:stream", STREAM);
        }
        out.push('>');
        let start = out.len();
        self.write_content(phase, out);
        if let Some(version) = self.version_of(phase, &out[start..]) {
            out.push_str("<config-version");
            write::attribute(out, "xmlns", IAP);
            write::attribute(out, "scheme", "opaque");
            write::attribute(out, "value", &version);
            out.push_str("/>");
        }
        out.push_str("</stream:features>");
    }

    /// What a client names that sends its `<authenticate/>` before it sees the features; none where
    /// there is none to send.
    pub(crate) fn version(&self, phase: &Phase) -> Option<String> {
        let mut content = String::new();
        self.write_content(phase, &mut content);
        self.version_of(phase, &content)
    }

    /// XEP-0509 §2.3: "a hash or HMAC of the rendered features, absent the <config-version>".
    fn version_of(&self, phase: &Phase, content: &str) -> Option<String> {
        let is_asked = matches!(phase, Phase::Sasl(_));
        (is_asked && sasl::offers_sasl2(self.host, self.security)).then(|| {
            let hash = sasl::Hash::Sha256.digest(content.as_bytes());
            sasl::encode(&hash[..VERSION_BYTES])
        })
    }

    fn write_content(&self, phase: &Phase, out: &mut String) {
        match phase {
            Phase::Tls => starttls(true, out),
            Phase::Sasl(tls) => {
                if *tls {
                    starttls(false, out);
                }
                mechanisms(self.host, self.security, out);
                if self.host.registration {
                    empty("register", REGISTER, out);
                }
                out.extend(self.host.early_features.iter().map(|feature| &**feature));
            }
            Phase::Bind => {
                empty("bind", BIND, out);
                empty("sm", SM, out);
                out.extend(self.host.features.iter().map(|feature| &**feature));
            }
            Phase::Bound { managed } => {
                if !managed {
                    empty("sm", SM, out);
                }
                out.extend(self.host.features.iter().map(|feature| &**feature));
            }
        }
        let is_known = matches!(phase, Phase::Bind | Phase::Bound { .. });
        announce_limits(is_known, self.limits, out);
    }
}

/// RFC 6120 §5.4.1: `<required/>` where nothing else can be negotiated before.
pub(crate) fn starttls(required: bool, out: &mut String) {
    if !required {
        return empty("starttls", TLS, out);
    }
    out.push_str("<starttls");
    write::attribute(out, "xmlns", TLS);
    out.push_str("><required/></starttls>");
}

/// `<mechanisms/>` and, beside it, the channel binding types of XEP-0440.
fn mechanisms(host: &Host, security: &Security, out: &mut String) {
    let offered = sasl::offered(host, security);
    if offered.is_empty() {
        return;
    }
    out.push_str("<mechanisms");
    write::attribute(out, "xmlns", SASL);
    out.push('>');
    for mechanism in &offered {
        write!(out, "<mechanism>{mechanism}</mechanism>").expect("strings take every write");
    }
    out.push_str("</mechanisms>");
    if sasl::offers_sasl2(host, security) {
        authentication(host, (&offered, &sasl::offered_tokens(host, security)), out);
    }
    let kinds = sasl::binding_kinds(security, &offered);
    if kinds.is_empty() {
        return;
    }
    out.push_str("<sasl-channel-binding");
    write::attribute(out, "xmlns", CHANNEL_BINDING);
    out.push('>');
    for kind in kinds {
        out.push_str("<channel-binding");
        write::attribute(out, "type", kind);
        out.push_str("/>");
    }
    out.push_str("</sasl-channel-binding>");
}

/// `<authentication/>` (XEP-0388 §2.1) with what can be done along with it: resuming (XEP-0198
/// §7.2), and binding with what a session can begin with (XEP-0386 §3).
fn authentication(
    host: &Host,
    (offered, tokens): (&[sasl::Mechanism], &[sasl::Mechanism]),
    out: &mut String,
) {
    out.push_str("<authentication");
    write::attribute(out, "xmlns", SASL2);
    out.push('>');
    for mechanism in offered {
        write!(out, "<mechanism>{mechanism}</mechanism>").expect("strings take every write");
    }
    out.push_str("<inline>");
    empty("sm", SM, out);
    out.push_str("<bind");
    write::attribute(out, "xmlns", BIND2);
    out.push_str("><inline>");
    for feature in host.inline.iter().map(|feature| &**feature).chain([SM]) {
        out.push_str("<feature");
        write::attribute(out, "var", feature);
        out.push_str("/>");
    }
    out.push_str("</inline></bind>");
    if !tokens.is_empty() {
        out.push_str("<fast");
        write::attribute(out, "xmlns", FAST);
        out.push('>');
        for mechanism in tokens {
            write!(out, "<mechanism>{mechanism}</mechanism>").expect("strings take every write");
        }
        out.push_str("</fast>");
    }
    out.push_str("</inline>");
    for hash in sasl::upgrades(host) {
        out.push_str("<upgrade");
        write::attribute(out, "xmlns", UPGRADE);
        out.push('>');
        out.push_str(&name(hash));
        out.push_str("</upgrade>");
    }
    out.push_str("</authentication>");
}

/// XEP-0478. Before authentication the whole handshake is bounded, which bounds silence too.
fn announce_limits(authenticated: bool, limits: &Limits, out: &mut String) {
    let (bytes, idle) = if authenticated {
        (limits.after_auth.element_bytes, limits.idle_seconds)
    } else {
        (limits.before_auth.element_bytes, limits.handshake_seconds)
    };
    write_limits(bytes, idle, out);
}

/// Writes `<limits/>` (XEP-0478 §3.1).
pub(crate) fn write_limits(bytes: usize, idle: u32, out: &mut String) {
    out.push_str("<limits");
    write::attribute(out, "xmlns", LIMITS);
    write!(out, "><max-bytes>{bytes}</max-bytes><idle-seconds>{idle}</idle-seconds></limits>")
        .expect("strings take every write");
}

fn empty(name: &str, namespace: &str, out: &mut String) {
    out.push('<');
    out.push_str(name);
    write::attribute(out, "xmlns", namespace);
    out.push_str("/>");
}
