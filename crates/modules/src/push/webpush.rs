//! Web Push: a notification, encrypted for one browser (RFC 8291), goes to the push service of its
//! maker (RFC 8030).

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxwing_kernel::outgoing::{
    FetchError, FetchReply, FetchRequest, HeaderName, HeaderValue, Reach, StatusCode, Uri, header,
};
use waxwing_stanza::{ErrorKind, StanzaError};

/// Bytes of a point of P-256, uncompressed.
const POINT_BYTES: usize = 65;
const AUTH_BYTES: usize = 16;
pub(super) const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
/// RFC 8291 §4: "a push service is not required to support more than 4096 octets of payload body".
const RECORD_BYTES: usize = 4096;
const HEADER_BYTES: usize = SALT_BYTES + 4 + 1 + POINT_BYTES;
/// What a notification may say (bytes).
pub(super) const TEXT_BYTES: usize = RECORD_BYTES - HEADER_BYTES - TAG_BYTES - 1;
/// The longest address of a browser (bytes).
const URL_BYTES: usize = 2048;
/// Notifications are made as long as a multiple of this, so that their length tells little.
const BLOCK_BYTES: usize = 128;

/// The keys of one browser (RFC 8291 §2).
pub(super) struct Keys {
    point: Vec<u8>,
    auth: Vec<u8>,
}

impl Keys {
    /// Reads what a browser calls `p256dh` and `auth`.
    ///
    /// # Errors
    /// `bad-request` with the reason as text.
    pub(super) fn read(p256dh: &str, auth: &str) -> Result<Self, StanzaError> {
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('=')).ok();
        let bad = |text: &'static str| StanzaError::bad_request().text(text);
        let point = bytes(p256dh).filter(|point| point.len() == POINT_BYTES);
        let point = point.ok_or_else(|| bad("`p256dh` must be 65 bytes as base64url."))?;
        let auth = bytes(auth).filter(|auth| auth.len() == AUTH_BYTES);
        let auth = auth.ok_or_else(|| bad("`auth` must be 16 bytes as base64url."))?;
        let keys = Self { point, auth };
        // Better now than with the first notification.
        let is_fine = keys.encrypt(b"", &[0; SALT_BYTES]).is_some();
        if is_fine { Ok(keys) } else { Err(bad("`p256dh` is no point of the curve P-256.")) }
    }

    /// Encrypts `text` for this browser under a `salt` that was never used before.
    pub(super) fn encrypt(&self, text: &[u8], salt: &[u8; SALT_BYTES]) -> Option<Vec<u8>> {
        let length = (text.len() + 1).next_multiple_of(BLOCK_BYTES).min(TEXT_BYTES + 1);
        self.seal(text, (salt, length), &PrivateKey::generate(&ECDH_P256).ok()?)
    }

    /// RFC 8291 §3.4, with `text` padded to `length` bytes, its delimiter among them.
    fn seal(
        &self,
        text: &[u8],
        (salt, length): (&[u8; SALT_BYTES], usize),
        own: &PrivateKey,
    ) -> Option<Vec<u8>> {
        if text.len() > TEXT_BYTES {
            return None;
        }
        let public = own.compute_public_key().ok()?;
        let theirs = UnparsedPublicKey::new(&ECDH_P256, &self.point);
        let secret = agree(own, theirs, Unspecified, |secret| {
            let info = [b"WebPush: info\0", self.point.as_slice(), public.as_ref()];
            derive::<32>((&self.auth, secret), &info)
        });
        let secret = secret.ok()?;
        let key: [u8; 16] = derive((salt, &secret), &[b"Content-Encoding: aes128gcm\0"]).ok()?;
        let nonce: [u8; 12] = derive((salt, &secret), &[b"Content-Encoding: nonce\0"]).ok()?;
        // RFC 8188 §2: the delimiter of the last record is 2, and padding follows.
        let mut sealed = text.to_vec();
        sealed.push(2);
        sealed.resize(length.max(sealed.len()), 0);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).ok()?;
        // RFC 8188 §2.1: salt, record size, the length of the key and the key.
        let mut body = Vec::with_capacity(HEADER_BYTES + sealed.len());
        body.extend_from_slice(salt);
        body.extend_from_slice(&(RECORD_BYTES as u32).to_be_bytes());
        body.push(POINT_BYTES as u8);
        body.extend_from_slice(public.as_ref());
        body.extend_from_slice(&sealed);
        Some(body)
    }
}

