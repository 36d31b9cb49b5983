//! PLAIN (RFC 4616): one message with everything in it.

use zeroize::Zeroizing;

/// `[authzid] NUL authcid NUL passwd`.
pub(crate) struct Plain<'a> {
    pub(crate) authzid: Option<&'a str>,
    pub(crate) username: &'a str,
    pub(crate) password: Zeroizing<String>,
}

impl<'a> Plain<'a> {
    /// `None` for anything that the grammar of §2 forbids.
    pub(crate) fn parse(message: &'a str) -> Option<Plain<'a>> {
        let mut parts = message.split('\0');
        let authzid = parts.next()?;
        let username = parts.next()?;
        let password = parts.next()?;
        if username.is_empty() || password.is_empty() || parts.next().is_some() {
            return None;
        }
        Some(Plain {
            authzid: (!authzid.is_empty()).then_some(authzid),
            username,
            password: Zeroizing::new(password.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_kept() {
        let plain = Plain::parse("\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((plain.authzid, plain.username), (None, "tim"));
        assert_eq!(plain.password.as_str(), "tanstaaftanstaaf");
        assert_eq!(Plain::parse("Ursel\0Kurt\0xipj3plmq").unwrap().authzid, Some("Ursel"));
        for bad in ["", "\0", "tim\0pw", "\0\0pw", "\0tim\0", "\0tim\0pw\0", "a\0b\0c\0d"] {
            assert!(Plain::parse(bad).is_none(), "{bad:?}");
        }
    }
}
