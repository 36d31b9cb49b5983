//! What can be wrong with a certificate of another server, in words for people.

use time::OffsetDateTime;

/// Why a certificate does not prove whom we talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reproach {
    /// The peer showed none.
    Missing,
    /// It is no certificate that anybody could read; why.
    Unreadable(String),
    /// Its time was over at this Unix second.
    Expired(i64),
    /// Its time begins at this Unix second.
    NotYet(i64),
    /// The time of a certificate between it and its authority is over, or has not begun.
    AuthorityExpired,
    /// It is signed with its own key, and nobody vouches for that.
    SelfSigned,
    /// The authority by this name is not known here; empty if it has no name.
    UnknownAuthority(String),
    /// It names others, and these.
    OtherName(String),
    /// It names nobody.
    NoName,
    /// It is for other things than servers of this protocol.
    WrongUse,
    /// The DNS, which is signed, says that another certificate is the right one (RFC 6698).
    NotInDns,
    /// Something else, as the library says it.
    Broken(String),
}

impl Reproach {
    /// A sentence: what is wrong with the certificate of `domain`.
    pub(crate) fn words(&self, domain: &str) -> String {
        let the = format!("The certificate of {domain}");
        match self {
            Self::Missing => format!("{domain} showed no certificate."),
            Self::Unreadable(why) => format!("{the} cannot be read ({why})."),
            Self::Expired(at) => format!("{the} expired on {}.", day(*at)),
            Self::NotYet(at) => format!("{the} is not valid before {}.", day(*at)),
            Self::AuthorityExpired => {
                format!("{the} comes with a certificate of its authority that is out of date.")
            }
            Self::SelfSigned => format!("{the} is self-signed."),
            Self::UnknownAuthority(name) if name.is_empty() => {
                format!("{the} comes from an authority that this machine does not know.")
            }
            Self::UnknownAuthority(name) => {
                format!("{the} comes from an authority that this machine does not know ({name}).")
            }
            Self::OtherName(names) => format!("{the} is for {names}, not for {domain}."),
            Self::NoName => format!("{the} names no domain at all."),
            Self::WrongUse => {
                format!("{the} is meant for another use than that of a server.")
            }
            Self::NotInDns => {
                format!("{the} is not the one that the signed DNS records (TLSA) of {domain} name.")
            }
            Self::Broken(why) => format!("{the} cannot be trusted: {why}."),
        }
    }

    /// What can be done about it, and by whom.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Missing | Self::Unreadable(_) | Self::NoName | Self::WrongUse => {
                "Its operator has to install a certificate for a server of that domain."
            }
            Self::Expired(_) => "Its operator has to renew the certificate.",
            Self::NotYet(_) => {
                "Check the clock of this machine; if it is right, the peer's operator has to wait \
                 or to ask for another certificate."
            }
            Self::AuthorityExpired => {
                "Its operator has to install the chain that belongs to the certificate."
            }
            Self::SelfSigned => {
                "Its operator has to get a certificate of a known authority. If you know the \
                 server, add its certificate to federation.authorities."
            }
            Self::UnknownAuthority(_) => {
                "Perhaps its operator left out the certificates between the server's own and its \
                 authority. If the authority is one of yours, add it to federation.authorities."
            }
            Self::OtherName(_) => {
                "Its operator has to get a certificate that names the domain, or to announce the \
                 other one by POSH or DANE."
            }
            Self::NotInDns => {
                "Somebody may be in between. Otherwise its operator has changed the certificate \
                 and not the TLSA records."
            }
            Self::Broken(_) => "Its operator has to get another certificate.",
        }
    }
}

/// A day as people write it: `3 May 2026` (UTC).
fn day(seconds: i64) -> String {
    match OffsetDateTime::from_unix_timestamp(seconds) {
        Ok(date) => format!("{} {} {}", date.day(), date.month(), date.year()),
        Err(_) => "a day beyond the calendar".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_sentences() {
        let words = |reproach: Reproach| reproach.words("example.org");
        assert_eq!(
            words(Reproach::Expired(1_777_766_400)),
            "The certificate of example.org expired on 3 May 2026."
        );
        assert_eq!(words(Reproach::SelfSigned), "The certificate of example.org is self-signed.");
        assert_eq!(
            words(Reproach::OtherName("other.example".to_owned())),
            "The certificate of example.org is for other.example, not for example.org."
        );
        assert_eq!(
            words(Reproach::UnknownAuthority("Acme CA".to_owned())),
            "The certificate of example.org comes from an authority that this machine does not \
             know (Acme CA)."
        );
        assert_eq!(words(Reproach::Missing), "example.org showed no certificate.");
        assert_eq!(day(i64::MAX), "a day beyond the calendar");
    }
}
