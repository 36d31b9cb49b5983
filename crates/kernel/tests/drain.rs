//! The end of a server: told to some sessions at a time.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use waxwing_jid::Jid;
use waxwing_kernel::clock::Clock;
use waxwing_kernel::directory::{Flags, Resource};
use waxwing_kernel::mailbox::Mailbox;
use waxwing_kernel::metrics::Metrics;
use waxwing_kernel::wire::Transport;
use waxwing_kernel::{Hub, Limits};
use waxwing_store::{Db, Location};

const MANY: usize = 1_000;

fn session(number: usize, is_live: bool) -> Resource {
    Resource {
        jid: Jid::new(&format!("user{number}@localhost/x")).expect("an address"),
        mailbox: Mailbox::new(1),
        presence: None,
        priority: 0,
        flags: Flags::default(),
        is_live,
        transport: Transport::Memory,
        since_millis: 0,
        client: None,
        interests: None,
    }
}

#[tokio::test]
async fn many_sessions_are_told_one_after_the_other() {
    let clock = Clock::simulated(0, 1);
    let db = Db::open(&Location::Memory, waxwing_store::Limits::default()).await.unwrap();
    let metrics = Arc::new(Metrics::new("0", "test"));
    let hub = Hub::new(db, clock.clone(), Limits::default(), metrics);
    let live: Vec<Resource> = (0..MANY).map(|number| session(number, true)).collect();
    let waiting = session(MANY, false);
    for resource in live.iter().chain([&waiting]) {
        hub.directory().bind(resource.clone(), 1).unwrap();
    }
    let told = || live.iter().filter(|session| !session.mailbox.is_empty()).count();
    let mut drain = pin!(hub.drain(Duration::from_secs(4), None));
    let mut context = Context::from_waker(Waker::noop());
    let mut heard = Vec::new();
    // Half of four seconds.
    for _ in 0..100 {
        if drain.as_mut().poll(&mut context).is_ready() {
            break;
        }
        heard.push(told());
        clock.advance(Duration::from_millis(20));
    }
    assert!(!waiting.mailbox.is_empty());
    assert_eq!(heard[..3], [20, 40, 60]);
    assert_eq!(told(), MANY);
}
