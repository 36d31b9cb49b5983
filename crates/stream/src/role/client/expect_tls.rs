//! Waiting for `<starttls/>` (RFC 6120 §5): nothing else is possible.

use waxwing_xml::Element;

use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::Event;
use crate::role::client::{State, host, refuse_management, unexpected};
use crate::sasl::{Failure, FailureCondition, Profile};
use crate::{SASL, SASL2, TLS};

/// The state in which TLS is required and missing.
pub(crate) struct ExpectTls {
    /// Failed authentications so far.
    pub(crate) failures: u8,
}

impl ExpectTls {
    pub(crate) fn element(mut self: Box<Self>, io: &mut Chassis, element: &Element) -> State {
        if element.is("starttls", TLS) {
            return self.proceed(io);
        }
        let profile = match element.namespace() {
            SASL => Some(Profile::Sasl1),
            SASL2 if host(io).sasl2 => Some(Profile::Sasl2),
            _ => None,
        };
        if let Some(profile) = profile {
            let failure = Failure::new(FailureCondition::EncryptionRequired);
            io.write(|out| failure.write(profile, "", out));
            io.events.push_back(Event::Unauthorized(None, failure));
            self.failures = self.failures.saturating_add(1);
            if self.failures >= io.limits().auth_attempts {
                return io.fail(StreamError::policy_violation().text("too many failures"));
            }
            return State::ExpectTls(self);
        }
        if refuse_management(io, element) {
            return State::ExpectTls(self);
        }
        io.fail(unexpected(element))
    }

    pub(crate) fn proceed(self: Box<Self>, io: &mut Chassis) -> State {
        io.write(|out| out.push_str("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));
        io.events.push_back(Event::StartTls);
        State::Upgrading(self)
    }
}
