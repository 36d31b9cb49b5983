//! Who speaks, and what becomes of what is said.

use waxwing_stanza::payload::dataform::FieldType;

use super::{Opt, flag, one, shown, word};
use crate::rooms::config::Whispers;

pub(super) const OPTIONS: &[Opt] = &[MODERATED, SUBJECT, WHISPERS, SLOW, HISTORY, ARCHIVED, LOGGED];

const MODERATED: Opt = Opt {
    var: "muc#roomconfig_moderatedroom",
    label: "Let only those speak who were given a voice",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_moderated),
    read: |config, values| flag(values).map(|is_on| config.is_moderated = is_on),
    feature: |config| Some(if config.is_moderated { "muc_moderated" } else { "muc_unmoderated" }),
    ..Opt::PLAIN
};

const SUBJECT: Opt = Opt {
    var: "muc#roomconfig_changesubject",
    label: "Let participants change the subject",
    kind: FieldType::Boolean,
    show: |config| shown(config.allows_subject),
    read: |config, values| flag(values).map(|is_on| config.allows_subject = is_on),
    info: &["muc#roominfo_subjectmod", "muc#roomconfig_changesubject"],
    ..Opt::PLAIN
};

const WHISPERS: Opt = Opt {
    var: "muc#roomconfig_allowpm",
    label: "Who may send private messages",
    kind: FieldType::ListSingle,
    choices: &[
        ("anyone", "Anyone"),
        ("participants", "Anyone with a voice"),
        ("moderators", "Moderators only"),
        ("none", "Nobody"),
    ],
    show: |config| vec![config.whispers.word().to_owned()],
    read: |config, values| {
        let words = Whispers::ALL.map(|whispers| (whispers.word(), whispers));
        word(values, &words).map(|whispers| config.whispers = whispers)
    },
    info: &["muc#roomconfig_allowpm"],
    ..Opt::PLAIN
};

/// XEP-0500.
const SLOW: Opt = Opt {
    var: "muc#roomconfig_slow_mode_duration",
    label: "Seconds between two messages of one person",
    show: |config| vec![config.slow_seconds.to_string()],
    read: |config, values| number(values, 86_400).map(|count| config.slow_seconds = count),
    info: &["muc#roominfo_slow_mode_duration"],
    ..Opt::PLAIN
};

const HISTORY: Opt = Opt {
    var: "muc#maxhistoryfetch",
    label: "How many messages newcomers are shown at most",
    show: |config| vec![config.history.to_string()],
    read: |config, values| number(values, u32::MAX).map(|count| config.history = count as usize),
    info: &["muc#maxhistoryfetch"],
    ..Opt::PLAIN
};

/// Not in the registry: the name by which clients know it from other servers.
const ARCHIVED: Opt = Opt {
    var: "muc#roomconfig_enablearchiving",
    label: "Keep what is said, for those who may enter the room",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_archived),
    read: |config, values| flag(values).map(|is_on| config.is_archived = is_on),
    ..Opt::PLAIN
};

const LOGGED: Opt = Opt {
    var: "muc#roomconfig_enablelogging",
    label: "Let anybody read what was said",
    kind: FieldType::Boolean,
    show: |config| shown(config.is_logged),
    read: |config, values| flag(values).map(|is_on| config.is_logged = is_on),
    // §10.2.1 "If room logging is now enabled, status code 170. If room logging is now disabled,
    // status code 171."
    notice: |_, after| if after.is_logged { 170 } else { 171 },
    ..Opt::PLAIN
};

fn number(values: &[String], most: u32) -> Result<u32, String> {
    let text = one(values)?;
    let number = if text.is_empty() { Some(0) } else { text.parse().ok() };
    number
        .filter(|number| *number <= most)
        .ok_or_else(|| format!("expected a whole number up to {most}, found {text:?}"))
}
