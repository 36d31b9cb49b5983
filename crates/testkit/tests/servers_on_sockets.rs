//! Two servers on real sockets, from a person on one to a person on the other: every way that one
//! server may reach another, and how each then knows who it is.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::config::{Config, Source};
use waxwing_kernel::links::dial::FoundBy;
use waxwing_kernel::links::ledger::{Proof, Transport};
use waxwing_kernel::links::policy::Rules;
use waxwing_kernel::{Hub, links};
use waxwing_modules::MODULES;
use waxwing_net::http::{SERVER_WEBSOCKET_PATH, Site};
use waxwing_net::names::{Meta, Names, Table, Target, Way};
use waxwing_net::{
    Kind, Limits, Listener, Listening, Net, PeerDialer, PeerOptions, Tls, TlsOptions,
};
use waxwing_stream::Framing;
use waxwing_testkit::client::Client;
use waxwing_testkit::script::Name;
use waxwing_testkit::{Plan, Way as ClientWay, World};

const DOMAINS: [&str; 2] = ["one.example", "two.example"];

/// A server that has a port for others.
struct Server {
    world: World,
    domain: &'static str,
    tls: Arc<Tls>,
    listening: Listening,
}

impl Server {
    async fn start(domain: &'static str, kind: Kind, folder: &Path) -> Result<Self, String> {
        let plan = Plan {
            clock: Clock::system(),
            domains: vec![domain.to_owned()],
            ..Plan::in_memory(MODULES)
        };
        let world = World::start(plan).await?;
        world.add_account(&format!("juliet@{domain}")).await?;
        let config = Config::read(Source { name: "set", text: "" }, &[]);
        let config = config.map_err(|errors| format!("{errors:?}"))?;
        world.hub().policy().set(Rules::new(&config.federation, &[], true));
        let options = TlsOptions {
            domains: vec![domain.to_owned()],
            folder: folder.to_owned(),
            ..TlsOptions::default()
        };
        let tls = Tls::open(options).map_err(|error| error.to_string())?;
        let listening = listen(world.hub(), &tls, kind).await?;
        Ok(Self { world, domain, tls, listening })
    }

    fn port(&self) -> u16 {
        self.listening.addresses()[0].1.port()
    }

    /// Calls others where `table` says, and trusts the certificate in `authority`.
    fn knows(&self, table: Table, authority: &Path) -> Result<(), String> {
        let hub = self.world.hub();
        let options = PeerOptions { authorities: Some(authority.to_owned()) };
        let (names, limits) = (Names::table(table), Limits::default());
        let clock = hub.clock().clone();
        let dialer = PeerDialer::new(&options, self.tls.clone(), names, &limits, clock);
        hub.dial_with(Arc::new(dialer.map_err(|error| error.to_string())?));
        Ok(())
    }

    async fn person(&self) -> Result<Client, String> {
        let link = self.world.connect(ClientWay::Memory(Framing::Tcp), self.domain).await?;
        let name = Name::parse(&format!("juliet@{}", self.domain)).ok_or("no name")?;
        let mut client = Box::pin(Client::connect(name, link)).await?;
        client.sign_in().await?;
        client.bind().await?;
        client.send("<presence/>").await?;
        Ok(client)
    }
}

async fn listen(hub: &Hub, tls: &Arc<Tls>, kind: Kind) -> Result<Listening, String> {
    let entered = hub.clone();
    let entry = move |wire, security| links::accept_server(&entered, wire, security);
    let server_websocket_paths = vec![SERVER_WEBSOCKET_PATH.to_owned()];
    let site = Site { server_websocket_paths, ..Site::default() };
    let clock = hub.clock().clone();
    let net = Net::new(Limits::default(), Some(tls.clone()), site, Arc::new(entry), clock);
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listening = net.listen(&[Listener::new(loopback, kind)]).await;
    listening.map_err(|error| error.to_string())
}

