//! What the operator declares about the server, as clients are shown it.

use waxwing_kernel::config::{Config, Source};
use waxwing_modules::MODULES;

use crate::world::World;

const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

async fn info(settings: &str) -> String {
    let world = World::with(settings).await;
    world.bind("romeo@localhost/orchard").await.ask("get", INFO).await
}

/// XEP-0455 §2.1
#[tokio::test]
async fn the_address_of_the_status_is_shown_when_it_is_set() {
    let info = info("[modules.outage]\naddresses = ['https://status.example.org/a.json']").await;
    let form = "<x xmlns='jabber:x:data' type='result'>\
                <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:sos:0</value></field>\
                <field var='external-status-addresses' type='list-multi'>\
                <value>https://status.example.org/a.json</value></field></x>";
    assert!(info.contains(form), "{info}");
}

/// XEP-0504 §3: "the implementation MUST return a data form".
#[tokio::test]
async fn the_data_policy_is_shown_when_it_is_set() {
    let info = info("[modules.policy]\ndata_retention = '720'\nfull_erasure = true").await;
    let form = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:data-policy:0</value>\
                </field><field var='data_retention' type='text-single'><value>720</value></field>\
                <field var='full_erasure' type='boolean'><value>true</value></field></x>";
    assert!(info.contains(form), "{info}");
}

#[tokio::test]
async fn nothing_is_declared_unasked() {
    assert!(!info("").await.contains("jabber:x:data"));
}

#[tokio::test]
async fn the_file_about_an_outage_says_where_it_belongs() {
    let world = World::with("modules.outage.addresses = ['https://s.example.org/a.json']").await;
    let values = [("beginning", "2026-02-01T03:00:00Z"), ("unplanned", "true")];
    let said = world.order("server outage", &values).await.unwrap();
    assert_eq!(said.facts[0].values, [r#"{"beginning":"2026-02-01T03:00:00Z","planned":false}"#]);
    assert!(said.note.contains("https://s.example.org/a.json"), "{}", said.note);
    let early = [("beginning", "2026-02-01T03:00:00Z"), ("expected_end", "2026-02-01T03:00:00Z")];
    let refusal = world.order("server outage", &early).await.unwrap_err();
    assert_eq!(refusal.field, Some("expected_end"));
}

/// A component there would get what is for the service, and disco would go on naming the service.
#[tokio::test]
async fn no_component_is_declared_where_the_server_itself_answers() {
    let sections: Vec<_> = MODULES.iter().map(|mount| &mount.section).collect();
    let read = |text: &str| Config::read(Source { name: "test", text }, &sections);
    let items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    let items = World::new().await.bind("romeo@localhost/orchard").await.ask("get", items).await;
    let mut own: Vec<&str> = items.split("jid='").skip(1).collect();
    own.iter_mut().for_each(|item| *item = item.split('\'').next().unwrap());
    let all = ["pubsub.localhost", "push.localhost", "rooms.localhost", "upload.localhost"];
    assert_eq!(own, all);
    for domain in own {
        let module = domain.split('.').next().unwrap();
        let component = format!("[[component]]\ndomain = '{domain}'\nsecret = 'x'\n");
        let errors = read(&component).unwrap_err();
        assert_eq!((errors[0].place.line, errors[0].key.as_str()), (2, "component.domain"));
        let hint = errors[0].hint.as_deref().unwrap();
        assert!(hint.contains(&format!("[modules.{module}]")), "{hint}");
        let off = format!("{component}[modules.{module}]\nenabled = false\n");
        assert!(read(&off).is_ok(), "{:?}", read(&off).err());
    }
}
