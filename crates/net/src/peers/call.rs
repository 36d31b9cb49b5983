//! One call to another server: the TLS handshake as the client, and what to think of who answers.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::{ServerName, UnixTime};
use tokio::time::timeout;
use waxwing_kernel::links::dial::{DialAsk, UnreachedKind};
use waxwing_kernel::request::Answer;
use waxwing_stream::{PeerTrust, Security};

use super::dane::{self, Dane};
use super::dialer::Dialer;
use super::identity::Reference;
use super::judge::{Judge, Role, Shown};
use super::reproach::Reproach;
use crate::names::Target;
use crate::socket::Socket;
use crate::tcp::Upgrade;
use crate::tls::{TlsStream, of_server};

const FAILED: &str = "TLS failed: ";
/// Servers of a domain whose TLSA records are looked at for one that came in.
const SERVERS_ASKED: usize = 4;

/// A place to call, with everything that is known of it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) target: Target,
    pub(super) address: std::net::SocketAddr,
    /// DNSSEC proves the way from the domain to the address.
    pub(super) is_signed: bool,
}

/// A call that is under way, and does STARTTLS when the stream wants it.
pub(super) struct Call {
    pub(super) dialer: Arc<Dialer>,
    pub(super) ask: Arc<DialAsk>,
    pub(super) candidate: Candidate,
}

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) struct Setback {
    pub(super) kind: UnreachedKind,
    /// What happened, for a person; without a dot at the end where it is a part of a sentence.
    pub(super) words: String,
    pub(super) advice: Option<String>,
}

impl Setback {
    pub(super) fn new(kind: UnreachedKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into(), advice: None }
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    fn because(domain: &str, reproach: &Reproach) -> Self {
        let words = reproach.words(domain);
        Self::new(UnreachedKind::Untrusted, words).advise(reproach.advice())
    }
}

impl Call {
    /// Puts TLS on the connection, offering the protocols `alpn`, and says what to think of the
    /// peer.
    pub(super) async fn secure(
        &self,
        socket: Socket,
        alpn: Vec<Vec<u8>>,
    ) -> Result<(Socket, Security), Setback> {
        let failed = |error: &io::Error| handshake_failed(error);
        let (socket, mut security) = self.shake(socket, alpn).await.map_err(|e| failed(&e))?;
        let trust = self.trust(&security.peer_chain).await?;
        security.peer_trust = Some(trust);
        Ok((socket, security))
    }

    /// As [`Call::secure`] for direct TLS, where nothing comes later that could prove the peer.
    pub(super) async fn secure_directly(
        &self,
        socket: Socket,
        alpn: &[u8],
    ) -> Result<(Socket, Security), Setback> {
        let (socket, security) = self.secure(socket, vec![alpn.to_vec()]).await?;
        match &security.peer_trust {
            Some(PeerTrust::Untrusted(words)) if self.ask.demand.certificate_required => {
                Err(Setback::new(UnreachedKind::Untrusted, &**words))
            }
            _ => Ok((socket, security)),
        }
    }

    async fn shake(&self, socket: Socket, alpn: Vec<Vec<u8>>) -> io::Result<(Socket, Security)> {
        let config = self.dialer.tls.store().stand_for(&self.ask.from).outgoing();
        // XEP-0368 §3: "Client or server MUST set SNI TLS extension to the JID's domain part."
        let meta = self.candidate.target.meta.as_ref();
        let name = server_name(meta.map_or(&self.ask.to, |meta| &meta.sni))?;
        let (tcp, peer, permit) = socket.into_plain()?;
        let mut stream = TlsStream::call(tcp, config, name, alpn)?;
        // A future of its own, so that an open connection does not keep its space.
        let shaking = Box::pin(stream.shake());
        let late = |_| io::Error::from(ErrorKind::TimedOut);
        timeout(self.dialer.handshake_time(), shaking).await.map_err(late)??;
        let security = of_server(stream.facts());
        Ok((Socket::tls(stream, peer, permit), security))
    }

    /// What to think of who showed `chain`. An error when the connection must not be used,
    /// whatever else may prove the peer: the signed DNS says that it is somebody else.
    async fn trust(&self, chain: &[Vec<u8>]) -> Result<PeerTrust, Setback> {
        let (dialer, domain) = (&self.dialer, &*self.ask.to);
        let untrusted = |reproach: &Reproach| PeerTrust::Untrusted(reproach.words(domain).into());
        let shown = match Shown::read(chain) {
            Ok(shown) => shown,
            Err(reproach) => return Ok(untrusted(&reproach)),
        };
        let judge = dialer.judge().await;
        let when = (Role::Server, dialer.now());
        let target = &self.candidate.target;
        let mut whom: Vec<Reference> = Reference::of(domain).into_iter().collect();
        if self.candidate.is_signed {
            let tlsa = dialer.names.tlsa(&target.host, target.port).await;
            let tlsa = tlsa.map_err(|trouble| {
                Setback::new(UnreachedKind::Bogus, trouble.to_string()).advise(trouble.advice())
            })?;
            // RFC 7673 §4.2: the server's host is a name to look for as well.
            let both: Vec<_> = whom.iter().cloned().chain(Reference::of(&target.host)).collect();
            match dane::ask(&tlsa, &judge, &shown, &both, when) {
                Dane::Proven => return Ok(PeerTrust::Dane),
                Dane::Contradicts => return Err(Setback::because(domain, &Reproach::NotInDns)),
                Dane::Silent => {}
            }
        }
        if let Some(meta) = &target.meta {
            whom.extend(Reference::of(&meta.sni));
            if dane::is_pinned(&meta.pins, &shown) {
                return Ok(PeerTrust::Posh);
            }
        }
        let reproach = match judge.judge(&shown, &whom, when) {
            Ok(()) => return Ok(PeerTrust::Certificate),
            Err(reproach) => reproach,
        };
        Ok(match dialer.is_announced(domain, &shown).await {
            Ok(true) => PeerTrust::Posh,
            Ok(false) => untrusted(&reproach),
            Err(reproach) => untrusted(&reproach),
        })
    }
}

