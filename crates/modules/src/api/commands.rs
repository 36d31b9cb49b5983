//! The commands that make tokens, show them and take them back.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::clock::stamp_of;
use waxwing_kernel::command::{Caller, CommandAbout, Grid, Order, Refusal, Said};
use waxwing_kernel::form;
use waxwing_store::StoreError;

use super::Api;
use super::scope::Scope;
use super::token::Token;

/// Tokens shown at once: more than there can be of one domain and of the server would be odd.
const SHOWN: u32 = 1000;
/// For how many days a token is good when nothing is said, and at most.
const USUAL_DAYS: u32 = 90;
const MOST_DAYS: u32 = 3650;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
/// The longest name, in characters.
const NAME_CHARS: usize = 64;

form! {
    /// Make a token with which a program can give commands by HTTP. It is shown this once.
    pub struct CreateToken {
        /// What the program is called. The audit log says so.
        pub name: String,
        /// What it may do: `read` for all that only tells, `user:write` for a group of commands,
        /// `user:read` for what of it only tells, `events` to hear what happens, `*` for
        /// everything.
        pub scopes: Vec<String>,
        /// For how many days it is good, up to 3650. 90 if nothing is said.
        pub days: Option<u32>,
        /// Whether it is good for every domain of the server. Only the operator can make such.
        pub everywhere: bool,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static CREATE: CommandAbout =
    CommandAbout::of::<CreateToken>("urn:waxwing:token#create", &["token", "create"]);

form! {
    /// List the tokens of programs.
    pub struct ListTokens {
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static LIST: CommandAbout =
    CommandAbout::of::<ListTokens>("urn:waxwing:token#list", &["token", "list"]).reads();

form! {
    /// Take a token back. What goes on with it ends within seconds.
    pub struct RevokeToken {
        /// Its number in the list.
        pub number: u64,
        /// The domain. The first one if nothing is said.
        pub host: Option<String>,
    }
}
pub(super) static REVOKE: CommandAbout =
    CommandAbout::of::<RevokeToken>("urn:waxwing:token#revoke", &["token", "revoke"]);

impl Api {
    pub(super) async fn create(
        self: Arc<Self>,
        order: Order<CreateToken>,
    ) -> Result<Said, Refusal> {
        let Order { caller, form: CreateToken { name, scopes, days, everywhere, host } } = order;
        self.check_host(host.as_deref())?;
        let owner = maker(&caller, everywhere)?;
        let name = check_name(&name)?;
        let scopes = self.scopes(&scopes)?;
        let days = days.unwrap_or(USUAL_DAYS);
        if !(1..=MOST_DAYS).contains(&days) {
            let text = format!("a token is good for 1 to {MOST_DAYS} days");
            return Err(Refusal::invalid("days", text));
        }
        let domain = if everywhere { "" } else { self.domain.domain() };
        let count = self.tokens.count(domain).await.map_err(failed)?;
        if count >= u64::from(self.config.tokens) {
            let text = format!("there are {count} tokens already; revoke some first");
            return Err(Refusal::not_allowed(text));
        }
        let made = self.tokens.now();
        let expires = made + i64::from(days) * DAY_MILLIS;
        let (id, used, domain) = (0, None, domain.to_owned());
        let token = Token { id, domain, name, owner, scopes, made, expires, used };
        let secret = self.tokens.keep(&token).await.map_err(|error| match error {
            StoreError::Conflict(_) => {
                let refusal = Refusal::conflict(format!("there is a token {} already", token.name));
                Refusal { field: Some("name"), ..refusal }
            }
            error => failed(error),
        })?;
        tracing::info!(by = %caller, name = token.name, scopes = token.scopes(), "token made");
        let until = stamp_of(expires.unsigned_abs());
        Ok(Said::note("Keep it where only the program can read it; it is not shown again.")
            .fact("token", "Token", secret)
            .fact("expires", "Until", until)
            .fact("url", "Address", self.address()))
    }

    pub(super) async fn list(self: Arc<Self>, order: Order<ListTokens>) -> Result<Said, Refusal> {
        self.check_host(order.form.host.as_deref())?;
        let mut grid = Grid::new(&[
            ("number", "Number"),
            ("name", "Name"),
            ("owner", "By"),
            ("scopes", "May"),
            ("domain", "Domain"),
            ("made", "Made"),
            ("expires", "Until"),
            ("used", "Last used"),
        ]);
        let stamp = |millis: i64| stamp_of(millis.unsigned_abs());
        for token in self.tokens.list(SHOWN).await.map_err(failed)? {
            let is_over = if token.expires > self.tokens.now() { "" } else { " (over)" };
            grid.row([
                token.id.to_string(),
                token.name.clone(),
                token.owner.as_ref().map_or_else(|| "operator".to_owned(), BareJid::to_string),
                token.scopes(),
                if token.is_everywhere() { "*".to_owned() } else { token.domain.clone() },
                stamp(token.made),
                stamp(token.expires) + is_over,
                token.used.map(stamp).unwrap_or_default(),
            ]);
        }
        let note = if grid.rows.is_empty() { "There is none." } else { "" };
        Ok(Said::note(note).table(grid))
    }

    pub(super) async fn revoke(
        self: Arc<Self>,
        order: Order<RevokeToken>,
    ) -> Result<Said, Refusal> {
        self.check_host(order.form.host.as_deref())?;
        let number = order.form.number;
        let missing = || {
            let refusal = Refusal::not_found(format!("there is no token {number}"));
            Refusal { field: Some("number"), ..refusal }
        };
        let all = self.tokens.list(SHOWN).await.map_err(failed)?;
        let token = all.into_iter().find(|token| token.id == number.cast_signed());
        let token = token.ok_or_else(missing)?;
        if token.is_everywhere() && order.caller != Caller::Operator {
            let text = "this token is good for the whole server; only its operator can revoke it";
            return Err(Refusal::not_allowed(text));
        }
        self.tokens.revoke(token.id).await.map_err(failed)?;
        tracing::info!(by = %order.caller, name = token.name, "token revoked");
        Ok(Said::note(format!("The token {} does not work any more.", token.name)))
    }

    fn check_host(&self, host: Option<&str>) -> Result<(), Refusal> {
        match host.filter(|host| *host != self.domain.domain()) {
            None => Ok(()),
            Some(host) if self.hub.site(host).is_some() => {
                let text = format!("this is {}; give the command to {host}", self.domain);
                Err(Refusal::invalid("host", text))
            }
            Some(host) => Err(Refusal::invalid("host", format!("{host} is not served here"))),
        }
    }

    /// Reads what a token shall be good for.
    fn scopes(&self, texts: &[String]) -> Result<Vec<Scope>, Refusal> {
        let site = self.hub.site(self.domain.domain());
        let groups: Vec<&str> = site.iter().flat_map(|site| site.router.commands()).fold(
            Vec::new(),
            |mut groups, command| {
                let group = command.words.first().copied();
                groups.extend(group.filter(|group| !groups.contains(group)));
                groups
            },
        );
        let read = |text: &String| {
            let scope = Scope::read(text.trim()).filter(|scope| match scope {
                Scope::Group { group, .. } => groups.contains(&group.as_str()),
                _ => true,
            });
            scope.ok_or_else(|| {
                let groups = groups.join(", ");
                let text = format!(
                    "{text:?} is none of `*`, `read`, `events`, and `GROUP:read` or `GROUP:write` \
                     with one of the groups {groups}"
                );
                Refusal::invalid("scopes", text)
            })
        };
        texts.iter().map(read).collect()
    }
}

/// Who makes a token, unless it is somebody who may not.
fn maker(caller: &Caller, everywhere: bool) -> Result<Option<BareJid>, Refusal> {
    match caller {
        Caller::Operator => Ok(None),
        Caller::Account(_) if everywhere => {
            let text = "only the operator can make a token for every domain, on the machine itself";
            Err(Refusal { field: Some("everywhere"), ..Refusal::not_allowed(text) })
        }
        Caller::Account(jid) => Ok(Some(jid.bare())),
        // Otherwise one that got into the wrong hands would live for ever, and grow.
        Caller::Token { .. } => Err(Refusal::not_allowed("a token cannot make tokens")),
    }
}

fn check_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let is_plain = |letter: char| !letter.is_control();
    if name.is_empty() || name.chars().count() > NAME_CHARS || !name.chars().all(is_plain) {
        let text = format!("a name has 1 to {NAME_CHARS} letters");
        return Err(Refusal::invalid("name", text));
    }
    Ok(name.to_owned())
}

pub(super) fn failed(error: StoreError) -> Refusal {
    tracing::error!(%error, "tokens could not be reached");
    match error {
        StoreError::Full | StoreError::Busy => Refusal::busy(error.to_string()),
        _ => Refusal::failed("tokens cannot be reached at the moment"),
    }
}
