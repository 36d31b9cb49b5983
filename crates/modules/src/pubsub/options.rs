//! The options of a subscription (§6.3): what its subscriber wants to be told, and until when.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use waxwing_kernel::clock::stamp_of;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType, FormType};
use waxwing_stanza::{CLIENT, Stanza, StanzaError};

use super::errors::with;

/// What a form with these options is about.
pub(super) const FORM: &str = "http://jabber.org/protocol/pubsub#subscribe_options";

const DELIVER: &str = "pubsub#deliver";
const SHOW: &str = "pubsub#show-values";
const BODY: &str = "pubsub#include_body";
const EXPIRE: &str = "pubsub#expire";

/// The states of a presence, as they are called in forms, and what people call them.
const STATES: [(&str, &str); 5] = [
    ("chat", "Wants to chat"),
    ("online", "Available"),
    ("away", "Away"),
    ("xa", "Away for long"),
    ("dnd", "Not to be disturbed"),
];

/// What a subscriber wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// Whether it wants to be told at all.
    pub(super) delivers: bool,
    /// Whether it wants words for people along with what was published.
    pub(super) has_body: bool,
    /// Whether others may know of the subscription (XEP-0465).
    pub(super) is_public: bool,
    /// While it is in which states of presence: a bit for each of [`STATES`].
    pub(super) states: u8,
}

/// When a subscription ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ends {
    #[default]
    Never,
    /// With the presence of its subscriber (§13.5).
    WithPresence,
    /// At a time, in milliseconds since 1970 (§13.19).
    At(i64),
}

/// Whether and when a subscription can be bought: what a service allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// Now, in milliseconds since 1970.
    pub(super) now: i64,
    /// How long a subscription may last at most, in milliseconds.
    pub(super) longest: Option<i64>,
    /// Whether all subscriptions of the node end with the presence of their subscriber.
    pub(super) is_fleeting: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { delivers: true, has_body: false, is_public: false, states: ALL_STATES }
    }
}

const ALL_STATES: u8 = (1 << STATES.len()) - 1;

impl Options {
    /// From what is stored.
    pub(super) fn from_text(text: Option<&str>) -> Self {
        let mut options = Self::default();
        for word in text.unwrap_or_default().split_whitespace() {
            match word.split_once('=') {
                None if word == "silent" => options.delivers = false,
                None if word == "body" => options.has_body = true,
                None if word == "public" => options.is_public = true,
                Some(("show", states)) => {
                    options.states = bits(states.split(',')).unwrap_or(ALL_STATES);
                }
                // A newer release may have written more.
                _ => {}
            }
        }
        options
    }

