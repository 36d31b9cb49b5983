//! POSH (RFC 7711): a domain's web server names the certificates of its XMPP server, which may be
//! somebody else's machine with somebody else's name.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::target::{Fingerprint, Posh};
use super::wellknown::{Asking, is_address};

/// Fingerprints of one file that are read.
const FINGERPRINTS: usize = 64;

/// RFC 7711 §3.1 sets no bound, but who has lost a key wants to be rid of it some day: a week, as
/// for host-meta.
const KEEP_MAX: Duration = Duration::from_secs(604_800);

/// What a file of either kind says.
#[derive(Debug, PartialEq, Eq)]
enum File {
    /// §3.1, a fingerprints document.
    Fingerprints(Posh),
    /// §3.2, a reference document.
    Reference(String),
}

/// Asks the web server of `domain` (A-labels). None: it names none.
///
/// # Errors
/// Words on what is wrong with its file, or with getting it.
pub(super) async fn ask(
    asking: &Asking<'_>,
    domain: &str,
) -> Result<Option<(Posh, Duration)>, String> {
    let url = format!("https://{domain}/.well-known/posh/xmpp-server.json");
    let Some(json) = asking.json(&url).await? else { return Ok(None) };
    match read(&json).map_err(|why| format!("{url}: {why}"))? {
        (File::Fingerprints(posh), keep) => Ok(Some((posh, keep))),
        (File::Reference(next), keep) => {
            let Some(json) = asking.json(&next).await? else {
                return Err(format!("{url} refers to {next}, which does not exist"));
            };
            match read(&json).map_err(|why| format!("{next}: {why}"))? {
                // The shorter of both times counts.
                (File::Fingerprints(posh), then) => Ok(Some((posh, keep.min(then)))),
                (File::Reference(_), _) => {
                    Err(format!("{url} refers to {next}, which refers elsewhere again"))
                }
            }
        }
    }
}

fn read(json: &Value) -> Result<(File, Duration), &'static str> {
    // §3.1: "expires" is a number of seconds; without one, nothing here holds.
    let expires = json.get("expires").and_then(Value::as_u64).filter(|seconds| *seconds > 0);
    let expires = Duration::from_secs(expires.ok_or("its \"expires\" is no number of seconds")?);
    let expires = expires.min(KEEP_MAX);
    if let Some(all) = json.get("fingerprints") {
        let all = all.as_array().ok_or("its \"fingerprints\" is no list")?;
        let fingerprints: Vec<_> = all.iter().take(FINGERPRINTS).filter_map(fingerprint).collect();
        if fingerprints.is_empty() {
            return Err("it has no fingerprint that this server can read");
        }
        return Ok((File::Fingerprints(Posh { fingerprints }), expires));
    }
    match json.get("url").and_then(Value::as_str) {
        Some(url) if is_address(url) => Ok((File::Reference(url.to_owned()), expires)),
        Some(_) => Err("it refers to something which is no address"),
        None => Err("it has neither \"fingerprints\" nor \"url\""),
    }
}

/// One certificate's hashes; None where one that we know is broken, or there is none.
fn fingerprint(json: &Value) -> Option<Fingerprint> {
    fn hash<const N: usize>(json: &Value, name: &str) -> Option<Option<[u8; N]>> {
        let Some(text) = json.get(name) else { return Some(None) };
        let bytes = STANDARD.decode(text.as_str()?).ok()?;
        bytes.try_into().ok().map(Some)
    }
    let (sha256, sha512) = (hash(json, "sha-256")?, hash(json, "sha-512")?);
    (sha256.is_some() || sha512.is_some()).then_some(Fingerprint { sha256, sha512 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fingerprints_hold_as_long_as_they_say() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 64]));
        let file = json!({
            "fingerprints": [
                { "sha-256": one, "sha-512": two },
                { "sha-512": two, "md5": "whatever" },
                { "sha-1": "AAAA" },
                { "sha-256": "AAAA" },
                7,
            ],
            "expires": 604_800,
        });
        let (file, keep) = read(&file).unwrap();
        let first = Fingerprint { sha256: Some([1; 32]), sha512: Some([2; 64]) };
        let second = Fingerprint { sha256: None, sha512: Some([2; 64]) };
        assert_eq!(file, File::Fingerprints(Posh { fingerprints: vec![first, second] }));
        assert_eq!(keep, Duration::from_secs(604_800));
    }

    #[test]
    fn a_file_that_says_nothing_certain_is_refused() {
        let one = STANDARD.encode([1; 32]);
        for broken in [
            json!({ "fingerprints": [{ "sha-256": one }] }),
            json!({ "fingerprints": [{ "sha-256": one }], "expires": 0 }),
            json!({ "fingerprints": [{ "sha-256": one }], "expires": -5 }),
            json!({ "fingerprints": [{ "sha-256": one }], "expires": "3600" }),
            json!({ "fingerprints": [{ "sha-256": "AAAA" }], "expires": 10 }),
            json!({ "fingerprints": {}, "expires": 10 }),
            json!({ "url": 7, "expires": 10 }),
            json!({ "expires": 10 }),
            json!([]),
            json!(null),
        ] {
            assert!(read(&broken).is_err(), "{broken}");
        }
        let (file, _) = read(&json!({ "url": "https://x/", "expires": 10 })).unwrap();
        assert_eq!(file, File::Reference("https://x/".to_owned()));
    }
}
