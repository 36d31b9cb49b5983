//! Waiting for the client to open the stream: at first, after STARTTLS, and after SASL.

use std::sync::Arc;

use waxwing_jid::{BareJid, Jid};
use waxwing_xml::Element;

use crate::CLIENT;
use crate::chassis::Chassis;
use crate::error::StreamError;
use crate::event::{Closure, Installation};
use crate::features::Phase;
use crate::framing::{check_version, tcp, websocket};
use crate::host::Host;
use crate::input::Framing;
use crate::role::client::{ExpectBind, ExpectSasl, ExpectTls, State};

/// The state before a header.
#[derive(Default)]
pub(crate) struct ExpectHeader {
    /// Who has signed in.
    pub(crate) account: Option<BareJid>,
    /// Failed authentications so far.
    pub(crate) failures: u8,
}

impl ExpectHeader {
    pub(crate) fn header(self, io: &mut Chassis, header: &Element) -> State {
        io.lang = header.lang().map(|lang| lang.as_ref().into());
        io.host = served(io, header);
        if let Some(closed) = redirect_websocket(io) {
            return closed;
        }
        let peer = header.attribute("from").map(|from| Jid::new(&from));
        let to = peer.as_ref().and_then(|peer| peer.as_ref().ok());
        let from = io.host.clone().or_else(|| io.hosts.default_host());
        io.open(from.as_deref().map(|host| &*host.domain), to.map(Jid::as_str));
        if io.framing == Framing::Tcp
            && let Err(error) = tcp::check(header, CLIENT)
        {
            return io.fail(error);
        }
        let named = to.map(Jid::bare);
        match self.check(io, header, peer.map(Result::ok)) {
            Ok(host) => self.advance(io, &host, named),
            Err(error) => io.fail(error),
        }
    }

    /// The order of the checks is that of RFC 6120 §4.7.
    fn check(
        &self,
        io: &Chassis,
        header: &Element,
        peer: Option<Option<Jid>>,
    ) -> Result<Arc<Host>, StreamError> {
        check_version(header)?;
        let host = io.host.clone().ok_or_else(StreamError::host_unknown)?;
        // RFC 6455 §10.2. It can be judged only now: one endpoint serves many domains.
        if !host.admits(io.security.origin.as_deref()) {
            let text = "pages of this origin may not connect to this domain";
            return Err(StreamError::policy_violation().text(text));
        }
        // §4.9.3.9: "the data provided in a 'from' attribute does not match an authorized JID".
        match (&peer, &self.account) {
            (Some(None), _) => return Err(StreamError::invalid_from()),
            (Some(Some(peer)), Some(account)) if peer.bare() != *account => {
                return Err(StreamError::invalid_from());
            }
            _ => {}
        }
        match &self.account {
            Some(account) if account.domain() != &*host.domain => {
                Err(StreamError::host_unknown().text("you have signed in to another domain"))
            }
            _ => Ok(host),
        }
    }

    fn advance(self, io: &mut Chassis, host: &Arc<Host>, named: Option<BareJid>) -> State {
        let clear = !io.security.is_private();
        let starttls = clear && host.starttls && !io.is_websocket();
        if let (Some(place), Framing::Tcp) = (&host.redirect.host, io.framing)
            && !(starttls && host.require_tls)
        {
            // RFC 6120 §4.9.3.19: only what TLS protects may send a client elsewhere.
            return io.fail(StreamError::see_other(&**place));
        }
        let failures = self.failures;
        let (phase, state) = match self.account {
            Some(account) => {
                let state = ExpectBind::new(account, Installation::default());
                (Phase::Bind, State::ExpectBind(Box::new(state)))
            }
            None if clear && host.require_tls => {
                if !starttls {
                    let text = "this domain takes no connections without TLS";
                    return io.fail(StreamError::policy_violation().text(text));
                }
                (Phase::Tls, State::ExpectTls(Box::new(ExpectTls { failures })))
            }
            None => {
                let state = ExpectSasl::new(failures, starttls, named);
                (Phase::Sasl(starttls), State::ExpectSasl(Box::new(state)))
            }
        };
        io.features(&phase, host);
        state
    }
}

/// The host that `to` names; without a name that of the header before, or the default host
/// (RFC 6120 §4.7.2).
fn served(io: &Chassis, header: &Element) -> Option<Arc<Host>> {
    match header.attribute("to") {
        Some(to) => {
            let to = BareJid::new(&to).ok().filter(BareJid::is_domain)?;
            io.hosts.host(to.domain())
        }
        None => io.host.clone().or_else(|| io.hosts.default_host()),
    }
}

/// RFC 7395 §3.4: the server answers with `<open/>`, or with a `<close/>` that leads elsewhere.
/// Clients look at `see-other-uri` only in place of `<open/>`.
fn redirect_websocket(io: &mut Chassis) -> Option<State> {
    let uri = io.host.as_ref()?.redirect.uri.clone()?;
    if !io.is_websocket() {
        return None;
    }
    io.write(|out| websocket::redirect(&uri, out));
    io.shut = true;
    Some(io.end(Closure::Footer, 1000))
}
