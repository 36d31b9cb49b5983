//! What a room says of itself.

use waxwing_jid::BareJid;
use waxwing_stanza::payload::dataform::FieldType;

use super::{NAME_CHARS, Opt, line, one};

pub(super) const OPTIONS: &[Opt] = &[NAME, DESCRIPTION, LANGUAGE, CONTACTS, NODE, LOGS, LDAP_GROUP];

const NAME: Opt = Opt {
    var: "muc#roomconfig_roomname",
    label: "Name of the room",
    show: |config| vec![config.name.clone()],
    read: |config, values| {
        let name = line(values)?;
        if name.chars().nth(NAME_CHARS).is_some() {
            return Err(format!("takes {NAME_CHARS} characters at most"));
        }
        config.name = name;
        Ok(())
    },
    info: &["muc#roomconfig_roomname"],
    ..Opt::PLAIN
};

const DESCRIPTION: Opt = Opt {
    var: "muc#roomconfig_roomdesc",
    label: "Short description of the room",
    show: |config| vec![config.description.clone()],
    read: |config, values| one(values).map(|text| config.description = text.to_owned()),
    info: &["muc#roominfo_description"],
    ..Opt::PLAIN
};

const LANGUAGE: Opt = Opt {
    var: "muc#roomconfig_lang",
    label: "Language that is spoken in the room",
    show: |config| vec![config.language.clone()],
    read: |config, values| {
        let tag = one(values)?;
        // RFC 5646 §2.1: letters, digits and hyphens, in parts of up to eight.
        let is_part = |part: &str| {
            (1..=8).contains(&part.len())
                && part.bytes().all(|letter| letter.is_ascii_alphanumeric())
        };
        let is_tag = tag.len() <= 35 && tag.split('-').all(is_part);
        if !(tag.is_empty() || is_tag) {
            return Err(format!("expected the tag of a language such as `en`, found {tag:?}"));
        }
        config.language = tag.to_owned();
        Ok(())
    },
    info: &["muc#roominfo_lang"],
    ..Opt::PLAIN
};

/// §16.5.4 has the field that shows them, and none that sets them.
const CONTACTS: Opt = Opt {
    var: "{urn:waxwing:rooms}contacts",
    label: "Addresses of those who answer for the room",
    kind: FieldType::JidMulti,
    show: |config| config.contacts.clone(),
    read: |config, values| {
        let mut contacts = Vec::with_capacity(values.len());
        for value in values.iter().map(|value| value.trim()).filter(|value| !value.is_empty()) {
            let jid = BareJid::new(value).map_err(|error| format!("{value:?}: {error}"))?;
            // XEP-0004 §3.3: "duplicate JIDs MUST be ignored".
            if !contacts.iter().any(|known| known == jid.as_str()) {
                contacts.push(jid.as_str().to_owned());
            }
        }
        config.contacts = contacts;
        Ok(())
    },
    info: &["muc#roominfo_contactjid"],
    ..Opt::PLAIN
};

const NODE: Opt = Opt {
    var: "muc#roomconfig_pubsub",
    label: "XMPP URI of the publish-subscribe node that belongs to the room",
    show: |config| vec![config.pubsub.clone()],
    read: |config, values| {
        let uri = line(values)?;
        if !uri.is_empty() && !uri.starts_with("xmpp:") {
            return Err(format!("expected an address that begins with `xmpp:`, found {uri:?}"));
        }
        config.pubsub = uri;
        Ok(())
    },
    info: &["muc#roomconfig_pubsub"],
    ..Opt::PLAIN
};

const LOGS: Opt = Opt {
    var: "{urn:waxwing:rooms}logs",
    label: "Web address where the discussions can be read",
    show: |config| vec![config.logs.clone()],
    read: |config, values| {
        let url = line(values)?;
        if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(format!("expected a web address, found {url:?}"));
        }
        config.logs = url;
        Ok(())
    },
    info: &["muc#roominfo_logs"],
    ..Opt::PLAIN
};

const LDAP_GROUP: Opt = Opt {
    var: "{urn:waxwing:rooms}ldapgroup",
    label: "Name of the LDAP group of the members",
    show: |config| vec![config.ldap_group.clone()],
    read: |config, values| line(values).map(|name| config.ldap_group = name),
    info: &["muc#roominfo_ldapgroup"],
    ..Opt::PLAIN
};
