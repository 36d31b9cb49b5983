//! Somebody did not prove who they are.

use serde_json::json;
use waxwing_jid::BareJid;
use waxwing_stream::Failure;

use super::Connection;
use crate::events::SIGNIN_FAILED;

impl Connection {
    /// Who guesses passwords hears later each time that they were wrong. None as of
    /// [`Connection::attend`].
    pub(super) async fn punish(
        &mut self,
        account: Option<BareJid>,
        failure: &Failure,
    ) -> Option<()> {
        self.note(account, failure);
        let clock = self.hub.clock().clone();
        let delay = self.hub.gate().failed(self.wire.peer().ip(), clock.now());
        if delay.is_zero() {
            return Some(());
        }
        let until = clock.now() + delay;
        self.attend(async move { clock.until(Some(until)).await }).await
    }

    fn note(&self, account: Option<BareJid>, failure: &Failure) {
        self.hub.metrics().auth_failed(failure.condition.name());
        let (peer, account) = (self.wire.peer(), account.map(|jid| jid.to_string()));
        tracing::info!(%peer, account, ?failure, "sign-in refused");
        self.tell_failure(account, failure.condition.name());
    }

    fn tell_failure(&self, account: Option<String>, condition: &'static str) {
        let Some(host) = self.stream.host() else { return };
        self.hub.tell(&host.domain, &SIGNIN_FAILED, || {
            let peer = self.wire.peer().ip().to_string();
            json!({ "jid": account, "peer": peer, "condition": condition })
        });
    }
}
