//! `xtask/ratchet.txt`: what was too large when its rule came. An entry says how large it may be;
//! it must be lowered whenever the thing shrinks and deleted once it is within the rule, so the
//! list can only become shorter.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::Finding;

pub(super) const FILE: &str = "xtask/ratchet.txt";

/// Allowed sizes by `path` or `path:function`.
pub(super) struct Ratchet {
    entries: BTreeMap<String, (usize, usize)>, // size, line in the list
}

impl Ratchet {
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(root.join(FILE)).map_err(|e| format!("{FILE}: {e}"))?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut entries = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, size) = line
                .rsplit_once(' ')
                .and_then(|(name, size)| Some((name.trim(), size.parse().ok()?)))
                .ok_or_else(|| format!("{FILE}:{}: expected `path lines`", i + 1))?;
            entries.insert(name.to_owned(), (size, i + 1));
        }
        Ok(Self { entries })
    }

    /// How large `name` may be: the rule's limit, or more when the list says so.
    pub(super) fn limit(&self, name: &str, rule: usize) -> usize {
        self.entries.get(name).map_or(rule, |(size, _)| *size)
    }

    /// Entries that allow more than is needed. `sizes` holds what was measured, with its rule.
    pub(super) fn slack(&self, sizes: &BTreeMap<String, (usize, usize)>) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (name, (allowed, line)) in &self.entries {
            let what = match sizes.get(name) {
                Some((size, rule)) if size > rule && size == allowed => continue,
                Some((size, rule)) if size > rule && size > allowed => continue,
                Some((size, rule)) if size > rule => format!("{name} has shrunk to {size} lines"),
                Some(_) => format!("{name} is within the rule"),
                None => format!("{name} does not exist"),
            };
            findings.push(Finding {
                file: FILE.to_owned(),
                line: *line,
                what,
                why: "the ratchet only turns one way",
                remedy: "lower the entry to the size it has, or delete it",
            });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> BTreeMap<String, (usize, usize)> {
        let measured = [("a.rs", 450, 400), ("b.rs", 300, 400), ("c.rs:f", 70, 60)];
        measured.map(|(name, size, rule)| (name.to_owned(), (size, rule))).into()
    }

    #[test]
    fn an_entry_that_fits_exactly_is_kept() {
        let ratchet = Ratchet::parse("# why\na.rs 450\nc.rs:f 70\n").expect("a list");
        assert_eq!(ratchet.slack(&sizes()), []);
        assert_eq!(ratchet.limit("a.rs", 400), 450);
        assert_eq!(ratchet.limit("b.rs", 400), 400);
    }

    #[test]
    fn an_entry_that_allows_more_than_is_needed_is_found() {
        let ratchet = Ratchet::parse("a.rs 460\nb.rs 410\ngone.rs 500\n").expect("a list");
        assert_eq!(ratchet.slack(&sizes()).len(), 3);
    }

    #[test]
    fn growth_is_found_by_the_rule_and_not_here() {
        let ratchet = Ratchet::parse("a.rs 440\n").expect("a list");
        assert_eq!(ratchet.slack(&sizes()), []);
    }

    #[test]
    fn nonsense_is_refused_with_its_line() {
        assert_eq!(
            Ratchet::parse("\na.rs\n").err().as_deref(),
            Some("xtask/ratchet.txt:2: expected `path lines`")
        );
    }
}
