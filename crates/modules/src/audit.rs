#![cfg_attr(not(doctest), doc = include_str!("audit.md"))]

use std::sync::Arc;

use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_kernel::clock::{DAY_MILLIS, stamp_of};
use waxwing_kernel::command::{Command, CommandAbout, Deed, Grid, Order, Refusal, Said};
use waxwing_kernel::events::EventAbout;
use waxwing_kernel::module::{About, Module, StartError};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, form, section};
use waxwing_store::{Row, Statement, StoreError, Table};

/// Entries shown at once.
const SHOWN: u32 = 100;
/// Of what was filled in, in characters.
const VALUES: usize = 2000;

const KEEP: &str = "INSERT INTO audit (id, domain, at, who, words, filled, outcome) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const FORGET: &str = "DELETE FROM audit WHERE at < ?1";
const LIST: &str = "SELECT id, at, who, words, filled, outcome FROM audit \
     WHERE domain = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";

section! {
    /// What admins did.
    pub struct AuditConfig("audit") {
        /// For how many days it is kept.
        pub days: u32 = 365 in 1..=36_500,
    }
}

form! {
    /// Show what admins did, the newest first.
    pub struct ListDeeds {
        /// Only entries before this number, the last of the page before.
        pub before: Option<u64>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
static LIST_DEEDS: CommandAbout =
    CommandAbout::of::<ListDeeds>("urn:waxwing:audit#list", &["audit", "list"]).reads();

static AUDIT_ENTRY: EventAbout = EventAbout {
    name: "audit.entry",
    about: "An admin, or a program for one, gave a command that changes something.",
    fields: &[
        ("who", "Who gave it: an address, `operator`, or `token` and its name."),
        ("words", "The command."),
        ("filled", "What was filled in, without what is secret."),
        ("outcome", "What came of it: `done`, or why not."),
    ],
};

/// Keeps account of what admins do.
pub struct Audit {
    hub: Hub,
    domain: BareJid,
    config: AuditConfig,
}

impl Module for Audit {
    const ABOUT: &'static About = &About {
        name: "audit",
        summary: "Keeps account of what admins do.",
        is_on: true,
        xeps: &[],
        server_features: &[],
        account_features: &[],
        manual: include_str!("audit.md"),
    };
    const TABLES: &'static [Table] = &[Table {
        name: "audit",
        // Who removes the account of an admin does not remove what the admin did.
        owner: None,
        steps: &["CREATE TABLE audit (id {id} PRIMARY KEY, domain {text} NOT NULL, \
                    at {instant} NOT NULL, who {text} NOT NULL, words {text} NOT NULL, \
                    filled {text} NOT NULL, outcome {text} NOT NULL); \
                  CREATE INDEX audit_domain ON audit (domain, id); \
                  CREATE INDEX audit_at ON audit (at)"],
    }];
    type Config = AuditConfig;

    fn start(site: &mut SiteBuilder<'_>, config: AuditConfig) -> Result<Self, StartError> {
        Ok(Self { hub: site.hub(), domain: site.jid().clone(), config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.deed(Self::note);
        on.event(&AUDIT_ENTRY);
        on.command(|audit| Command::new(&LIST_DEEDS, audit, Self::list));
    }
}

impl Audit {
    /// Is written before the admin is answered. What cannot be written is in the log at least.
    async fn note(self: Arc<Self>, deed: Deed) {
        let now = self.hub.clock().wall_millis().cast_signed();
        let who = deed.caller.to_string();
        let words = deed.about.words.join(" ");
        let filled: String = deed.filled().chars().take(VALUES).collect();
        self.hub.tell(
            self.domain.domain(),
            &AUDIT_ENTRY,
            || json!({ "who": who, "words": words, "filled": filled, "outcome": deed.outcome }),
        );
        let keep = Statement::new(KEEP)
            .with(self.hub.next_id().cast_signed())
            .with(self.domain.as_str())
            .with(now)
            .with(who.as_str())
            .with(words.as_str())
            .with(filled.as_str())
            .with(deed.outcome.as_str());
        let forget = Statement::new(FORGET).with(now - i64::from(self.config.days) * DAY_MILLIS);
        if let Err(error) = self.hub.db().batch(vec![keep, forget]).await {
            let outcome = deed.outcome;
            tracing::error!(%error, who, words, filled, outcome, "this could not be noted");
        }
    }

    async fn list(self: Arc<Self>, order: Order<ListDeeds>) -> Result<Said, Refusal> {
        let before = order.form.before.map_or(i64::MAX, u64::cast_signed);
        let list = Statement::new(LIST).with(self.domain.as_str()).with(before).with(SHOWN + 1);
        let rows = self.hub.db().query(list).await.map_err(failed)?;
        let mut grid = Grid::new(&[
            ("number", "Number"),
            ("at", "Time"),
            ("who", "By"),
            ("words", "Command"),
            ("filled", "With"),
            ("outcome", "Outcome"),
        ]);
        for row in &rows {
            grid.row(cells(row).map_err(failed)?);
        }
        Ok(Said::page(grid, SHOWN as usize, "There is nothing."))
    }
}

fn cells(row: &Row) -> Result<[String; 6], StoreError> {
    let text = |column| row.text(column).map(|text| text.replace('\n', " · "));
    let at = stamp_of(row.int(1)?.unsigned_abs());
    Ok([row.int(0)?.to_string(), at, text(2)?, text(3)?, text(4)?, text(5)?])
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "the audit log could not be read");
    Refusal::failed("the audit log cannot be read at the moment")
}
