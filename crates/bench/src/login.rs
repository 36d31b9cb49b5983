//! The server's side of a sign-in with SCRAM-SHA-1 (RFC 5802), from the stream header to the bound
//! resource.
//!
//! The client's side costs more than the server's. So a first server is signed in to as often as
//! the larger number of runs says, and what its clients said is repeated to a second one, whose
//! nonces are the same.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use waxwing_store::domains::accounts::{Accounts, Credential};
use waxwing_stream::{Framing, Hash, ScramKeys};
use waxwing_testkit::World;
use waxwing_testkit::world::PASSWORD;

use crate::peer::{DOMAIN, Peer, block_on, world};
use crate::{Outcome, Runs};

const DIGEST_BYTES: usize = 20;
const SALT: &[u8] = b"in truth, fair Montague";
const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";

pub(crate) fn login(runs: Runs) -> Outcome {
    block_on(async {
        let names: Vec<String> = (0..runs.most).map(|number| format!("user{number}")).collect();
        let rehearsed = populated(&names).await?;
        let mut answers = Vec::new();
        let mut peers = Vec::with_capacity(2 * runs.most);
        for name in &names {
            let (mut peer, challenge) = challenge(&rehearsed, name).await?;
            answers.push(answer(name, &challenge)?);
            finish(&mut peer, &answers[answers.len() - 1]).await?;
            peers.push(peer);
        }
        let measured = populated(&names).await?;
        for (name, answer) in names.iter().zip(&answers).take(runs.now) {
            let (mut peer, _) = challenge(&measured, name).await?;
            finish(&mut peer, answer).await?;
            peers.push(peer);
        }
        Ok(())
    })
}

/// A server with these accounts.
async fn populated(names: &[String]) -> Outcome<World> {
    let world = world().await?;
    let keys = ScramKeys::derive(Hash::Sha1, PASSWORD, SALT, 1).map_err(|e| e.to_string())?;
    let ScramKeys { hash, salt, iterations, stored_key, server_key } = keys;
    let hash = hash.name().to_owned();
    let credential = [Credential { hash, salt, iterations, stored_key, server_key }];
    let accounts = Accounts::new(world.hub().db().clone());
    for name in names {
        let created = accounts.create(&format!("{name}@{DOMAIN}"), 0, &credential).await;
        created.map_err(|error| error.to_string())?;
    }
    Ok(world)
}

/// Up to the server's challenge.
async fn challenge(world: &World, name: &str) -> Outcome<(Peer, String)> {
    let mut peer = Peer::connect(world, Framing::Tcp).await?;
    peer.open().await?;
    let first = BASE64_STANDARD.encode(format!("n,,{}", first(name)));
    let auth = format!("<auth xmlns='{SASL}' mechanism='SCRAM-SHA-1'>{first}</auth>");
    peer.say(&auth).await?;
    let challenge = peer.until("</challenge>").await?;
    Ok((peer, challenge))
}

/// From the answer to the bound resource.
async fn finish(peer: &mut Peer, answer: &str) -> Outcome {
    peer.say(answer).await?;
    peer.until("<success").await?;
    peer.open().await?;
    peer.bind("phone").await
}

fn first(name: &str) -> String {
    format!("n={name},r={NONCE}")
}

/// What the client of this account answers to a challenge.
fn answer(name: &str, challenge: &str) -> Outcome<String> {
    let broken = || format!("no challenge: {challenge}");
    let text = challenge.split(['<', '>']).nth(2).ok_or_else(broken)?;
    let text = BASE64_STANDARD.decode(text).map_err(|_| broken())?;
    let text = String::from_utf8(text).map_err(|_| broken())?;
    let nonce = text.split(',').next().ok_or_else(broken)?;
    let last = format!("c=biws,{nonce}");
    let mut salted = [0; DIGEST_BYTES];
    let derivation = pbkdf2::PBKDF2_HMAC_SHA1;
    pbkdf2::derive(derivation, NonZeroU32::MIN, SALT, PASSWORD.as_bytes(), &mut salted);
    let key = sign(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.as_ref());
    let mark = sign(stored.as_ref(), format!("{},{text},{last}", first(name)).as_bytes());
    let proof: Vec<u8> = key.as_ref().iter().zip(mark.as_ref()).map(|(a, b)| a ^ b).collect();
    let said = BASE64_STANDARD.encode(format!("{last},p={}", BASE64_STANDARD.encode(proof)));
    Ok(format!("<response xmlns='{SASL}'>{said}</response>"))
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), message)
}
