//! One authentication, from the choice of a mechanism to its end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use waxwing_jid::BareJid;

use crate::event::{Answer, AuthFailure, Need, Proof, Question};
use crate::host::{Entropy, Host, Security};
use crate::sasl::bearer::{self, Bearer};
use crate::sasl::downgrade;
use crate::sasl::plain::Plain;
use crate::sasl::scram::{ClientFirst, Scram, ScramError};
use crate::sasl::token::HashedToken;
use crate::sasl::{Failure, FailureCondition, Hash, Mechanism, ScramKeys, TokenBinding, refusal};

/// What an exchange may look at.
pub(crate) struct Context<'a> {
    pub(crate) host: &'a Host,
    pub(crate) security: &'a Security,
    pub(crate) entropy: &'a Entropy,
    /// The client's installation, where the profile tells it and a token may be used.
    pub(crate) agent: Option<&'a str>,
    /// By the profile of XEP-0388.
    pub(crate) is_extensible: bool,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    Challenge(String),
    Ask(Question),
    /// With additional data, if the mechanism has any.
    Success(BareJid, Option<Vec<u8>>, Proof),
    Failure(Failure),
    /// A challenge that says why the client will fail; it fails when it has answered.
    Deny(String, Option<Failure>),
    /// A failure that was told of already.
    GiveUp(Failure),
}

/// Where an authentication stands.
#[derive(Debug, Default)]
pub(crate) enum Exchange {
    /// No mechanism chosen.
    #[default]
    Idle,
    /// Chosen without an initial response.
    ExpectInitial(Mechanism),
    ExpectKeys(Box<ClientFirst>, BareJid, Hash),
    /// With the reason why even the right proof does not help.
    ExpectProof(Box<Scram>, BareJid, Option<AuthFailure>),
    ExpectVerdict(BareJid),
    ExpectTokens(HashedToken, BareJid),
    /// With the account that the client wants to be.
    ExpectOwner(Option<BareJid>),
    /// With the account that the client wants to be.
    ExpectBearer(Option<BareJid>),
    /// A token was refused.
    ExpectSurrender(Option<BareJid>, Box<Failure>),
    ExpectGuest,
}

impl Exchange {
    /// `<auth/>`. `initial` is `None` where the client sends no initial response.
    pub(crate) fn start(
        &mut self,
        mechanism: Mechanism,
        initial: Option<&[u8]>,
        context: &Context<'_>,
    ) -> Step {
        if !matches!(self, Exchange::Idle) {
            *self = Exchange::Idle;
            return fail(FailureCondition::MalformedRequest);
        }
        if let Some(condition) = refusal(mechanism, context.host, context.security) {
            return fail(condition);
        }
        match initial {
            Some(data) => self.initial(mechanism, data, context),
            None => {
                *self = Exchange::ExpectInitial(mechanism);
                Step::Challenge(String::new())
            }
        }
    }

    /// `<response/>`.
    pub(crate) fn respond(&mut self, data: &[u8], context: &Context<'_>) -> Step {
        match std::mem::take(self) {
            Exchange::ExpectInitial(mechanism) => self.initial(mechanism, data, context),
            Exchange::ExpectProof(scram, account, locked) => prove(&scram, data, account, locked),
            // RFC 7628 §3.2.3: "the client MUST respond with ... a single %x01"; whatever it is,
            // "the server then fails the authentication".
            Exchange::ExpectSurrender(_, failure) => Step::GiveUp(*failure),
            _ => fail(FailureCondition::MalformedRequest),
        }
    }

