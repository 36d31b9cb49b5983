//! Domains whose accounts are known to others: what does not start, what is offered, and who makes
//! accounts there.

use std::sync::Arc;

use waxwing_jid::BareJid;
use waxwing_kernel::config::{Config, Source};
use waxwing_kernel::{Site, Sites};
use waxwing_modules::MODULES;

use crate::world::World;

/// The site of a configuration, or why it does not start.
async fn start(text: &str) -> (World, Result<Site, String>) {
    let world = World::new().await;
    let sections: Vec<_> = MODULES.iter().map(|mount| &mount.section).collect();
    let config = Config::read(Source { name: "test", text }, &sections).unwrap();
    let jid = BareJid::new(config.hosts[0].config.domain.as_str()).unwrap();
    let site = Site::start(&world.hub, &jid, &config.hosts[0], MODULES);
    (world, site.map_err(|error| error.to_string()))
}

const ELSEWHERE: &str = "[[host]]\ndomain = 'localhost'\ninternal_passwords = false\n";

#[tokio::test]
async fn what_lacks_its_half_does_not_start() {
    for (settings, why) in [
        ("[modules.jwt]\nenabled = true", "module jwt: it needs `keys_url`"),
        ("[modules.jwt]\nenabled = true\nsecret = 'short'", "32 bytes"),
        ("[modules.jwt]\nenabled = true\nkey_file = '/nowhere/key.pem'", "cannot be read"),
        ("[modules.ldap]\nenabled = true", "module ldap: it needs `url`"),
        ("[modules.ldap]\nenabled = true\nurl = 'ldaps://ldap.example'", "it needs `dn`"),
        ("[modules.authhook]\nenabled = true", "module authhook: it needs `url`"),
        ("[modules.register]\nopen = true", "module register: accounts of this domain"),
    ] {
        let (_, site) = start(&format!("{settings}\n{ELSEWHERE}")).await;
        let refusal = site.err().unwrap();
        assert!(refusal.contains(why), "{refusal}");
    }
}

#[tokio::test]
async fn who_is_asked_decides_what_is_offered() {
    let hook = "[modules.authhook]\nenabled = true\nurl = 'https://auth.example/'\n";
    let jwt = "[modules.jwt]\nenabled = true\nsecret = 'what light through yonder window'\n";
    let as_password = format!("{jwt}as_password = true\n");
    let here = "[[host]]\ndomain = 'localhost'\n";
    for (text, scram, plain, bearer) in [
        (here.to_owned(), true, true, false),
        (format!("{hook}{here}"), false, true, false),
        (format!("{jwt}{here}"), true, true, true),
        (format!("{as_password}{here}"), true, true, true),
        (format!("{hook}{jwt}{here}"), false, true, true),
        (ELSEWHERE.to_owned(), false, false, false),
        (format!("{hook}{ELSEWHERE}"), false, true, false),
        (format!("{jwt}{ELSEWHERE}"), false, false, true),
        (format!("{as_password}{ELSEWHERE}"), false, true, true),
    ] {
        let (_, site) = start(&text).await;
        let site = site.unwrap();
        let offered = site.mechanisms();
        assert_eq!(
            (offered.scram_sha_256, offered.plain, site.bearer().is_some()),
            (scram, plain, bearer),
            "{text}"
        );
        assert_eq!((offered.scram_sha_1, offered.scram_sha_512), (scram, scram), "{text}");
    }
}

#[tokio::test]
async fn nobody_makes_accounts_where_none_is_kept() {
    let text = format!("[modules.register]\ninvites = 'everybody'\n{ELSEWHERE}");
    let (mut world, site) = start(&text).await;
    world.site = Arc::new(site.unwrap());
    assert!(!world.site.has_early_routes(), "registration is not offered");
    world.hub.serve(Sites::new(vec![Arc::clone(&world.site)]));
    let password = ("password", "a plague on both");
    for (words, values) in [
        ("user add", vec![("accountjid", "mercutio@localhost"), password]),
        ("user passwd", vec![("accountjid", "romeo@localhost"), password]),
        ("invite account", vec![]),
    ] {
        let refused = world.order(words, &values).await.unwrap_err();
        assert_eq!(refused.kind.condition(), "not-allowed", "{words}: {refused}");
    }
}
