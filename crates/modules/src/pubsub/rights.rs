//! Who may do what at a node: the tables of XEP-0060 §4.1 and §4.5 in one place.

use waxwing_stanza::StanzaError;

use super::config::{Access, Config, PublishModel};
use super::errors::{unsupported, with};

/// How somebody stands to a node (§4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Affiliation {
    Owner,
    Publisher,
    PublishOnly,
    Member,
    #[default]
    None,
    Outcast,
}

impl Affiliation {
    pub(super) const ALL: [Self; 6] =
        [Self::Owner, Self::Publisher, Self::PublishOnly, Self::Member, Self::None, Self::Outcast];

    /// As it stands on the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Publisher => "publisher",
            Self::PublishOnly => "publish-only",
            Self::Member => "member",
            Self::None => "none",
            Self::Outcast => "outcast",
        }
    }

    /// The one with this name on the wire.
    pub(super) fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// As it stands in the store.
    pub(super) fn number(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Owner => 1,
            Self::Publisher => 2,
            Self::PublishOnly => 3,
            Self::Member => 4,
            Self::Outcast => 5,
        }
    }

    /// The one with this number in the store.
    pub(super) fn of(number: i64) -> Self {
        Self::ALL.into_iter().find(|it| it.number() == number).unwrap_or_default()
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// Be told what is published. Where the owner must approve, this may be asked for.
    Subscribe,
    /// Read what was published.
    Retrieve,
    /// Publish.
    Publish,
    /// Remove an item, one's own or somebody else's.
    Retract { is_own: bool },
    /// Remove all items.
    Purge,
    /// See or change the configuration.
    Configure,
    /// Remove the node.
    Delete,
    /// See or change who stands how to the node.
    ManageAffiliations,
    /// See or change who is subscribed, and answer those who want to be.
    ManageSubscriptions,
    /// Know that the node is there, and what it is about.
    Discover,
}

/// What of somebody matters at a node.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    pub(super) affiliation: Affiliation,
    /// Has a subscription that was approved.
    pub(super) is_subscribed: bool,
    /// May see the presence of the node's owner.
    pub(super) sees_presence: bool,
    /// Is in one of the groups that may see the node, and may see the presence of its owner.
    pub(super) is_in_group: bool,
}

/// Whether somebody who stands so to a node may do that.
///
/// # Errors
/// What the XEP says of it.
pub(super) fn judge(
    action: Action,
    config: &Config,
    standing: &Standing,
) -> Result<(), StanzaError> {
    use Affiliation::{Member, None, Outcast, Owner, PublishOnly, Publisher};
    match (action, standing.affiliation) {
        // §6.1.3.10: "the service or node does not support subscriptions".
        (Action::Subscribe, _) if !config.takes_subscriptions => {
            Err(unsupported("subscribe").text("Nobody can subscribe to this node."))
        }
        (_, Owner) => Ok(()),
        (_, Outcast) => Err(forbidden("You are banned from this node.")),
        (Action::Subscribe | Action::Retrieve | Action::Discover, Publisher | Member) => Ok(()),
        (Action::Discover, PublishOnly) => Ok(()),
        (Action::Subscribe | Action::Retrieve, PublishOnly) => {
            Err(forbidden("You may publish here, and not read."))
        }
        (Action::Subscribe | Action::Retrieve | Action::Discover, None) => {
            admit(action, config, standing)
        }
        (Action::Publish, Publisher | PublishOnly) => Ok(()),
        (Action::Publish, Member | None) => publish(config, standing),
        // §4.1: "instead of allowing only the original publisher to remove it".
        (Action::Retract { is_own: true }, Publisher | PublishOnly) => Ok(()),
        (Action::Retract { is_own: true }, Member | None) => publish(config, standing),
        (Action::Retract { is_own: false }, _) => {
            Err(forbidden("Only who published it and the owners may remove an item."))
        }
        (Action::Purge | Action::Configure | Action::Delete, _)
        | (Action::ManageAffiliations | Action::ManageSubscriptions, _) => {
            Err(forbidden("Only the owners of the node may do that."))
        }
    }
}

/// Somebody without an affiliation wants to read: the access model decides (§4.5).
fn admit(action: Action, config: &Config, standing: &Standing) -> Result<(), StanzaError> {
    match config.access {
        Access::Open => Ok(()),
        Access::Presence if standing.sees_presence => Ok(()),
        // §6.5.9.6
        Access::Presence => {
            let error = with(StanzaError::not_authorized(), "presence-subscription-required");
            Err(error.text("You must be allowed to see the presence of the owner."))
        }
        Access::Roster if standing.is_in_group => Ok(()),
        // §6.5.9.7
        Access::Roster => {
            let error = with(StanzaError::not_authorized(), "not-in-roster-group");
            Err(error.text("You must be in certain groups of the owner's contacts."))
        }
        // §6.1.3.3: whoever asks waits for the answer of the owner.
        Access::Authorize if action != Action::Retrieve || standing.is_subscribed => Ok(()),
        // §6.5.9.3
        Access::Authorize => {
            let error = with(StanzaError::not_authorized(), "not-subscribed");
            Err(error.text("Only those who are subscribed may read this node."))
        }
        // §6.5.9.8
        Access::Whitelist => {
            let error = with(StanzaError::not_allowed(), "closed-node");
            Err(error.text("Only those on the list of its owner may read this node."))
        }
    }
}

/// Somebody who is no publisher wants to publish: the publish model decides.
fn publish(config: &Config, standing: &Standing) -> Result<(), StanzaError> {
    match config.publish_model {
        PublishModel::Open => Ok(()),
        PublishModel::Subscribers if standing.is_subscribed => Ok(()),
        PublishModel::Subscribers => Err(forbidden("Only subscribers may publish here.")),
        PublishModel::Publishers => Err(forbidden("Only publishers may publish here.")),
    }
}

fn forbidden(text: &'static str) -> StanzaError {
    StanzaError::forbidden().text(text)
}

#[cfg(test)]
mod tests;
