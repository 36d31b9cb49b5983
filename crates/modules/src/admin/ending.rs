//! The end of the whole server, for good or to begin anew (XEP-0133 §4.30, §4.31).

use std::sync::Arc;
use std::time::Duration;

use waxwing_kernel::command::{
    Caller, CommandAbout, Field, FieldKind, Lines, Order, Refusal, Said,
};
use waxwing_kernel::{Ending, form};

use super::Admin;

/// Whoever orders the end is answered first (seconds).
const AT_LEAST: u64 = 1;

form! {
    /// Stop the server, with all its domains. What nobody has got yet is stored.
    pub struct Stop {
        /// After how many seconds. At once if nothing is said.
        pub delay: Option<Delay>,
        /// What everybody who is online is told before.
        pub announcement: Option<Lines>,
    }
}
pub(super) static STOP: CommandAbout =
    CommandAbout::of::<Stop>("http://jabber.org/protocol/admin#shutdown", &["server", "stop"])
        .danger();

form! {
    /// Restart the server, with all its domains. It reads its configuration anew.
    pub struct Restart {
        /// After how many seconds. At once if nothing is said.
        pub delay: Option<Delay>,
        /// What everybody who is online is told before.
        pub announcement: Option<Lines>,
    }
}
pub(super) static RESTART: CommandAbout =
    CommandAbout::of::<Restart>("http://jabber.org/protocol/admin#restart", &["server", "restart"])
        .danger();

form! {
    /// Call off a stop or restart that was ordered and has not begun.
    pub struct Stay {}
}
pub(super) static STAY: CommandAbout =
    CommandAbout::of::<Stay>("urn:waxwing:admin#stay", &["server", "stay"]);

/// After how many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delay(u64);

impl Delay {
    /// A day.
    const LONGEST: u64 = 86_400;
}

/// §4.30 and §4.31 have these options.
impl Field for Delay {
    const KIND: FieldKind = FieldKind::Choice;
    const OPTIONS: &'static [(&'static str, &'static str)] = &[
        ("30", "30 seconds."),
        ("60", "60 seconds."),
        ("90", "90 seconds."),
        ("120", "2 minutes."),
        ("180", "3 minutes."),
        ("240", "4 minutes."),
        ("300", "5 minutes."),
    ];

    fn read(values: &[&str]) -> Result<Self, String> {
        match values {
            [number] => match number.trim().parse() {
                Ok(seconds @ 0..=Self::LONGEST) => Ok(Self(seconds)),
                _ => Err(format!("expected a number of seconds up to {}", Self::LONGEST)),
            },
            _ => Err("only one value may be given".to_owned()),
        }
    }
}

impl Admin {
    /// §4.31
    pub(super) async fn stop(self: Arc<Self>, order: Order<Stop>) -> Result<Said, Refusal> {
        let Order { caller, form: Stop { delay, announcement } } = order;
        self.end(&caller, Ending::Stop, delay, announcement).await
    }

    /// §4.30
    pub(super) async fn restart(self: Arc<Self>, order: Order<Restart>) -> Result<Said, Refusal> {
        let Order { caller, form: Restart { delay, announcement } } = order;
        self.end(&caller, Ending::Restart, delay, announcement).await
    }

    pub(super) async fn stay(self: Arc<Self>, order: Order<Stay>) -> Result<Said, Refusal> {
        self.check_reach(&order.caller)?;
        let Some((ending, _)) = self.hub.stay() else {
            return Err(Refusal::not_found("nobody has ordered the server to stop or restart"));
        };
        tracing::warn!(by = ?order.caller, ?ending, "called off");
        Ok(Said::note(format!("The {} is called off.", word(ending))))
    }

    async fn end(
        &self,
        caller: &Caller,
        ending: Ending,
        delay: Option<Delay>,
        announcement: Option<Lines>,
    ) -> Result<Said, Refusal> {
        self.check_reach(caller)?;
        let seconds = delay.map_or(0, |delay| delay.0);
        let at = self.hub.clock().now() + Duration::from_secs(seconds.max(AT_LEAST));
        if !self.hub.end(ending, at) {
            return Err(Refusal::not_allowed("no server is running"));
        }
        tracing::warn!(by = ?caller, ?ending, seconds, "end of the server ordered");
        if let Some(text) = announcement {
            self.proclaim(&self.hub.directory().everybody(), &text).await;
        }
        let when = if seconds == 0 { "now".to_owned() } else { format!("in {seconds} s") };
        Ok(Said::note(format!("The {} begins {when}.", word(ending))))
    }

    /// The server ends for all its domains: who administers one of several may not order that.
    fn check_reach(&self, caller: &Caller) -> Result<(), Refusal> {
        let sites = self.hub.sites();
        let reaches_all = match caller {
            Caller::Operator => true,
            Caller::Account(jid) => sites.iter().all(|site| site.is_admin(&jid.bare())),
            _ => sites.iter().count() == 1,
        };
        if reaches_all {
            return Ok(());
        }
        let text = "this ends other domains as well; only an admin of all of them may order it";
        Err(Refusal { text: text.to_owned(), ..Refusal::forbidden() })
    }
}

fn word(ending: Ending) -> &'static str {
    match ending {
        Ending::Stop => "stop",
        Ending::Restart => "restart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_has_an_end() {
        assert_eq!(Delay::read(&["30"]), Ok(Delay(30)));
        assert_eq!(Delay::read(&["0"]), Ok(Delay(0)));
        assert!(Delay::read(&["86401"]).is_err() && Delay::read(&["soon"]).is_err());
    }
}
