//! Nobody elsewhere speaks for a name that is ours, whenever it became that.

use waxwing_kernel::PeerLimits;
use waxwing_kernel::component::Component;
use waxwing_kernel::config::{Config, Source};
use waxwing_store::Location;
use waxwing_testkit::client::Client;
use waxwing_testkit::{Plan, World};

use super::border::{Two, plan, two};
use super::{Outcome, appear, bound, messages};

/// Juliet says something to Romeo; gives what has come by then.
async fn hears(two: &Two, (juliet, romeo): (&mut Client, &mut Client), id: &str) -> Heard {
    let body = "<body>Ay me!</body>";
    let to = "romeo@localhost/desk";
    juliet.send(&format!("<message type='chat' to='{to}' id='{id}'>{body}</message>")).await?;
    two.there.settle().await?;
    two.pass(6).await?;
    messages(&two.here, romeo).await
}

type Heard = Result<Vec<String>, String>;

pub(super) fn component(domain: &str) -> Result<Component, String> {
    let secret = "as long as it may be";
    let host = "[[host]]\ndomain = 'localhost'\n";
    let text = format!("{host}[[component]]\ndomain = '{domain}'\nsecret = '{secret}'\n");
    let config = Config::read(Source { name: "set", text: &text }, &[]);
    let config = config.map_err(|errors| format!("{errors:?}"))?;
    Component::new(&config.components[0], secret)
}

/// The stream was proven while the domain was another server's.
#[tokio::test]
async fn who_spoke_for_a_domain_that_becomes_ours_is_let_go() -> Outcome {
    let two = two(PeerLimits::default()).await?;
    let mut juliet = two.juliet().await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    assert_eq!(hears(&two, (&mut juliet, &mut romeo), "j1").await?, ["j1"]);
    two.here.hub().declare_components(vec![component("capulet.example")?]);
    assert_eq!(hears(&two, (&mut juliet, &mut romeo), "j2").await?, [""; 0]);
    assert_eq!(two.roads.count("localhost", "capulet.example"), 0);
    Ok(())
}

/// Streams that take stanzas of ours as well (XEP-0288) spare calls; nobody has to go without a
/// link for them.
#[tokio::test]
async fn who_has_many_names_leaves_room_for_what_people_here_say() -> Outcome {
    let two = two(PeerLimits { links: 2, ..PeerLimits::default() }).await?;
    let mut romeo = bound(&two.here, "romeo").await?;
    let clock = two.here.hub().clock().clone();
    let plan = Plan { clock, ..plan(&two.roads, Location::Memory, PeerLimits::default()) };
    let mut others = Vec::new();
    for domain in ["escalus.example", "mantua.example", "padua.example"] {
        let (world, name) = (World::start(plan.elsewhere(domain)).await?, format!("x@{domain}"));
        world.add_account(&name).await?;
        let mut client = bound(&world, &name).await?;
        appear(&world, &mut client).await?;
        client.inbox().clear();
        others.push((world, client));
    }
    for (world, client) in &mut others[..2] {
        client.send("<message to='romeo@localhost/desk' id='x'><body>Hi</body></message>").await?;
        world.settle().await?;
        assert_eq!(messages(&two.here, &mut romeo).await?, ["x"]);
    }
    romeo.send("<message to='x@padua.example/desk' id='r'><body>Hi</body></message>").await?;
    let (padua, client) = &mut others[2];
    assert_eq!(messages(padua, client).await?, ["r"]);
    Ok(())
}
