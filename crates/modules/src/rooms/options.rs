//! The settings of a room, each declared once: field of the form, effect on the configuration, what
//! service discovery says of it, and what occupants are told when it changes (XEP-0045 §10.2,
//! §6.4, §16.5.3).
//!
//! A new setting is a row in a file of this folder and a field of [`Config`]; it is stored under
//! the name of its field, so no row of the database changes for it.

mod about;
mod access;
mod rights;
mod talk;

use waxwing_stanza::StanzaError;
use waxwing_stanza::payload::dataform::{DataForm, Field, FieldType};

use super::config::Config;

/// Characters that one setting may have, and the reason that somebody gives for something.
pub const TEXT_CHARS: usize = 2000;
/// Characters that the name of a room may have, which stands in every list of rooms.
pub const NAME_CHARS: usize = 200;
/// Values that one setting may have.
pub const VALUES: usize = 50;

/// One setting of a room.
pub struct Opt {
    /// Its name in the form, and in what is stored.
    pub var: &'static str,
    /// Its name for people.
    pub label: &'static str,
    /// How it is asked for.
    pub kind: FieldType,
    /// The values offered and what each is called.
    pub choices: &'static [(&'static str, &'static str)],
    /// Its values in a configuration.
    pub show: fn(&Config) -> Vec<String>,
    /// Takes the values that somebody filled in, or says what is wrong with them.
    pub read: fn(&mut Config, &[String]) -> Result<(), String>,
    /// What the room is by it (§16.3).
    pub feature: fn(&Config) -> Option<&'static str>,
    /// Under which names anybody may see it (§6.4).
    pub info: &'static [&'static str],
    /// The status code that tells of the change from the first to the second (§10.2.1).
    pub notice: fn(&Config, &Config) -> u16,
}

/// A change "that has an impact on the privacy or security profile of the room" has a code of its
/// own; this is "any other configuration change" (§10.2.1).
const OTHER_CHANGE: u16 = 104;

impl Opt {
    /// A setting that says nothing to anybody but the owners.
    const PLAIN: Self = Self {
        var: "",
        label: "",
        kind: FieldType::TextSingle,
        choices: &[],
        show: |_| Vec::new(),
        read: |_, _| Ok(()),
        feature: |_| None,
        info: &[],
        notice: |_, _| OTHER_CHANGE,
    };
}

/// All settings in the order of the form.
pub fn all() -> impl Iterator<Item = &'static Opt> {
    [about::OPTIONS, access::OPTIONS, talk::OPTIONS, rights::OPTIONS].into_iter().flatten()
}

/// What a room with these settings is, for its disco#info.
pub fn features(config: &Config) -> impl Iterator<Item = &'static str> {
    all().filter_map(|option| (option.feature)(config))
}

/// What anybody may see of these settings in the form of a room's disco#info.
pub fn info_fields(config: &Config) -> Vec<Field> {
    let mut fields = Vec::new();
    for option in all().filter(|option| !option.info.is_empty()) {
        let values = (option.show)(config);
        if values.iter().all(String::is_empty) {
            continue;
        }
        for var in option.info {
            let field = Field::new(option.kind, *var).label(option.label);
            fields.push(values.iter().fold(field, Field::value));
        }
    }
    fields
}

/// The fields of the form with what is set now.
pub fn form_fields(config: &Config) -> impl Iterator<Item = Field> {
    all().map(|option| {
        let field = Field::new(option.kind, option.var).label(option.label);
        let choose = |field: Field, (value, label): &(&str, &str)| field.option(*value, *label);
        let field = option.choices.iter().fold(field, choose);
        (option.show)(config).into_iter().fold(field, Field::value)
    })
}

