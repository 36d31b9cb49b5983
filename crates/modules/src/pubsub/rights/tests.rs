//! The privilege table: one row for each affiliation, model and action.

use Access::{Authorize, Open, Presence, Roster, Whitelist};
use Action::{
    Configure, Delete, Discover, ManageAffiliations, ManageSubscriptions, Publish, Purge, Retract,
    Retrieve, Subscribe,
};
use PublishModel::{Publishers, Subscribers};

use super::*;
use crate::pubsub::config::Bounds;

/// Yes, or the condition and the application condition of the error.
type Verdict = Result<(), (&'static str, &'static str)>;

const YES: Verdict = Ok(());
const FORBIDDEN: Verdict = Err(("forbidden", ""));
const CLOSED: Verdict = Err(("not-allowed", "closed-node"));
const UNSEEN: Verdict = Err(("not-authorized", "presence-subscription-required"));
const UNGROUPED: Verdict = Err(("not-authorized", "not-in-roster-group"));
const UNSUBSCRIBED: Verdict = Err(("not-authorized", "not-subscribed"));

const OWN: Action = Retract { is_own: true };
const OTHERS: Action = Retract { is_own: false };

/// §4.1, the table of affiliations, without the row of those that have none. The columns:
/// subscribe, retrieve, publish, delete one's own item, delete another's, purge, configure, delete
/// the node, manage affiliations, manage subscriptions, know of the node.
const ACTIONS: [Action; 11] = [
    Subscribe,
    Retrieve,
    Publish,
    OWN,
    OTHERS,
    Purge,
    Configure,
    Delete,
    ManageAffiliations,
    ManageSubscriptions,
    Discover,
];
const NO: Verdict = FORBIDDEN;
const AFFILIATED: [(Affiliation, [Verdict; 11]); 5] = [
    (Affiliation::Owner, [YES; 11]),
    (Affiliation::Publisher, [YES, YES, YES, YES, NO, NO, NO, NO, NO, NO, YES]),
    (Affiliation::PublishOnly, [NO, NO, YES, YES, NO, NO, NO, NO, NO, NO, YES]),
    (Affiliation::Member, [YES, YES, NO, NO, NO, NO, NO, NO, NO, NO, YES]),
    (Affiliation::Outcast, [NO; 11]),
];

/// What somebody is to the owner of the node, who has no affiliation.
#[derive(Clone, Copy, Debug)]
enum Tie {
    Stranger,
    Contact,
    InGroup,
    Subscriber,
}
use Tie::{Contact, InGroup, Stranger, Subscriber};

/// §4.5, the access models: subscribe, retrieve, know of the node.
const ADMITTED: [(Access, Tie, [Verdict; 3]); 20] = [
    (Open, Stranger, [YES, YES, YES]),
    (Open, Contact, [YES, YES, YES]),
    (Open, InGroup, [YES, YES, YES]),
    (Open, Subscriber, [YES, YES, YES]),
    (Presence, Stranger, [UNSEEN, UNSEEN, UNSEEN]),
    (Presence, Contact, [YES, YES, YES]),
    (Presence, InGroup, [YES, YES, YES]),
    (Presence, Subscriber, [UNSEEN, UNSEEN, UNSEEN]),
    (Roster, Stranger, [UNGROUPED, UNGROUPED, UNGROUPED]),
    (Roster, Contact, [UNGROUPED, UNGROUPED, UNGROUPED]),
    (Roster, InGroup, [YES, YES, YES]),
    (Roster, Subscriber, [UNGROUPED, UNGROUPED, UNGROUPED]),
    (Authorize, Stranger, [YES, UNSUBSCRIBED, YES]),
    (Authorize, Contact, [YES, UNSUBSCRIBED, YES]),
    (Authorize, InGroup, [YES, UNSUBSCRIBED, YES]),
    (Authorize, Subscriber, [YES, YES, YES]),
    (Whitelist, Stranger, [CLOSED, CLOSED, CLOSED]),
    (Whitelist, Contact, [CLOSED, CLOSED, CLOSED]),
    (Whitelist, InGroup, [CLOSED, CLOSED, CLOSED]),
    (Whitelist, Subscriber, [CLOSED, CLOSED, CLOSED]),
];

