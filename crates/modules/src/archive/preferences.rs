//! What a person wants to be kept (XEP-0441, version 0.2.0).

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_kernel::account::Fact;
use waxwing_kernel::request::Request;
use waxwing_stanza::{Payload, StanzaError};
use waxwing_store::domains::archive::{Archive as Rows, Preferences, Preset};
use waxwing_store::{Db, StoreError};
use waxwing_xml::{Child, write};

use super::{Archive, NS, unread};

/// What an account wants to be kept, as far as it has said so.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes(Option<Said>);

#[derive(Clone, Debug)]
struct Said {
    preset: Preset,
    always: Box<[Jid]>,
    never: Box<[Jid]>,
}

impl Fact for Wishes {
    async fn load(db: &Db, owner: &BareJid) -> Result<Self, StoreError> {
        let Some(held) = Rows::new(db.clone()).preferences(owner.as_str()).await? else {
            return Ok(Self(None));
        };
        let jids = |list: &[String]| {
            let jid = |text: &String| {
                Jid::new(text)
                    .map_err(|error| StoreError::Corrupt(format!("an archive preference: {error}")))
            };
            list.iter().map(jid).collect::<Result<_, _>>()
        };
        let (always, never) = (jids(&held.always)?, jids(&held.never)?);
        Ok(Self(Some(Said { preset: held.preset, always, never })))
    }
}

impl Wishes {
    /// What is wanted of messages with `peer`. What is said of one device goes before what is said
    /// of its account, and "never" before "always".
    pub(super) fn of(&self, peer: &Jid, preset: Preset) -> Preset {
        let Some(said) = &self.0 else { return preset };
        // §2.3.1: "If the listed JID has no resource … first strip any resource from the target".
        let names = |list: &[Jid], is_full: bool| {
            list.iter().any(|listed| match listed.resource() {
                Some(_) => is_full && listed == peer,
                None => !is_full && listed.as_str() == peer.bare_str(),
            })
        };
        for is_full in [true, false] {
            if names(&said.never, is_full) {
                return Preset::Never;
            }
            if names(&said.always, is_full) {
                return Preset::Always;
            }
        }
        said.preset
    }

    /// §2.1: "The <always> and <never> MUST also be present (even if empty)".
    fn show(&self, preset: Preset) -> String {
        let nothing = Said { preset, always: Box::default(), never: Box::default() };
        let said = self.0.as_ref().unwrap_or(&nothing);
        let mut xml = format!("<prefs xmlns='{NS}' default='{}'>", said.preset.word());
        for (name, list) in [("always", &said.always), ("never", &said.never)] {
            xml.push_str(&format!("<{name}>"));
            for jid in list {
                xml.push_str("<jid>");
                write::text(&mut xml, jid.as_str());
                xml.push_str("</jid>");
            }
            xml.push_str(&format!("</{name}>"));
        }
        xml.push_str("</prefs>");
        xml
    }
}

impl Archive {
    pub(super) async fn wishes(
        self: Arc<Self>,
        ask: Request<Prefs>,
    ) -> Result<String, StanzaError> {
        let preset = self.config.preset.into();
        Ok(ask.account().fact(self.wishes).show(preset))
    }

    /// §2.1: "The server then replies with the applied preferences".
    pub(super) async fn wish(self: Arc<Self>, ask: Request<Prefs>) -> Result<String, StanzaError> {
        let (account, most) = (ask.account(), self.config.exceptions as usize);
        if account.is_guest() {
            return Err(StanzaError::not_allowed().text("Nothing is kept for guests."));
        }
        let Prefs { preset, always, never } = &ask.payload;
        if always.len().max(never.len()) > most {
            let text = format!("Each list may have {most} addresses at most.");
            return Err(StanzaError::bad_request().text(text));
        }
        let preset = preset.as_deref().and_then(Preset::from_word).ok_or_else(|| {
            StanzaError::bad_request().text("The default must be always, never or roster.")
        })?;
        let said = Said { preset, always: jids(always)?, never: jids(never)? };
        let words = |jids: &[Jid]| jids.iter().map(Jid::to_string).collect();
        let (always, never) = (words(&said.always), words(&said.never));
        let wishes = Wishes(Some(said));
        let turn = account.turn().await;
        let preferences = Preferences { preset, always, never };
        let write = Rows::prefer(account.jid().as_str(), &preferences);
        ask.hub.db().batch(vec![write]).await.map_err(unread)?;
        turn.publish(self.wishes, wishes.clone());
        Ok(wishes.show(preset))
    }

