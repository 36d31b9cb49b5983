//! Addresses of things outside this server, which it only shows to people.

use std::fmt;

use super::value::worded;

/// A URI such as `https://example.org/terms` or `mailto:abuse@example.org` (RFC 3986).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uri(String);

impl Uri {
    /// Takes a scheme, a colon and something without spaces (RFC 3986 §3).
    ///
    /// # Errors
    /// What is missing.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        let wrong = Err("a URI begins with a scheme, such as https: or mailto:");
        let Some((scheme, rest)) = text.split_once(':') else { return wrong };
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
        let is_gap = |letter: char| letter.is_whitespace() || letter.is_control();
        if !scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
            || !scheme.chars().all(is_letter)
        {
            return wrong;
        }
        if rest.is_empty() || text.contains(is_gap) {
            return Err("a URI has something behind its scheme, and no spaces");
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether what is sent there, and what comes back, cannot be read or changed on the way:
    /// `https`, or `http` to this machine.
    pub fn is_private(&self) -> bool {
        let Some(rest) = self.0.strip_prefix("http://") else {
            return self.0.starts_with("https://");
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let host = match rest[..end].rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => host,
            _ => &rest[..end],
        };
        matches!(host, "127.0.0.1" | "[::1]" | "localhost")
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

worded!(Uri, "a URI such as \"mailto:admin@example.org\"", Uri::new);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_reads_along_in_tls_or_on_this_machine() {
        let is_private = |text: &str| Uri::new(text).unwrap().is_private();
        for safe in [
            "https://auth.example/x",
            "http://127.0.0.1:8080/x",
            "http://localhost",
            "http://[::1]:1/",
            "http://[::1]?x",
        ] {
            assert!(is_private(safe), "{safe}");
        }
        for open in [
            "http://auth.example/",
            "http://127.0.0.1.example/",
            "http://localhost:80@auth.example/",
            "http://127.0.0.1@auth.example/",
            "http://auth.example/127.0.0.1",
            "http://auth.example#@localhost",
            "ftp://localhost",
        ] {
            assert!(!is_private(open), "{open}");
        }
    }

    #[test]
    fn a_uri_has_a_scheme_and_no_spaces() {
        for fine in ["mailto:a@b", "xmpp:a@b", "https://a/b?c#d", "web+x:y"] {
            assert_eq!(Uri::new(fine).unwrap().as_str(), fine);
        }
        for wrong in ["abuse@example.org", "", "mailto:", "mailto:a b", ":x", "1x:y", "a\n:b"] {
            assert!(Uri::new(wrong).is_err(), "{wrong}");
        }
    }
}
