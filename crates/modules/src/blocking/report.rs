//! Reports that come with a block (XEP-0377): kept for a while, shown to admins.

use std::sync::Arc;

use serde_json::json;
use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::clock::{DAY_MILLIS, stamp_of};
use waxwing_kernel::command::{CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::events::EventAbout;
use waxwing_kernel::stage::{Effects, Party};
use waxwing_kernel::{Hub, Site, form};
use waxwing_stanza::{MessageType, Stanza};
use waxwing_store::{Statement, StoreError, Table};
use waxwing_xml::write;
use xso::{AsXml, FromXml};

use super::{Blocking, Item};

/// Namespace of reports.
pub(super) const REPORTING: &str = "urn:xmpp:reporting:1";
const STANZA_ID: &str = "urn:xmpp:sid:0";

/// What of a report is kept: its words in characters, its reason in characters, its messages.
const WORDS: usize = 1000;
const REASON: usize = 100;
const STANZAS: usize = 20;
const STANZA: usize = 200;

/// Reports shown at once.
const SHOWN: u32 = 100;

pub(super) static REPORT_FILED: EventAbout = EventAbout {
    name: "report.filed",
    about: "Somebody reported an address that they blocked.",
    fields: &[
        ("reporter", "Who reported."),
        ("jid", "The address."),
        ("reason", "Why, such as `spam`."),
    ],
};

pub(super) const TABLE: Table = Table {
    name: "report",
    owner: Some("reporter"),
    steps: &["CREATE TABLE report (id {id} PRIMARY KEY, domain {text} NOT NULL, \
                reporter {text} NOT NULL, at {instant} NOT NULL, jid {text} NOT NULL, \
                reason {text} NOT NULL, words {text} NOT NULL, stanzas {text} NOT NULL); \
              CREATE INDEX report_domain ON report (domain, id); \
              CREATE INDEX report_reporter ON report (reporter, at); \
              CREATE INDEX report_at ON report (at)"],
};

const KEEP: &str = "INSERT INTO report (id, domain, reporter, at, jid, reason, words, stanzas) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const FORGET: &str = "DELETE FROM report WHERE at < ?1";
const RECENT: &str = "SELECT COUNT(*) FROM report WHERE reporter = ?1 AND at > ?2";
const LIST: &str = "SELECT id, at, reporter, jid, reason, words, stanzas FROM report \
     WHERE domain = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
const REMOVE: &str = "DELETE FROM report WHERE domain = ?1 AND id = ?2";

form! {
    /// Show what people reported when they blocked an address, the newest first.
    pub struct ListReports {
        /// Only reports before this number, the last of the page before.
        pub before: Option<u64>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST_REPORTS: CommandAbout =
    CommandAbout::of::<ListReports>("urn:waxwing:reports#list", &["report", "list"]).reads();

form! {
    /// Remove a report that was dealt with.
    pub struct RemoveReport {
        /// Its number.
        pub number: u64,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static REMOVE_REPORT: CommandAbout =
    CommandAbout::of::<RemoveReport>("urn:waxwing:reports#remove", &["report", "remove"]);

/// §4, `<report/>`. §6: whoever reports badly must be able to block all the same, so nothing of it
/// is required here. What it permits (§5) is ignored, as that section allows: reports leave the
/// server by nobody but its admins.
#[derive(FromXml, AsXml)]
#[xml(namespace = REPORTING, name = "report", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
pub(super) struct Report {
    #[xml(attribute(default))]
    reason: Option<String>,
    #[xml(extract(n = .., name = "text", on_unknown_attribute = Discard,
                  fields(text(type_ = String))))]
    words: Vec<String>,
    #[xml(child(n = ..))]
    stanzas: Vec<Reported>,
}

/// `<stanza-id/>` of a message that is reported.
#[derive(FromXml, AsXml)]
#[xml(namespace = STANZA_ID, name = "stanza-id", on_unknown_attribute = Discard,
      on_unknown_child = Discard)]
struct Reported {
    #[xml(attribute(default))]
    by: Option<String>,
    #[xml(attribute(default))]
    id: Option<String>,
}

/// A report as it is kept.
pub(super) struct Kept {
    jid: Jid,
    reason: String,
    words: String,
    stanzas: String,
}

impl Kept {
    /// The first report of each item, taken out: the other devices of the account are told whom it
    /// blocked, and not why.
    pub(super) fn take(items: &mut [Item]) -> Vec<Self> {
        let take = |item: &mut Item| {
            let report = std::mem::take(&mut item.reports).into_iter().next()?;
            Some(Self::new(item.jid.clone(), &report))
        };
        items.iter_mut().filter_map(take).collect()
    }

