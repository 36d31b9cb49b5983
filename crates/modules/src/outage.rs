#![cfg_attr(not(doctest), doc = include_str!("outage.md"))]

use std::sync::Arc;

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use waxwing_jid::BareJid;
use waxwing_kernel::command::{Command, CommandAbout, Field, FieldKind, Order, Refusal, Said};
use waxwing_kernel::config::Uri;
use waxwing_kernel::events::EventAbout;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, form, section};
use waxwing_stanza::payload::dataform::{DataForm, Field as FormField, FieldType, FormType};

/// §2.1: "This information MUST be scoped using a FORM_TYPE of …".
const FORM: &str = "urn:xmpp:sos:0";

section! {
    /// Where clients learn why they cannot reach the server.
    pub struct OutageConfig("outage") {
        /// Web addresses of a file that tells of outages (XEP-0455), best on another machine:
        /// `addresses = ["https://status.example.org/chat.json"]`.
        pub addresses: Vec<Uri> = [],
    }
}

form! {
    /// Write the file that tells clients of an outage.
    pub struct TellOutage {
        /// When it begins, such as `2026-02-01T03:00:00Z`.
        pub beginning: Moment,
        /// When it is expected to end.
        pub end("expected_end"): Option<Moment>,
        /// What people are told.
        pub message: Option<String>,
        /// Whether it came as a surprise.
        pub unplanned: bool,
    }
}
static TELL: CommandAbout =
    CommandAbout::of::<TellOutage>("urn:waxwing:outage#tell", &["server", "outage"]).reads();

static OUTAGE_DECLARED: EventAbout = EventAbout {
    name: "outage.declared",
    about: "An admin had the file written that tells of an outage.",
    fields: &[
        ("beginning", "When it begins."),
        ("end", "When it is expected to end, if that is known."),
        ("message", "What people are told."),
        ("planned", "Whether it is no surprise."),
    ],
};

/// Shows where outages are told of, and writes what stands there.
pub struct Outage {
    hub: Hub,
    domain: BareJid,
    addresses: Vec<Uri>,
}

impl Module for Outage {
    const ABOUT: &'static About = &About {
        name: "outage",
        summary: "Shows clients where they learn of outages.",
        is_on: true,
        xeps: &[Xep(455, "0.4.0")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("outage.md"),
    };
    type Config = OutageConfig;

    fn start(site: &mut SiteBuilder<'_>, config: OutageConfig) -> Result<Self, StartError> {
        let is_web =
            |uri: &Uri| ["http:", "https:"].iter().any(|web| uri.as_str().starts_with(web));
        match config.addresses.iter().find(|uri| !is_web(uri)) {
            // §2.1: "Links … SHOULD use HTTP/HTTPS protocol".
            Some(other) => Err(StartError {
                module: Self::ABOUT.name,
                reason: format!("`addresses` has {other}, which is no web address (https://…)"),
            }),
            None => {
                let (hub, domain) = (site.hub(), site.jid().clone());
                Ok(Self { hub, domain, addresses: config.addresses })
            }
        }
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.server_form(Self::form);
        on.event(&OUTAGE_DECLARED);
        on.command(|outage| Command::new(&TELL, outage, Self::tell));
    }
}

impl Outage {
    fn form(&self) -> Option<DataForm> {
        if self.addresses.is_empty() {
            return None;
        }
        let field = FormField::new(FieldType::ListMulti, "external-status-addresses");
        let values = self.addresses.iter().map(Uri::to_string).collect();
        Some(DataForm::new(FormType::Result).about(FORM).with(FormField { values, ..field }))
    }

    async fn tell(self: Arc<Self>, order: Order<TellOutage>) -> Result<Said, Refusal> {
        let TellOutage { beginning, end, message, unplanned } = order.form;
        if end.is_some_and(|end| end.0 <= beginning.0) {
            return Err(Refusal::invalid("expected_end", "it is not behind the beginning"));
        }
        self.hub.tell(self.domain.domain(), &OUTAGE_DECLARED, || {
            json!({
                "beginning": beginning.stamp(),
                "end": end.map(Moment::stamp),
                "message": message,
                "planned": !unplanned,
            })
        });
        let file = file(beginning, end, message, !unplanned);
        let places: Vec<&str> = self.addresses.iter().map(Uri::as_str).collect();
        let place = match places.as_slice() {
            [] => "where `modules.outage.addresses` will point".to_owned(),
            places => format!("at {}", places.join(" and ")),
        };
        let note = format!("Put this {place}. When the outage is over, put {{}} there instead.");
        Ok(Said::note(note).fact("file", "The file", file.to_string()))
    }
}

/// §2.2, the format of the file.
fn file(beginning: Moment, end: Option<Moment>, message: Option<String>, planned: bool) -> Value {
    let mut file = Map::new();
    file.insert("planned".to_owned(), planned.into());
    file.insert("beginning".to_owned(), beginning.stamp().into());
    if let Some(end) = end {
        file.insert("expected_end".to_owned(), end.stamp().into());
    }
    if let Some(message) = message {
        file.insert("message".to_owned(), json!({ "default": message }));
    }
    Value::Object(file)
}

/// A date and a time with its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(OffsetDateTime);

impl Moment {
    fn stamp(self) -> String {
        let utc = self.0.to_offset(time::UtcOffset::UTC);
        utc.format(&Rfc3339).unwrap_or_default()
    }
}

impl Field for Moment {
    const KIND: FieldKind = FieldKind::Text;

    fn read(values: &[&str]) -> Result<Self, String> {
        let [text] = values else { return Err("one date and time must be given".to_owned()) };
        let wrong = |_| format!("{text:?} is no time such as 2026-02-01T03:00:00Z");
        let moment = OffsetDateTime::parse(text.trim(), &Rfc3339).map_err(wrong)?;
        // In UTC the year must still have four digits.
        let utc = moment.checked_to_offset(time::UtcOffset::UTC);
        utc.filter(|utc| (0..=9999).contains(&utc.year()))
            .map(Self)
            .ok_or_else(|| format!("{text:?} lies beyond the years that can be written"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_what_the_specification_shows() {
        let moment = |text| Moment::read(&[text]).unwrap();
        let file = file(
            moment("2021-01-12T02:01:01+01:00"),
            Some(moment("2021-01-12T05:00:00Z")),
            Some("Mise à jour du serveur".to_owned()),
            true,
        );
        let expected = json!({
            "planned": true,
            "beginning": "2021-01-12T01:01:01Z",
            "expected_end": "2021-01-12T05:00:00Z",
            "message": { "default": "Mise à jour du serveur" }
        });
        assert_eq!(file, expected);
    }

    #[test]
    fn a_time_without_zone_is_refused() {
        for wrong in ["2021-01-12T01:01:01", "tomorrow", "", "2021-13-01T00:00:00Z"] {
            assert!(Moment::read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