/// Where the server of `domain` is, as DNS or its host-meta tells.
fn names(table: Table, domain: &str, port: u16, kind: Kind) -> Table {
    let host = format!("xmpp.{domain}");
    let table = table.ip(&host, "127.0.0.1");
    match kind {
        Kind::Server => table.srv(domain, &[(&host, port, false)]),
        Kind::ServerTls => table.srv(domain, &[(&host, port, true)]),
        _ => {
            let meta = Meta { sni: domain.into(), ips: Vec::new(), pins: Vec::new() };
            let target = Target {
                host: host.into(),
                port,
                priority: 0,
                way: Way::WebSocket { path: SERVER_WEBSOCKET_PATH.into() },
                found_by: FoundBy::HostMeta,
                is_signed: false,
                meta: Some(Arc::new(meta)),
            };
            table.other(domain, target)
        }
    }
}

/// The text of the next message.
async fn told(client: &mut Client) -> Result<String, String> {
    loop {
        let node = client.next().await?.ok_or("the stream has ended")?;
        if let Some(body) = node.child("body", "jabber:client").filter(|_| node.name == "message") {
            return Ok(body.text.clone());
        }
    }
}

/// Two people talk over ports of this kind; how the links between their servers went, for each
/// server that was told of.
async fn talk(kind: Kind) -> Result<Vec<(Transport, Proof)>, String> {
    let folder = TempDir::new().map_err(|error| error.to_string())?;
    let mut servers = Vec::new();
    for domain in DOMAINS {
        servers.push(Box::pin(Server::start(domain, kind, folder.path())).await?);
    }
    let table = servers
        .iter()
        .fold(Table::default(), |table, server| names(table, server.domain, server.port(), kind));
    for (server, other) in servers.iter().zip(DOMAINS.iter().rev()) {
        server.knows(table.clone(), &folder.path().join(format!("{other}.pem")))?;
    }
    let mut one = servers[0].person().await?;
    let mut two = servers[1].person().await?;
    for text in ["Wherefore art thou?", "Here."] {
        let message = |to: &str| {
            format!("<message to='juliet@{to}' type='chat' id='m'><body>{text}</body></message>")
        };
        one.send(&message(DOMAINS[1])).await?;
        assert_eq!(told(&mut two).await?, text);
        two.send(&message(DOMAINS[0])).await?;
        assert_eq!(told(&mut one).await?, text);
    }
    let mut ways = Vec::new();
    for (server, other) in servers.iter().zip(DOMAINS.iter().rev()) {
        let record = server.world.hub().ledger().show(other).ok_or("nothing is known")?;
        ways.extend(record.ways.iter().map(|way| (way.transport, way.proof)));
    }
    for server in servers {
        server.listening.stop().await;
        server.world.stop().await?;
    }
    Ok(ways)
}

#[tokio::test]
async fn people_talk_over_starttls_and_direct_tls() -> Result<(), String> {
    for (kind, transport) in
        [(Kind::Server, Transport::StartTls), (Kind::ServerTls, Transport::DirectTls)]
    {
        let ways = Box::pin(talk(kind)).await?;
        assert!(!ways.is_empty());
        assert!(ways.iter().all(|way| *way == (transport, Proof::Certificate)), "{ways:?}");
    }
    Ok(())
}

/// XEP-0468. The port for browsers asks nobody for a certificate, so who calls there proves itself
/// by dialback, and is called back over a WebSocket as well.
#[tokio::test]
async fn people_talk_over_websockets() -> Result<(), String> {
    let ways = Box::pin(talk(Kind::Https)).await?;
    assert!(ways.iter().all(|(transport, _)| *transport == Transport::WebSocket), "{ways:?}");
    assert!(ways.iter().any(|(_, proof)| *proof == Proof::Certificate), "who is called: {ways:?}");
    assert!(ways.iter().any(|(_, proof)| *proof == Proof::Dialback), "who calls: {ways:?}");
    Ok(())
}