    /// What the driver knows; an answer that does not fit the question is a refusal.
    pub(crate) fn answer(&mut self, answer: Answer, context: &Context<'_>) -> Step {
        match (std::mem::take(self), answer) {
            (Exchange::ExpectBearer(wanted), answer) => self.bearer(wanted, answer, context),
            (_, Answer::Verdict(Err(failure))) => Step::Failure(failure.into()),
            (Exchange::ExpectKeys(first, account, hash), answer) => {
                let (keys, locked) = match answer {
                    Answer::Scram(keys) => (keys.filter(|keys| keys.hash == hash), None),
                    Answer::Locked(keys, why) if keys.hash == hash => (Some(keys), Some(why)),
                    _ => (None, None),
                };
                let keys = keys.unwrap_or_else(|| {
                    let host = context.host;
                    ScramKeys::fake(hash, &host.secret, account.as_str(), host.scram_iterations)
                });
                let scram = Box::new(challenge(*first, keys, context));
                let text = scram.challenge().to_owned();
                *self = Exchange::ExpectProof(scram, account, locked);
                Step::Challenge(text)
            }
            (Exchange::ExpectVerdict(account), Answer::Verdict(Ok(salt))) => {
                Step::Success(account, None, Proof::Password(salt))
            }
            (Exchange::ExpectVerdict(account), Answer::Account(found)) if account == found => {
                Step::Success(account, None, Proof::Other)
            }
            (Exchange::ExpectTokens(token, account), Answer::Tokens(keys)) => {
                match token.verify(&keys) {
                    Some((key, answer)) => {
                        Step::Success(account, Some(answer), Proof::Token(key.name.clone()))
                    }
                    None => fail(FailureCondition::NotAuthorized),
                }
            }
            (Exchange::ExpectOwner(wanted), Answer::External(owner)) => match owner {
                Ok(owner) if wanted.is_some_and(|wanted| wanted != owner) => {
                    fail(FailureCondition::InvalidAuthzid)
                }
                Ok(owner) => Step::Success(owner, None, Proof::Other),
                Err(failure) => Step::Failure(failure.into()),
            },
            (Exchange::ExpectGuest, Answer::Account(account)) => {
                Step::Success(account, None, Proof::Other)
            }
            _ => fail(FailureCondition::TemporaryAuthFailure),
        }
    }

    /// `<abort/>`.
    pub(crate) fn abort(&mut self) -> Step {
        *self = Exchange::Idle;
        fail(FailureCondition::Aborted)
    }

    /// Whether no authentication is under way.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Exchange::Idle)
    }

    /// Who is signing in, as far as known.
    pub(crate) fn account(&self) -> Option<&BareJid> {
        match self {
            Exchange::ExpectKeys(_, account, _)
            | Exchange::ExpectProof(_, account, _)
            | Exchange::ExpectVerdict(account)
            | Exchange::ExpectTokens(_, account)
            | Exchange::ExpectOwner(Some(account))
            | Exchange::ExpectBearer(Some(account))
            | Exchange::ExpectSurrender(Some(account), _) => Some(account),
            _ => None,
        }
    }

    fn initial(&mut self, mechanism: Mechanism, data: &[u8], context: &Context<'_>) -> Step {
        if let Mechanism::Bearer = mechanism {
            return self.begin_bearer(data, context);
        }
        let begun = match (mechanism, std::str::from_utf8(data)) {
            (Mechanism::Token(binding), _) => hashed_token(binding, data, context),
            (_, Ok(message)) => self::begin(mechanism, message, context),
            (_, Err(_)) => Err(FailureCondition::MalformedRequest.into()),
        };
        let (next, step) = match begun {
            Ok((next, question)) => (next, Step::Ask(question)),
            Err(failure) => (Exchange::Idle, Step::Failure(failure)),
        };
        *self = next;
        step
    }

    fn begin_bearer(&mut self, data: &[u8], context: &Context<'_>) -> Step {
        let message = std::str::from_utf8(data).ok().and_then(Bearer::parse);
        let Some(Bearer { authzid, token }) = message else {
            return fail(FailureCondition::MalformedRequest);
        };
        let wanted = authzid.map(|name| BareJid::new(&name)).transpose();
        let Some(wanted) = wanted.ok().filter(|wanted| is_here(wanted.as_ref(), context)) else {
            return fail(FailureCondition::InvalidAuthzid);
        };
        if token.is_empty() {
            // XEP-0493 §3.1.1: a client without a token sends none, to be told where it gets one.
            return self.deny(wanted, None, context);
        }
        *self = Exchange::ExpectBearer(wanted.clone());
        let domain = context.host.domain.clone();
        Step::Ask(Question::Bearer { domain, account: wanted, token })
    }

    fn bearer(&mut self, wanted: Option<BareJid>, answer: Answer, context: &Context<'_>) -> Step {
        match answer {
            Answer::External(Ok(owner)) if wanted.as_ref().is_some_and(|it| *it != owner) => {
                fail(FailureCondition::InvalidAuthzid)
            }
            Answer::External(Ok(owner)) => Step::Success(owner, None, Proof::Other),
            Answer::External(Err(
                failure @ (AuthFailure::NotAuthorized | AuthFailure::OutOfScope),
            )) => self.deny(wanted, Some(failure), context),
            Answer::External(Err(failure)) | Answer::Verdict(Err(failure)) => {
                Step::Failure(failure.into())
            }
            _ => fail(FailureCondition::TemporaryAuthFailure),
        }
    }

    /// RFC 7628 §3.2.2: what is wrong with the token is told in a challenge, and only then the
    /// client fails. Where there was none, nobody has guessed anything.
    fn deny(
        &mut self,
        wanted: Option<BareJid>,
        failure: Option<AuthFailure>,
        context: &Context<'_>,
    ) -> Step {
        let status = match failure {
            Some(AuthFailure::OutOfScope) => "insufficient_scope",
            _ => "invalid_token",
        };
        let offer = context.host.bearer.clone().unwrap_or_default();
        let guessed = failure.clone().map(Failure::from);
        let last = Failure::from(failure.unwrap_or(AuthFailure::NotAuthorized));
        *self = Exchange::ExpectSurrender(wanted, Box::new(last));
        Step::Deny(bearer::denial(status, &offer), guessed)
    }
}

