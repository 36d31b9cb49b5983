//! What is known of every certificate that there should be.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use instant_acme::{CertificateIdentifier, RenewalInfo};

use super::files::{Held, Notes};
use super::schedule::{Span, Suggestion, ask_again};
use super::{AcmeOptions, Wanted};

/// How long it is waited with the next question after one that was not answered (seconds).
const ASK_LATER: Duration = Duration::from_secs(6 * 3600);

/// A page for each domain.
pub(super) struct Book {
    pages: BTreeMap<String, Page>,
    /// For a domain that has none.
    blank: Page,
}

/// What is known of one certificate.
#[derive(Clone, Default)]
pub(super) struct Page {
    pub(super) held: Option<Held>,
    pub(super) notes: Notes,
    /// What the authority suggests, and when it is asked for again.
    suggestion: Option<Suggestion>,
    pub(super) ask_at: i64,
}

impl Book {
    /// Reads what is kept for all that there should be.
    pub(super) fn open(options: &AcmeOptions) -> Self {
        let page = |wanted: &Wanted| {
            let notes = Notes::read(&options.folder, &wanted.domain);
            (wanted.domain.clone(), Page::read(&options.folder, &wanted.domain, notes))
        };
        let orders = options.orders.iter().filter(|_| options.is_on);
        Self { pages: orders.map(page).collect(), blank: Page::default() }
    }

    pub(super) fn page(&self, domain: &str) -> &Page {
        self.pages.get(domain).unwrap_or(&self.blank)
    }

    pub(super) fn page_mut(&mut self, domain: &str) -> &mut Page {
        self.pages.entry(domain.to_owned()).or_default()
    }

    /// After an order: what is held may be new.
    pub(super) fn turn_page(&mut self, folder: &Path, domain: &str, notes: Notes) {
        // Settings may have changed meanwhile, and nobody wants it any more.
        let Some(page) = self.pages.get_mut(domain) else { return };
        let held = Held::read(folder, domain);
        let is_same = |one: &Held, other: &Held| one.der == other.der;
        if !page.held.as_ref().zip(held.as_ref()).is_some_and(|(one, other)| is_same(one, other)) {
            page.suggestion = None;
            page.ask_at = 0;
        }
        page.held = held;
        page.notes = notes;
    }

    /// What failed may be tried at once.
    pub(super) fn forgive(&mut self) {
        for page in self.pages.values_mut() {
            page.notes.failures = 0;
            page.notes.next_at = 0;
        }
    }
}

impl Page {
    /// What is held for a domain, with notes on it.
    pub(super) fn read(folder: &Path, domain: &str, notes: Notes) -> Self {
        Self { held: Held::read(folder, domain), notes, ..Self::default() }
    }

    /// When the next order is due (Unix seconds); 0 for now.
    pub(super) fn due(&self, wanted: &Wanted) -> i64 {
        let whole = self.held.as_ref().filter(|held| self.missing(held, wanted).is_none());
        let wish = whole.map_or(0, |held| self.renewal_of(held));
        if self.notes.failures > 0 { wish.max(self.notes.next_at) } else { wish }
    }

    /// Why what is held, fresh from the authority, would be ordered again at once; None if not.
    pub(super) fn lack(&self, wanted: &Wanted, now: i64) -> Option<String> {
        let Some(held) = &self.held else { return Some("it cannot be read".to_owned()) };
        if let Some(name) = self.missing(held, wanted) {
            return Some(format!("it does not name {name}"));
        }
        let is_due = held.span.renewal(held.draw) <= now;
        is_due.then(|| "it would have to be renewed at once, if the clock is right".to_owned())
    }

    /// A name that a certificate should have and has not.
    fn missing<'a>(&self, held: &Held, wanted: &'a Wanted) -> Option<&'a String> {
        let is_known = |name: &&String| held.has(name) || self.notes.left_out.contains_key(*name);
        let name = wanted.names.iter().find(|name| !held.has(name));
        name.or_else(|| wanted.services.iter().find(|name| !is_known(name)))
    }

    /// When there is something to do next: an order, or a question to the authority.
    pub(super) fn next(&self, wanted: &Wanted) -> i64 {
        let due = self.due(wanted);
        if self.held.is_some() { due.min(self.ask_at) } else { due }
    }

    /// When what is held is renewed, if all goes well.
    pub(super) fn renewal(&self) -> Option<i64> {
        let renewal = self.renewal_of(self.held.as_ref()?);
        Some(if self.notes.failures > 0 { renewal.max(self.notes.next_at) } else { renewal })
    }

    fn renewal_of(&self, held: &Held) -> i64 {
        let usual = held.span.renewal(held.draw);
        // An authority that suggests later than is safe is not followed.
        self.suggestion.map_or(usual, |suggestion| suggestion.at.min(latest(held.span)))
    }

    /// Takes what the authority suggests; without an answer it is asked again later.
    pub(super) fn suggest(&mut self, now: i64, draw: u32, told: Option<(RenewalInfo, Duration)>) {
        let Some((info, again)) = told else {
            self.ask_at = ask_again(now, ASK_LATER);
            return;
        };
        let window = info.suggested_window;
        let (from, until) = (window.start.unix_timestamp(), window.end.unix_timestamp());
        // RFC 9773 §4.2: a window that ends before it begins is as good as none.
        if until <= from {
            self.ask_at = ask_again(now, ASK_LATER);
            return;
        }
        let before = self.suggestion.take();
        if let Some(why) = info.explanation_url.filter(|_| before.is_none()) {
            tracing::info!(why, "the authority says why it wants a certificate to be renewed");
        }
        let suggestion = Suggestion::new(Span { from, until }, draw, ask_again(now, again), before);
        self.ask_at = suggestion.ask_at;
        self.suggestion = Some(suggestion);
    }

    /// What a new certificate takes the place of, towards an authority that suggests renewals.
    pub(super) fn replaced(&self) -> Option<CertificateIdentifier<'static>> {
        self.suggestion?;
        let held = self.held.as_ref()?;
        CertificateIdentifier::try_from(&held.der).ok().map(CertificateIdentifier::into_owned)
    }
}

