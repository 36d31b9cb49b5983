//! Pushes: IQ-sets that tell an account's own sessions what changed.

use waxwing_jid::BareJid;
use waxwing_stanza::{IqType, Stanza};

use crate::directory::Flag;
use crate::hub::Hub;
use crate::stage::Effects;

impl Hub {
    /// Sends `payload` as an IQ-set to every session of `account` whose `flag` is up. Nobody waits
    /// for the answers.
    pub fn push(&self, account: &BareJid, flag: Flag, payload: &str, effects: &mut Effects) {
        for session in self.directory().sessions(account) {
            if session.flags.has(flag) {
                let push = Stanza::iq(IqType::Set).id(self.clock().token(8)).with(payload);
                let push = push.from(account.to_jid()).to(session.jid.clone());
                effects.deliver(&session.mailbox, push);
            }
        }
    }
}
