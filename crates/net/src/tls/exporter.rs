//! Keying material for channel binding: rustls' unbuffered connections export none, so it is
//! derived here from the secret that rustls tells its key log.
//!
//! The key log is asked on the thread that handles the handshake, inside the call that does, so
//! the secret is picked up right after it and reaches nobody else.

use std::cell::Cell;
use std::fmt;

use rustls::crypto::hash::Hash;
use rustls::crypto::tls12::Prf;
use rustls::crypto::tls13::{Hkdf, OkmBlock};
use rustls::{KeyLog, SupportedCipherSuite};
use zeroize::Zeroizing;

/// The master secret of TLS 1.2, as key logs name it.
const MASTER: &str = "CLIENT_RANDOM";
/// The exporter secret of TLS 1.3.
const EXPORTER: &str = "EXPORTER_SECRET";

thread_local! {
    static HEARD: Cell<Option<Secret>> = const { Cell::new(None) };
}

/// A key log that remembers the one secret that an exporter needs, until [`Material::hear`].
#[derive(Debug)]
pub(crate) struct Ear;

/// What is gathered during a handshake to export keying material after it.
#[derive(Default)]
pub(crate) struct Material {
    secret: Option<Secret>,
    server_random: Option<[u8; 32]>,
}

struct Secret {
    client_random: Vec<u8>,
    secret: Zeroizing<Vec<u8>>,
}

impl KeyLog for Ear {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        if self.will_log(label) {
            let secret = Zeroizing::new(secret.to_vec());
            HEARD.set(Some(Secret { client_random: client_random.to_vec(), secret }));
        }
    }

    fn will_log(&self, label: &str) -> bool {
        [MASTER, EXPORTER].contains(&label)
    }
}

impl Material {
    /// To be called after each step of the handshake, with the records that it made, and
    /// [`forget`] before it: a secret left behind by another connection is not ours.
    pub(crate) fn hear(&mut self, records: &[u8]) {
        self.secret = HEARD.take().or_else(|| self.secret.take());
        self.server_random = self.server_random.or_else(|| server_random(records));
    }

    /// 32 bytes for `label` with a context that is present and empty (RFC 5705 §4, RFC 8446
    /// §7.5).
    pub(crate) fn export(&self, suite: SupportedCipherSuite, label: &[u8]) -> Option<[u8; 32]> {
        let Secret { client_random, secret } = self.secret.as_ref()?;
        match suite {
            SupportedCipherSuite::Tls13(suite) => {
                export_13(suite.hkdf_provider, suite.common.hash_provider, secret, label)
            }
            SupportedCipherSuite::Tls12(suite) => {
                let randoms = [&client_random[..], &self.server_random?].concat();
                Some(export_12(suite.prf_provider, secret, label, &randoms))
            }
        }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// Drops what another connection's handshake may have left on this thread.
pub(crate) fn forget() {
    HEARD.set(None);
}

/// RFC 8446 §7.5: "HKDF-Expand-Label(Derive-Secret(Secret, label, ""), "exporter",
/// Hash(context_value), key_length)".
fn export_13(hkdf: &dyn Hkdf, hash: &dyn Hash, secret: &[u8], label: &[u8]) -> Option<[u8; 32]> {
    let nothing = hash.hash(&[]);
    let derived = hkdf.expander_for_okm(&OkmBlock::new(secret)).expand_block(&[&label_info(
        hash.output_len(),
        label,
        nothing.as_ref(),
    )]);
    let mut material = [0; 32];
    hkdf.expander_for_okm(&derived)
        .expand_slice(&[&label_info(32, b"exporter", nothing.as_ref())], &mut material)
        .ok()?;
    Some(material)
}

/// The `HkdfLabel` of RFC 8446 §7.1.
fn label_info(length: usize, label: &[u8], context: &[u8]) -> Vec<u8> {
    const PREFIX: &[u8] = b"tls13 ";
    let mut info = (length as u16).to_be_bytes().to_vec();
    info.push((PREFIX.len() + label.len()) as u8);
    info.extend_from_slice(PREFIX);
    info.extend_from_slice(label);
    info.push(context.len() as u8);
    info.extend_from_slice(context);
    info
}

/// RFC 5705 §4: "PRF(SecurityParameters.master_secret, label, client_random + server_random +
/// context_value_length + context_value)", the length of our context being zero.
fn export_12(prf: &dyn Prf, secret: &[u8], label: &[u8], randoms: &[u8]) -> [u8; 32] {
    let mut material = [0; 32];
    prf.for_secret(&mut material, secret, label, &[randoms, &[0, 0]].concat());
    material
}

/// The random bytes of the `ServerHello` that `records` begins with (RFC 5246 §7.4.1.3): behind
/// the headers of record and message and the version.
fn server_random(records: &[u8]) -> Option<[u8; 32]> {
    const HANDSHAKE: u8 = 22;
    const SERVER_HELLO: u8 = 2;
    if records.first() != Some(&HANDSHAKE) || records.get(5) != Some(&SERVER_HELLO) {
        return None;
    }
    records.get(11..43)?.try_into().ok()
}