/// The configuration with what was filled in. XEP-0004 §3.1: "the form-processing entity MUST
/// ignore any fields that it does not understand", and what is left out stays as it is.
///
/// # Errors
/// `not-acceptable` that names the field, for a value that it cannot have.
pub fn fill(config: &Config, form: &DataForm) -> Result<Config, StanzaError> {
    let mut filled = config.clone();
    for option in all() {
        let is_it = |field: &&Field| field.var.as_deref() == Some(option.var);
        for field in form.fields.iter().filter(is_it) {
            read(option, &mut filled, &field.values)
                .map_err(|reason| unacceptable(option.var, &reason))?;
        }
    }
    Ok(filled)
}

/// Takes the values of one setting.
///
/// # Errors
/// What is wrong with them, in words.
pub fn read(option: &Opt, config: &mut Config, values: &[String]) -> Result<(), String> {
    if values.len() > VALUES {
        return Err(format!("takes {VALUES} values at most"));
    }
    if values.iter().any(|value| value.chars().nth(TEXT_CHARS).is_some()) {
        return Err(format!("takes {TEXT_CHARS} characters at most"));
    }
    (option.read)(config, values)
}

/// The status codes that tell of a change, each once, in order (§10.2.1).
pub fn notices(before: &Config, after: &Config) -> Vec<u16> {
    let changed = all().filter(|option| (option.show)(before) != (option.show)(after));
    let mut codes: Vec<u16> = changed.map(|option| (option.notice)(before, after)).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The reason that somebody gives for something that others are told of; nothing for an empty one.
///
/// # Errors
/// `not-acceptable` for one that is too long.
pub fn reason(given: Option<&str>) -> Result<Option<String>, StanzaError> {
    let given = given.map(str::trim).filter(|given| !given.is_empty());
    match given.is_some_and(|given| given.chars().nth(TEXT_CHARS).is_some()) {
        true => Err(unacceptable("reason", &format!("takes {TEXT_CHARS} characters at most"))),
        false => Ok(given.map(str::to_owned)),
    }
}

/// What is said of a field that cannot be as it was filled in.
pub fn unacceptable(var: &str, reason: &str) -> StanzaError {
    StanzaError::not_acceptable().text(format!("{var}: {reason}."))
}

/// The only value; empty when there is none.
fn one(values: &[String]) -> Result<&str, String> {
    match values {
        [] => Ok(""),
        [value] => Ok(value.trim()),
        _ => Err("takes one value only".to_owned()),
    }
}

/// One line of text.
fn line(values: &[String]) -> Result<String, String> {
    let text = one(values)?;
    match text.contains(['\n', '\r']) {
        true => Err("takes one line of text".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Yes or no. XEP-0004 §3.3: "The default value is "false"."
fn flag(values: &[String]) -> Result<bool, String> {
    match one(values)? {
        "1" | "true" => Ok(true),
        "" | "0" | "false" => Ok(false),
        other => Err(format!("expected true or false, found {other:?}")),
    }
}

/// One of the words offered.
fn word<T: Copy>(values: &[String], words: &[(&str, T)]) -> Result<T, String> {
    let given = one(values)?;
    let found = words.iter().find(|(word, _)| *word == given);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("expected one of {}, found {given:?}", known.join(", "))
    })
}

fn shown(flag: bool) -> Vec<String> {
    vec![u8::from(flag).to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use waxwing_stanza::payload::dataform::FormType;

    fn filled(fields: &[(&str, &[&str])]) -> Result<Config, StanzaError> {
        let form = fields.iter().fold(DataForm::new(FormType::Submit), |form, (var, values)| {
            let field = Field { var: Some((*var).to_owned()), ..Field::default() };
            form.with(values.iter().fold(field, |field, value| field.value(*value)))
        });
        fill(&Config::default(), &form)
    }

    /// Every name of §16.5.3, but those of the two lists, which are affiliations.
    #[test]
    fn every_registered_field_is_there() {
        let registered = [
            "muc#maxhistoryfetch",
            "muc#roomconfig_allowpm",
            "muc#roomconfig_allowinvites",
            "muc#roomconfig_changesubject",
            "muc#roomconfig_enablelogging",
            "muc#roomconfig_getmemberlist",
            "muc#roomconfig_lang",
            "muc#roomconfig_pubsub",
            "muc#roomconfig_maxusers",
            "muc#roomconfig_membersonly",
            "muc#roomconfig_moderatedroom",
            "muc#roomconfig_passwordprotectedroom",
            "muc#roomconfig_persistentroom",
            "muc#roomconfig_presencebroadcast",
            "muc#roomconfig_publicroom",
            "muc#roomconfig_roomdesc",
            "muc#roomconfig_roomname",
            "muc#roomconfig_roomsecret",
            "muc#roomconfig_whois",
        ];
        for var in registered {
            assert_eq!(all().filter(|option| option.var == var).count(), 1, "{var}");
        }
    }

    /// What a form shows can be handed in as it is, and changes nothing.
    #[test]
    fn what_is_shown_is_taken() {
        let config = Config {
            password: Some("cauldronburn".to_owned()),
            contacts: vec!["crone1@shakespeare.lit".to_owned()],
            ..Config::default()
        };
        for option in all() {
            let values = (option.show)(&config);
            let mut again = config.clone();
            assert_eq!(read(option, &mut again, &values), Ok(()), "{}", option.var);
            assert_eq!(again, config, "{}", option.var);
            let offered = option.choices.iter().map(|(value, _)| *value);
            assert!(offered.clone().all(|value| !value.is_empty()), "{}", option.var);
        }
    }

    #[test]
    fn a_value_that_cannot_be_names_its_field() {
        let wrong: [(&str, &[&str], &str); 8] = [
            ("muc#roomconfig_membersonly", &["maybe"], "expected true or false"),
            ("muc#roomconfig_membersonly", &["1", "0"], "one value only"),
            ("muc#roomconfig_whois", &["nobody"], "expected one of moderators, anyone"),
            ("muc#roomconfig_allowpm", &["all"], "expected one of"),
            ("muc#roomconfig_maxusers", &["many"], "expected a whole number"),
            ("muc#roomconfig_presencebroadcast", &["king"], "expected some of"),
            ("muc#roomconfig_lang", &["not a language"], "expected the tag of a language"),
            ("muc#roomconfig_roomname", &["two\nlines"], "one line of text"),
        ];
        for (var, values, reason) in wrong {
            let error = filled(&[(var, values)]).unwrap_err();
            assert_eq!(error.condition, StanzaError::not_acceptable().condition, "{var}");
            let text = error.text.unwrap();
            assert!(text.starts_with(&format!("{var}: ")) && text.contains(reason), "{text}");
        }
        let long = "x".repeat(TEXT_CHARS + 1);
        let text = filled(&[("muc#roomconfig_roomdesc", &[&long])]).unwrap_err().text.unwrap();
        assert!(text.contains("2000 characters at most"), "{text}");
        let name = "x".repeat(NAME_CHARS + 1);
        let text = filled(&[("muc#roomconfig_roomname", &[&name])]).unwrap_err().text.unwrap();
        assert!(text.contains("200 characters at most"), "{text}");
        let twice: [(&str, &[&str]); 2] =
            [("muc#roomconfig_roomname", &["Cave"]), ("muc#roomconfig_roomname", &[&name])];
        assert!(filled(&twice).is_err());
        let many = ["a@b"; VALUES + 1];
        let text = filled(&[("{urn:waxwing:rooms}contacts", &many)]).unwrap_err().text.unwrap();
        assert!(text.contains("50 values at most"), "{text}");
    }

    #[test]
    fn unknown_fields_are_ignored_and_missing_ones_stay() {
        let config = filled(&[("x-romeo", &["1"]), ("muc#roomconfig_moderatedroom", &["1"])]);
        let moderated = Config { is_moderated: true, ..Config::default() };
        assert_eq!(config, Ok(moderated));
        assert_eq!(filled(&[]), Ok(Config::default()));
    }

    #[test]
    fn what_concerns_privacy_has_a_code_of_its_own() {
        let plain = Config::default();
        let fields: [(&str, &str, u16); 4] = [
            ("muc#roomconfig_whois", "anyone", 172),
            ("muc#roomconfig_enablelogging", "1", 170),
            ("muc#roomconfig_roomname", "A Dark Cave", 104),
            ("muc#roomconfig_moderatedroom", "1", 104),
        ];
        for (var, value, code) in fields {
            let changed = filled(&[(var, &[value])]).unwrap();
            assert_eq!(notices(&plain, &changed), [code], "{var}");
        }
        let open = filled(&[("muc#roomconfig_whois", &["anyone"])]).unwrap();
        assert_eq!(notices(&open, &plain), [173]);
        let logged = filled(&[("muc#roomconfig_enablelogging", &["1"])]).unwrap();
        assert_eq!(notices(&logged, &plain), [171]);
        assert!(notices(&plain, &plain).is_empty());
    }

    #[test]
    fn a_room_says_what_it_is() {
        let named = |fields: &[(&str, &[&str])]| -> Vec<&str> {
            features(&filled(fields).unwrap()).collect()
        };
        let plain = named(&[]);
        for feature in ["muc_open", "muc_unmoderated", "muc_semianonymous", "muc_unsecured"] {
            assert!(plain.contains(&feature), "{feature}");
        }
        let other = named(&[
            ("muc#roomconfig_publicroom", &["0"]),
            ("muc#roomconfig_persistentroom", &["1"]),
            ("muc#roomconfig_membersonly", &["1"]),
            ("muc#roomconfig_moderatedroom", &["1"]),
            ("muc#roomconfig_whois", &["anyone"]),
            ("muc#roomconfig_passwordprotectedroom", &["1"]),
            ("muc#roomconfig_roomsecret", &["cauldronburn"]),
        ]);
        let expected = [
            "muc_hidden",
            "muc_persistent",
            "muc_membersonly",
            "muc_moderated",
            "muc_nonanonymous",
            "muc_passwordprotected",
        ];
        for feature in expected {
            assert!(other.contains(&feature) && !plain.contains(&feature), "{feature}");
        }
        assert_eq!(plain.len(), other.len());
    }

    /// §6.4 and §16.5.4, but for what a room knows by itself: its subject and occupants.
    #[test]
    fn what_is_set_is_told() {
        let set: [(&str, &str, &[&str]); 10] = [
            ("muc#roomconfig_roomdesc", "Witches!", &["muc#roominfo_description"]),
            ("muc#roomconfig_lang", "en-GB", &["muc#roominfo_lang"]),
            ("{urn:waxwing:rooms}contacts", "crone1@shakespeare.lit", &["muc#roominfo_contactjid"]),
            ("{urn:waxwing:rooms}logs", "https://shakespeare.lit/coven/", &["muc#roominfo_logs"]),
            ("{urn:waxwing:rooms}ldapgroup", "cn=witches,dc=lit", &["muc#roominfo_ldapgroup"]),
            ("muc#roomconfig_pubsub", "xmpp:pubsub.lit?;node=coven", &["muc#roomconfig_pubsub"]),
            ("muc#maxhistoryfetch", "50", &["muc#maxhistoryfetch"]),
            ("muc#roomconfig_roomname", "Cave", &["muc#roomconfig_roomname"]),
            (
                "muc#roomconfig_changesubject",
                "1",
                &["muc#roominfo_subjectmod", "muc#roomconfig_changesubject"],
            ),
            ("muc#roomconfig_allowpm", "none", &["muc#roomconfig_allowpm"]),
        ];
        for (var, value, told) in set {
            let fields = info_fields(&filled(&[(var, &[value])]).unwrap());
            for name in told {
                let field = fields.iter().find(|field| field.var.as_deref() == Some(name));
                assert_eq!(field.map(|it| &*it.values), Some(&[value.to_owned()][..]), "{name}");
            }
        }
    }

    #[test]
    fn the_password_is_no_business_of_anybody() {
        let config = Config { password: Some("cauldronburn".to_owned()), ..Config::default() };
        let fields = info_fields(&config);
        assert!(!fields.iter().any(|field| field.values.iter().any(|it| it == "cauldronburn")));
    }
}
