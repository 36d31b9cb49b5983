//! Dialback keys (XEP-0185 1.0) and the elements that carry them (XEP-0220 1.1.1).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use waxwing_stanza::StanzaError;
use waxwing_xml::{Element, write};

use crate::chassis::Chassis;
use crate::error::{Condition, StreamError};
use crate::role::server::features::is_dialback;
use crate::role::server::{Demand, Pair, Verdict};
use crate::sasl::Hash;
use crate::{DIALBACK, SERVER};

/// XEP-0185 §2: "key = HMAC-SHA256(SHA256(Secret), { Receiving Server, ' ', Originating Server,
/// ' ', Stream ID })", and "The output of the SHA256 hashing algorithm MUST be provided in the
/// hexadecimal representation". `pair.to` receives, `pair.from` originates.
pub fn dialback_key(secret: &[u8], pair: &Pair, id: &str) -> String {
    let key = hex(&Hash::Sha256.digest(secret));
    let text = format!("{} {} {id}", pair.to, pair.from);
    hex(&Hash::Sha256.hmac(key.as_bytes(), text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("four bits are one digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Writes `<db:result/>` or `<db:verify/>`.
pub(super) struct Writing<'a> {
    /// `result` or `verify`.
    pub(super) name: &'a str,
    pub(super) pair: &'a Pair,
    pub(super) id: Option<&'a str>,
}

impl Writing<'_> {
    /// A request with a key.
    pub(super) fn key(&self, io: &mut Chassis, key: &str) {
        self.write(io, None, |out| write::text(out, key));
    }

    /// What became of it.
    pub(super) fn verdict(&self, io: &mut Chassis, verdict: &Verdict) {
        match verdict {
            Verdict::Valid => self.write(io, Some("valid"), |_| {}),
            Verdict::Invalid => self.write(io, Some("invalid"), |_| {}),
            Verdict::Failed(error) => self.write(io, Some("error"), |out| error.write(out)),
        }
    }

    fn write(&self, io: &mut Chassis, kind: Option<&str>, content: impl FnOnce(&mut String)) {
        // On TCP the header declares both; a message on a WebSocket stands alone.
        let declare = io.is_websocket();
        io.write(|out| {
            out.push_str("<db:");
            out.push_str(self.name);
            if declare {
                write::attribute(out, "xmlns:db", DIALBACK);
                write::attribute(out, "xmlns", SERVER);
            }
            write::attribute(out, "from", &self.pair.from);
            write::attribute(out, "to", &self.pair.to);
            if let Some(id) = self.id {
                write::attribute(out, "id", id);
            }
            if let Some(kind) = kind {
                write::attribute(out, "type", kind);
            }
            out.push('>');
            content(out);
            out.push_str("</db:");
            out.push_str(self.name);
            out.push('>');
        });
    }
}

/// The `type` of an answer, read. `None`: it is a request.
pub(super) fn read_verdict(element: &Element) -> Option<Verdict> {
    Some(match &*element.attribute("type")? {
        "valid" => Verdict::Valid,
        "error" => {
            let error = element.children().find_map(StanzaError::read);
            Verdict::Failed(error.unwrap_or_else(StanzaError::undefined_condition))
        }
        // What nobody knows lets nobody in.
        _ => Verdict::Invalid,
    })
}

/// Answers `<db:verify/>` as the authoritative server of our domains (XEP-0220 §2.2.2). Whoever
/// asks need not be anybody: only who knows a key already learns something.
///
/// # Errors
/// The stream error for an element that is no request.
pub(super) fn verify(io: &mut Chassis, element: &Element) -> Result<(), StreamError> {
    debug_assert!(is_dialback(element, "verify"));
    let pair = Pair::read(element).ok_or_else(StreamError::improper_addressing)?;
    let Some(id) = element.attribute("id").filter(|id| !id.is_empty()) else {
        return Err(StreamError::invalid_xml().text("a key is verified for the id of a stream"));
    };
    let verdict = judge(io, &pair, &id, element.text().trim());
    let answer = Writing { name: "verify", pair: &pair.reversed(), id: Some(&id) };
    answer.verdict(io, &verdict);
    Ok(())
}

fn judge(io: &Chassis, pair: &Pair, id: &str, key: &str) -> Verdict {
    let border = match io.hosts.border(&pair.to, Some(&pair.from)) {
        Ok(border) => border,
        Err(error) => return Verdict::Failed(as_stanza_error(&error)),
    };
    if let Some(error) = in_clear(io, border.demand) {
        return Verdict::Failed(error);
    }
    let Some(secret) = io.hosts.dialback_secret() else { return Verdict::Invalid };
    // The key was made by the sender for the target: the pair of the request the other way round.
    let right = dialback_key(secret, &pair.reversed(), id);
    match verify_slices_are_equal(right.as_bytes(), key.as_bytes()) {
        Ok(()) => Verdict::Valid,
        Err(_) => Verdict::Invalid,
    }
}

/// §2.5: "The Receiving Server enforces a policy mandating usage of TLS before dialback and the
/// Initiating Server sent the dialback request without using TLS."
pub(super) fn in_clear(io: &Chassis, demand: Demand) -> Option<StanzaError> {
    (demand.needs_tls() && !io.security.is_encrypted())
        .then(|| StanzaError::policy_violation().text("this server takes nothing without TLS"))
}

/// §2.5: `item-not-found` for "The domain given in the 'to' attribute of the request is not hosted
/// on the Receiving Server"; everything else is our policy.
pub(super) fn as_stanza_error(error: &StreamError) -> StanzaError {
    let mut said = match error.condition {
        Condition::HostUnknown | Condition::HostGone => StanzaError::item_not_found(),
        Condition::ResourceConstraint => StanzaError::resource_constraint(),
        _ => StanzaError::policy_violation(),
    };
    said.text = error.text.clone();
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_specifications() {
        // XEP-0185 §3, and the two of XEP-0220 §2.
        let of = |secret: &str, from: &str, to: &str, id: &str| {
            dialback_key(secret.as_bytes(), &Pair::new(from, to), id)
        };
        assert_eq!(
            of("s3cr3tf0rd14lb4ck", "example.org", "xmpp.example.com", "D60000229F"),
            "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"
        );
        assert_eq!(
            of("s3cr3tf0rd14lb4ck", "capulet.example", "montague.example", "D60000229F"),
            "b4835385f37fe2895af6c196b59097b16862406db80559900d96bf6fa7d23df3"
        );
        assert_eq!(
            of("d14lb4ck43v3r", "montague.example", "capulet.example", "417GAF25"),
            "225cc5aa6a071133249d25fef42ae516fc7a86c523aa1c6980a7f73e784c972d"
        );
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let pair = Pair::new("a.example", "b.example");
        let key = dialback_key(b"secret", &pair, "1");
        assert_ne!(key, dialback_key(b"secret", &pair.reversed(), "1"));
        assert_ne!(key, dialback_key(b"secret", &pair, "2"));
        assert_ne!(key, dialback_key(b"other", &pair, "1"));
    }
}
