//! What the server says it can do.

use crate::world::{World, attribute};

const INFO: &str = "http://jabber.org/protocol/disco#info";

#[tokio::test]
async fn the_hash_leads_to_what_disco_answers() {
    let world = World::new().await;
    let features = world.site.stream_features();
    let caps = features.iter().find(|feature| feature.starts_with("<c ")).unwrap();
    let node = format!("{}#{}", attribute(caps, "node"), attribute(caps, "ver"));
    let romeo = world.bind("romeo@localhost/orchard").await;
    let plain = romeo.ask("get", &format!("<query xmlns='{INFO}'/>")).await;
    let hashed = romeo.ask("get", &format!("<query xmlns='{INFO}' node='{node}'/>")).await;
    assert!(plain.contains("<identity category='server' type='im' name='Waxwing'/>"), "{plain}");
    assert_eq!(hashed.replace(&format!(" node='{node}'"), ""), plain);
}

/// XEP-0157 §2, in a form as XEP-0128 has it.
#[tokio::test]
async fn contact_addresses_are_shown_and_hashed_when_they_are_set() {
    let settings = "[modules.contact]\nabuse = ['mailto:abuse@example.org']";
    let (world, without) = (World::with(settings).await, World::new().await);
    assert_ne!(world.site.stream_features(), without.site.stream_features());
    let romeo = world.bind("romeo@localhost/orchard").await;
    let info = romeo.ask("get", &format!("<query xmlns='{INFO}'/>")).await;
    let field = "<value>mailto:abuse@example.org</value></field></x></query>";
    assert!(info.ends_with(field), "{info}");
    let romeo = without.bind("romeo@localhost/orchard").await;
    let info = romeo.ask("get", &format!("<query xmlns='{INFO}'/>")).await;
    assert!(!info.contains("jabber:x:data"), "{info}");
}

/// XEP-0485 §8: "When a service supports both features, the data in both forms SHOULD be merged
/// into one form."
#[tokio::test]
async fn forms_of_the_same_type_are_one_form() {
    let settings = "[modules.contact]\nabuse = ['mailto:abuse@example.org']\n\
                    [modules.serverinfo]\nenabled = true";
    let world = World::with(settings).await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let info = romeo.ask("get", &format!("<query xmlns='{INFO}'/>")).await;
    assert_eq!(info.matches("<value>http://jabber.org/network/serverinfo</value>").count(), 1);
    for part in ["mailto:abuse@example.org", "xmpp:pubsub.localhost?;node=serverinfo"] {
        assert!(info.contains(&format!("<value>{part}</value>")), "{info}");
    }
    assert!(info.contains("<feature var='urn:xmpp:serverinfo:0'/>"), "{info}");
}

#[tokio::test]
async fn the_history_of_nodes_is_shown_where_somebody_reads_it() {
    for (settings, is_shown) in [("", true), ("[modules.archive]\nenabled = false", false)] {
        let world = World::with(settings).await;
        let romeo = world.bind("romeo@localhost/orchard").await;
        let info = format!("<query xmlns='{INFO}'/>");
        let info = romeo.ask_at("pubsub.localhost", "get", &info).await;
        assert!(info.contains("<feature var='urn:xmpp:pubsub-attachments:1'/>"), "{info}");
        assert_eq!(info.contains("<feature var='urn:xmpp:mam:2'/>"), is_shown, "{info}");
    }
}

#[tokio::test]
async fn a_module_that_is_off_is_not_shown() {
    let world = World::with("[modules.time]\nenabled = false").await;
    let romeo = world.bind("romeo@localhost/orchard").await;
    let info = romeo.ask("get", &format!("<query xmlns='{INFO}'/>")).await;
    assert!(info.contains("jabber:iq:version") && !info.contains("urn:xmpp:time"), "{info}");
}
