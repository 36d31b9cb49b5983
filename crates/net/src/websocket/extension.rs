//! What is agreed on in `Sec-WebSocket-Extensions`: permessage-deflate (RFC 7692 §7.1), without a
//! context in either direction.

use hyper::header::{HeaderMap, SEC_WEBSOCKET_EXTENSIONS};

const NAME: &str = "permessage-deflate";
/// The largest window of DEFLATE: 2^15 bytes.
const WINDOW_BITS_MAX: u8 = 15;

/// The parameters of permessage-deflate that hold on a connection. Both sides begin every message
/// with an empty window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// Messages that we compress reach back less than two to this power; None where the client
    /// asked for nothing.
    pub window_bits: Option<u8>,
}

/// The header does not follow its grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl Agreed {
    /// The first offer that can be accepted; None for no extension. The client's order is that of
    /// its preference (RFC 7692 §5).
    ///
    /// # Errors
    /// RFC 6455 §9.1: a value "that does not conform to the ABNF" fails the connection.
    pub fn to(headers: &HeaderMap) -> Result<Option<Self>, Malformed> {
        let mut agreed = None;
        for line in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
            let mut rest = Scanner(line.to_str().map_err(|_| Malformed)?);
            while let Some(offer) = rest.offer()? {
                if agreed.is_none() && offer.name.eq_ignore_ascii_case(NAME) {
                    agreed = Self::accept(&offer.parameters);
                }
            }
        }
        Ok(agreed)
    }

    /// RFC 7692 §7.1 "A server MUST decline an extension negotiation offer for this extension if"
    /// it has a parameter "not defined for use in an offer", "with an invalid value", or one name
    /// twice.
    fn accept(parameters: &[(String, Option<String>)]) -> Option<Self> {
        let mut window_bits = None;
        for (at, (name, value)) in parameters.iter().enumerate() {
            if parameters[..at].iter().any(|(other, _)| other == name) {
                return None;
            }
            match (name.as_str(), value.as_deref()) {
                // We promise both, asked or not (§7.1.1).
                ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
                ("server_max_window_bits", Some(value)) => window_bits = Some(bits(value)?),
                // A hint to servers that would want a smaller window of the client (§7.1.2.2).
                ("client_max_window_bits", None) => {}
                ("client_max_window_bits", Some(value)) => drop(bits(value)?),
                _ => return None,
            }
        }
        Some(Self { window_bits })
    }

    /// What the answer says of it.
    pub fn to_header(self) -> String {
        let mut text = format!("{NAME}; server_no_context_takeover; client_no_context_takeover");
        if let Some(bits) = self.window_bits {
            text += &format!("; server_max_window_bits={bits}");
        }
        text
    }

    /// The longest message that we may compress, in bytes: no distance in it is longer than the
    /// message, so it never reaches back farther than the client's window.
    pub(crate) fn bytes_max(self) -> usize {
        match self.window_bits {
            None | Some(WINDOW_BITS_MAX) => usize::MAX,
            Some(bits) => 1 << bits,
        }
    }
}

/// §7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn bits(value: &str) -> Option<u8> {
    let bits: u8 = value.parse().ok()?;
    ((8..=WINDOW_BITS_MAX).contains(&bits) && bits.to_string() == value).then_some(bits)
}

/// One extension as it was offered.
struct Offer<'a> {
    name: &'a str,
    parameters: Vec<(String, Option<String>)>,
}

/// The rest of a header line.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    /// `extension = token *( ";" token [ "=" ( token / quoted-string ) ] )`, and the comma behind.
    fn offer(&mut self) -> Result<Option<Offer<'a>>, Malformed> {
        // A list may have empty members (RFC 9110 §5.6.1.2).
        while self.eat(',') {}
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut offer = Offer { name: self.token()?, parameters: Vec::new() };
        while self.eat(';') {
            let name = self.token()?.to_ascii_lowercase();
            let value = match self.eat('=') {
                true => Some(self.value()?),
                false => None,
            };
            offer.parameters.push((name, value));
        }
        if self.0.is_empty() || self.eat(',') { Ok(Some(offer)) } else { Err(Malformed) }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.0 = self.0.trim_start_matches([' ', '\t']);
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0).trim_start_matches([' ', '\t']);
        rest.is_some()
    }

    fn token(&mut self) -> Result<&'a str, Malformed> {
        let end = self.0.find(|each| !is_token(each)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    /// RFC 6455 §9.1: "When using the quoted-string syntax variant, the value after quoted-string
    /// unescaping MUST conform to the 'token' ABNF."
    fn value(&mut self) -> Result<String, Malformed> {
        let Some(quoted) = self.0.strip_prefix('"') else { return self.token().map(str::to_owned) };
        let (mut value, mut letters) = (String::new(), quoted.char_indices());
        while let Some((at, mut letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return if value.is_empty() { Err(Malformed) } else { Ok(value) };
                }
                '\\' => letter = letters.next().ok_or(Malformed)?.1,
                _ => {}
            }
            if !is_token(letter) {
                return Err(Malformed);
            }
            value.push(letter);
        }
        Err(Malformed)
    }
}