    fn new(jid: Jid, report: &Report) -> Self {
        let reason = report.reason.as_deref().unwrap_or("unknown");
        let reason = reason.strip_prefix("urn:xmpp:reporting:").unwrap_or(reason);
        let words = report.words.iter().map(|words| words.trim()).collect::<Vec<_>>().join("\n");
        let stanza = |stanza: &Reported| {
            let (id, by) = (stanza.id.as_deref()?, stanza.by.as_deref().unwrap_or_default());
            Some(format!("{} {}", cut(by, STANZA), cut(id, STANZA)))
        };
        let stanzas: Vec<String> = report.stanzas.iter().filter_map(stanza).take(STANZAS).collect();
        Self {
            jid,
            reason: cut(reason, REASON),
            words: cut(&words, WORDS),
            stanzas: stanzas.join("\n"),
        }
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

impl Blocking {
    /// Those of `reports` that the account may still make today.
    pub(super) async fn admit(
        &self,
        hub: &Hub,
        reporter: &BareJid,
        mut reports: Vec<Kept>,
    ) -> Result<Vec<Kept>, StoreError> {
        if reports.is_empty() {
            return Ok(reports);
        }
        let since = hub.clock().wall_millis().cast_signed() - DAY_MILLIS;
        let recent = Statement::new(RECENT).with(reporter.as_str()).with(since);
        let recent = hub.db().query_one(recent).await?.map_or(Ok(0), |row| row.int(0))?;
        let left = i64::from(self.config.reports_per_day).saturating_sub(recent).max(0);
        reports.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        Ok(reports)
    }

    /// What keeps `reports`, and forgets those that are too old.
    pub(super) fn keep(&self, hub: &Hub, reporter: &BareJid, reports: &[Kept]) -> Vec<Statement> {
        if reports.is_empty() {
            return Vec::new();
        }
        let now = hub.clock().wall_millis().cast_signed();
        let oldest = now - i64::from(self.config.report_days) * DAY_MILLIS;
        let keep = |report: &Kept| {
            Statement::new(KEEP)
                .with(hub.next_id().cast_signed())
                .with(reporter.domain())
                .with(reporter.as_str())
                .with(now)
                .with(report.jid.as_str())
                .with(report.reason.as_str())
                .with(report.words.as_str())
                .with(report.stanzas.as_str())
        };
        let forget = Statement::new(FORGET).with(oldest);
        reports.iter().map(keep).chain([forget]).collect()
    }

    /// Tells the admins of the host, in one message.
    pub(super) async fn tell(
        &self,
        hub: &Hub,
        site: &Site,
        reporter: &BareJid,
        reports: &[Kept],
        effects: &mut Effects,
    ) {
        for report in reports {
            let Kept { jid, reason, .. } = report;
            tracing::info!(%reporter, %jid, reason, "address reported");
            hub.tell(
                reporter.domain(),
                &REPORT_FILED,
                || json!({ "reporter": reporter.as_str(), "jid": jid.as_str(), "reason": reason }),
            );
        }
        if reports.is_empty() || !self.config.tell_admins {
            return;
        }
        let mut body = String::from("<body>");
        write::text(&mut body, &words(reporter, reports));
        body.push_str("</body>");
        let from = Party::new(site.jid.to_jid(), None);
        for admin in site.administrators() {
            let message = Stanza::message(MessageType::Normal)
                .from(site.jid.to_jid())
                .to(admin.to_jid())
                .id(hub.clock().token(8))
                .with(body.clone());
            hub.arrive(&from, message, effects).await;
        }
    }

    pub(super) async fn list_reports(
        self: Arc<Self>,
        order: Order<ListReports>,
    ) -> Result<Said, Refusal> {
        let before = order.form.before.map_or(i64::MAX, u64::cast_signed);
        let list = Statement::new(LIST).with(self.domain.as_str()).with(before).with(SHOWN + 1);
        let rows = self.hub.db().query(list).await.map_err(failed)?;
        let mut grid = Grid::new(&[
            ("number", "Number"),
            ("at", "Time"),
            ("reporter", "Reported by"),
            ("jid", "Address"),
            ("reason", "Reason"),
            ("words", "Words"),
            ("stanzas", "Messages"),
        ]);
        for row in &rows {
            let text = |column| row.text(column).map(|text| text.replace('\n', " · "));
            let at = stamp_of(row.int(1).map_err(failed)?.unsigned_abs());
            let number = row.int(0).map_err(failed)?.to_string();
            let texts: Result<Vec<String>, StoreError> = (2..7).map(text).collect();
            grid.row([number, at].into_iter().chain(texts.map_err(failed)?));
        }
        Ok(Said::page(grid, SHOWN as usize, "There is none."))
    }

    pub(super) async fn remove_report(
        self: Arc<Self>,
        order: Order<RemoveReport>,
    ) -> Result<Said, Refusal> {
        let number = order.form.number;
        let remove = Statement::new(REMOVE).with(self.domain.as_str()).with(number.cast_signed());
        let changed = self.hub.db().batch(vec![remove]).await.map_err(failed)?;
        if changed.first() == Some(&0) {
            let refusal = Refusal::not_found(format!("there is no report {number}"));
            return Err(Refusal { field: Some("number"), ..refusal });
        }
        tracing::info!(by = ?order.caller, number, "report removed");
        Ok(Said::note(format!("Report {number} was removed.")))
    }
}

fn words(reporter: &BareJid, reports: &[Kept]) -> String {
    let line = |report: &Kept| {
        let Kept { jid, reason, words, .. } = report;
        let because = if words.is_empty() { String::new() } else { format!(": {words}") };
        format!("{reporter} has blocked {jid} and reports it ({reason}){because}")
    };
    reports.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "reports could not be reached");
    Refusal::failed("reports cannot be reached at the moment")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_kept_within_bounds() {
        let report = Report {
            reason: Some("urn:xmpp:reporting:spam".to_owned()),
            words: vec![" Never came trouble ".to_owned(), "x".repeat(5000)],
            stanzas: (0..50)
                .map(|id| Reported {
                    by: Some("romeo@example.net".into()),
                    id: Some(id.to_string()),
                })
                .collect(),
        };
        let kept = Kept::new(Jid::new("romeo@example.net").unwrap(), &report);
        assert_eq!(kept.reason, "spam");
        assert!(kept.words.starts_with("Never came trouble\nxxx"));
        assert_eq!(kept.words.chars().count(), WORDS);
        assert_eq!(kept.stanzas.lines().count(), STANZAS);
        assert!(kept.stanzas.starts_with("romeo@example.net 0\n"));
    }
}
