//! SCRAM (RFC 5802, RFC 7677) from the server's side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::sasl::hash::{ScramKeys, same};

/// Longest nonce accepted from a client, in bytes.
const NONCE_BYTES: usize = 512;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScramError {
    /// The message does not follow the grammar.
    Malformed,
    /// `e=server-does-support-channel-binding`: somebody has hidden our -PLUS mechanisms.
    Downgrade,
    /// `e=unsupported-channel-binding-type`.
    UnknownBinding,
    /// The proof is wrong, or the channel binding differs.
    Refused,
}

/// The first message of the client, taken apart.
#[derive(Debug)]
pub(crate) struct ClientFirst {
    /// `gs2-header`, as sent.
    gs2: String,
    /// `client-first-message-bare`, as sent.
    bare: String,
    /// The channel binding type of `p=`.
    pub(crate) binding: Option<String>,
    /// The client would have bound the channel but believes that the server cannot.
    claims_no_binding: bool,
    /// Decoded.
    pub(crate) authzid: Option<String>,
    /// Decoded.
    pub(crate) username: String,
    nonce: String,
}

impl ClientFirst {
    pub(crate) fn parse(message: &str) -> Result<ClientFirst, ScramError> {
        let malformed = ScramError::Malformed;
        let (flag, rest) = message.split_once(',').ok_or(malformed)?;
        let (authzid, bare) = rest.split_once(',').ok_or(malformed)?;
        let binding = match flag {
            "n" | "y" => None,
            _ => Some(flag.strip_prefix("p=").filter(|name| is_binding(name)).ok_or(malformed)?),
        };
        let authzid = match authzid {
            "" => None,
            _ => Some(saslname(authzid.strip_prefix("a=").ok_or(malformed)?)?),
        };
        // RFC 5802 §5.1: "m": mandatory extensions; none is known, so "n=" must come first.
        let mut attributes = bare.split(',');
        let username = attributes.next().and_then(|a| a.strip_prefix("n=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(malformed)?;
        if !is_nonce(nonce) || !attributes.all(is_extension) {
            return Err(malformed);
        }
        Ok(ClientFirst {
            gs2: message[..message.len() - bare.len()].to_owned(),
            bare: bare.to_owned(),
            binding: binding.map(str::to_owned),
            claims_no_binding: flag == "y",
            authzid,
            username: saslname(username)?,
            nonce: nonce.to_owned(),
        })
    }

    /// RFC 5802 §6. `plus`: the mechanism chosen binds the channel; `offered`: ours do.
    /// "n" is always accepted with a mechanism that does not bind: the client cannot.
    pub(crate) fn check_binding(&self, plus: bool, offered: bool) -> Result<(), ScramError> {
        match (plus, &self.binding) {
            (true, None) | (false, Some(_)) => Err(ScramError::Malformed),
            (false, None) if self.claims_no_binding && offered => Err(ScramError::Downgrade),
            _ => Ok(()),
        }
    }
}

/// An exchange between the two messages of the client.
#[derive(Debug)]
pub(crate) struct Scram {
    first: ClientFirst,
    keys: ScramKeys,
    nonce: String,
    server_first: String,
    /// The data of the channel binding that the client chose; empty without.
    binding: Vec<u8>,
}

impl Scram {
    /// An exchange with `keys`, after the first message of the client. `extensions` are further
    /// attributes of ours, each behind its comma.
    pub(crate) fn new(
        first: ClientFirst,
        keys: ScramKeys,
        binding: Vec<u8>,
        (server_nonce, extensions): (&str, &str),
    ) -> Scram {
        let nonce = [first.nonce.as_str(), server_nonce].concat();
        let server_first =
            format!("r={nonce},s={},i={}{extensions}", BASE64.encode(&keys.salt), keys.iterations);
        Scram { first, keys, nonce, server_first, binding }
    }

    /// `server-first-message`.
    pub(crate) fn challenge(&self) -> &str {
        &self.server_first
    }

    /// The salt of the keys.
    pub(crate) fn salt(&self) -> &[u8] {
        &self.keys.salt
    }

    /// Checks `client-final-message` and gives `server-final-message`.
    pub(crate) fn finish(&self, message: &str) -> Result<String, ScramError> {
        let malformed = ScramError::Malformed;
        let (without_proof, proof) = message.rsplit_once(",p=").ok_or(malformed)?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|a| a.strip_prefix("c=")).ok_or(malformed)?;
        let nonce = attributes.next().and_then(|a| a.strip_prefix("r=")).ok_or(malformed)?;
        if !attributes.all(is_extension) {
            return Err(malformed);
        }
        let binding = BASE64.decode(binding).map_err(|_| malformed)?;
        let proof = BASE64.decode(proof).map_err(|_| malformed)?;
        let expected = [self.first.gs2.as_bytes(), &self.binding].concat();
        if !same(&binding, &expected) || nonce != self.nonce {
            return Err(ScramError::Refused);
        }
        let auth = [&self.first.bare, ",", &self.server_first, ",", without_proof].concat();
        self.verify(&proof, auth.as_bytes())
    }

    fn verify(&self, proof: &[u8], auth: &[u8]) -> Result<String, ScramError> {
        let hash = self.keys.hash;
        if proof.len() != hash.output_len() {
            return Err(ScramError::Refused);
        }
        let signature = hash.hmac(&self.keys.stored_key, auth);
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if !same(&hash.digest(&client_key), &self.keys.stored_key) {
            return Err(ScramError::Refused);
        }
        let signature = hash.hmac(&self.keys.server_key, auth);
        Ok(["v=", &BASE64.encode(signature)].concat())
    }
}

/// `cb-name`: letters, digits, "." and "-".
fn is_binding(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
}

/// `printable`: visible ASCII without the comma.
fn is_nonce(nonce: &str) -> bool {
    (1..=NONCE_BYTES).contains(&nonce.len()) && nonce.bytes().all(|b| b.is_ascii_graphic())
}

/// `attr-val`: a letter, "=" and at least one character.
fn is_extension(attribute: &str) -> bool {
    let mut bytes = attribute.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() && b != b'm')
        && bytes.next() == Some(b'=')
        && bytes.next().is_some()
}

/// `saslname`: "=2C" stands for the comma and "=3D" for "=", and no other "=" is allowed.
pub(crate) fn saslname(text: &str) -> Result<String, ScramError> {
    if text.is_empty() {
        return Err(ScramError::Malformed);
    }
    let mut parts = text.split('=');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match part {
            _ if part.starts_with("2C") => (',', &part[2..]),
            _ if part.starts_with("3D") => ('=', &part[2..]),
            _ => return Err(ScramError::Malformed),
        };
        out.push(character);
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
