//! How a room is set up.

use std::collections::BTreeMap;

use waxwing_stanza::StanzaError;

use super::options::{self, unacceptable};
use super::role::{Role, Roles};
use super::settings::RoomsConfig;

/// The settings of one room; what each is for stands in [`options`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name for people; empty: the local part of its address.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The tag of its language.
    pub language: String,
    /// Bare addresses of those who answer for it.
    pub contacts: Vec<String>,
    /// An XMPP URI.
    pub pubsub: String,
    /// A web address.
    pub logs: String,
    /// A distinguished name.
    pub ldap_group: String,
    /// Whether the service lists it.
    pub is_public: bool,
    /// Whether it stays when nobody is in it.
    pub is_persistent: bool,
    /// Whether only members may enter.
    pub is_members_only: bool,
    /// What must be said on entering, if anything must.
    pub password: Option<String>,
    /// Who sees real addresses.
    pub whois: Whois,
    /// How many may be in it; as many as the service allows if absent.
    pub max_users: Option<usize>,
    /// Whether only those may speak who were given a voice.
    pub is_moderated: bool,
    /// Whether participants may change the subject.
    pub allows_subject: bool,
    /// Who may send private messages.
    pub whispers: Whispers,
    /// Seconds between two messages of one person (XEP-0500).
    pub slow_seconds: u32,
    /// Messages that newcomers are shown at most.
    pub history: usize,
    /// Whether what is said is kept.
    pub is_archived: bool,
    /// Whether anybody may read what is kept.
    pub is_logged: bool,
    /// Whether mere members may invite to a room for members only.
    pub allows_invites: bool,
    /// Whether people may ask to become members.
    pub allows_registration: bool,
    /// Whether visitors may ask for a voice.
    pub allows_voice_requests: bool,
    /// Whether who has a reserved nick is known by it alone.
    pub locks_nicks: bool,
    /// The roles whose presence everybody is told of.
    pub broadcasts: Roles,
    /// The roles that may see the list of members.
    pub member_list: Roles,
}

/// Who sees real addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whois {
    /// Moderators: the room is semi-anonymous.
    #[default]
    Moderators,
    /// Everybody: the room is non-anonymous.
    Anyone,
}

/// Who may send private messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whispers {
    /// Everybody in the room.
    #[default]
    Anyone,
    /// Those with a voice.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    Nobody,
}

impl Whois {
    /// The value in the form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Moderators => "moderators",
            Self::Anyone => "anyone",
        }
    }
}

impl Whispers {
    /// From the widest to the narrowest.
    pub const ALL: [Self; 4] = [Self::Anyone, Self::Participants, Self::Moderators, Self::Nobody];

    /// The value in the form.
    pub fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Participants => "participants",
            Self::Moderators => "moderators",
            Self::Nobody => "none",
        }
    }

    /// Whether somebody of this role may.
    pub fn allow(self, role: Role) -> bool {
        role >= match self {
            Self::Anyone => Role::Visitor,
            Self::Participants => Role::Participant,
            Self::Moderators => Role::Moderator,
            Self::Nobody => return false,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            language: String::new(),
            contacts: Vec::new(),
            pubsub: String::new(),
            logs: String::new(),
            ldap_group: String::new(),
            is_public: true,
            is_persistent: false,
            is_members_only: false,
            password: None,
            whois: Whois::Moderators,
            max_users: None,
            is_moderated: false,
            allows_subject: false,
            whispers: Whispers::Anyone,
            slow_seconds: 0,
            history: 20,
            is_archived: true,
            is_logged: false,
            allows_invites: false,
            allows_registration: true,
            allows_voice_requests: true,
            locks_nicks: false,
            broadcasts: Roles::EVERYBODY,
            member_list: Roles::EVERYBODY,
        }
    }
}

impl Config {
    /// What a new room begins with.
    pub fn fresh(settings: &RoomsConfig) -> Self {
        Self {
            is_public: settings.public,
            is_persistent: settings.persistent,
            is_members_only: settings.members_only,
            is_archived: settings.archive,
            history: settings.history.min(settings.history_max) as usize,
            ..Self::default()
        }
    }

