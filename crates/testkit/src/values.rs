//! Values that come in a scenario and are said again later in it: `{seen}`.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::node::Node;

/// What is known by a word.
#[derive(Clone, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// `word` stands for `value` from now on.
    pub(crate) fn set(&mut self, word: &str, value: &str) {
        self.0.insert(word.to_owned(), value.to_owned());
    }

    /// What is sent: known words are replaced, also in `{romeo with token}`, which is the first
    /// message of Romeo with that token (XEP-0484) where nothing binds the channel.
    pub(crate) fn fill(&self, xml: &str) -> String {
        let mut out = String::with_capacity(xml.len());
        let mut rest = xml;
        while let Some((before, behind)) = rest.split_once('{') {
            out.push_str(before);
            let value = behind.split_once('}').and_then(|(words, more)| {
                let value = match words.split_once(" with ") {
                    Some((who, word)) => proof(who, self.0.get(word)?),
                    None => self.0.get(words)?.clone(),
                };
                Some((value, more))
            });
            match value {
                Some((value, more)) => {
                    out.push_str(&escaped(&value));
                    rest = more;
                }
                None => {
                    out.push('{');
                    rest = behind;
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// What is expected: known words are replaced, and what is not known yet may be anything.
    pub(crate) fn expect(&self, expected: &Node) -> Node {
        let mut node = expected.clone();
        let texts = node.attributes.values_mut().chain([&mut node.text]);
        for text in texts {
            if let Some(word) = word(text) {
                *text = self.0.get(word).cloned().unwrap_or_else(|| "*".to_owned());
            }
        }
        node.children = expected.children.iter().map(|child| self.expect(child)).collect();
        node
    }

    /// Learns the words of `expected` from `got`, which is like it.
    pub(crate) fn learn(&mut self, expected: &Node, got: &Node) {
        for (key, text) in &expected.attributes {
            if let (Some(word), Some(value)) = (word(text), got.attributes.get(key)) {
                self.0.entry(word.to_owned()).or_insert_with(|| value.clone());
            }
        }
        if let Some(word) = word(&expected.text) {
            self.0.entry(word.to_owned()).or_insert_with(|| got.text.clone());
        }
        for (wanted, came) in expected.children.iter().zip(&got.children) {
            self.learn(wanted, came);
        }
    }
}

/// The word in `{word}`.
fn word(text: &str) -> Option<&str> {
    let word = text.strip_prefix('{')?.strip_suffix('}')?;
    let is_word = !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    is_word.then_some(word)
}

/// draft-schmaus-kitten-sasl-ht-09 §3.1, in base64.
fn proof(who: &str, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, token.as_bytes());
    let hashed = hmac::sign(&key, b"Initiator");
    BASE64_STANDARD.encode([who.as_bytes(), b"\0", hashed.as_ref()].concat())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(text: &str) -> Node {
        Node::parse(text).unwrap()
    }

    #[test]
    fn what_came_is_said_again() {
        let mut values = Values::default();
        let expected = node("<a id='{seen}'><b>{text}</b></a>");
        assert_eq!(values.expect(&expected), node("<a id='*'><b>*</b></a>"));
        values.learn(&expected, &node("<a id='7'><b>x&amp;y</b></a>"));
        assert_eq!(values.fill("<c id='{seen}'>{text}</c>"), "<c id='7'>x&amp;y</c>");
        assert_eq!(values.expect(&expected), node("<a id='7'><b>x&amp;y</b></a>"));
    }

    #[test]
    fn what_is_no_known_word_stays() {
        let mut values = Values::default();
        values.set("a", "1");
        for text in ["{urn:xmpp:fulltext:0}fulltext", "{b}", "{", "}{", "{{"] {
            assert_eq!(values.fill(text), text);
        }
        assert_eq!(values.fill("{{a}}{b}{a}"), "{1}{b}1");
        assert_eq!(values.expect(&node("<a b='{X}'/>")), node("<a b='{X}'/>"));
    }

    /// The same by OpenSSL: `printf Initiator | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn a_token_is_proven() {
        let mut values = Values::default();
        values.set("token", "secret");
        let said = values.fill("{tim with token}");
        let bytes = BASE64_STANDARD.decode(said).unwrap();
        assert_eq!(bytes[..4], *b"tim\0");
        let hex: String = bytes[4..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "080d9fa917c6da67702df4ff5090d8693b5f8c838c832d6f3662b6822cc7a6b9");
    }
}
