//! Servers that refuse, wait, dribble or hang up, and names that lead nowhere.

use super::*;

/// A port on loopback that does with each connection what `act` says.
async fn misbehaving<F, T>(act: F) -> u16
where
    F: Fn(TcpStream) -> T + Send + 'static,
    T: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    Clock::system().spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            Clock::system().spawn(act(socket));
        }
    });
    port
}

fn quick() -> Limits {
    Limits { handshake_seconds: 1, peer_connect_seconds: 1, ..Limits::default() }
}

#[tokio::test]
async fn who_says_nothing_is_not_waited_for() {
    let world = World::new();
    let port = misbehaving(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let unreached = dial(&world.dialer_with(at(port, true), &quick())).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Timeout);
    assert_eq!(
        &*unreached.words,
        &format!(
            "The server of peer.example cannot be reached: host.example (127.0.0.1:{port}): it \
             did not finish the TLS handshake in time."
        )
    );
    // The kernel's own deadline is kept as well.
    let dialer = world.dialer(at(port, true));
    let unreached = soon(dialer.dial(ask(Duration::from_millis(100)))).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Timeout);
}

#[tokio::test]
async fn who_answers_byte_by_byte_is_not_waited_for_either() {
    let world = World::new();
    let port = misbehaving(|mut socket| async move {
        // A record of TLS that never becomes whole.
        let record = [&[22, 3, 3, 0x40, 0][..], &[0; 0x4000]].concat();
        for byte in record {
            if socket.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let unreached = dial(&world.dialer_with(at(port, true), &quick())).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Timeout, "{}", unreached.words);
}

#[tokio::test]
async fn who_hangs_up_or_speaks_something_else_is_told_of() {
    let world = World::new();
    let reset = misbehaving(|socket| async move {
        let _ = socket.set_zero_linger();
    })
    .await;
    let hangs_up = misbehaving(|mut socket| async move {
        let mut hello = [0; 64];
        let _ = socket.read(&mut hello).await;
    })
    .await;
    let no_tls = misbehaving(|mut socket| async move {
        let mut hello = [0; 4096];
        let _ = socket.read(&mut hello).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = socket.read(&mut hello).await;
    })
    .await;
    for (port, word) in [(reset, "closed the connection"), (hangs_up, ""), (no_tls, "TLS failed")] {
        let unreached = dial(&world.dialer(at(port, true))).await.err().unwrap();
        assert!(unreached.words.contains(word), "{}", unreached.words);
        assert_eq!(unreached.tried.len(), 1);
        assert!(unreached.advice.is_some());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let unreached = dial(&world.dialer(at(port, true))).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::Refused);
    assert!(unreached.words.ends_with("it refuses connections."), "{}", unreached.words);
}

/// RFC 8305: whoever is silent delays the next by a quarter of a second, and whoever fails by
/// nothing; XEP-0495: the next priority waits until all of the first have failed.
#[tokio::test]
async fn the_first_place_that_works_is_taken() {
    let world = World::new();
    let silent = misbehaving(|socket| async move {
        let _socket = socket;
        std::future::pending::<()>().await;
    })
    .await;
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut peer = world.serve(Kind::ServerTls).await;
    let table = Table::default()
        .srv_at("peer.example", (1, "nowhere.example", 1, true))
        .srv_at("peer.example", (2, "host.example", silent, true))
        .srv_at("peer.example", (2, "host.example", closed, true))
        .srv_at("peer.example", (3, "host.example", peer.port(), true))
        .ip("host.example", "127.0.0.1")
        .ip("host.example", "::1");
    let dialer = world.dialer_with(table, &quick());
    let dialled = dial(&dialer).await.ok().unwrap();
    assert_eq!(dialled.place.address.port(), peer.port());
    peer.arrival().await;

    let table = Table::default()
        .srv("peer.example", &[("host.example", silent, true), ("host.example", peer.port(), true)])
        .ip("host.example", "127.0.0.1");
    let began = clock_now();
    let dialled = dial(&world.dialer(table)).await.ok().unwrap();
    assert_eq!(dialled.place.address.port(), peer.port());
    assert!(clock_now() - began < Duration::from_secs(5), "nobody waited for the silent one");
}

#[tokio::test]
async fn what_was_tried_is_not_tried_again() {
    let world = World::new();
    let peer = world.serve(Kind::Server).await;
    let dialer = world.dialer(at(peer.port(), false));
    let mut again = ask(Duration::from_secs(8));
    again.skip = vec![dial(&dialer).await.ok().unwrap().place.address];
    let unreached = soon(dialer.dial(again)).await.err().unwrap();
    assert_eq!((unreached.kind, unreached.tried.len()), (UnreachedKind::Exhausted, 0));
    let many: Vec<_> = (1..20).map(|port| ("host.example", port, true)).collect();
    let table = Table::default().srv("peer.example", &many).ip("host.example", "127.0.0.1");
    let limits = Limits { peer_tries_max: 3, ..Limits::default() };
    let unreached = dial(&world.dialer_with(table, &limits)).await.err().unwrap();
    assert_eq!(unreached.tried.len(), 3, "and no more");
}

#[tokio::test]
async fn names_that_lead_nowhere_are_told_of() {
    let world = World::new();
    for (trouble, kind) in [
        (NameTrouble::NoSuchName("peer.example".into()), UnreachedKind::NoSuchDomain),
        (NameTrouble::Bogus("peer.example".into()), UnreachedKind::Bogus),
        (NameTrouble::NoAnswer("peer.example".into()), UnreachedKind::NoAnswer),
    ] {
        let words = trouble.to_string();
        let mut table = Table::default().trouble("peer.example", trouble.clone());
        for service in ["_xmpp-server._tcp", "_xmpps-server._tcp"] {
            table = table.trouble(&format!("{service}.peer.example"), trouble.clone());
        }
        let unreached = dial(&world.dialer(table)).await.err().unwrap();
        assert_eq!((unreached.kind, unreached.words.to_string()), (kind, words));
    }
    let declined = Table::default().srv("peer.example", &[(".", 0, false), (".", 0, true)]);
    let unreached = dial(&world.dialer(declined)).await.err().unwrap();
    assert_eq!(unreached.kind, UnreachedKind::NotXmpp);
}
