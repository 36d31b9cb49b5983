#![cfg_attr(not(doctest), doc = include_str!("fast.md"))]

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use waxwing_kernel::admission::{Admission, Admitted, TokenAsk};
use waxwing_kernel::clock::{DAY_MILLIS, stamp_of};
use waxwing_kernel::directory::ClientId;
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Site, SiteBuilder, section};
use waxwing_store::StoreError;
use waxwing_store::domains::clients::{Clients, Token};
use waxwing_stream::{AuthFailure, Proof, TokenBinding, TokenKey};
use waxwing_xml::write;
use zeroize::Zeroizing;

const NS: &str = "urn:xmpp:fast:0";

/// Bytes of chance in the seed of a token.
const SEED_BYTES: usize = 16;
const HOUR_MILLIS: i64 = 3_600_000;

section! {
    /// Tokens that clients sign in with instead of a password.
    pub struct FastConfig("fast") {
        /// Days that a token is good for. A client that stays away longer needs its password again.
        pub days: u32 = 21 in 1..=365,
        /// Hours after which a token that is used is replaced.
        pub rotate_hours: u32 = 24 in 1..=8760,
        /// Clients of one account that may have a token; the one that got its own longest ago makes
        /// room.
        pub clients: u32 = 50 in 1..=1000,
    }
}

/// Gives out tokens and knows them again.
pub struct Fast {
    config: FastConfig,
}

impl Module for Fast {
    const ABOUT: &'static About = &About {
        name: "fast",
        summary: "Lets clients sign in with tokens: in one round trip, without keeping a password.",
        is_on: true,
        xeps: &[Xep(484, "0.2.0")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("fast.md"),
    };
    type Config = FastConfig;

    fn start(_: &mut SiteBuilder<'_>, config: FastConfig) -> Result<Self, StartError> {
        Ok(Self { config })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        on.tokens(Self::find);
        on.admission(Self::admit);
    }
}

impl Fast {
    /// §3.4: "Servers MUST bind tokens to the mechanism selected by the client in its original
    /// request, and reject attempts to use them with other mechanisms."
    async fn find(self: Arc<Self>, ask: TokenAsk) -> Result<Vec<TokenKey>, StoreError> {
        let TokenAsk { hub, site, account, client, binding } = ask;
        let (name, now) = (client.to_string(), hub.clock().wall_millis().cast_signed());
        let tokens = Clients::new(hub.db().clone()).tokens(account.as_str(), &name, now).await?;
        let fitting = tokens.into_iter().filter(|token| token.mechanism == binding.mechanism());
        let key = |token: Token| TokenKey {
            secret: secret(&site, account.as_str(), client, (&token.mechanism, &token.seed)),
            name: token.seed,
        };
        Ok(fitting.map(key).collect())
    }

    async fn admit(
        self: Arc<Self>,
        admission: Arc<Admission>,
    ) -> Result<Admitted, AuthFailure> {
        let mut admitted = Admitted::default();
        let wanted = admission.request.child("request-token", NS);
        let wanted = wanted.and_then(|wanted| {
            let name = wanted.attribute("mechanism")?;
            TokenBinding::ALL.into_iter().map(TokenBinding::mechanism).find(|known| *known == name)
        });
        let renewed = match &admission.proof {
            Proof::Token(seed) => self.spend(&admission, seed, &mut admitted).await?,
            Proof::Password(_) | Proof::Other => None,
        };
        if let Some(mechanism) = wanted.or(renewed) {
            self.issue(&admission, mechanism, &mut admitted);
        }
        Ok(admitted)
    }

    /// A token was proven. Gives the mechanism that the client needs a new one for, where it does.
    async fn spend(
        &self,
        admission: &Admission,
        seed: &str,
        admitted: &mut Admitted,
    ) -> Result<Option<&'static str>, AuthFailure> {
        let (owner, client) = (admission.account.as_str(), admission.client.to_string());
        let fast = admission.request.child("fast", NS);
        let attribute = |name| fast.and_then(|fast| fast.attribute(name));
        // §3.4: the count "MUST be a positive integer, which is incremented by the client on every
        // authentication attempt with this token". What is no number cannot be compared.
        let count = attribute("count").map(|count| count.parse().ok().filter(|count| *count > 0));
        let count = match count {
            Some(None) => return Err(AuthFailure::NotAuthorized),
            given => given.flatten(),
        };
        admitted.writes.extend(Clients::spend(owner, &client, seed, count));
        // §3.6: "the server MUST immediately invalidate the token and prevent its use for future
        // authentication attempts. The server MUST NOT include a new token in the response".
        if matches!(attribute("invalidate").as_deref(), Some("true" | "1")) {
            admitted.writes.push(Clients::withdraw(owner, &client));
            return Ok(None);
        }
        let rows = Clients::new(admission.hub.db().clone());
        let tokens = rows.tokens(owner, &client, admission.now).await.map_err(unread)?;
        let used = tokens.iter().find(|token| token.seed == seed);
        let age = used.map_or(0, |token| admission.now - token.issued);
        let is_due = age >= i64::from(self.config.rotate_hours) * HOUR_MILLIS;
        let mechanism = used.and_then(|token| {
            let names = TokenBinding::ALL.into_iter().map(TokenBinding::mechanism);
            { names }.find(|known| *known == token.mechanism)
        });
        Ok(mechanism.filter(|_| is_due))
    }

    /// §3.3: "the server generates a new unique token, valid for the requested mechanism, and
    /// includes it in the SASL2 <success/> response".
    fn issue(&self, admission: &Admission, mechanism: &str, admitted: &mut Admitted) {
        let (owner, client) = (admission.account.as_str(), admission.client.to_string());
        let expiry = admission.now + i64::from(self.config.days) * DAY_MILLIS;
        let token = Token {
            is_new: true,
            seed: admission.hub.clock().token(SEED_BYTES),
            mechanism: mechanism.to_owned(),
            issued: admission.now,
            expiry,
        };
        // The client itself is not among those that make room.
        let room = self.config.clients - 1;
        admitted.writes.extend(Clients::issue(owner, &client, &token, room));
        let made = (mechanism, token.seed.as_str());
        let secret = secret(&admission.site, owner, admission.client, made);
        let out = &mut admitted.success;
        out.push_str("<token");
        write::attribute(out, "xmlns", NS);
        write::attribute(out, "expiry", &stamp_of(expiry.cast_unsigned()));
        write::attribute(out, "token", &secret);
        out.push_str("/>");
    }
}

/// The token itself is not kept anywhere: it follows from what is in the database and from the
/// secret of the host, which is not.
fn secret(
    site: &Site,
    owner: &str,
    client: ClientId,
    (mechanism, seed): (&str, &str),
) -> Zeroizing<String> {
    let sealed = site.host().seal("token", &[owner, &client.to_string(), mechanism, seed]);
    Zeroizing::new(URL_SAFE_NO_PAD.encode(sealed))
}

fn unread(error: StoreError) -> AuthFailure {
    tracing::error!(%error, "tokens could not be read");
    AuthFailure::Temporary(Some("The server cannot read tokens at the moment.".into()))
}
