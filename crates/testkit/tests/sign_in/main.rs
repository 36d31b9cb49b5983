//! Signing in, by every mechanism, on every transport, by both profiles and with every binding of
//! the channel; and with tokens (XEP-0484).

mod matrix;
mod scram;
mod tokens;

use std::sync::OnceLock;

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;
use waxwing_modules::MODULES;
use waxwing_store::domains::accounts::Accounts;
use waxwing_testkit::client::Client;
use waxwing_testkit::node::Node;
use waxwing_testkit::script::Name;
use waxwing_testkit::world::PASSWORD;
use waxwing_testkit::{Certificates, Plan, Way, World};

const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2: &str = "urn:xmpp:sasl:2";
const WAYS: [Way; 7] = [
    Way::StartTls,
    Way::DirectTls,
    Way::Proxied,
    Way::WebSocket,
    Way::SecureWebSocket,
    Way::Bosh,
    Way::SecureBosh,
];

/// How SASL is put into XML.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Profile {
    Sasl1,
    Sasl2,
}

fn certificates() -> &'static (TempDir, Certificates) {
    static MADE: OnceLock<(TempDir, Certificates)> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let certificates = Certificates::make(folder.path()).expect("certificates");
        (folder, certificates)
    })
}

/// RFC 5929 §4.1: of a certificate that is signed with SHA-256.
fn end_point() -> Vec<u8> {
    let file = certificates().0.path().join("localhost.pem");
    let certificate = CertificateDer::from_pem_file(file).expect("a certificate");
    digest::digest(&digest::SHA256, &certificate).as_ref().to_vec()
}

/// A server in which Romeo has keys for every hash.
async fn world() -> World {
    let plan = Plan::on_sockets(MODULES, certificates().1.clone());
    let world = World::start(plan).await.expect("a world");
    world.add_account("romeo@localhost").await.expect("an account");
    let keys = waxwing_kernel::auth::credentials(world.hub().clock(), PASSWORD).await;
    let accounts = Accounts::new(world.hub().db().clone());
    let changed = accounts.set_credentials("romeo@localhost", &keys.expect("keys")).await;
    assert_eq!(changed, Ok(true));
    world
}

async fn connect(world: &World, way: Way) -> Client {
    let name = Name::parse("romeo").expect("a name");
    let link = world.connect(way, "localhost").await.expect("a connection");
    Client::connect(name, link).await.expect("a stream")
}

async fn ask(client: &mut Client, xml: &str) -> Node {
    client.send(xml).await.expect("sent");
    client.next().await.expect("in time").expect("an answer")
}

/// The first message of an authentication.
fn begin(profile: Profile, mechanism: &str, initial: &[u8], more: &str) -> String {
    let initial = BASE64.encode(initial);
    match profile {
        Profile::Sasl1 => format!("<auth xmlns='{SASL}' mechanism='{mechanism}'>{initial}</auth>"),
        Profile::Sasl2 => format!(
            "<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>\
             <initial-response>{initial}</initial-response>{more}</authenticate>"
        ),
    }
}

fn namespace(profile: Profile) -> &'static str {
    match profile {
        Profile::Sasl1 => SASL,
        Profile::Sasl2 => SASL2,
    }
}

/// What the mechanism says at the end.
fn additional(profile: Profile, success: &Node) -> Vec<u8> {
    let text = match profile {
        Profile::Sasl1 => Some(success.text.as_str()),
        Profile::Sasl2 => success.child("additional-data", SASL2).map(|data| data.text.as_str()),
    };
    BASE64.decode(text.unwrap_or_default()).expect("base64")
}

/// `flag` and `binding` as of RFC 5802 §5.1; gives the answer to the proof.
async fn by_scram(
    world: &World,
    way: Way,
    profile: Profile,
    hash: scram::Hash,
    (flag, binding): (&str, &[u8]),
) -> Result<(), String> {
    let mut client = connect(world, way).await;
    let plus = if flag.starts_with('p') { "-PLUS" } else { "" };
    let mechanism = format!("{}{plus}", hash.name);
    let first = scram::first("romeo", flag);
    let challenge = ask(&mut client, &begin(profile, &mechanism, &first, "")).await;
    if !challenge.is("challenge", namespace(profile)) {
        return Err(challenge.to_string());
    }
    let text = BASE64.decode(&challenge.text).expect("base64");
    let text = String::from_utf8(text).expect("text");
    let (last, expected) = scram::last(hash, "romeo", (flag, binding), &text);
    let last = BASE64.encode(last);
    let response = format!("<response xmlns='{}'>{last}</response>", namespace(profile));
    let answer = ask(&mut client, &response).await;
    if !answer.is("success", namespace(profile)) {
        return Err(answer.to_string());
    }
    assert_eq!(additional(profile, &answer), expected, "{way:?} {mechanism}: the server's proof");
    Ok(())
}

/// XEP-0480: an account that was made with keys for one hash gets those for another.
#[tokio::test]
async fn a_client_makes_the_keys_that_are_missing() {
    let world = World::start(Plan::in_memory(MODULES)).await.expect("a world");
    world.add_account("romeo@localhost").await.expect("an account");
    let way = Way::Memory(waxwing_stream::Framing::WebSocket);
    let [_, old, new] = scram::hashes();
    assert!(by_scram(&world, way, Profile::Sasl2, new, ("n,,", b"")).await.is_err());
    let upgrade = "<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-512</upgrade>";
    for is_missing in [true, false] {
        let mut client = connect(&world, way).await;
        let first = scram::first("romeo", "n,,");
        let challenge = ask(&mut client, &begin(Profile::Sasl2, old.name, &first, upgrade)).await;
        let text =
            String::from_utf8(BASE64.decode(&challenge.text).expect("base64")).expect("text");
        let (last, _) = scram::last(old, "romeo", ("n,,", b""), &text);
        let last = format!("<response xmlns='{SASL2}'>{}</response>", BASE64.encode(last));
        let answer = ask(&mut client, &last).await;
        if !is_missing {
            assert!(answer.is("success", SASL2), "there is nothing to do: {answer}");
            break;
        }
        assert!(answer.is("continue", SASL2), "{answer}");
        let next = format!("<next xmlns='{SASL2}' task='UPGR-SCRAM-SHA-512'/>");
        let data = ask(&mut client, &next).await;
        let salt = data.child("salt", "urn:xmpp:scram-upgrade:0").expect("a salt");
        let rounds = salt.attribute("iterations").expect("a number").parse().expect("a number");
        let salted = new.salted(&BASE64.decode(&salt.text).expect("base64"), rounds);
        let made = BASE64.encode(salted);
        let hash = format!("<hash xmlns='urn:xmpp:scram-upgrade:0'>{made}</hash>");
        let task = format!("<task-data xmlns='{SASL2}'>{hash}</task-data>");
        let answer = ask(&mut client, &task).await;
        assert!(answer.is("success", SASL2), "{answer}");
    }
    for hash in [old, new] {
        let signed_in = by_scram(&world, way, Profile::Sasl2, hash, ("n,,", b"")).await;
        assert_eq!(signed_in, Ok(()), "{}", hash.name);
    }
}