/// HKDF (RFC 5869) with SHA-256.
fn derive<const N: usize>(
    (salt, secret): (&[u8], &[u8]),
    info: &[&[u8]],
) -> Result<[u8; N], Unspecified> {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = [0; N];
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Length(N))?.fill(&mut out)?;
    Ok(out)
}

/// The address of a browser, which its client told us.
pub(super) struct Address {
    pub(super) url: String,
    /// RFC 8292 §2: "the origin of the URL of the push resource".
    pub(super) origin: String,
    pub(super) reach: Reach,
}

impl Address {
    /// Judges an address; those on `private` hosts may be in our own network and without TLS.
    ///
    /// # Errors
    /// `not-acceptable` with the reason as text.
    pub(super) fn read(url: &str, private: &[String]) -> Result<Self, StanzaError> {
        let bad = |text: &'static str| StanzaError::not_acceptable().text(text);
        if url.len() > URL_BYTES {
            return Err(bad("The address of the browser may have 2048 bytes."));
        }
        let parsed: Uri = url.parse().map_err(|_| bad("That is no address of a browser."))?;
        let host = parsed.host().unwrap_or_default();
        let is_private = private.iter().any(|known| known.eq_ignore_ascii_case(host));
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(bad("The address of a browser begins with `https://`."));
        };
        match scheme {
            "https" => {}
            "http" if is_private => {}
            _ => return Err(bad("The address of a browser begins with `https://`.")),
        }
        if authority.as_str().contains('@') {
            return Err(bad("The address of a browser names no user."));
        }
        let reach = if is_private { Reach::Anywhere } else { Reach::Public };
        Ok(Self { url: url.to_owned(), origin: format!("{scheme}://{authority}"), reach })
    }

    /// The request that brings `body` to the browser.
    pub(super) fn request(&self, body: Vec<u8>, says: &Saying<'_>) -> Option<FetchRequest> {
        let value = |text: &str| HeaderValue::from_str(text).ok();
        let urgency = if says.is_high { "high" } else { "normal" };
        let request = FetchRequest::post(self.url.as_str(), self.reach, body)
            .with(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .with(header::CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"))
            .with(header::AUTHORIZATION, value(says.authorization)?)
            .with(TTL, value(&says.ttl_seconds.to_string())?)
            .with(URGENCY, HeaderValue::from_static(urgency))
            .with(TOPIC, value(says.topic)?);
        Some(request.at_most(REPLY_BYTES))
    }
}

/// What a request says besides the notification itself (RFC 8030 §5).
pub(super) struct Saying<'a> {
    pub(super) authorization: &'a str,
    /// How long it is worth keeping.
    pub(super) ttl_seconds: u32,
    pub(super) is_high: bool,
    /// The newer one of the same topic takes the place of the older: the count is in it.
    pub(super) topic: &'a str,
}

const TTL: HeaderName = HeaderName::from_static("ttl");
const URGENCY: HeaderName = HeaderName::from_static("urgency");
const TOPIC: HeaderName = HeaderName::from_static("topic");
/// Nobody reads more of what a push service says.
const REPLY_BYTES: usize = 4096;

