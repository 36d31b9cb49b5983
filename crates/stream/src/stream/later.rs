//! What arrives while a question is open is taken later.

use std::time::Instant;

use super::Stream;
use crate::error::StreamError;
use crate::held::Held;
use crate::input::Framing;
use crate::role::client::State;

impl Stream {
    /// What arrived since the question.
    pub(super) fn held(&mut self) -> &mut Held {
        self.io.held.get_or_insert_default()
    }

    /// Keeps what arrived for when the question is answered; too much of it ends the stream.
    pub(super) fn hold(&mut self, input: &[u8], message: bool) {
        let limits = self.io.limits();
        let most = match self.state.is_authenticated() {
            true => limits.held_bytes,
            false => limits.held_bytes.min(limits.before_auth.element_bytes),
        };
        let held = self.held();
        // Every message costs something, or empty ones would be free.
        if held.bytes.len() + input.len() + 8 * held.ends.len() > most {
            let error = StreamError::policy_violation().text("too much at once");
            return self.step(|_, io| io.fail(error));
        }
        held.bytes.extend_from_slice(input);
        if message {
            held.ends.push(held.bytes.len());
        }
    }

    /// Takes what was kept, unless it asks again.
    pub(super) fn release(&mut self, now: Instant, held: Held) {
        match self.io.framing {
            Framing::Tcp => self.feed(now, &held.bytes),
            Framing::WebSocket => held.messages().for_each(|message| self.message(now, message)),
        }
        match (held.ended, self.io.waiting.is_some()) {
            (true, true) => self.held().ended = true,
            (true, false) if !matches!(self.state, State::Closed) => self.lost(),
            _ => {}
        }
    }
}
