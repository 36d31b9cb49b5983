//! Channel bindings: what SASL's -PLUS mechanisms prove the TLS connection by.

use aws_lc_rs::digest::{self, Algorithm, SHA224, SHA256, SHA384, SHA512};
use rustls::CommonState;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::signature_algorithm::SignatureAlgorithm;

use super::exporter::Material;

/// The `tls-exporter` binding (RFC 9266 §2): label, and a context that is present and empty.
///
/// Under TLS 1.2 it is only unique with the extended master secret, which our configuration
/// requires of every client.
pub(crate) fn exporter(facts: &CommonState, material: &Material) -> Option<[u8; 32]> {
    material.export(facts.negotiated_cipher_suite()?, b"EXPORTER-Channel-Binding")
}

/// The `tls-server-end-point` binding (RFC 5929 §4.1): the hash of the certificate, by the hash of
/// its signature algorithm. Undefined, thus None, for algorithms with no single hash.
pub(crate) fn end_point(leaf: &X509Certificate<'_>, der: &[u8]) -> Option<Vec<u8>> {
    let algorithm = &leaf.signature_algorithm;
    let hash = match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => hash_of(parameters.hash_algorithm_oid())?,
        _ => hash_of(&algorithm.algorithm)?,
    };
    Some(digest::digest(hash, der).as_ref().to_vec())
}

/// The hash in a signature (or hash) algorithm's identifier.
fn hash_of(oid: &Oid<'_>) -> Option<&'static Algorithm> {
    Some(match oid.to_id_string().as_str() {
        // "if the certificate's signatureAlgorithm uses a single hash function, and that hash
        // function is either MD5 or SHA-1, then use SHA-256": MD5 and SHA-1 with RSA, SHA-1 with
        // ECDSA, SHA-1 itself.
        "1.2.840.113549.1.1.4" | "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" | "1.3.14.3.2.26" => {
            &SHA256
        }
        // RSA, ECDSA, and the hash itself (inside RSASSA-PSS).
        "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.2.4" => &SHA224,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.2.1" => &SHA256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.2.2" => &SHA384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.2.3" => &SHA512,
        _ => return None,
    })
}
