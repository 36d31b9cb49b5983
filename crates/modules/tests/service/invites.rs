//! Invitations, from the command that makes them to the page that they lead to (XEP-0401).

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use waxwing_jid::BareJid;
use waxwing_kernel::command::{Caller, Said};
use waxwing_kernel::http::{
    Bytes, Content, HeaderMap, HttpReply, HttpRequest, Intake, Method, StatusCode, header,
};
use waxwing_kernel::presence::rules::Subscription;
use waxwing_kernel::request::Answer;

use crate::world::World;

/// A body in one piece.
struct Body(Option<Bytes>);

impl Intake for Body {
    fn length(&self) -> Option<u64> {
        None
    }

    fn next(&mut self) -> Answer<'_, Option<io::Result<Bytes>>> {
        Box::pin(async move { self.0.take().map(Ok) })
    }
}

async fn world(invites: &str) -> World {
    World::with(&format!("[modules.register]\ninvites = '{invites}'")).await
}

fn fact<'a>(said: &'a Said, var: &str) -> &'a str {
    &said.facts.iter().find(|fact| fact.var == var).unwrap().values[0]
}

fn token(said: &Said) -> String {
    let url = fact(said, "landing-url");
    url.strip_prefix("https://localhost/register/localhost/").unwrap().to_owned()
}

fn caller(jid: &str) -> Caller {
    Caller::Account(jid.parse().unwrap())
}

async fn visit(world: &World, method: Method, token: &str, body: &str) -> HttpReply {
    let mut routes = world.site.router.https();
    let (_, route) = routes.find(|(module, _)| *module == "register").unwrap();
    let request = HttpRequest {
        method,
        path: token.to_owned(),
        query: None,
        headers: HeaderMap::new(),
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        is_secure: true,
        body: Box::new(Body(Some(Bytes::copy_from_slice(body.as_bytes())))),
    };
    route(request).await
}

async fn see(world: &World, token: &str) -> (u16, String) {
    text(visit(world, Method::GET, token, "").await)
}

async fn send(world: &World, token: &str, body: &str) -> (u16, String) {
    text(visit(world, Method::POST, token, body).await)
}

