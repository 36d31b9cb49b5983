//! Text with gaps that are filled for each account: `uid={user},ou=people`.

use std::fmt;

/// Text with named gaps. `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Gap(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// A brace without its other half, or a gap without a name.
    pub fn new(written: &str) -> Result<Self, &'static str> {
        let (mut pieces, mut text) = (Vec::new(), String::new());
        let mut rest = written;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err("a } has no { before it");
            }
            let (name, after) = rest.split_once('}').ok_or("a { has no } behind it")?;
            if name.is_empty() || name.contains('{') {
                return Err("between { and } stands a name");
            }
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Gap(name.to_owned()));
            rest = after;
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// The names of its gaps.
    pub fn gaps(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Gap(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text with every gap filled; none when one cannot be.
    pub fn fill(&self, mut content: impl FnMut(&str) -> Option<String>) -> Option<String> {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => Some(text.clone()),
            Piece::Gap(name) => content(name),
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

super::value::worded!(Template, "text with gaps such as \"{user}\"", Template::new);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_and_braces_doubled() {
        let template = Template::new("uid={user},o={{x}},dc={domain}").expect("a template");
        assert_eq!(template.gaps().collect::<Vec<_>>(), ["user", "domain"]);
        let filled = template.fill(|name| Some(name.to_uppercase()));
        assert_eq!(filled.as_deref(), Some("uid=USER,o={x},dc=DOMAIN"));
        assert_eq!(template.fill(|name| (name == "user").then(String::new)), None);
        assert_eq!(Template::new("plain").expect("it").fill(|_| None).as_deref(), Some("plain"));
        for wrong in ["{", "}", "{}", "a{b", "a}b", "{a{b}}"] {
            Template::new(wrong).expect_err(wrong);
        }
    }
}
