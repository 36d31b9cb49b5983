//! Who asks: the token that a request shows (RFC 6750), and what becomes of one that is wrong.

use std::net::IpAddr;

use waxwing_kernel::http::{HeaderMap, HeaderValue, StatusCode, header};
use waxwing_kernel::{Site, auth};
use waxwing_store::StoreError;
use waxwing_store::domains::accounts::Accounts;

use super::problem::Problem;
use super::token::Token;
use super::{Api, NAME};

/// Answers to wrong tokens that wait for one network. While there are so many, nothing that it asks
/// is looked at: guessing in parallel gains nothing.
const REFUSALS: usize = 8;

/// The longest token that is looked at, in bytes.
const TOKEN_BYTES: usize = 256;

impl Api {
    /// The token that a request shows.
    ///
    /// # Errors
    /// It shows none that is good; the answer to a wrong one comes late where there were many.
    pub(super) async fn admit(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
        is_secure: bool,
    ) -> Result<Token, Problem> {
        // RFC 6750 §5.3: "Clients MUST always use TLS … when making requests with bearer tokens."
        if !is_secure && !client.to_canonical().is_loopback() {
            let detail = "Tokens are taken over TLS only.";
            return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail));
        }
        let Some(secret) = bearer(headers)? else {
            return Err(self.unauthorized("A token is needed.", None));
        };
        if self.refusals.is_full(auth::network(client), REFUSALS) {
            return Err(Problem::too_many("Too many wrong tokens came from your network."));
        }
        let token = self.tokens.by_secret(secret).await.map_err(unreachable)?;
        match token {
            Some(token) if self.is_good(&token).await? => {
                self.tokens.note_use(&token).await;
                Ok(token)
            }
            _ => Err(self.refuse(client).await),
        }
    }

    /// Whether the token with this number is still good: it was not revoked, its time is not over,
    /// and its owner is still an admin; and whether there is still something that it is good for,
    /// since a reload may have switched this module off, or dropped its domain.
    pub(super) async fn is_still_good(&self, id: i64) -> Result<bool, Problem> {
        let site = self.hub.site(self.domain.domain());
        let is_served = |site: &Site| site.router.https().any(|(module, _)| module == NAME);
        if !site.is_some_and(|site| is_served(&site)) {
            return Ok(false);
        }
        match self.tokens.by_id(id).await.map_err(unreachable)? {
            Some(token) => self.is_good(&token).await,
            None => Ok(false),
        }
    }

    /// A token is worth what its owner is: nobody keeps by a token what was taken from them.
    async fn is_good(&self, token: &Token) -> Result<bool, Problem> {
        let Some(owner) = &token.owner else { return Ok(true) };
        let Some(site) = self.hub.site(self.domain.domain()) else { return Ok(false) };
        if !site.is_admin(owner) {
            return Ok(false);
        }
        // Admins may have their account elsewhere.
        if self.hub.site(owner.domain()).is_none() {
            return Ok(true);
        }
        let account = Accounts::new(self.hub.db().clone()).find(owner.as_str()).await;
        Ok(account.map_err(unreachable)?.is_some_and(|account| account.disabled.is_none()))
    }

    /// Counts a wrong token along with wrong passwords, and waits as those do.
    async fn refuse(&self, client: IpAddr) -> Problem {
        let Some(_place) = self.refusals.take(auth::network(client), REFUSALS) else {
            return Problem::too_many("Too many wrong tokens came from your network.");
        };
        let delay = auth::refused(&self.hub, self.domain.domain(), client);
        tracing::info!(%client, host = %self.domain, "a wrong token was shown");
        let clock = self.hub.clock();
        clock.until(Some(clock.now() + delay)).await;
        let detail = "This token is wrong, was revoked, or its time is over.";
        self.unauthorized(detail, Some("invalid_token"))
    }

    /// RFC 6750 §3: "the resource server MUST include the HTTP "WWW-Authenticate" response header
    /// field"; "If the request lacks any authentication information … the resource server SHOULD
    /// NOT include an error code".
    fn unauthorized(&self, detail: &str, error: Option<&str>) -> Problem {
        let challenge = match error {
            None => "Bearer realm=\"waxwing\"".to_owned(),
            Some(error) => format!("Bearer realm=\"waxwing\", error=\"{error}\""),
        };
        Problem::new(StatusCode::UNAUTHORIZED, "not-authorized", detail)
            .with(header::WWW_AUTHENTICATE, value(&challenge))
    }
}

/// The token is good for something else.
pub(super) fn insufficient(scope: &str) -> Problem {
    let detail = format!("This needs a token with the scope {scope}.");
    let challenge =
        format!("Bearer realm=\"waxwing\", error=\"insufficient_scope\", scope=\"{scope}\"");
    Problem::new(StatusCode::FORBIDDEN, "forbidden", detail)
        .with(header::WWW_AUTHENTICATE, value(&challenge))
}

/// RFC 6750 §2.1.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    let wrong = || Problem::bad("The Authorization field is not `Bearer TOKEN`.");
    if fields.next().is_some() {
        return Err(wrong());
    }
    let (scheme, token) =
        field.to_str().ok().and_then(|it| it.split_once(' ')).ok_or_else(wrong)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim();
    if token.is_empty() || token.len() > TOKEN_BYTES {
        return Err(wrong());
    }
    Ok(Some(token))
}

fn unreachable(error: StoreError) -> Problem {
    tracing::error!(%error, "tokens could not be read");
    Problem::busy("Tokens cannot be read at the moment.")
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("scopes and words of ours are printed ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_bearer_token_is_read() {
        let read = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::AUTHORIZATION, field.parse().unwrap());
            }
            bearer(&headers).map(|token| token.map(str::to_owned)).map_err(|it| it.status.as_u16())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Basic YTpi"]), Ok(None));
        assert_eq!(read(&["bEARER abc"]), Ok(Some("abc".to_owned())));
        for wrong in [&["Bearer"][..], &["Bearer "], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(wrong), Err(400), "{wrong:?}");
        }
        assert_eq!(read(&[&format!("Bearer {}", "x".repeat(300))]), Err(400));
    }
}
