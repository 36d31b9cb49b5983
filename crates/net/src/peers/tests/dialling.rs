//! Calls to servers on loopback.

mod failing;
mod websocket;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::links::dial::{Dial, DialAsk, Dialled, FoundBy, Unreached, UnreachedKind};
use waxwing_kernel::links::policy::PeerPlace;
use waxwing_kernel::links::survey::Verdict;
use waxwing_kernel::wire::{Transport, Wire};
use waxwing_stream::{Demand, Input, Outbox, PeerTrust, Security};

use super::*;
use crate::http::Site;
use crate::names::{Fingerprint, NameTrouble, Names, Posh, Table, Tlsa};
use crate::peers::PeerDialer;
use crate::peers::authorities::Authorities;
use crate::{Kind, Limits, Listener, Listening, Net, Tls, TlsOptions};

/// Now, since these certificates are shown in earnest.
fn now(params: &mut CertificateParams) {
    let now = OffsetDateTime::from(std::time::SystemTime::UNIX_EPOCH)
        + Duration::from_millis(Clock::system().wall_millis());
    params.not_before = now - Duration::from_secs(2 * DAY as u64);
    params.not_after = now + Duration::from_secs(DAY as u64);
}

fn past(params: &mut CertificateParams) {
    now(params);
    params.not_after = params.not_before + Duration::from_secs(DAY as u64);
}

/// Two servers, `ours.example` and `peer.example`, and a root that both know.
struct World {
    _folder: TempDir,
    ours: Arc<Tls>,
    peer: Arc<Tls>,
    peer_chain: Vec<Vec<u8>>,
    root: Authority,
}

impl World {
    fn new() -> Self {
        Self::with("peer.example", |root, params| root.issue(params))
    }

    /// The peer's certificate names `name`.
    fn with(name: &str, issue: impl FnOnce(&Authority, &CertificateParams) -> Issued) -> Self {
        let folder = TempDir::new().unwrap();
        let root = authority("Root", now);
        let tls = |issued: &Issued, domain: &str| {
            let certificates = vec![issued.save(folder.path(), domain)];
            let (domains, folder) = (vec![domain.to_owned()], folder.path().to_owned());
            Tls::open(TlsOptions { domains, certificates, folder, ..TlsOptions::default() })
        };
        let ours = tls(&root.issue(&with(&["ours.example"], now)), "ours.example").unwrap();
        let issued = issue(&root, &with(&[name], now));
        let peer = tls(&issued, name).unwrap();
        Self { ours, peer, peer_chain: issued.chain, root, _folder: folder }
    }

    fn dialer(&self, table: Table) -> PeerDialer {
        self.dialer_with(table, &Limits::default())
    }

    fn dialer_with(&self, table: Table, limits: &Limits) -> PeerDialer {
        let authorities = Authorities::only(vec![self.root.der.clone()]);
        let names = Names::table(table);
        PeerDialer::with(authorities, self.ours.clone(), names, (limits, Clock::system()))
    }

    async fn serve(&self, kind: Kind) -> Peer {
        let (told, arrivals) = mpsc::unbounded_channel();
        let entry = move |wire: Box<dyn Wire>, security: Security| {
            let _ = told.send((wire, security));
        };
        let (tls, clock) = (Some(self.peer.clone()), Clock::system());
        let net = Net::new(Limits::default(), tls, Site::default(), Arc::new(entry), clock);
        let listener = Listener::new(SocketAddr::from(([127, 0, 0, 1], 0)), kind);
        Peer { listening: net.listen(&[listener]).await.unwrap(), arrivals }
    }
}

/// A server that listens.
struct Peer {
    listening: Listening,
    arrivals: mpsc::UnboundedReceiver<(Box<dyn Wire>, Security)>,
}

impl Peer {
    fn port(&self) -> u16 {
        self.listening.addresses()[0].1.port()
    }

    async fn arrival(&mut self) -> (Box<dyn Wire>, Security) {
        soon(self.arrivals.recv()).await.unwrap()
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    let within = Duration::from_secs(10);
    tokio::time::timeout(within, future).await.expect("this takes far less than 10 seconds")
}

fn ask(within: Duration) -> DialAsk {
    DialAsk {
        from: "rooms.ours.example".into(),
        to: "peer.example".into(),
        skip: Vec::new(),
        demand: Demand::default(),
        place: None,
        deadline: clock_now() + within,
    }
}

fn clock_now() -> Instant {
    Clock::system().now()
}

async fn dial(dialer: &PeerDialer) -> Result<Dialled, Unreached> {
    soon(dialer.dial(ask(Duration::from_secs(8)))).await
}

fn at(port: u16, is_direct: bool) -> Table {
    Table::default()
        .srv("peer.example", &[("host.example", port, is_direct)])
        .ip("host.example", "127.0.0.1")
}

async fn say(wire: &mut Box<dyn Wire>, text: &str) {
    let mut out = Outbox::default();
    out.text.push_str(text);
    soon(poll_fn(|cx| wire.poll_write(cx, &mut out))).await.unwrap();
}

/// What comes, until there is as much as in `expected`.
async fn hear(wire: &mut Box<dyn Wire>, expected: &str) {
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        soon(poll_fn(|cx| {
            wire.poll_read(cx, &mut |input| match input {
                Input::Bytes(bytes) => heard.extend_from_slice(bytes),
                input => panic!("{input:?}"),
            })
        }))
        .await;
    }
    assert_eq!(String::from_utf8_lossy(&heard), expected);
}