/// The publish models, for those who are no publishers: publish, and delete what is one's own.
const PUBLISHED: [(PublishModel, Affiliation, bool, Verdict); 15] = [
    (Publishers, Affiliation::None, false, NO),
    (Publishers, Affiliation::None, true, NO),
    (Publishers, Affiliation::Member, false, NO),
    (Publishers, Affiliation::Member, true, NO),
    (Publishers, Affiliation::Outcast, true, NO),
    (Subscribers, Affiliation::None, false, NO),
    (Subscribers, Affiliation::None, true, YES),
    (Subscribers, Affiliation::Member, false, NO),
    (Subscribers, Affiliation::Member, true, YES),
    (Subscribers, Affiliation::Outcast, true, NO),
    (PublishModel::Open, Affiliation::None, false, YES),
    (PublishModel::Open, Affiliation::None, true, YES),
    (PublishModel::Open, Affiliation::Member, false, YES),
    (PublishModel::Open, Affiliation::PublishOnly, false, YES),
    (PublishModel::Open, Affiliation::Outcast, true, NO),
];

fn config(access: Access, publish_model: PublishModel) -> Config {
    let bounds = Bounds { items: 10, payload_bytes: 1000 };
    Config { access, publish_model, ..Config::of_service(bounds) }
}

fn verdict(action: Action, config: &Config, standing: &Standing) -> Result<(), (String, String)> {
    judge(action, config, standing).map_err(|error| {
        assert!(error.text.is_some(), "every error says why");
        let app = error.app.unwrap_or_default();
        let app = app.strip_prefix('<').and_then(|app| app.split([' ', '/']).next());
        (error.condition.name().to_owned(), app.unwrap_or_default().to_owned())
    })
}

fn expected(verdict: Verdict) -> Result<(), (String, String)> {
    verdict.map_err(|(condition, app)| (condition.to_owned(), app.to_owned()))
}

#[test]
fn an_affiliation_decides_whatever_the_models_say() {
    for (affiliation, verdicts) in AFFILIATED {
        for (action, wanted) in ACTIONS.into_iter().zip(verdicts) {
            for access in Access::ALL {
                let standing = Standing { affiliation, ..Standing::default() };
                let found = verdict(action, &config(access, Publishers), &standing);
                assert_eq!(found, expected(wanted), "{affiliation:?} {action:?} {access:?}");
            }
        }
    }
}

#[test]
fn the_access_model_decides_for_everybody_else() {
    for (access, tie, verdicts) in ADMITTED {
        let standing = Standing {
            affiliation: Affiliation::None,
            is_subscribed: matches!(tie, Subscriber),
            sees_presence: matches!(tie, Contact | InGroup),
            is_in_group: matches!(tie, InGroup),
        };
        for (action, wanted) in [Subscribe, Retrieve, Discover].into_iter().zip(verdicts) {
            let found = verdict(action, &config(access, Publishers), &standing);
            assert_eq!(found, expected(wanted), "{access:?} {tie:?} {action:?}");
        }
        let rest = [Publish, OWN, OTHERS, Purge, Configure, Delete];
        for action in rest.into_iter().chain([ManageAffiliations, ManageSubscriptions]) {
            let found = verdict(action, &config(access, Publishers), &standing);
            assert_eq!(found, expected(FORBIDDEN), "{access:?} {tie:?} {action:?}");
        }
    }
}

#[test]
fn the_publish_model_decides_who_publishes() {
    for (model, affiliation, is_subscribed, wanted) in PUBLISHED {
        let standing = Standing { affiliation, is_subscribed, ..Standing::default() };
        for access in Access::ALL {
            let config = config(access, model);
            let row = format!("{model:?} {affiliation:?} {is_subscribed} {access:?}");
            let found = verdict(Publish, &config, &standing);
            assert_eq!(found, expected(wanted), "{row}");
            assert_eq!(verdict(OWN, &config, &standing), found, "{row}");
            assert_eq!(verdict(OTHERS, &config, &standing), expected(FORBIDDEN), "{row}");
        }
    }
}

#[test]
fn nobody_subscribes_where_the_node_takes_no_subscriptions() {
    for affiliation in Affiliation::ALL {
        let standing = Standing { affiliation, ..Standing::default() };
        let config = Config { takes_subscriptions: false, ..config(Open, Publishers) };
        let error = judge(Subscribe, &config, &standing).unwrap_err();
        assert!(error.app.unwrap().contains("feature='subscribe'"), "{affiliation:?}");
    }
}

#[test]
fn an_affiliation_is_read_as_it_is_written() {
    for affiliation in Affiliation::ALL {
        assert_eq!(Affiliation::read(affiliation.name()), Some(affiliation));
        assert_eq!(Affiliation::of(affiliation.number()), affiliation);
    }
    assert_eq!(Affiliation::read("king"), None);
    assert_eq!(Affiliation::of(99), Affiliation::None);
}
