//! The commands that make invitations, show them and take them back (XEP-0401 §5).

use std::sync::Arc;

use waxwing_jid::{BareJid, prepare_local};
use waxwing_kernel::clock::{DAY_MILLIS, stamp_of};
use waxwing_kernel::command::{Caller, CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::form;
use waxwing_kernel::http::percent_encoded;
use waxwing_store::StoreError;

use super::invite::Invite;
use super::{Inviters, Register, lookalike};

/// Invitations shown at once.
const SHOWN: u32 = 200;
/// XEP-0401, "Field Standardization".
const FORM: &str = "urn:xmpp:invite#invitation";

form! {
    /// Invite somebody to be your contact. They can make an account here if you may invite for
    /// that.
    pub struct InviteContact {}
}
const CONTACT: CommandAbout =
    CommandAbout::of::<InviteContact>("urn:xmpp:invite#invite", &["invite", "contact"]);

form! {
    /// Invite somebody to make an account.
    pub struct InviteAccount {
        /// The name of the account, which is kept free. The guest chooses if nothing is said.
        pub username: Option<String>,
        /// Whether the new account and yours become contacts.
        pub befriend("roster-subscription"): bool,
        /// How many accounts can be made. 1 if nothing is said; more only for admins.
        pub uses: Option<u32>,
        /// For how many days it is good, up to 365. As configured if nothing is said.
        pub days: Option<u32>,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
const ACCOUNT: CommandAbout =
    CommandAbout::of::<InviteAccount>("urn:xmpp:invite#create-account", &["invite", "account"]);

form! {
    /// List the invitations that are open: your own, or, for admins, all of the domain.
    pub struct ListInvites {
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
const LIST: CommandAbout =
    CommandAbout::of::<ListInvites>("urn:waxwing:invite#list", &["invite", "list"]).reads();

form! {
    /// Take an invitation back: your own, or, for admins, any of the domain.
    pub struct RevokeInvite {
        /// Its number in the list.
        pub number: u64,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
const REVOKE: CommandAbout =
    CommandAbout::of::<RevokeInvite>("urn:waxwing:invite#revoke", &["invite", "revoke"]);

/// The commands as admins have them, and as everybody has them: contact, account, list, revoke.
static FOR_ADMINS: [CommandAbout; 4] = [CONTACT, ACCOUNT, LIST, REVOKE];
static FOR_ALL: [CommandAbout; 4] =
    [CONTACT.anyone(), ACCOUNT.anyone(), LIST.anyone(), REVOKE.anyone()];

/// Who is offered which. Without invitations admins see the commands all the same, and are told
/// what to set.
pub(super) fn contact(invites: Inviters) -> &'static CommandAbout {
    &of(invites != Inviters::Nobody)[0]
}

/// As [`contact`].
pub(super) fn account(invites: Inviters) -> &'static CommandAbout {
    &of(invites == Inviters::Everybody)[1]
}

/// As [`contact`].
pub(super) fn list(invites: Inviters) -> &'static CommandAbout {
    &of(invites != Inviters::Nobody)[2]
}

/// As [`contact`].
pub(super) fn revoke(invites: Inviters) -> &'static CommandAbout {
    &of(invites != Inviters::Nobody)[3]
}

fn of(is_for_all: bool) -> &'static [CommandAbout; 4] {
    if is_for_all { &FOR_ALL } else { &FOR_ADMINS }
}

/// Who asks: the account here, if it is one, and whether it administers this domain.
struct Host {
    account: Option<BareJid>,
    is_admin: bool,
}

impl Register {
    /// XEP-0401 §5.1: "The server SHOULD immediately provide a command result".
    pub(super) async fn invite_contact(
        self: Arc<Self>,
        order: Order<InviteContact>,
    ) -> Result<Said, Refusal> {
        let host = self.host(&order.caller).await?;
        let Some(inviter) = &host.account else {
            let text = "somebody with an account here must ask this, in their client";
            return Err(Refusal::not_allowed(text));
        };
        let may = host.is_admin || self.config.invites == Inviters::Everybody;
        let registers = may && self.keeps_passwords;
        let invite = Invite { registers, befriends: true, ..self.blank(&host) };
        let local = inviter.local().unwrap_or_default();
        let end = if registers { ";ibr=y" } else { "" };
        let (inviter, domain) = (percent_encoded(local), self.domain.clone());
        self.invite(&host, invite, |token| {
            format!("xmpp:{inviter}@{domain}?roster;preauth={token}{end}")
        })
        .await
    }

    /// XEP-0401 §5.4
    pub(super) async fn invite_account(
        self: Arc<Self>,
        order: Order<InviteAccount>,
    ) -> Result<Said, Refusal> {
        let host = self.host(&order.caller).await?;
        if !self.keeps_passwords {
            let text = "accounts of this domain are not made here, but where they are known";
            return Err(Refusal::not_allowed(text));
        }
        let InviteAccount { username, befriend, uses, days, .. } = order.form;
        let mut invite = Invite { befriends: befriend, ..self.blank(&host) };
        if let Some(name) = username {
            invite.username = Some(self.reserve(&host, &name).await?);
        }
        invite.uses = match uses {
            None | Some(1) => 1,
            Some(0) => return Err(Refusal::invalid("uses", "it must work once at least")),
            Some(_) if !host.is_admin || invite.username.is_some() => {
                return Err(Refusal::invalid("uses", "this invitation can work once only"));
            }
            Some(uses) => uses.into(),
        };
        if let Some(days) = days {
            if !(1..=365).contains(&days) || (!host.is_admin && days > self.config.invite_days) {
                return Err(Refusal::invalid("days", "this is too short or too long"));
            }
            invite.expires = self.expiry(days);
        }
        let name = invite.username.as_deref().map(percent_encoded);
        let name = name.map(|name| format!("{name}@")).unwrap_or_default();
        let domain = self.domain.clone();
        self.invite(&host, invite, |token| format!("xmpp:{name}{domain}?register;preauth={token}"))
            .await
    }

    pub(super) async fn list_invites(
        self: Arc<Self>,
        order: Order<ListInvites>,
    ) -> Result<Said, Refusal> {
        let host = self.host(&order.caller).await?;
        let own = host.account.as_ref().filter(|_| !host.is_admin);
        let invites = Invite::list(&self.hub, self.domain.domain(), own, SHOWN).await;
        let mut grid = Grid::new(&[
            ("number", "Number"),
            ("inviter", "By"),
            ("what", "For"),
            ("username", "Name"),
            ("uses", "Uses left"),
            ("expire", "Until"),
        ]);
        for invite in invites.map_err(failed)? {
            let what = match (invite.registers, invite.befriends) {
                (true, true) => "an account and a contact",
                (true, false) => "an account",
                (false, _) => "a contact",
            };
            grid.row([
                invite.id.to_string(),
                invite.inviter.as_ref().map_or_else(|| "operator".to_owned(), BareJid::to_string),
                what.to_owned(),
                invite.username.unwrap_or_default(),
                invite.uses.to_string(),
                stamp_of(invite.expires.unsigned_abs()),
            ]);
        }
        let note = if grid.rows.is_empty() { "There is none." } else { "" };
        Ok(Said::note(note).table(grid))
    }

    pub(super) async fn revoke_invite(
        self: Arc<Self>,
        order: Order<RevokeInvite>,
    ) -> Result<Said, Refusal> {
        let host = self.host(&order.caller).await?;
        let own = host.account.as_ref().filter(|_| !host.is_admin);
        let (domain, number) = (self.domain.domain(), order.form.number);
        let revoked = Invite::revoke(&self.hub, domain, own, number.cast_signed()).await;
        if !revoked.map_err(failed)? {
            let refusal = Refusal::not_found(format!("there is no invitation {number}"));
            return Err(Refusal { field: Some("number"), ..refusal });
        }
        tracing::info!(by = ?order.caller, number, "invitation revoked");
        Ok(Said::note("The invitation does not work any more."))
    }

    async fn host(&self, caller: &Caller) -> Result<Host, Refusal> {
        if self.config.invites == Inviters::Nobody {
            let text = "invitations are off; set `invites` below [modules.register]";
            return Err(Refusal::not_allowed(text));
        }
        let Caller::Account(jid) = caller else {
            return Ok(Host { account: None, is_admin: true });
        };
        let jid = jid.bare();
        let is_admin = self.hub.site(self.domain.domain()).is_some_and(|site| site.is_admin(&jid));
        let is_here = jid.domain() == self.domain.domain();
        let account = if is_here { self.hub.account(&jid).await.map_err(failed)? } else { None };
        match account {
            Some(account) if !account.is_guest() => Ok(Host { account: Some(jid), is_admin }),
            _ if is_admin => Ok(Host { account: None, is_admin }),
            _ => Err(Refusal::not_allowed("you have no account here")),
        }
    }

    /// An invitation as it is when nothing is said.
    fn blank(&self, host: &Host) -> Invite {
        Invite {
            id: 0,
            inviter: host.account.clone(),
            username: None,
            befriends: false,
            registers: true,
            expires: self.expiry(self.config.invite_days),
            uses: 1,
        }
    }

    fn expiry(&self, days: u32) -> i64 {
        self.hub.clock().wall_millis().cast_signed() + i64::from(days) * DAY_MILLIS
    }

    /// Keeps a name free for the guest. Others than admins cannot have names that the guest could
    /// not choose.
    async fn reserve(&self, host: &Host, name: &str) -> Result<String, Refusal> {
        let wrong = |text: String| Refusal::invalid("username", text);
        let name = prepare_local(name).map_err(|error| wrong(error.to_string()))?.into_owned();
        let jid = BareJid::from_parts(Some(&name), self.domain.domain());
        let jid = jid.map_err(|error| wrong(error.to_string()))?;
        let is_official = self.config.reserved.iter().any(|it| lookalike::are_alike(it, &name));
        if !host.is_admin && is_official {
            return Err(wrong("this name is reserved".to_owned()));
        }
        let waits = Invite::reserves(&self.hub, self.domain.domain(), &name, None).await;
        let other = lookalike::find(&self.hub, &jid).await.map_err(failed)?;
        let is_taken = other.as_deref() == Some(jid.as_str());
        if is_taken || waits.map_err(failed)? {
            let refusal = Refusal::conflict("this name is taken");
            return Err(Refusal { field: Some("username"), ..refusal });
        }
        if !host.is_admin && !self.config.lookalikes && other.is_some() {
            return Err(wrong("this name looks like one that is taken".to_owned()));
        }
        Ok(name)
    }

    /// Keeps the invitation and tells how to pass it on.
    async fn invite(
        &self,
        host: &Host,
        invite: Invite,
        uri: impl FnOnce(&str) -> String,
    ) -> Result<Said, Refusal> {
        if let Some(inviter) = &host.account {
            let open = Invite::count(&self.hub, inviter).await.map_err(failed)?;
            if open >= self.config.invites_per_account.into() {
                let text = format!("{open} of your invitations are open; revoke some first");
                return Err(Refusal::not_allowed(text));
            }
        }
        let Some(site) = self.hub.site(self.domain.domain()) else {
            return Err(Refusal::busy("the server does not serve this domain now"));
        };
        let expires = stamp_of(invite.expires.unsigned_abs());
        let token = invite.keep(&self.hub, self.domain.domain()).await.map_err(failed)?;
        let inviter = host.account.as_ref().map_or("operator", |jid| jid.as_str());
        tracing::info!(inviter, domain = %self.domain, "invitation made");
        Ok(Said::default()
            .about(FORM)
            .fact("uri", "For a chat program", uri(&token))
            .fact("landing-url", "For a browser", site.url_of("register") + &token)
            .fact("expire", "Until", expires))
    }
}

fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "invitations could not be reached");
    Refusal::failed("invitations cannot be reached at the moment")
}