/// XEP-0368 §3: ALPN `xmpp-server`, SNI of the domain; both sides see the other's certificate.
#[tokio::test]
async fn direct_tls_shows_both_certificates() {
    let world = World::new();
    // The port is one for clients: ALPN makes it one for servers.
    for kind in [Kind::ServerTls, Kind::XmppTls, Kind::Https] {
        let mut peer = world.serve(kind).await;
        let dialled = dial(&world.dialer(at(peer.port(), true))).await;
        let Dialled { mut wire, security, place } = dialled.ok().unwrap();
        assert_eq!((wire.transport(), place.transport), (Transport::ServerTls, wire.transport()));
        assert_eq!((&*place.host, place.found_by), ("host.example", FoundBy::SrvTls));
        assert_eq!(security.peer_trust, Some(PeerTrust::Certificate));
        assert_eq!(security.peer_chain, world.peer_chain);
        assert_eq!(security.tls_version, Some(0x0304));
        assert!(security.cipher.as_deref().unwrap().starts_with("TLS_"), "{security:?}");
        let (mut arrival, theirs) = peer.arrival().await;
        assert_eq!(arrival.transport(), Transport::ServerTls);
        assert_eq!(theirs.cipher, security.cipher);
        assert_eq!((theirs.peer_chain.len(), theirs.peer_certificate), (1, None));
        // Ours, although it is not for rooms.ours.example: the nearest that there is.
        let judged = world.dialer(Table::default());
        assert_eq!(judged.judge(theirs.peer_chain.clone(), "ours.example".into()).await, Ok(()));
        let words = judged.judge(theirs.peer_chain, "rooms.ours.example".into()).await.unwrap_err();
        assert_eq!(
            &*words,
            "The certificate of rooms.ours.example is for ours.example, not for \
             rooms.ours.example."
        );
        say(&mut wire, "<stream:stream>").await;
        hear(&mut arrival, "<stream:stream>").await;
        say(&mut arrival, "<stream:features/>").await;
        hear(&mut wire, "<stream:features/>").await;
    }
}

/// STARTTLS on both ends: the wire is upgraded where it stands.
#[tokio::test]
async fn starttls_shows_both_certificates() {
    let world = World::new();
    let mut peer = world.serve(Kind::Server).await;
    let dialled = dial(&world.dialer(at(peer.port(), false))).await.ok().unwrap();
    let (mut wire, place) = (dialled.wire, dialled.place);
    assert!(!dialled.security.tls);
    assert_eq!((wire.transport(), place.found_by), (Transport::ServerTcp, FoundBy::Srv));
    let (mut arrival, security) = peer.arrival().await;
    assert!(!security.tls);
    say(&mut wire, "<starttls/>").await;
    hear(&mut arrival, "<starttls/>").await;
    say(&mut arrival, "<proceed/>").await;
    hear(&mut wire, "<proceed/>").await;
    let both = async { tokio::join!(wire.upgrade(), arrival.upgrade()) };
    let (ours, theirs) = soon(Box::pin(both)).await;
    let ((mut wire, security), (mut arrival, theirs)) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(security.peer_trust, Some(PeerTrust::Certificate));
    assert_eq!(wire.transport(), Transport::ServerStartTls);
    assert_eq!(arrival.transport(), Transport::ServerStartTls);
    assert_eq!((theirs.peer_chain.len(), theirs.peer_trust), (1, None));
    say(&mut wire, "<stream:stream>").await;
    hear(&mut arrival, "<stream:stream>").await;
}

/// What is wrong with a certificate is said, and is the stream's business where dialback is
/// allowed, and the end where it is not.
#[tokio::test]
async fn a_certificate_that_proves_nothing_is_told_of() {
    for (world, words) in [
        (
            World::with("peer.example", |_, params| Issued::itself(params)),
            "The certificate of peer.example is self-signed.",
        ),
        (
            World::with("other.example", |root, params| root.issue(params)),
            "The certificate of peer.example is for other.example, not for peer.example.",
        ),
    ] {
        let peer = world.serve(Kind::ServerTls).await;
        let dialer = world.dialer(at(peer.port(), true));
        let security = dial(&dialer).await.ok().unwrap().security;
        assert_eq!(security.peer_trust, Some(PeerTrust::Untrusted(words.into())));
        let mut strict = ask(Duration::from_secs(8));
        strict.demand.certificate_required = true;
        let unreached = soon(dialer.dial(strict)).await.err().unwrap();
        assert_eq!((unreached.kind, &*unreached.words), (UnreachedKind::Untrusted, words));
        assert_eq!(unreached.tried.len(), 1);
    }
    let late = authority("Root", now).issue(&with(&["peer.example"], past));
    let world = World::new();
    let judged = world.dialer(Table::default()).judge(late.chain, "peer.example".into()).await;
    let words = judged.unwrap_err();
    assert!(words.starts_with("The certificate of peer.example expired on "), "{words}");
}