    /// As it is stored; nothing for the usual.
    pub(super) fn to_text(self) -> Option<String> {
        let mut words = Vec::new();
        let flags =
            [(!self.delivers, "silent"), (self.has_body, "body"), (self.is_public, "public")];
        words
            .extend(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, word)| (*word).to_owned()));
        if self.states != ALL_STATES {
            words.push(format!("show={}", self.shown().collect::<Vec<_>>().join(",")));
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The same, where others do not know of it.
    pub(super) fn unnamed(self) -> Self {
        Self { is_public: false, ..self }
    }

    /// Whether it matters in which state the subscriber is.
    pub(super) fn looks_at_presence(self) -> bool {
        self.states != ALL_STATES
    }

    /// Whether a session with this presence is to be told.
    pub(super) fn suits(self, presence: &Stanza) -> bool {
        if !self.looks_at_presence() {
            return true;
        }
        let show = presence.body.children().find(|child| child.is("show", CLIENT));
        let show = show.map(|show| show.text().trim().to_owned());
        let state = show.as_deref().filter(|show| *show != "online").unwrap_or("online");
        // RFC 6121 §4.7.2.1: what is not known counts as mere availability.
        let index = STATES.iter().position(|(name, _)| *name == state).unwrap_or(1);
        self.states & (1 << index) != 0
    }

    /// The same with what a form says. Fields that are not known are passed over.
    ///
    /// # Errors
    /// `bad-request` with the field and what is wrong with it.
    pub(super) fn with(
        self,
        ends: Ends,
        form: &DataForm,
        lease: Lease,
    ) -> Result<(Self, Ends), StanzaError> {
        if form.kind != FormType::Submit || form.form_type().is_some_and(|about| about != FORM) {
            return Err(invalid("FORM_TYPE", &format!("submit a form about {FORM}")));
        }
        let (mut options, mut ends) = (self, ends);
        for field in &form.fields {
            let var = field.var.as_deref().unwrap_or_default();
            let value = field.values.first().map(|value| value.trim());
            match (var, value) {
                (DELIVER, Some(value)) => options.delivers = boolean(DELIVER, value)?,
                (BODY, Some(value)) => options.has_body = boolean(BODY, value)?,
                (SHOW, _) => {
                    let states = bits(field.values.iter().map(String::as_str));
                    let wrong = || invalid(SHOW, "one or more of chat, online, away, xa, dnd");
                    options.states = states.ok_or_else(wrong)?;
                }
                (EXPIRE, Some("presence")) => ends = Ends::WithPresence,
                (EXPIRE, None | Some("")) => ends = Ends::Never,
                (EXPIRE, Some(value)) => ends = Ends::At(moment(value, lease.now)?),
                _ => {}
            }
        }
        Ok((options, lease.bound(ends)))
    }

    /// The form with these options. Words for people are offered where they can be made: §13.8 "A
    /// service MUST NOT provide the "pubsub#include_body" subscription option for a node if it
    /// does not have a defined way to transform part or all of the payload format into a sensible
    /// message body."
    pub(super) fn form(self, kind: FormType, ends: Ends, has_words: bool) -> DataForm {
        let is_blank = kind == FormType::Form;
        let flag = |flag: bool| if flag { "true" } else { "false" };
        let mut form = DataForm::new(kind).about(FORM).with(
            Field::new(FieldType::Boolean, DELIVER)
                .label("Whether you are told")
                .value(flag(self.delivers)),
        );
        let show = Field::new(FieldType::ListMulti, SHOW).label("While you are in which states");
        let show = self.shown().fold(show, Field::value);
        let choices = STATES.iter().filter(|_| is_blank);
        form = form.with(choices.fold(show, |show, (name, label)| show.option(*name, *label)));
        if has_words {
            let body = Field::new(FieldType::Boolean, BODY).label("Whether you are told in words");
            form = form.with(body.value(flag(self.has_body)));
        }
        let expire = Field::new(FieldType::TextSingle, EXPIRE)
            .label("Until when (a time in UTC, `presence`, or nothing)");
        form.with(match ends {
            Ends::Never => expire,
            Ends::WithPresence => expire.value("presence"),
            Ends::At(millis) => expire.value(stamp_of(millis.cast_unsigned())),
        })
    }

    fn shown(self) -> impl Iterator<Item = &'static str> {
        let is_shown = move |(index, _): &(usize, _)| self.states & (1 << index) != 0;
        STATES.iter().enumerate().filter(is_shown).map(|(_, (name, _))| *name)
    }
}

impl Ends {
    /// From what is stored.
    pub(super) fn of(expires: Option<i64>) -> Self {
        match expires {
            None => Self::Never,
            Some(0) => Self::WithPresence,
            Some(millis) => Self::At(millis),
        }
    }

    /// As it is stored.
    pub(super) fn number(self) -> Option<i64> {
        match self {
            Self::Never => None,
            Self::WithPresence => Some(0),
            Self::At(millis) => Some(millis),
        }
    }
}

impl Lease {
    /// §13.19: "If the new expire value exceeds the maximum value allowed for subscription leases,
    /// the service MUST change the value of the field to be the current date/time plus the maximum
    /// allowed lease period."
    pub(super) fn bound(self, ends: Ends) -> Ends {
        let latest = self.longest.map(|longest| self.now + longest);
        match (ends, latest) {
            _ if self.is_fleeting => Ends::WithPresence,
            (Ends::Never, Some(latest)) => Ends::At(latest),
            (Ends::At(at), Some(latest)) => Ends::At(at.min(latest)),
            (ends, _) => ends,
        }
    }
}

/// A bit for each of these states; none when one is no state.
fn bits<'a>(mut states: impl Iterator<Item = &'a str>) -> Option<u8> {
    states.try_fold(0, |bits, state| match STATES.iter().position(|(name, _)| *name == state) {
        Some(index) => Some(bits | 1 << index),
        None if state.is_empty() => Some(bits),
        None => None,
    })
}

/// XEP-0004 §3.3: the lexical forms of `xs:boolean`.
fn boolean(var: &str, value: &str) -> Result<bool, StanzaError> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(invalid(var, "`true` or `false`")),
    }
}

/// §13.19: "This field MUST contain a dateTime (as specified in XEP-0082)".
fn moment(value: &str, now: i64) -> Result<i64, StanzaError> {
    let moment = OffsetDateTime::parse(value, &Rfc3339).ok();
    let millis = moment.map(|moment| moment.unix_timestamp_nanos() / 1_000_000);
    let millis = millis.and_then(|millis| i64::try_from(millis).ok());
    millis
        .filter(|millis| *millis > now)
        .ok_or_else(|| invalid(EXPIRE, "a time to come, such as 2036-02-28T11:59:59Z, or presence"))
}

