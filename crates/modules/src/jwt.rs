#![cfg_attr(not(doctest), doc = include_str!("jwt.md"))]

mod claims;
mod fetched;
mod keys;

use std::sync::Arc;

use jsonwebtoken::{Header, decode_header};
use waxwing_jid::BareJid;
use waxwing_kernel::backend::BearerAsk;
use waxwing_kernel::config::{Flaw, Template, Uri};
use waxwing_kernel::module::{About, Module, StartError, Xep};
use waxwing_kernel::routes::Routes;
use waxwing_kernel::{Hub, SiteBuilder, choice, section};
use waxwing_stream::{AuthFailure, BearerOffer};

use self::claims::{Denied, Rules};
use self::fetched::Fetched;
use self::keys::{Key, Keys};

/// Tokens that are judged at a time; more wait. Most are judged in a tenth of a millisecond, and
/// some have to wait for a key.
const RUNNING: usize = 32;

section! {
    /// Tokens that an identity provider gives out (JWT), for signing in with OAUTHBEARER. The keys
    /// that they are signed with come from one of `keys_url`, `key_file`, `secret` and
    /// `secret_file`.
    pub struct JwtConfig("jwt", check = JwtConfig::check) {
        /// Where the identity provider publishes its keys (a JWK Set, RFC 7517), such as
        /// `https://id.example.org/keys`; `http://` on this machine only.
        pub keys_url: Option<Uri> = None,
        /// Its public key (PEM). A relative path begins at the data folder.
        pub key_file: Option<std::path::PathBuf> = None,
        /// What it shares with this server, where it signs with that (HS256). At least 32 bytes.
        pub secret: Option<String> = None,
        /// A file with the same; line breaks at its end do not count.
        pub secret_file: Option<std::path::PathBuf> = None,
        /// How tokens may be signed; whatever a token says of itself, nothing else counts. An empty
        /// list stands for RS256, ES256 and EdDSA, or for HS256 with a secret.
        pub algorithms: Vec<Algorithm> = [],
        /// Who must have given the token out (claim `iss`); anybody with the key if absent.
        pub issuer: Option<String> = None,
        /// For whom: a token must name one of these (claim `aud`). Without any, tokens that were
        /// given out for somebody in particular are refused.
        pub audience: Vec<String> = [],
        /// The scope that a token must have (claim `scope`), such as `xmpp:client:normal`.
        pub scope: Option<String> = None,
        /// The name of the account, made of claims: `{sub}`, `{preferred_username}`, or `{email}`
        /// where that is an address of this domain.
        pub account: Template = "{sub}",
        /// Where the identity provider describes itself to clients, such as
        /// `https://id.example.org/.well-known/openid-configuration`. A client without a token is
        /// told.
        pub discovery: Option<Uri> = None,
        /// Whether a token may be sent as the password of PLAIN too, as gateways on the web do.
        pub as_password: bool = false,
        /// How much the clocks of both may differ (seconds).
        pub leeway_seconds: u32 = 60 in 0..=600,
        /// For how long published keys are good (seconds). When they cannot be had again, they are
        /// good for a day longer.
        pub keys_seconds: u32 = 3600 in 10..=86400,
        /// How often they are asked for at most, also when a token names a key that is not among
        /// them (seconds).
        pub refresh_seconds: u32 = 10 in 1..=3600,
    }
}

choice! {
    /// How a token is signed (RFC 7518 §3.1, RFC 8037).
    pub enum Algorithm {
        /// RSA with SHA-256.
        Rs256 = "RS256",
        /// RSA with SHA-384.
        Rs384 = "RS384",
        /// RSA with SHA-512.
        Rs512 = "RS512",
        /// RSA-PSS with SHA-256.
        Ps256 = "PS256",
        /// RSA-PSS with SHA-384.
        Ps384 = "PS384",
        /// RSA-PSS with SHA-512.
        Ps512 = "PS512",
        /// ECDSA on P-256.
        Es256 = "ES256",
        /// ECDSA on P-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
        /// A secret, SHA-256.
        Hs256 = "HS256",
        /// A secret, SHA-384.
        Hs384 = "HS384",
        /// A secret, SHA-512.
        Hs512 = "HS512",
    }
}

impl Algorithm {
    /// By a secret that both share. Whoever checks such a signature could have made it.
    fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

impl JwtConfig {
    fn check(&self) -> Result<(), Flaw> {
        let flaw = |key, problem: &str| Err(Flaw { key, problem: problem.to_owned() });
        let one = "the keys come from one place: `keys_url`, `key_file`, `secret` or `secret_file`";
        let is_secret = self.secret.is_some() || self.secret_file.is_some();
        let sources = [
            ("keys_url", self.keys_url.is_some()),
            ("key_file", self.key_file.is_some()),
            ("secret", self.secret.is_some()),
            ("secret_file", self.secret_file.is_some()),
        ];
        if let Some((key, _)) = sources.into_iter().filter(|(_, is_there)| *is_there).nth(1) {
            return flaw(key, one);
        }
        let is_mixed = |algorithm: &Algorithm| algorithm.is_symmetric() != is_secret;
        if self.algorithms.iter().any(is_mixed) && sources.iter().any(|(_, is_there)| *is_there) {
            // Who knows a public key could sign with it as if it were a secret.
            return flaw("algorithms", "HS256, HS384 and HS512 go with a secret, and only they do");
        }
        if self.keys_url.as_ref().is_some_and(|url| !url.is_private()) {
            // Who changes the keys on the way lets anybody in.
            return flaw(
                "keys_url",
                "it must begin with https://, or with http:// on this machine",
            );
        }
        if self.discovery.as_ref().is_some_and(|url| !is_web(url.as_str())) {
            return flaw("discovery", "it must begin with https:// or http://");
        }
        if self.account.gaps().next().is_none() {
            return flaw("account", "without a claim everybody would have the same account");
        }
        Ok(())
    }

