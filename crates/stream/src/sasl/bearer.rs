//! OAUTHBEARER (RFC 7628): one message with a token that somebody else gave out.

use zeroize::Zeroizing;

use crate::host::BearerOffer;
use crate::sasl::scram::saslname;

/// `kvsep`, around every pair.
const SEPARATOR: char = '\x01';

/// The client's message, taken apart.
pub(crate) struct Bearer {
    /// Who the client wants to act as, if it says; decoded.
    pub(crate) authzid: Option<String>,
    /// The token. Empty where a client only wants to know where it gets one (XEP-0493 §3.1.1).
    pub(crate) token: Zeroizing<String>,
}

impl Bearer {
    /// `gs2-header kvsep *kvpair kvsep` (§3.1). None for anything that this forbids.
    pub(crate) fn parse(message: &str) -> Option<Bearer> {
        let (header, rest) = message.split_once(SEPARATOR)?;
        let authzid = authzid(header)?;
        let pairs = rest.strip_suffix(SEPARATOR)?;
        let pairs = match pairs {
            "" => "",
            pairs => pairs.strip_suffix(SEPARATOR)?,
        };
        let mut token = None;
        for pair in pairs.split(SEPARATOR).filter(|_| !pairs.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphabetic()) {
                return None;
            }
            if !value.bytes().all(is_value) {
                return None;
            }
            // "auth (REQUIRED): the payload that would be in the HTTP Authorization header"; where
            // the client believes to be, `host` and `port`, means nothing to a token that is not
            // bound to it.
            if key == "auth" && token.replace(bearer(value)?).is_some() {
                return None;
            }
        }
        Some(Bearer { authzid, token: token? })
    }
}

/// RFC 5801 §4. There is no form of this mechanism that binds the channel, so "p=" is an error, and
/// "y", which tells of one that was hidden, is none.
fn authzid(header: &str) -> Option<Option<String>> {
    let (flag, rest) = header.split_once(',')?;
    let name = rest.strip_suffix(',')?;
    if !matches!(flag, "n" | "y") {
        return None;
    }
    match name {
        "" => Some(None),
        _ => saslname(name.strip_prefix("a=")?).ok().filter(|_| !name.contains(',')).map(Some),
    }
}

/// `*(VCHAR / SP / HTAB / CR / LF)`
fn is_value(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | b' ' | b'\t' | b'\r' | b'\n')
}

/// RFC 6750 §2.1: `"Bearer" 1*SP b64token`, with a scheme in any case (RFC 7235 §2.1).
fn bearer(value: &str) -> Option<Zeroizing<String>> {
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    let is_scheme = scheme.eq_ignore_ascii_case("bearer") || value.is_empty();
    let token = token.trim_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    (is_scheme && token.bytes().all(is_token)).then(|| Zeroizing::new(token.to_owned()))
}

/// What a client is told whose token is not good (§3.2.2): the status, and where to get another.
pub(crate) fn denial(status: &str, offer: &BearerOffer) -> String {
    let mut out = String::from("{\"status\":");
    quote(status, &mut out);
    let more = [("scope", &offer.scope), ("openid-configuration", &offer.discovery)];
    for (key, value) in more {
        let Some(value) = value else { continue };
        out.push(',');
        quote(key, &mut out);
        out.push(':');
        quote(value, &mut out);
    }
    out.push('}');
    out
}

/// RFC 8259 §7
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            plain => out.push(plain),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(message: &str) -> Option<String> {
        Bearer::parse(message).map(|bearer| bearer.token.as_str().to_owned())
    }

    /// RFC 7628 §4.1 and §4.3.
    #[test]
    fn the_examples_are_understood() {
        let message = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
                       auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let bearer = Bearer::parse(message).unwrap();
        assert_eq!(bearer.authzid.as_deref(), Some("user@example.com"));
        assert_eq!(bearer.token.as_str(), "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let empty = Bearer::parse("n,a=user@example.com,\x01host=h\x01auth=\x01\x01").unwrap();
        assert_eq!(empty.token.as_str(), "");
    }

    #[test]
    fn schemes_and_names_are_written_in_many_ways() {
        assert_eq!(token("n,,\x01auth=bearer a.b-c_d~e+f/g==\x01\x01").unwrap(), "a.b-c_d~e+f/g==");
        assert_eq!(token("y,,\x01auth=Bearer  x\x01unknown=1\x01\x01").unwrap(), "x");
        assert_eq!(token("n,,\x01auth=Bearer \x01\x01").unwrap(), "");
        let named = Bearer::parse("n,a=a=2Cb=3Dc,\x01auth=Bearer x\x01\x01").unwrap();
        assert_eq!(named.authzid.as_deref(), Some("a,b=c"));
    }

    #[test]
    fn the_grammar_is_kept() {
        for bad in [
            "",
            "\x01",
            "n,,",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer x\x01",
            "n,,\x01auth=Bearer x",
            "n,\x01auth=Bearer x\x01\x01",
            "n,a=,\x01auth=Bearer x\x01\x01",
            "n,a=b,c,\x01auth=Bearer x\x01\x01",
            "n,romeo,\x01auth=Bearer x\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer x\x01\x01",
            "z,,\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Basic eDp5\x01\x01",
            "n,,\x01auth=Bearer x y\x01\x01",
            "n,,\x01auth=Bearer ä\x01\x01",
            "n,,\x01auth=Bearer x\x01auth=Bearer y\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01=x\x01auth=Bearer x\x01\x01",
            "n,,\x01po-rt=1\x01auth=Bearer x\x01\x01",
            "n,,\x01host=a\0b\x01auth=Bearer x\x01\x01",
            "n,,\x01\x01auth=Bearer x\x01\x01",
            "n,,\x01auth=Bearer x\x01\x01\x01",
        ] {
            assert!(Bearer::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn a_denial_is_json() {
        let offer = BearerOffer {
            scope: Some("a \"b\"".into()),
            discovery: Some("https://id.example/.well-known/openid-configuration".into()),
        };
        assert_eq!(
            denial("invalid_token", &offer),
            r#"{"status":"invalid_token","scope":"a \"b\"","openid-configuration":"https://id.example/.well-known/openid-configuration"}"#
        );
        assert_eq!(denial("x\ny", &BearerOffer::default()), r#"{"status":"x\u000ay"}"#);
    }
}
