//! The commands that say who may talk with this server.

use std::sync::Arc;

use waxwing_kernel::command::{Caller, Order, Refusal, Said};
use waxwing_kernel::config::DomainName;
use waxwing_kernel::links::ledger::PeerState;
use waxwing_kernel::links::policy;
use waxwing_store::StoreError;
use waxwing_store::domains::peers::{self, Peers};

use super::{AllowPeer, BlockPeer, Federation, ForgetPeer};

/// The longest reason that is kept (letters).
const REASON: usize = 500;
/// Domains that may be blocked and allowed by command.
const MOST: usize = 100_000;

impl Federation {
    pub(super) async fn block(self: Arc<Self>, order: Order<BlockPeer>) -> Result<Said, Refusal> {
        let Order { caller, form: BlockPeer { domain, reason } } = order;
        let (domain, open) = self.say(&caller, &domain, policy::Order::Block, reason).await?;
        Ok(Said::note(match open {
            0 => format!("{domain} and everything below it is blocked."),
            1 => format!("{domain} and everything below it is blocked; a link was closed."),
            many => {
                format!("{domain} and everything below it is blocked; {many} links were closed.")
            }
        }))
    }

    pub(super) async fn allow(self: Arc<Self>, order: Order<AllowPeer>) -> Result<Said, Refusal> {
        let Order { caller, form: AllowPeer { domain, reason } } = order;
        let (domain, _) = self.say(&caller, &domain, policy::Order::Allow, reason).await?;
        let note = format!("{domain} and everything below it may talk with this server.");
        Ok(Said::note(match self.hub.policy().is_on() {
            true => note,
            false => note + " But it talks with no others: see [federation] in the configuration.",
        }))
    }

    pub(super) async fn forget(self: Arc<Self>, order: Order<ForgetPeer>) -> Result<Said, Refusal> {
        self.check_reach(&order.caller)?;
        let domain = self.read_domain(&order.form.domain)?;
        let _turn = self.turn.0.lock().await;
        let peers = Peers::new(self.hub.db().clone());
        if peers.find(domain.as_str()).await.map_err(failed)?.is_none() {
            let text = format!("{domain} was neither blocked nor allowed by a command");
            return Err(Refusal { field: Some("domain"), ..Refusal::not_found(text) });
        }
        peers.forget(domain.as_str()).await.map_err(failed)?;
        self.hub.policy().order(domain.as_str(), None);
        self.take_effect();
        let now = match self.hub.policy().judge(domain.as_str()) {
            Ok(_) => "it may talk with this server".to_owned(),
            Err(barred) => barred.to_string(),
        };
        tracing::info!(by = %order.caller, %domain, "nothing is said of it any more");
        Ok(Said::note(format!("Forgotten. For {domain} this holds now: {now}.")))
    }

    /// Ends what is shut out, and forgets that what is not any more was.
    fn take_effect(&self) {
        self.hub.enforce_policy();
        self.hub.ledger().pardon(|peer| self.hub.policy().judge(peer).is_ok());
    }

    /// Puts an order in force, and gives the domain, and how many with an open stream it shuts
    /// out.
    async fn say(
        &self,
        caller: &Caller,
        domain: &str,
        order: policy::Order,
        reason: Option<String>,
    ) -> Result<(DomainName, usize), Refusal> {
        self.check_reach(caller)?;
        let domain = self.read_domain(domain)?;
        let policy = self.hub.policy();
        if let Some(written) = policy.rules().said(domain.as_str())
            && written != order
        {
            let is = if written == policy::Order::Block { "blocked" } else { "allowed" };
            let text = format!(
                "{domain} is {is} in the configuration file, which wins: change it there, below \
                 [federation], and reload"
            );
            return Err(Refusal { field: Some("domain"), ..Refusal::not_allowed(text) });
        }
        let _turn = self.turn.0.lock().await;
        if policy.orders().len() >= MOST {
            let text = format!("{MOST} domains were blocked or allowed by command; forget some");
            return Err(Refusal::busy(text));
        }
        let said = peers::Said {
            domain: domain.as_str().to_owned(),
            word: order.word().to_owned(),
            reason: reason.unwrap_or_default().chars().take(REASON).collect(),
            who: caller.to_string(),
            at: self.hub.clock().wall_millis().cast_signed(),
        };
        Peers::new(self.hub.db().clone()).say(&said).await.map_err(failed)?;
        policy.order(domain.as_str(), Some(order));
        let is_cut = |peer: &_| policy.judge(peer).is_err();
        let open = self.hub.ledger().list().into_iter();
        let open = open.filter(|peer| peer.state == PeerState::Open && is_cut(&*peer.domain));
        let open = open.count();
        self.take_effect();
        tracing::info!(by = %caller, %domain, order = order.word(), "said of another server");
        Ok((domain, open))
    }
}

pub(super) fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "what was said of other servers could not be reached");
    Refusal::failed("the database cannot be reached at the moment")
}