/// §6.3.6.2: "If the subscriber attempts to set an invalid group of options, the service MUST
/// respond with a <bad-request/> error."
fn invalid(var: &str, problem: &str) -> StanzaError {
    with(StanzaError::bad_request(), "invalid-options").text(format!("{var}: {problem}"))
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::{Condition, PresenceType};

    use super::*;

    const NOW: i64 = 1_000_000;
    const LEASE: Lease = Lease { now: NOW, longest: None, is_fleeting: false };

    fn submit(fields: &[(&str, &[&str])]) -> DataForm {
        let field = |(var, values): &(&str, &[&str])| Field {
            var: Some((*var).to_owned()),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..Field::default()
        };
        fields.iter().map(field).fold(DataForm::new(FormType::Submit).about(FORM), DataForm::with)
    }

    fn set(fields: &[(&str, &[&str])]) -> Result<(Options, Ends), StanzaError> {
        Options::default().with(Ends::Never, &submit(fields), LEASE)
    }

    #[test]
    fn what_is_stored_is_what_was_wanted() {
        let (options, _) =
            set(&[(DELIVER, &["0"]), (SHOW, &["away", "chat"]), (BODY, &["true"])]).unwrap();
        let text = options.to_text().unwrap();
        assert_eq!(text, "silent body show=chat,away");
        assert_eq!(Options::from_text(Some(&text)), options);
        assert_eq!(Options::default().to_text(), None);
        assert_eq!(Options::from_text(None), Options::default());
        assert_eq!(Options::from_text(Some("later=1 public")).to_text().unwrap(), "public");
        let (none, _) = set(&[(SHOW, &[])]).unwrap();
        assert_eq!(Options::from_text(none.to_text().as_deref()), none);
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over_and_wrong_ones_named() {
        assert_eq!(set(&[("pubsub#digest", &["1"])]).unwrap().0, Options::default());
        for (var, value) in [
            (DELIVER, "perhaps"),
            (SHOW, "asleep"),
            (EXPIRE, "tomorrow"),
            (EXPIRE, "1970-01-01T00:00:01Z"),
        ] {
            let error = set(&[(var, &[value])]).unwrap_err();
            assert_eq!(error.condition, Condition::BadRequest);
            assert!(error.text.unwrap().starts_with(var), "{var}");
            assert!(error.app.unwrap().contains("invalid-options"));
        }
        let other = DataForm::new(FormType::Submit).about("urn:other");
        assert!(Options::default().with(Ends::Never, &other, LEASE).is_err());
    }

    /// §13.19
    #[test]
    fn a_lease_is_as_long_as_is_asked_and_no_longer_than_allowed() {
        let at = |form: &[(&str, &[&str])], lease| {
            Options::default().with(Ends::Never, &submit(form), lease).unwrap().1
        };
        let later: &[(&str, &[&str])] = &[(EXPIRE, &["1970-01-01T01:00:00Z"])];
        assert_eq!(at(later, LEASE), Ends::At(3_600_000));
        let short = Lease { longest: Some(5000), ..LEASE };
        assert_eq!(at(later, short), Ends::At(NOW + 5000));
        assert_eq!(at(&[], short), Ends::At(NOW + 5000), "for ever is too long as well");
        assert_eq!(at(&[(EXPIRE, &["presence"])], short), Ends::WithPresence);
        let fleeting = Lease { is_fleeting: true, ..LEASE };
        assert_eq!(at(later, fleeting), Ends::WithPresence);
        for ends in [Ends::Never, Ends::WithPresence, Ends::At(7)] {
            assert_eq!(Ends::of(ends.number()), ends);
        }
    }

    #[test]
    fn who_is_in_another_state_is_not_told() {
        let presence = |show: &str| {
            let presence = Stanza::presence(PresenceType::Available);
            if show.is_empty() { presence } else { presence.with(format!("<show>{show}</show>")) }
        };
        let (options, _) = set(&[(SHOW, &["chat", "online"])]).unwrap();
        assert!(options.looks_at_presence() && !Options::default().looks_at_presence());
        for (show, is_told) in
            [("", true), ("chat", true), ("away", false), ("dnd", false), ("odd", true)]
        {
            assert_eq!(options.suits(&presence(show)), is_told, "{show}");
            assert!(Options::default().suits(&presence(show)));
        }
    }
}