/// RFC 9110 §5.6.2.
fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(lines: &[&str]) -> Result<Option<String>, Malformed> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, line.parse().unwrap());
        }
        Agreed::to(&headers).map(|agreed| agreed.map(Agreed::to_header))
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn every_parameter_has_its_answer() {
        let bits = |bits: u8| Ok(Some(format!("{PLAIN}; server_max_window_bits={bits}")));
        let plain = || Ok(Some(PLAIN.to_owned()));
        for (offer, answer) in [
            ("permessage-deflate", plain()),
            ("Permessage-Deflate", plain()),
            ("permessage-deflate; client_max_window_bits", plain()), // Chromium
            ("permessage-deflate;server_no_context_takeover;client_no_context_takeover", plain()),
            ("permessage-deflate; client_max_window_bits=8", plain()),
            ("permessage-deflate; client_max_window_bits=\"15\"", plain()),
            ("permessage-deflate; server_max_window_bits=10", bits(10)),
            ("permessage-deflate; server_max_window_bits=\"1\\0\"", bits(10)),
            ("permessage-deflate ; server_max_window_bits = 8 , x", bits(8)),
            // Declined, and the handshake goes on.
            ("permessage-deflate; server_max_window_bits", Ok(None)),
            ("permessage-deflate; server_max_window_bits=7", Ok(None)),
            ("permessage-deflate; server_max_window_bits=16", Ok(None)),
            ("permessage-deflate; server_max_window_bits=08", Ok(None)),
            ("permessage-deflate; server_max_window_bits=+9", Ok(None)),
            ("permessage-deflate; client_max_window_bits=99", Ok(None)),
            ("permessage-deflate; server_no_context_takeover=1", Ok(None)),
            ("permessage-deflate; client_no_context_takeover=true", Ok(None)),
            ("permessage-deflate; unknown", Ok(None)),
            ("permessage-deflate; unknown=\"1\"", Ok(None)),
            (
                "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
                Ok(None),
            ),
            ("x-webkit-deflate-frame", Ok(None)),
            ("permessage-bzip2; a=b, foo", Ok(None)),
            ("", Ok(None)),
            (" , ,", Ok(None)),
            // No grammar, no handshake.
            ("permessage-deflate; ", Err(Malformed)),
            ("permessage-deflate; =1", Err(Malformed)),
            ("permessage-deflate; a=", Err(Malformed)),
            ("permessage-deflate; a=\"b", Err(Malformed)),
            ("permessage-deflate; a=\"\"", Err(Malformed)),
            ("permessage-deflate; a=\"b c\"", Err(Malformed)),
            ("permessage-deflate client_max_window_bits", Err(Malformed)),
            ("permessage/deflate", Err(Malformed)),
        ] {
            assert_eq!(agree(&[offer]), answer, "{offer}");
        }
        assert_eq!(agree(&[]), Ok(None));
    }

    #[test]
    fn the_first_offer_that_can_be_kept_is_taken() {
        let fallback = "permessage-deflate; future=1, permessage-deflate; server_max_window_bits=9";
        let nine = Ok(Some(format!("{PLAIN}; server_max_window_bits=9")));
        assert_eq!(agree(&[fallback]), nine);
        assert_eq!(agree(&["foo, permessage-deflate; x", fallback, "permessage-deflate"]), nine);
        let both = "permessage-deflate, permessage-deflate; server_max_window_bits=9";
        assert_eq!(agree(&[both]), Ok(Some(PLAIN.to_owned())));
        assert_eq!(agree(&["permessage-deflate", ";"]), Err(Malformed));
    }

    #[test]
    fn a_small_window_bounds_what_is_compressed() {
        let max = |window_bits| Agreed { window_bits }.bytes_max();
        assert_eq!((max(Some(8)), max(Some(14))), (256, 16_384));
        assert_eq!((max(Some(15)), max(None)), (usize::MAX, usize::MAX));
    }
}
