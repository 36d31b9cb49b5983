use super::*;
use crate::sasl::Hash;

/// A whole exchange as a published or independently computed vector has it.
struct Vector {
    hash: Hash,
    client_first: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    server_first: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

const VECTORS: [Vector; 3] = [
    // RFC 5802 §5.
    Vector {
        hash: Hash::Sha1,
        client_first: "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        server_first: "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       s=QSXCR+Q6sek8bf92,i=4096",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    // RFC 7677 §3.
    Vector {
        hash: Hash::Sha256,
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        server_first: "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    // Computed with Python's hashlib and hmac.
    Vector {
        hash: Hash::Sha512,
        client_first: "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        server_nonce: "02431b08-2f0a-4bad-a4e6-4956fb98765d",
        salt: "Yzzp/Y/WHZRNhNpGZUGEDw==",
        server_first: "r=rOprNGfwEbeRWgbNEkqO02431b08-2f0a-4bad-a4e6-4956fb98765d,\
                       s=Yzzp/Y/WHZRNhNpGZUGEDw==,i=4096",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO02431b08-2f0a-4bad-a4e6-4956fb98765d,\
                       p=pRo4fQq8aXMSQKzU3pkpms87cc82OwFbVtuwrqN2Zg68Osa3p1kq6/+4bD71loNq\
                       vfvw3lrQnX0V7MSOxLaKAw==",
        server_final: "v=kfO3RvTRxkirFWNmWUT+Kkzg2uKQaTt/IDpd18soUhq1Buzz5wbedHQBgAmuHts9\
                       NQRs7XH/osFENC9rmPfSFg==",
    },
];

fn start(vector: &Vector, password: &str) -> Scram {
    let salt = BASE64.decode(vector.salt).unwrap();
    let keys = ScramKeys::derive(vector.hash, password, &salt, 4096).unwrap();
    let first = ClientFirst::parse(vector.client_first).unwrap();
    Scram::new(first, keys, Vec::new(), (vector.server_nonce, ""))
}

#[test]
fn the_vectors_of_the_rfcs() {
    for vector in &VECTORS {
        let scram = start(vector, "pencil");
        assert_eq!(scram.first.username, "user");
        assert_eq!(scram.challenge(), vector.server_first);
        assert_eq!(scram.finish(vector.client_final).unwrap(), vector.server_final);
    }
}

#[test]
fn a_wrong_proof_nonce_or_binding_is_refused() {
    let vector = &VECTORS[0];
    let refused = Err(ScramError::Refused);
    assert_eq!(start(vector, "pen").finish(vector.client_final), refused);
    let scram = start(vector, "pencil");
    // "eSws" is "y,,": the binding flag was changed on the way.
    for (from, to) in [("VvWVs7j", "VvWVs7k"), ("c=biws", "c=eSws"), ("p=v0X8v3Bz", "p=")] {
        assert_eq!(scram.finish(&vector.client_final.replace(from, to)), refused, "{to}");
    }
}

#[test]
fn broken_final_messages_are_malformed() {
    let scram = start(&VECTORS[0], "pencil");
    let good = VECTORS[0].client_final;
    for bad in [
        "",
        "c=biws",
        "c=biws,r=x",
        "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        &good.replace("c=biws,", ""),
        &good.replace("c=biws", "c=bi*s"),
        &good.replace("4Ts=", "4Ts"),
        &good.replace(",p=", ",m=x,p="),
    ] {
        assert_eq!(scram.finish(bad), Err(ScramError::Malformed), "{bad}");
    }
}

#[test]
fn first_messages_follow_the_grammar() {
    let first = ClientFirst::parse("p=tls-exporter,a=u=2Cv,n=us=3Der=2C,r=abc,x=1").unwrap();
    assert_eq!(first.binding.as_deref(), Some("tls-exporter"));
    assert_eq!(first.authzid.as_deref(), Some("u,v"));
    assert_eq!(first.username, "us=er,");
    assert_eq!(first.gs2, "p=tls-exporter,a=u=2Cv,");
    assert_eq!(first.bare, "n=us=3Der=2C,r=abc,x=1");
    for bad in [
        "",
        "n",
        "n,",
        "n,,",
        "n,,n=u",
        "n,,n=,r=x",
        "n,,n=u,r=",
        "n,,r=x,n=u",
        "x,,n=u,r=x",
        "p=,,n=u,r=x",
        "p=a b,,n=u,r=x",
        "n,b,n=u,r=x",
        "n,a=,n=u,r=x",
        "n,,m=x,n=u,r=x",
        "n,,n=u,r=x,m=y",
        "n,,n=u,r=x,",
        "n,,n=u=2c,r=x",
        "n,,n=u=,r=x",
        "n,,n=u,r=ü",
    ] {
        assert!(ClientFirst::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn channel_binding_flags() {
    let check = |flag: &str, plus, offered| {
        let first = ClientFirst::parse(&format!("{flag},,n=u,r=x")).unwrap();
        first.check_binding(plus, offered)
    };
    // A client that cannot bind is welcome while -PLUS is offered.
    assert_eq!(check("n", false, true), Ok(()));
    assert_eq!(check("n", false, false), Ok(()));
    assert_eq!(check("y", false, false), Ok(()));
    assert_eq!(check("y", false, true), Err(ScramError::Downgrade));
    assert_eq!(check("p=tls-exporter", true, true), Ok(()));
    assert_eq!(check("p=tls-exporter", false, true), Err(ScramError::Malformed));
    assert_eq!(check("n", true, true), Err(ScramError::Malformed));
    assert_eq!(check("y", true, true), Err(ScramError::Malformed));
}

#[test]
fn the_channel_is_bound_by_its_data() {
    let hash = Hash::Sha256;
    let keys = ScramKeys::derive(hash, "pencil", b"salt", 10).unwrap();
    let first = ClientFirst::parse("p=tls-exporter,,n=user,r=abc").unwrap();
    let scram = Scram::new(first, keys.clone(), vec![7; 32], ("def", ""));
    let finish = |data: &[u8]| {
        let header = [b"p=tls-exporter,,".as_slice(), data].concat();
        let without_proof = format!("c={},r=abcdef", BASE64.encode(header));
        let auth = format!("n=user,r=abc,{},{without_proof}", scram.challenge());
        let mut salted = [0; 32];
        let rounds = std::num::NonZeroU32::new(10).unwrap();
        let algorithm = aws_lc_rs::pbkdf2::PBKDF2_HMAC_SHA256;
        aws_lc_rs::pbkdf2::derive(algorithm, rounds, b"salt", b"pencil", &mut salted);
        let key = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&keys.stored_key, auth.as_bytes());
        let proof: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        scram.finish(&format!("{without_proof},p={}", BASE64.encode(proof)))
    };
    assert!(finish(&[7; 32]).is_ok());
    assert_eq!(finish(&[8; 32]), Err(ScramError::Refused));
    assert_eq!(finish(&[]), Err(ScramError::Refused));
}