    /// How tokens may be signed.
    fn pinned(&self) -> Vec<Algorithm> {
        match (self.algorithms.as_slice(), self.secret.is_some() || self.secret_file.is_some()) {
            ([], true) => vec![Algorithm::Hs256],
            ([], false) => vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
            (listed, _) => listed.to_vec(),
        }
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Knows whose the tokens of an identity provider are.
pub struct Jwt {
    config: JwtConfig,
    rules: Rules,
    keys: Source,
}

/// Where keys come from.
enum Source {
    /// They are in the configuration.
    Fixed(Keys),
    /// They are published.
    Published(Fetched),
}

impl Module for Jwt {
    const ABOUT: &'static About = &About {
        name: "jwt",
        summary: "Lets people in with the tokens of an identity provider.",
        is_on: false,
        xeps: &[Xep(493, "0.1.1")
            .lacks("the identity provider is another program; scopes do not narrow a session")],
        server_features: &[],
        account_features: &[],
        manual: include_str!("jwt.md"),
    };
    type Config = JwtConfig;

    fn start(site: &mut SiteBuilder<'_>, config: JwtConfig) -> Result<Self, StartError> {
        let made = Self::new(&site.hub(), config, site.jid());
        made.map_err(|reason| StartError { module: "jwt", reason })
    }

    fn routes(on: &mut Routes<'_, Self>) {
        let config = &on.module().config;
        let offer = BearerOffer {
            scope: config.scope.as_deref().map(Arc::from),
            discovery: config.discovery.as_ref().map(|url| url.as_str().into()),
        };
        let is_password = config.as_password;
        on.bearer((offer, is_password), RUNNING, Self::identify);
    }
}

impl Jwt {
    /// Reads what the settings name; fetches nothing.
    fn new(hub: &Hub, config: JwtConfig, domain: &BareJid) -> Result<Self, String> {
        let pinned = config.pinned();
        let read = |file: &std::path::Path| {
            let file = hub.folder().map_or_else(|| file.to_owned(), |data| data.join(file));
            let content = std::fs::read(&file);
            content.map_err(|error| format!("{} cannot be read: {error}", file.display()))
        };
        let secret = |bytes: &[u8]| Key::of_secret(bytes, &pinned);
        let keys = if let Some(url) = &config.keys_url {
            Source::Published(Fetched::new(url.as_str(), &config))
        } else if let Some(file) = &config.key_file {
            Source::Fixed(Keys::one(Key::of_pem(&read(file)?, &pinned)?))
        } else if let Some(text) = &config.secret {
            Source::Fixed(Keys::one(secret(text.as_bytes())?))
        } else if let Some(file) = &config.secret_file {
            Source::Fixed(Keys::one(secret(read(file)?.trim_ascii_end())?))
        } else {
            let text = "it needs `keys_url`, `key_file`, `secret` or `secret_file`";
            return Err(text.to_owned());
        };
        let rules = Rules::new(&config, domain.domain());
        Ok(Self { config, rules, keys })
    }

    /// Fetches the keys, where they are published: for `waxwing check`.
    ///
    /// # Errors
    /// Why people could not sign in, for the operator.
    pub async fn probe(hub: &Hub, config: JwtConfig, domain: &BareJid) -> Result<(), String> {
        match Self::new(hub, config, domain)?.keys {
            Source::Published(keys) => keys.fetch(hub).await.map(drop),
            Source::Fixed(_) => Ok(()),
        }
    }

    async fn identify(self: Arc<Self>, ask: BearerAsk) -> Result<BareJid, AuthFailure> {
        let refused = |why: Denied| {
            tracing::info!(%why, "a token was refused");
            why.into()
        };
        let header = decode_header(ask.token.as_bytes());
        let header = header.map_err(|_| refused(Denied::Malformed))?;
        // RFC 7515 §4.1.11: what is listed there must be understood, and nothing of it is here.
        if header.crit.is_some() {
            return Err(refused(Denied::Malformed));
        }
        let keys = self.candidates(&ask, &header).await?;
        let now = i64::try_from(ask.hub.clock().wall_millis() / 1000).unwrap_or(i64::MAX);
        let owner = self.rules.judge(&ask.token, &header, &keys, now);
        owner.map_err(refused)
    }

    /// The keys that may have signed a token with this header.
    async fn candidates(
        &self,
        ask: &BearerAsk,
        header: &Header,
    ) -> Result<Vec<Arc<Key>>, AuthFailure> {
        match &self.keys {
            Source::Fixed(keys) => Ok(keys.fitting(header)),
            Source::Published(keys) => keys.fitting(&ask.hub, header).await,
        }
    }
}

#[cfg(test)]
mod tests;