/// Whether a client may want to be this: an account of the host of its stream.
fn is_here(wanted: Option<&BareJid>, context: &Context<'_>) -> bool {
    wanted.is_none_or(|wanted| wanted.domain() == &*context.host.domain)
}

type Begun = Result<(Exchange, Question), Failure>;

fn begin(mechanism: Mechanism, message: &str, context: &Context<'_>) -> Begun {
    match mechanism {
        Mechanism::Scram(hash, plus) => scram(hash, plus, message, context),
        Mechanism::Plain => plain(message, context),
        Mechanism::External => external(message, context),
        // RFC 4505: the message is for logs only.
        Mechanism::Anonymous => Ok((Exchange::ExpectGuest, Question::Anonymous)),
        Mechanism::Token(_) | Mechanism::Bearer => Err(FailureCondition::InvalidMechanism.into()),
    }
}

/// XEP-0484 §4.1: "Clients wishing to use FAST ... MUST also provide the a SASL2 <user-agent>
/// element with an 'id' attribute".
fn hashed_token(binding: TokenBinding, data: &[u8], context: &Context<'_>) -> Begun {
    let Some(agent) = context.agent else {
        let text = "a token needs the id of the user agent that it was made for";
        return Err(Failure::new(FailureCondition::MalformedRequest).text(text));
    };
    let bound = binding.kind().and_then(|kind| context.security.binding(kind)).unwrap_or_default();
    let (name, token) =
        HashedToken::parse(data, bound).ok_or(FailureCondition::MalformedRequest)?;
    let account = account(&name, context)?;
    let (agent, owner) = (agent.to_owned(), account.clone());
    Ok((
        Exchange::ExpectTokens(token, account),
        Question::Tokens { account: owner, agent, binding },
    ))
}