impl Upgrade for Call {
    fn upgrade(self: Arc<Self>, socket: Socket) -> Answer<'static, io::Result<(Socket, Security)>> {
        Box::pin(async move {
            // RFC 6120 §5: after STARTTLS there is nothing left to choose by ALPN.
            let secured = self.secure(socket, Vec::new()).await;
            secured.map_err(|Setback { words, .. }| {
                // The kernel says in front of it that TLS failed.
                let words = words.strip_prefix(FAILED).unwrap_or(&words).trim_end_matches('.');
                io::Error::new(ErrorKind::InvalidData, words)
            })
        })
    }
}

impl Dialer {
    /// Whether the POSH file of `domain` names the certificate.
    pub(super) async fn is_announced(
        &self,
        domain: &str,
        shown: &Shown<'_>,
    ) -> Result<bool, Reproach> {
        match self.names.posh(domain).await {
            Some(posh) => dane::is_announced(&posh, shown, self.now()),
            None => Ok(false),
        }
    }

    /// Whether `domain` may be who called us and showed `chain`: by an authority, by POSH, or by
    /// the TLSA records of its servers (RFC 7712, where those prove them as callers, too).
    pub(super) async fn vouch(&self, chain: &[Vec<u8>], domain: &str) -> Result<(), Reproach> {
        let shown = Shown::read(chain)?;
        let judge = self.judge().await;
        let whom: Vec<Reference> = Reference::of(domain).into_iter().collect();
        let reproach = match judge.judge(&shown, &whom, (Role::Caller, self.now())) {
            Ok(()) => return Ok(()),
            Err(reproach) => reproach,
        };
        // Whoever comes may claim to be anybody, so nobody can make us ask much of others.
        let asking = async {
            let _turn = self.vouching.acquire().await;
            match self.is_announced(domain, &shown).await? {
                true => Ok(true),
                false => Ok(self.is_in_dns(domain, &shown, &judge).await),
            }
        };
        match timeout(self.limits.peer_vouching(), asking).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) | Err(_) => Err(reproach),
            Ok(Err(reproach)) => Err(reproach),
        }
    }

    /// Whether signed TLSA records of one of the servers of `domain` name the certificate.
    async fn is_in_dns(&self, domain: &str, shown: &Shown<'_>, judge: &Judge) -> bool {
        let Ok(places) = self.names.places(domain).await else { return false };
        let signed = places.targets.iter().filter(|target| target.is_signed);
        for target in signed.take(SERVERS_ASKED) {
            let addresses = self.names.addresses(target).await;
            if !addresses.is_ok_and(|addresses| addresses.is_signed) {
                continue;
            }
            let Ok(tlsa) = self.names.tlsa(&target.host, target.port).await else { continue };
            let whom: Vec<_> =
                [domain, &target.host].into_iter().filter_map(Reference::of).collect();
            if dane::ask(&tlsa, judge, shown, &whom, (Role::Caller, self.now())) == Dane::Proven {
                return true;
            }
        }
        false
    }

    pub(super) fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(self.clock.wall_millis()))
    }
}

/// A domain as TLS names it.
fn server_name(domain: &str) -> io::Result<ServerName<'static>> {
    let name = match Reference::of(domain) {
        Some(Reference::Address(address)) => return Ok(ServerName::IpAddress(address.into())),
        Some(Reference::Domain(name)) => name,
        None => domain.to_owned(),
    };
    let wrong = |_| io::Error::new(ErrorKind::InvalidInput, "the domain is no name of a machine");
    ServerName::try_from(name).map_err(wrong)
}

fn handshake_failed(error: &io::Error) -> Setback {
    match error.kind() {
        ErrorKind::TimedOut => {
            Setback::new(UnreachedKind::Timeout, "it did not finish the TLS handshake in time")
        }
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
            Setback::new(UnreachedKind::Untrusted, "it closed the connection in the TLS handshake")
        }
        _ => Setback::new(UnreachedKind::Untrusted, format!("{FAILED}{error}")),
    }
}