/// The last moment to renew, whatever is suggested: with a ninth of the life left.
fn latest(span: Span) -> i64 {
    span.until - (span.until - span.from).max(0) / 9
}

impl Notes {
    /// After a certificate came.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.next_at = 0;
        self.trouble.clear();
    }
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::CertificateDer;

    use super::*;

    const DAY: i64 = 86_400;

    fn page(names: &[&str]) -> Page {
        let held = Held {
            der: CertificateDer::from(vec![0]),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            span: Span { from: 0, until: 90 * DAY },
            draw: 0,
        };
        Page { held: Some(held), ..Page::default() }
    }

    fn wanted() -> Wanted {
        Wanted {
            domain: "a.example".to_owned(),
            names: vec!["a.example".to_owned()],
            services: vec!["rooms.a.example".to_owned()],
        }
    }

    fn info(json: &str) -> Option<(RenewalInfo, Duration)> {
        Some((serde_json::from_str(json).unwrap(), Duration::from_secs(3600)))
    }

    #[test]
    fn what_lacks_a_name_is_due_now_and_what_has_all_later() {
        assert_eq!(Page::default().due(&wanted()), 0);
        assert_eq!(page(&["a.example"]).due(&wanted()), 0);
        assert_eq!(page(&["rooms.a.example"]).due(&wanted()), 0);
        let mut fine = page(&["a.example", "rooms.a.example"]);
        assert_eq!(fine.due(&wanted()), 60 * DAY);
        fine.notes = Notes { failures: 1, next_at: 61 * DAY, ..Notes::default() };
        assert_eq!(fine.due(&wanted()), 61 * DAY);
        let mut without = page(&["a.example"]);
        without.notes.left_out.insert("rooms.a.example".to_owned(), "no address".to_owned());
        assert_eq!(without.due(&wanted()), 60 * DAY);
    }

    /// Or the same order would be made again each second, until the authority counts too many.
    #[test]
    fn a_new_certificate_that_would_be_due_at_once_is_no_success() {
        let whole = page(&["a.example", "rooms.a.example"]);
        assert_eq!(whole.lack(&wanted(), 0), None);
        assert_eq!(whole.lack(&wanted(), 60 * DAY - 1), None);
        let lack = whole.lack(&wanted(), 60 * DAY).unwrap();
        assert!(lack.contains("at once"), "{lack}");
        let lack = page(&["a.example"]).lack(&wanted(), 0).unwrap();
        assert!(lack.contains("rooms.a.example"), "{lack}");
        assert!(Page::default().lack(&wanted(), 0).is_some());
        let mut without = page(&["a.example"]);
        without.notes.left_out.insert("rooms.a.example".to_owned(), "no address".to_owned());
        without.notes.failures = 3;
        assert_eq!(without.lack(&wanted(), 0), None);
    }

    #[test]
    fn what_the_authority_suggests_counts_as_far_as_it_is_safe() {
        let mut page = page(&["a.example", "rooms.a.example"]);
        assert_eq!(page.replaced(), None);
        page.suggest(100, 0, None);
        assert_eq!((page.ask_at, page.due(&wanted())), (100 + 6 * 3600, 60 * DAY));
        let soon = r#"{"suggestedWindow": {"start": "1970-01-11T00:00:00Z",
            "end": "1970-01-12T00:00:00Z"}}"#;
        page.suggest(100, 0, info(soon));
        assert_eq!((page.ask_at, page.due(&wanted())), (3700, 10 * DAY));
        let late = r#"{"suggestedWindow": {"start": "1971-01-11T00:00:00Z",
            "end": "1971-01-12T00:00:00Z"}}"#;
        page.suggest(100, 0, info(late));
        assert_eq!(page.due(&wanted()), 80 * DAY);
        let empty = r#"{"suggestedWindow": {"start": "1970-01-11T00:00:00Z",
            "end": "1970-01-11T00:00:00Z"}}"#;
        page.suggest(100, 0, info(empty));
        assert_eq!((page.ask_at, page.due(&wanted())), (100 + 6 * 3600, 80 * DAY));
    }
}