    /// XEP-0313 §8.1: "If a client requests access to an archive it does not have permissions for",
    /// the error "SHOULD be 'forbidden'": whether there is such an archive or not.
    pub(super) async fn refuse_wishes(
        self: Arc<Self>,
        _: Request<Prefs>,
    ) -> Result<(), StanzaError> {
        Err(StanzaError::forbidden().text("This is somebody else's archive."))
    }
}

fn jids(texts: &[String]) -> Result<Box<[Jid]>, StanzaError> {
    let jid = |text: &String| {
        Jid::new(text).map_err(|error| {
            StanzaError::bad_request().text(format!("{text:?} is no address: {error}"))
        })
    };
    texts.iter().map(jid).collect()
}

/// `<prefs/>`, asked for or said.
pub(super) struct Prefs {
    preset: Option<String>,
    always: Vec<String>,
    never: Vec<String>,
}

impl Payload for Prefs {
    const NAME: &'static str = "prefs";
    const NS: &'static str = NS;

    /// §2.1.2: "If missing from the preferences, <always/> SHOULD be assumed by the server to be an
    /// empty list", and so for `<never/>`.
    fn read(child: Child<'_>) -> Result<Self, StanzaError> {
        let list = |name: &str| {
            let jids = child.child(name, NS).into_iter().flat_map(|list| list.children());
            let jids = jids.filter(|jid| jid.is("jid", NS));
            jids.map(|jid| jid.text().trim().to_owned()).collect()
        };
        let preset = child.attribute("default").map(|word| word.into_owned());
        Ok(Self { preset, always: list("always"), never: list("never") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(preset: Preset, always: &[&str], never: &[&str]) -> Wishes {
        let jids = |list: &[&str]| list.iter().map(|jid| Jid::new(jid).unwrap()).collect();
        Wishes(Some(Said { preset, always: jids(always), never: jids(never) }))
    }

    fn wanted(wishes: &Wishes, peer: &str) -> Preset {
        wishes.of(&Jid::new(peer).unwrap(), Preset::Roster)
    }

    #[test]
    fn who_said_nothing_wants_what_the_server_does() {
        assert_eq!(wanted(&Wishes::default(), "a@b/c"), Preset::Roster);
    }

    #[test]
    fn a_listed_account_means_all_its_devices_and_a_device_only_itself() {
        let wishes = wishes(Preset::Roster, &["a@b", "x@y/z"], &["b"]);
        for (peer, preset) in [
            ("a@b", Preset::Always),
            ("a@b/c", Preset::Always),
            ("x@y/z", Preset::Always),
            ("x@y", Preset::Roster),
            ("x@y/w", Preset::Roster),
            // A domain is listed for what it says itself, not for its accounts.
            ("b", Preset::Never),
            ("b/c", Preset::Never),
            ("d@b", Preset::Roster),
        ] {
            assert_eq!(wanted(&wishes, peer), preset, "{peer}");
        }
    }

    #[test]
    fn the_nearer_word_counts_and_of_two_the_no() {
        let wishes = wishes(Preset::Always, &["a@b/c", "e@f"], &["a@b", "e@f"]);
        assert_eq!(wanted(&wishes, "a@b/c"), Preset::Always);
        assert_eq!(wanted(&wishes, "a@b/d"), Preset::Never);
        assert_eq!(wanted(&wishes, "e@f"), Preset::Never);
        assert_eq!(wanted(&wishes, "g@h"), Preset::Always);
    }
}
