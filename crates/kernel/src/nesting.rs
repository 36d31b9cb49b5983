//! What components add to the service discovery of a site in whose place they answer (XEP-0355
//! §9).

use std::collections::BTreeMap;

use parking_lot::RwLock;
use waxwing_stanza::payload::disco::Info;

use crate::site::Site;

/// What was learnt, by the namespace that is delegated.
#[derive(Default)]
pub(crate) struct Nested(RwLock<BTreeMap<String, Nest>>);

struct Nest {
    /// For the server itself.
    server: Info,
    /// For every account.
    account: Info,
}

impl Site {
    /// Shows, in the place of our own features of a namespace, those of whoever answers for it.
    pub fn nest(&self, namespace: &str, server: Info, account: Info) {
        self.nested.0.write().insert(namespace.to_owned(), Nest { server, account });
    }

    /// Forgets the namespaces that are delegated no more.
    pub fn keep_nested(&self, is_delegated: impl Fn(&str) -> bool) {
        self.nested.0.write().retain(|namespace, _| is_delegated(namespace));
    }
}

impl Nested {
    /// What the server is and can do, where `own` is what it is by itself.
    pub(crate) fn on_server(&self, own: Info) -> Info {
        self.replace(own, |nest| &nest.server)
    }

    /// The same for its accounts.
    pub(crate) fn on_account(&self, own: Info) -> Info {
        self.replace(own, |nest| &nest.account)
    }

    /// XEP-0355 §9.2: "The server MUST advertise the result in its own discovery answer, and MUST
    /// ignore features of its internal component"; "internal extensions MUST be removed and
    /// extensions of managing entity MUST be included instead".
    fn replace(&self, mut own: Info, side: impl Fn(&Nest) -> &Info) -> Info {
        for (namespace, nest) in self.0.read().iter() {
            let is_of_it = |name: &str| {
                let rest = name.strip_prefix(namespace.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
            };
            own.features.retain(|feature| !is_of_it(&feature.var));
            own.forms.retain(|form| !form.form_type().is_some_and(is_of_it));
            let nested = side(nest).clone();
            own.identities.extend(nested.identities);
            own.features.extend(nested.features);
            own.forms.extend(nested.forms);
        }
        own
    }
}

#[cfg(test)]
mod tests {
    use waxwing_stanza::payload::disco::Identity;

    use super::*;

    const PUBSUB: &str = "http://jabber.org/protocol/pubsub";

    #[test]
    fn what_is_delegated_takes_the_place_of_what_is_ours() {
        let nested = Nested::default();
        let own = Info::default().with(["urn:xmpp:ping", PUBSUB, &format!("{PUBSUB}#auto-create")]);
        assert_eq!(nested.on_server(own.clone()), own);
        let server = Info::default().with([PUBSUB, &format!("{PUBSUB}#publish")]);
        let account =
            Info { identities: vec![Identity::new("pubsub", "pep", None)], ..Info::default() };
        nested.0.write().insert(PUBSUB.to_owned(), Nest { server, account });
        let shown = nested.on_server(own.clone());
        assert!(shown.has("urn:xmpp:ping") && shown.has(&format!("{PUBSUB}#publish")));
        assert!(!shown.has(&format!("{PUBSUB}#auto-create")));
        let shown = nested.on_account(own);
        assert!(shown.has("urn:xmpp:ping") && !shown.has(PUBSUB) && shown.identities.len() == 1);
    }
}
