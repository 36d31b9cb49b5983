//! Waiting for the component to prove that it knows its secret.

use std::time::Instant;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use waxwing_jid::BareJid;
use waxwing_xml::Element;
use zeroize::Zeroizing;

use crate::COMPONENT;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Answer, Event, Question};
use crate::host;
use crate::role::client::State;
use crate::role::component::{Component, Linked, unexpected};
use crate::sasl::{Failure, FailureCondition, Hash};

/// The state between the headers and the end of the handshake.
pub(crate) struct ExpectHandshake {
    pub(super) component: host::Component,
    /// The id of the stream.
    pub(super) id: String,
    /// The driver is asked whether the component may come in.
    pub(super) is_proven: bool,
}

impl ExpectHandshake {
    pub(super) fn element(mut self, io: &mut Chassis, element: &Element) -> State {
        if !element.is("handshake", COMPONENT) || self.is_proven {
            return io.fail(unexpected(element));
        }
        let proof = element.text();
        if verify_slices_are_equal(proof.trim().as_bytes(), self.proof().as_bytes()).is_err() {
            let account = BareJid::new(&self.component.domain).ok();
            let failure = Failure::new(FailureCondition::NotAuthorized);
            io.events.push_back(Event::Unauthorized(account, failure));
            // §3: "the receiver MUST close the stream and the underlying TCP connection, and
            // SHOULD return a <not-authorized/> stream error."
            let text = "the handshake does not prove the secret of this component";
            return io.fail(StreamError::not_authorized().text(text));
        }
        self.is_proven = true;
        io.ask(Question::Attach { domain: self.component.domain.clone() });
        Component::ExpectHandshake(self).into()
    }

    /// §3: "Concatenate the Stream ID received from the server with the shared secret"; "Hash the
    /// concatenated string according to the SHA1 algorithm"; "in hexadecimal format"; "all
    /// lowercase characters".
    fn proof(&self) -> String {
        let text = Zeroizing::new([&self.id, self.component.secret.as_str()].concat());
        let digit = |half: u8| char::from_digit(half.into(), 16).expect("four bits are one digit");
        let digest = Hash::Sha1.digest(text.as_bytes());
        digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    pub(super) fn answer(self, io: &mut Chassis, now: Instant, answer: Answer) -> State {
        match answer {
            Answer::Attached(Ok(())) => Linked::start(io, now, self.component),
            Answer::Attached(Err(error)) => io.fail(error),
            _ => io.fail(StreamError::internal_server_error()),
        }
    }
}
