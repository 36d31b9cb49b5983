//! Making keys for a hash that an account has none for, with the help of a client that knows the
//! password (XEP-0480): tasks between the proof and `<success/>` (XEP-0388 §2.6.3).

use waxwing_jid::BareJid;
use waxwing_xml::{Element, write};

use crate::chassis::Chassis;
use crate::event::{Answer, Proof, Question};
use crate::role::client::request::Request;
use crate::role::client::{ExpectSasl, State, Welcome, host, unexpected};
use crate::sasl::{self, Failure, FailureCondition, Hash, Profile, ScramKeys};
use crate::{SASL2, SCRAM_UPGRADE};

/// Bytes of salt for new keys.
const SALT_BYTES: usize = 16;

/// The state of a client that has proven its password and wants to do more with it.
pub(crate) struct Tasks {
    account: BareJid,
    /// Of the mechanism, until it is told.
    data: Option<Vec<u8>>,
    /// The salt of the keys that the password was checked with.
    proven: Vec<u8>,
    request: Box<Request>,
    /// What is still to be done; the first is under way.
    hashes: Vec<Hash>,
    step: Step,
    back: Box<ExpectSasl>,
}

/// Whose turn it is.
enum Step {
    /// The driver's, to say what is missing.
    Missing,
    /// The client's, to begin.
    Next,
    /// The client's, to hash its password with this salt.
    Hash(Vec<u8>),
    /// The driver's, to keep the keys.
    Keep,
}

impl Tasks {
    /// Begins with asking which of `hashes` the account needs at all.
    pub(crate) fn start(
        io: &mut Chassis,
        back: Box<ExpectSasl>,
        (account, data, proven): (BareJid, Option<Vec<u8>>, Vec<u8>),
        request: Box<Request>,
    ) -> State {
        let hashes = request.upgrades.clone();
        io.ask(Question::Missing { account: account.clone(), hashes: hashes.clone() });
        let step = Step::Missing;
        State::Tasks(Box::new(Tasks { account, data, proven, request, hashes, step, back }))
    }

    pub(crate) fn answer(mut self: Box<Self>, io: &mut Chassis, answer: Answer) -> State {
        match (&self.step, answer) {
            (Step::Missing, Answer::Missing(missing)) => {
                self.hashes.retain(|hash| missing.contains(hash));
                self.offer(io)
            }
            (Step::Keep, Answer::Kept(Ok(()))) => {
                self.hashes.remove(0);
                self.offer(io)
            }
            (_, Answer::Kept(Err(failure)) | Answer::Verdict(Err(failure))) => {
                self.refuse(io, failure.into())
            }
            _ => self.refuse(io, FailureCondition::TemporaryAuthFailure.into()),
        }
    }

    pub(crate) fn element(mut self: Box<Self>, io: &mut Chassis, element: &Element) -> State {
        match (element.name(), element.namespace(), &self.step) {
            ("next", SASL2, Step::Next) => {
                let task = element.attribute("task").unwrap_or_default();
                if *task != name(self.hashes[0]) {
                    return self.refuse(io, FailureCondition::MalformedRequest.into());
                }
                let mut salt = vec![0; SALT_BYTES];
                (io.entropy)(&mut salt);
                let rounds = host(io).scram_iterations;
                io.write(|out| write_salt(out, &salt, rounds));
                self.step = Step::Hash(salt);
                State::Tasks(self)
            }
            ("task-data", SASL2, Step::Hash(salt)) => match made(element, self.hashes[0]) {
                Ok(salted) => {
                    let rounds = host(io).scram_iterations;
                    let keys = ScramKeys::from_salted(self.hashes[0], &salted, salt, rounds);
                    let (account, proven) = (self.account.clone(), self.proven.clone());
                    io.ask(Question::Keep { account, keys, proven });
                    self.step = Step::Keep;
                    State::Tasks(self)
                }
                Err(failure) => self.refuse(io, failure),
            },
            ("abort", SASL2, _) => self.refuse(io, FailureCondition::Aborted.into()),
            _ => io.fail(unexpected(element)),
        }
    }

    /// XEP-0480 §2.2: "a <continue/> element, which MUST contain a single task"; when there is none
    /// left, the client is let in.
    fn offer(mut self: Box<Self>, io: &mut Chassis) -> State {
        let data = self.data.take();
        let Some(hash) = self.hashes.first() else {
            let Tasks { account, proven, request, back, .. } = *self;
            return Welcome::start(io, back, (account, data, Proof::Password(proven)), request);
        };
        io.write(|out| write_continue(out, data.as_deref(), *hash));
        self.step = Step::Next;
        State::Tasks(self)
    }

    fn refuse(self, io: &mut Chassis, failure: Failure) -> State {
        self.back.refuse(io, Profile::Sasl2, Some(self.account), failure)
    }
}

/// §2.1: "a prefix of "UPGR-" ... followed by the SASL mechanism name to upgrade to".
pub(crate) fn name(hash: Hash) -> String {
    format!("UPGR-SCRAM-{}", hash.name())
}

/// §3.2: "the base64 encoded SaltedPassword".
fn made(element: &Element, hash: Hash) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let malformed = || Failure::new(FailureCondition::MalformedRequest);
    let made = element.child("hash", SCRAM_UPGRADE).ok_or_else(malformed)?;
    let salted = sasl::decode_plain(&made.text())?;
    if salted.len() == hash.output_len() { Ok(salted) } else { Err(malformed()) }
}

fn write_continue(out: &mut String, data: Option<&[u8]>, hash: Hash) {
    out.push_str("<continue");
    write::attribute(out, "xmlns", SASL2);
    out.push('>');
    if let Some(data) = data {
        out.push_str("<additional-data>");
        out.push_str(&sasl::encode(data));
        out.push_str("</additional-data>");
    }
    out.push_str("<tasks><task>");
    out.push_str(&name(hash));
    out.push_str("</task></tasks></continue>");
}

fn write_salt(out: &mut String, salt: &[u8], rounds: u32) {
    out.push_str("<task-data");
    write::attribute(out, "xmlns", SASL2);
    out.push_str("><salt");
    write::attribute(out, "xmlns", SCRAM_UPGRADE);
    write::attribute(out, "iterations", &rounds.to_string());
    out.push('>');
    out.push_str(&sasl::encode(salt));
    out.push_str("</salt></task-data>");
}