fn text(reply: HttpReply) -> (u16, String) {
    let Content::Bytes(bytes) = reply.content else { panic!("a page is no file") };
    (reply.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
}

/// The invitations that somebody sees.
async fn open(world: &World, caller: &Caller) -> Vec<Vec<String>> {
    let said = world.order_as(caller.clone(), "invite list", &[]).await.unwrap();
    said.table.unwrap().rows
}

#[tokio::test]
async fn a_link_makes_one_account() {
    let world = world("admins").await;
    let said = world.order("invite account", &[]).await.unwrap();
    let token = token(&said);
    assert_eq!(fact(&said, "uri"), format!("xmpp:localhost?register;preauth={token}"));
    let (status, page) = see(&world, &token).await;
    assert_eq!(status, 200);
    assert!(page.contains("<form method=\"post\">") && page.contains("@localhost"), "{page}");
    for (body, reason) in [
        ("name=admin&password=long+enough", "reserved"),
        ("name=romeo&password=long+enough", "taken"),
        ("name=rorneo&password=long+enough", "looks like"),
        ("name=a%22%3Cb&password=long+enough", ""),
        ("name=nurse&password=short", "8 characters"),
        ("name=nurse", "8 characters"),
    ] {
        let (status, page) = send(&world, &token, body).await;
        assert_eq!(status, 422, "{body}");
        assert!(page.contains(reason) && !page.contains("\"<b"), "{body} {page}");
    }
    let (status, page) = send(&world, &token, "name=Nurse&password=long+enough").await;
    assert_eq!(status, 201, "{page}");
    assert!(page.contains("nurse@localhost"), "{page}");
    assert!(world.accounts().find("nurse@localhost").await.unwrap().is_some());
    let (status, _) = send(&world, &token, "name=peter&password=long+enough").await;
    assert_eq!((status, see(&world, &token).await.0), (404, 404));
    assert!(world.accounts().find("peter@localhost").await.unwrap().is_none());
}

#[tokio::test]
async fn the_page_keeps_to_itself() {
    let world = world("admins").await;
    let token = token(&world.order("invite account", &[]).await.unwrap());
    let reply = visit(&world, Method::GET, &token, "").await;
    let policy = reply.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("script"), "{policy}");
    assert_eq!(reply.headers[header::REFERRER_POLICY], "no-referrer");
    assert_eq!(reply.headers[header::CACHE_CONTROL], "no-store");
    let (_, page) = text(reply);
    assert!(!page.contains("src=") && !page.contains("<script"), "{page}");
    let reply = visit(&world, Method::DELETE, &token, "").await;
    assert_eq!(reply.status, StatusCode::METHOD_NOT_ALLOWED);
    let reply = visit(&world, Method::POST, &token, &"x".repeat(20_000)).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let reply = visit(&world, Method::POST, &token, "name=%zz").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_promised_name_waits_for_the_guest() {
    let world = world("admins").await;
    let nurse = [("username", "Nurse")];
    let said = world.order("invite account", &nurse).await.unwrap();
    let token = token(&said);
    assert_eq!(fact(&said, "uri"), format!("xmpp:nurse@localhost?register;preauth={token}"));
    let refusal = world.order("invite account", &nurse).await.unwrap_err();
    assert_eq!(refusal.field, Some("username"));
    let other = self::token(&world.order("invite account", &[]).await.unwrap());
    let (status, page) = send(&world, &other, "name=nurse&password=long+enough").await;
    assert!(status == 422 && page.contains("taken"), "{page}");
    let (status, page) = send(&world, &token, "name=peter&password=long+enough").await;
    assert!(status == 422 && page.contains("for the name nurse"), "{page}");
    assert!(see(&world, &token).await.1.contains("value=\"nurse\" readonly"));
    assert_eq!(send(&world, &token, "name=nurse&password=long+enough").await.0, 201);
}

#[tokio::test]
async fn inviter_and_guest_are_contacts_from_the_beginning() {
    let world = world("admins").await;
    let admin = world.bind("admin@localhost/pc").await;
    admin
        .say("<iq xmlns='jabber:client' type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>")
        .await;
    while admin.next().is_some() {}
    let befriend = [("roster-subscription", "1")];
    let said = world.order_as(caller("admin@localhost/pc"), "invite account", &befriend).await;
    let said = said.unwrap();
    let expected = format!("xmpp:localhost?register;preauth={}", token(&said));
    assert_eq!(fact(&said, "uri"), expected);
    let (status, page) = send(&world, &token(&said), "name=nurse&password=long+enough").await;
    assert!(status == 201 && page.contains("admin@localhost is among"), "{page}");
    for (owner, contact) in
        [("admin@localhost", "nurse@localhost"), ("nurse@localhost", "admin@localhost")]
    {
        let owner = world.hub.account(&BareJid::new(owner).unwrap()).await.unwrap().unwrap();
        let roster = owner.fact(world.site.roster);
        let contact = roster.contact(&BareJid::new(contact).unwrap()).unwrap().clone();
        assert_eq!(contact.subscription, Subscription::Both);
    }
    let push = admin.next().unwrap();
    assert!(push.body.has("query", "jabber:iq:roster"), "{push:?}");
}

#[tokio::test]
async fn who_may_invite_for_what_is_a_setting() {
    let world = self::world("admins").await;
    let romeo = || caller("romeo@localhost/orchard");
    let said = world.order_as(romeo(), "invite contact", &[]).await.unwrap();
    assert!(!fact(&said, "uri").ends_with(";ibr=y"));
    let (status, page) = see(&world, &token(&said)).await;
    assert!(status == 200 && !page.contains("<form"), "{page}");
    let (status, _) = send(&world, &token(&said), "name=nurse&password=long+enough").await;
    assert_eq!(status, 422);
    let said = world.order_as(caller("admin@localhost/pc"), "invite contact", &[]).await.unwrap();
    assert!(fact(&said, "uri").ends_with(";ibr=y"));
    assert!(world.order("invite contact", &[]).await.is_err());
    let world = self::world("everybody").await;
    let said = world.order_as(romeo(), "invite contact", &[]).await.unwrap();
    assert!(fact(&said, "uri").ends_with(";ibr=y"));
    let many = [("uses", "5")];
    assert_eq!(
        world.order_as(romeo(), "invite account", &many).await.unwrap_err().field,
        Some("uses")
    );
    let official = [("username", "support")];
    assert!(world.order_as(romeo(), "invite account", &official).await.is_err());
    assert!(world.order("invite account", &official).await.is_ok());
}

#[tokio::test]
async fn an_invitation_can_be_for_many_and_be_taken_back() {
    let world = world("everybody").await;
    let said = world.order("invite account", &[("uses", "2")]).await.unwrap();
    let token = token(&said);
    for (name, expected) in [("one", 201), ("two", 201), ("three", 404)] {
        let body = format!("name={name}&password=long+enough");
        assert_eq!(send(&world, &token, &body).await.0, expected, "{name}");
    }
    let (romeo, juliet) = (caller("romeo@localhost/x"), caller("juliet@localhost/x"));
    let said = world.order_as(romeo.clone(), "invite contact", &[]).await.unwrap();
    assert_eq!(open(&world, &romeo).await.len(), 1);
    assert_eq!(open(&world, &juliet).await.len(), 0);
    let number = open(&world, &Caller::Operator).await[0][0].clone();
    let number = [("number", number.as_str())];
    assert!(world.order_as(juliet, "invite revoke", &number).await.is_err());
    world.order_as(romeo, "invite revoke", &number).await.unwrap();
    assert_eq!(see(&world, &self::token(&said)).await.0, 404);
}

#[tokio::test]
async fn invitations_of_one_account_are_bounded() {
    let settings = "[modules.register]\ninvites = 'everybody'\ninvites_per_account = 2";
    let world = World::with(settings).await;
    let romeo = || caller("romeo@localhost/x");
    for _ in 0..2 {
        world.order_as(romeo(), "invite contact", &[]).await.unwrap();
    }
    assert!(world.order_as(romeo(), "invite contact", &[]).await.is_err());
}

#[tokio::test]
async fn who_tries_links_at_random_has_to_wait() {
    let world = world("admins").await;
    for _ in 0..60 {
        assert_eq!(see(&world, "guess").await.0, 404);
    }
    assert_eq!(see(&world, "guess").await.0, 429);
    let token = token(&world.order("invite account", &[]).await.unwrap());
    assert_eq!(see(&world, &token).await.0, 200);
}

#[tokio::test]
async fn without_invitations_the_operator_is_told_what_to_set() {
    let world = World::new().await;
    let refusal = world.order("invite account", &[]).await.unwrap_err();
    assert!(refusal.text.contains("[modules.register]"), "{refusal}");
    assert_eq!(world.site.early_features().len(), 0);
    assert!(!world.site.has_early_routes());
}