    /// As it is stored: the values of each setting under its name, those that are as usual too.
    pub fn to_text(&self) -> String {
        let values: BTreeMap<&str, Vec<String>> =
            options::all().map(|option| (option.var, (option.show)(self))).collect();
        serde_json::to_string(&values).expect("texts under texts are always JSON")
    }

    /// What was stored. What is missing is as in a new room, and so is what cannot be read any
    /// more.
    pub fn of_text(text: &str, settings: &RoomsConfig) -> Self {
        let mut config = Self::fresh(settings);
        let values: BTreeMap<String, Vec<String>> = match serde_json::from_str(text) {
            Ok(values) => values,
            Err(error) => {
                tracing::error!(%error, "the settings of a room cannot be read");
                return config;
            }
        };
        for option in options::all() {
            let Some(values) = values.get(option.var) else { continue };
            if let Err(reason) = options::read(option, &mut config, values) {
                tracing::warn!(option = option.var, reason, "a setting of a room cannot be read");
            }
        }
        config
    }

    /// Whether it can be, by what the service allows. §10.1.3: "If the room creation fails because
    /// the specified room configuration options violate one or more service policies (e.g., because
    /// the password for a password-protected room is blank), the service MUST return a
    /// <not-acceptable/> error."
    ///
    /// # Errors
    /// `not-acceptable` that names the field.
    pub fn check(&self, settings: &RoomsConfig) -> Result<(), StanzaError> {
        if self.password.as_deref() == Some("") {
            let reason = "a room that asks for a password needs one";
            return Err(unacceptable("muc#roomconfig_roomsecret", reason));
        }
        let most = settings.occupants as usize;
        if self.max_users.is_some_and(|wanted| wanted > most) {
            let reason = format!("this service allows {most} at most");
            return Err(unacceptable("muc#roomconfig_maxusers", &reason));
        }
        let most = settings.history_max as usize;
        if self.history > most {
            let reason = format!("this service allows {most} at most");
            return Err(unacceptable("muc#maxhistoryfetch", &reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_comes_back() {
        let config = Config {
            name: "A \"Dark\" Cave".to_owned(),
            contacts: vec!["crone1@shakespeare.lit".to_owned()],
            password: Some("cauldronburn".to_owned()),
            whois: Whois::Anyone,
            whispers: Whispers::Nobody,
            max_users: Some(50),
            broadcasts: Roles::MODERATORS,
            member_list: Roles::NOBODY,
            is_public: false,
            is_moderated: true,
            slow_seconds: 10,
            ..Config::default()
        };
        let settings = RoomsConfig::default();
        assert_eq!(Config::of_text(&config.to_text(), &settings), config);
    }

    #[test]
    fn what_cannot_be_read_is_as_usual() {
        let settings = RoomsConfig::default();
        let fresh = Config::fresh(&settings);
        assert_eq!(Config::of_text("", &settings), fresh);
        let text = r#"{"muc#roomconfig_membersonly": ["perhaps"], "gone": ["1"],
                       "muc#roomconfig_roomname": ["Cave"]}"#;
        let named = Config { name: "Cave".to_owned(), ..fresh };
        assert_eq!(Config::of_text(text, &settings), named);
    }

    #[test]
    fn what_the_service_forbids_names_its_field() {
        let settings = RoomsConfig::default();
        let check = |config: Config| config.check(&settings).map_err(|error| error.text.unwrap());
        assert_eq!(check(Config::fresh(&settings)), Ok(()));
        let open = Config { password: Some(String::new()), ..Config::default() };
        assert!(check(open).unwrap_err().starts_with("muc#roomconfig_roomsecret: "));
        let full = Config { max_users: Some(usize::MAX), ..Config::default() };
        assert!(check(full).unwrap_err().starts_with("muc#roomconfig_maxusers: "));
        let long = Config { history: usize::MAX, ..Config::default() };
        assert!(check(long).unwrap_err().starts_with("muc#maxhistoryfetch: "));
    }
}