/// What an answer means to whoever published; true among the errors when the browser is gone.
pub(super) fn judge(answer: Result<FetchReply, FetchError>) -> Result<(), (StanzaError, bool)> {
    let wait =
        |text: String| (StanzaError::resource_constraint().kind(ErrorKind::Wait).text(text), false);
    let status = match answer {
        Ok(reply) => reply.status,
        Err(error @ (FetchError::BadUrl(_) | FetchError::NotPublic)) => {
            return Err((StanzaError::not_acceptable().text(error.to_string()), true));
        }
        Err(error) => return Err(wait(format!("The browser's push service: {error}."))),
    };
    match status {
        status if status.is_success() => Ok(()),
        // RFC 8030 §7.3: "a push service MUST return a 404 … if an application server attempts to
        // send a push message to an expired push message subscription"; 410 where it is known.
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            Err((StanzaError::item_not_found().text("The browser has ended this."), true))
        }
        // It was asked for with another key, or never.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            let text = "The browser's push service does not know this server.";
            Err((StanzaError::forbidden().text(text), true))
        }
        status => Err(wait(format!("The browser's push service answered {status}."))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of the browser in RFC 8291 §5.
    const POINT: &str = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZ\
                         GH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// RFC 8291 §5 and Appendix A.
    #[test]
    fn the_rfcs_own_example() {
        let keys = Keys::read(POINT, AUTH).unwrap();
        let own = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let public = own.compute_public_key().unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(public.as_ref()),
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr\
             u3jl7A8"
        );
        let salt: [u8; 16] = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        assert_eq!(
            URL_SAFE_NO_PAD.encode(keys.seal(text, (&salt, 0), &own).unwrap()),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml\
             mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT\
             pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn lengths_tell_little_and_have_a_bound() {
        let keys = Keys::read(POINT, &format!("{AUTH}==")).unwrap();
        let length = |bytes: usize| Some(keys.encrypt(&vec![b'x'; bytes], &[1; 16])?.len());
        assert_eq!(length(0), length(127));
        assert_eq!(length(0), Some(HEADER_BYTES + 128 + TAG_BYTES));
        assert_eq!(length(TEXT_BYTES), Some(RECORD_BYTES));
        assert_eq!(length(TEXT_BYTES + 1), None);
    }

    #[test]
    fn keys_that_are_none_are_refused() {
        let off = URL_SAFE_NO_PAD.encode([&[4][..], &[7; 64]].concat());
        for (p256dh, auth) in [("", AUTH), (&POINT[1..], AUTH), (&off, AUTH), (POINT, "AAAA")] {
            assert!(Keys::read(p256dh, auth).is_err(), "{p256dh} {auth}");
        }
    }

    #[test]
    fn browsers_are_on_the_open_internet() {
        let private = ["push.home".to_owned()];
        let read = |url: &str| Address::read(url, &private).map(|it| (it.origin, it.reach));
        let public = read("https://updates.push.example/wpush/v2/abc?d").unwrap();
        assert_eq!(public, ("https://updates.push.example".to_owned(), Reach::Public));
        let own = read("http://PUSH.home:8080/abc").unwrap();
        assert_eq!(own, ("http://PUSH.home:8080".to_owned(), Reach::Anywhere));
        for wrong in
            ["", "/abc", "http://push.example/", "https://a@push.example/", "ftp://push.home/"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read(&format!("https://push.example/{}", "x".repeat(2048))).is_err());
    }

    #[test]
    fn answers_mean_what_rfc_8030_says() {
        let answered = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            judge(Ok(FetchReply { status, headers: Default::default(), body: Default::default() }))
        };
        answered(201).unwrap();
        answered(202).unwrap();
        for gone in [404, 410, 401, 403] {
            assert!(answered(gone).unwrap_err().1, "{gone}");
        }
        for passing in [400, 413, 429, 500, 503, 302] {
            let (error, is_gone) = answered(passing).unwrap_err();
            assert_eq!((error.kind, is_gone), (ErrorKind::Wait, false), "{passing}");
        }
        assert!(judge(Err(FetchError::NotPublic)).unwrap_err().1);
        assert!(!judge(Err(FetchError::TimedOut)).unwrap_err().1);
    }
}