fn scram(hash: Hash, plus: bool, message: &str, context: &Context<'_>) -> Begun {
    let first = ClientFirst::parse(message).map_err(scram_failure)?;
    first.check_binding(plus, context.security.binds_channel()).map_err(scram_failure)?;
    if let Some(kind) = &first.binding
        && context.security.binding(kind).is_none()
    {
        return Err(scram_failure(ScramError::UnknownBinding));
    }
    let account = account(&first.username, context)?;
    check_authzid(first.authzid.as_deref(), &account)?;
    let need = Need::Scram(hash);
    let question = Question::Credentials { account: account.clone(), need };
    Ok((Exchange::ExpectKeys(Box::new(first), account, hash), question))
}

fn plain(message: &str, context: &Context<'_>) -> Begun {
    let plain = Plain::parse(message).ok_or(FailureCondition::MalformedRequest)?;
    let account = account(plain.username, context)?;
    check_authzid(plain.authzid, &account)?;
    let question = Question::Plain { account: account.clone(), password: plain.password };
    Ok((Exchange::ExpectVerdict(account), question))
}

/// RFC 4422 appendix A: the message is the authorization identity, or empty (RFC 6120 §6.3.8,
/// XEP-0178 §2).
fn external(message: &str, context: &Context<'_>) -> Begun {
    let wanted = match message {
        "" => None,
        _ => Some(BareJid::new(message).map_err(|_| FailureCondition::InvalidAuthzid)?),
    };
    if !is_here(wanted.as_ref(), context) {
        return Err(FailureCondition::InvalidAuthzid.into());
    }
    let certificate = context.security.peer_certificate.clone();
    let question = Question::External {
        account: wanted.clone(),
        certificate: certificate.ok_or(FailureCondition::InvalidMechanism)?,
        verified: context.security.peer_verified,
    };
    Ok((Exchange::ExpectOwner(wanted), question))
}

fn challenge(first: ClientFirst, keys: ScramKeys, context: &Context<'_>) -> Scram {
    let kind = first.binding.as_deref();
    let binding = kind.and_then(|kind| context.security.binding(kind)).unwrap_or_default();
    let mut nonce = [0; 18];
    (context.entropy)(&mut nonce);
    let extensions = match context.is_extensible {
        true => downgrade::attributes(keys.hash, context.host, context.security),
        false => String::new(),
    };
    Scram::new(first, keys, binding.to_vec(), (&BASE64.encode(nonce), &extensions))
}

fn prove(scram: &Scram, data: &[u8], account: BareJid, locked: Option<AuthFailure>) -> Step {
    let Ok(message) = std::str::from_utf8(data) else {
        return fail(FailureCondition::MalformedRequest);
    };
    match (scram.finish(message), locked) {
        (Err(error), _) => Step::Failure(scram_failure(error)),
        (Ok(_), Some(failure)) => Step::Failure(failure.into()),
        (Ok(data), None) => {
            let proof = Proof::Password(scram.salt().to_vec());
            Step::Success(account, Some(data.into_bytes()), proof)
        }
    }
}

/// A name that cannot be an address cannot be an account: saying so at once tells nothing.
fn account(username: &str, context: &Context<'_>) -> Result<BareJid, Failure> {
    BareJid::from_parts(Some(username), &context.host.domain)
        .map_err(|_| FailureCondition::NotAuthorized.into())
}

/// RFC 6120 §6.3.8: the authorization identity of a client is its bare address.
fn check_authzid(authzid: Option<&str>, account: &BareJid) -> Result<(), Failure> {
    match authzid.map(BareJid::new) {
        Some(Ok(wanted)) if wanted == *account => Ok(()),
        Some(_) => Err(FailureCondition::InvalidAuthzid.into()),
        None => Ok(()),
    }
}

fn scram_failure(error: ScramError) -> Failure {
    let refused = Failure::new(FailureCondition::NotAuthorized);
    match error {
        ScramError::Malformed => Failure::new(FailureCondition::MalformedRequest),
        ScramError::Refused => refused,
        ScramError::Downgrade => {
            refused.text("this server does support channel binding; its offer was altered")
        }
        ScramError::UnknownBinding => refused.text("unsupported channel binding type"),
    }
}

fn fail(condition: FailureCondition) -> Step {
    Step::Failure(Failure::new(condition))
}