/// DANE (RFC 7673): a self-signed certificate that signed DNS names is as good as any, and one
/// that it does not name is worse than any.
#[tokio::test]
async fn signed_names_decide() {
    let world = World::with("host.example", |_, params| Issued::itself(params));
    let record = |der: &[u8]| Tlsa {
        usage: 3,
        selector: 0,
        matching: 1,
        data: digest(&SHA256, der).as_ref().to_vec(),
    };
    let peer = world.serve(Kind::ServerTls).await;
    let port = peer.port();
    let good = at(port, true).tlsa("host.example", port, record(&world.peer_chain[0]));
    let dialled = dial(&world.dialer(good.clone().signed())).await.ok().unwrap();
    assert_eq!(dialled.security.peer_trust, Some(PeerTrust::Dane));
    assert!(dialled.place.is_signed);
    let judged = world.dialer(good.clone().signed());
    let chain = || world.peer_chain.clone();
    assert_eq!(judged.judge(chain(), "peer.example".into()).await, Ok(()), "as a caller, too");
    let dialled = dial(&world.dialer(good)).await.ok().unwrap();
    let trust = dialled.security.peer_trust;
    assert!(matches!(trust, Some(PeerTrust::Untrusted(_))), "not signed: {trust:?}");

    let world = World::new();
    let peer = world.serve(Kind::ServerTls).await;
    let bad = at(peer.port(), true).tlsa("host.example", peer.port(), record(b"another"));
    let unreached = dial(&world.dialer(bad.signed())).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Untrusted);
    assert_eq!(
        &*unreached.words,
        "The certificate of peer.example is not the one that the signed DNS records (TLSA) of \
         peer.example name."
    );
    let starttls = world.serve(Kind::Server).await;
    let port = starttls.port();
    let bad = at(port, false).tlsa("host.example", port, record(b"another")).signed();
    let wire = dial(&world.dialer(bad)).await.ok().unwrap().wire;
    let (_, arrival) = (starttls.listening.addresses(), starttls.arrivals);
    let mut arrivals = arrival;
    let arrival = soon(arrivals.recv()).await.unwrap().0;
    let both = async { tokio::join!(wire.upgrade(), arrival.upgrade()) };
    let error = soon(Box::pin(both)).await.0.err().unwrap().to_string();
    assert!(error.contains("signed DNS records (TLSA)"), "{error}");
}

#[tokio::test]
async fn a_domain_may_name_its_certificate_over_https() {
    let world = World::with("host.example", |_, params| Issued::itself(params));
    let peer = world.serve(Kind::ServerTls).await;
    let sha256 = digest(&SHA256, &world.peer_chain[0]).as_ref().try_into().ok();
    let posh = Posh { fingerprints: vec![Fingerprint { sha256, sha512: None }] };
    let dialer = world.dialer(at(peer.port(), true).posh("peer.example", posh));
    let security = dial(&dialer).await.ok().unwrap().security;
    assert_eq!(security.peer_trust, Some(PeerTrust::Posh));
    let judged = dialer.judge(world.peer_chain.clone(), "peer.example".into()).await;
    assert_eq!(judged, Ok(()));
}

/// `[[peer]]`: no names are asked for the service, and machines of the local network are fine.
#[tokio::test]
async fn the_operators_address_is_dialled() {
    let world = World::new();
    let mut peer = world.serve(Kind::ServerTls).await;
    for host in ["127.0.0.1", "localhost"] {
        let mut ask = ask(Duration::from_secs(8));
        let (host, port) = (host.into(), peer.port());
        ask.place = Some(PeerPlace { host, port, direct_tls: true });
        let dialled = soon(world.dialer(Table::default()).dial(ask)).await.ok().unwrap();
        assert_eq!(dialled.place.found_by, FoundBy::Configured);
        assert_eq!(dialled.security.peer_trust, Some(PeerTrust::Certificate));
        peer.arrival().await;
    }
}

#[tokio::test]
async fn a_survey_visits_every_place() {
    let world = World::new();
    let peer = world.serve(Kind::ServerTls).await;
    let place = PeerPlace { host: "127.0.0.1".into(), port: peer.port(), direct_tls: true };
    for (table, place, steps) in
        [(at(peer.port(), true), None, 5..20), (Table::default(), Some(place), 2..3)]
    {
        let survey = soon(world.dialer(table).survey("peer.example".into(), place)).await;
        assert!(steps.contains(&survey.steps.len()), "{survey:?}");
        let visit = survey.steps.last().unwrap();
        assert!(visit.what.contains(&format!("127.0.0.1:{}", peer.port())), "{visit:?}");
        assert_eq!(visit.verdict, Verdict::Good, "{visit:?}");
        assert!(visit.found.contains("its certificate is valid"), "{visit:?}");
    }
}
