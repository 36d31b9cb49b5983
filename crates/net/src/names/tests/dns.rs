//! A DNS server on loopback, as small as can be: one zone, the root, signed if asked for, with
//! habits by name. That there is nothing it proves by an NSEC record at the very name (RFC 4470).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::EcdsaSigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{Algorithm, DnssecSigner, PublicKey, SigningKey};
use hickory_resolver::proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, NS, SOA};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use waxwing_kernel::clock::Clock;

/// Seconds that answers may be kept.
pub(super) const TTL: u32 = 100;
/// Seconds that it may be kept that there is nothing.
pub(super) const NEGATIVE_TTL: u32 = 60;

/// Bytes of an answer over UDP, as the question's EDNS record allows (RFC 6891).
const UDP_BYTES: usize = 1232;

/// What the server does to questions about one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// Over UDP it answers in part.
    Truncates,
    /// It answers with this code.
    Says(ResponseCode),
    /// It does not answer.
    Silent,
    /// It answers with another address, and the signature of the right one.
    Forges,
    /// It leaves out the signatures.
    Strips,
    /// It adds records of another name.
    Babbles,
}

/// What the server knows.
#[derive(Default)]
pub(super) struct Zone {
    records: BTreeMap<(Name, RecordType), Vec<Record>>,
    habits: HashMap<Name, Habit>,
    signer: Option<DnssecSigner>,
    /// Delegated without a signature.
    unsigned: Option<Name>,
}

/// The server, as long as its test runs.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One question that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) name: String,
    pub(super) kind: RecordType,
    pub(super) is_tcp: bool,
}

pub(super) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name").to_lowercase()
}

impl Zone {
    /// Adds a record: `("a.example.", "A", "192.0.2.1")`.
    pub(super) fn with(mut self, owner: &str, kind: &str, value: &str) -> Self {
        let kind: RecordType = kind.parse().expect("a type");
        let data = RData::try_from_str(kind, value).expect("data of that type");
        self.add(name(owner), data);
        self
    }

    pub(super) fn habit(mut self, owner: &str, habit: Habit) -> Self {
        self.habits.insert(name(owner), habit);
        self
    }

    /// Delegates a part without signatures.
    pub(super) fn unsigned(mut self, owner: &str) -> Self {
        self.unsigned = Some(name(owner));
        self.add(name(owner), RData::NS(NS(name("ns."))));
        self
    }

    /// Signs everything with a new key, which is written to `anchors`.
    pub(super) fn signed(mut self, anchors: &Path) -> Self {
        let key = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256).expect("a key");
        let key = EcdsaSigningKey::from_pkcs8(&key, Algorithm::ECDSAP256SHA256).expect("a key");
        let public = key.to_public_key().expect("its public half");
        assert_eq!(public.algorithm(), Algorithm::ECDSAP256SHA256);
        let dnskey = DNSKEY::with_flags(257, public);
        std::fs::write(anchors, format!(". {TTL} IN DNSKEY {dnskey}\n")).expect("a file");
        self.add(Name::root(), RData::DNSSEC(DNSSECRData::DNSKEY(dnskey.clone())));
        let time = Duration::from_secs(3600);
        self.signer = Some(DnssecSigner::new(dnskey, Box::new(key), Name::root(), time));
        self
    }

    fn add(&mut self, owner: Name, data: RData) {
        let kind = data.record_type();
        let records = self.records.entry((owner.clone(), kind)).or_default();
        records.push(Record::from_rdata(owner, TTL, data));
    }

    fn answer(&self, query: &Query, is_tcp: bool) -> Option<Message> {
        let (owner, kind) = (query.name().to_lowercase(), query.query_type());
        let habit = self.habits.get(&owner).copied();
        let mut reply = Message::response(0, OpCode::Query);
        reply.metadata.recursion_available = true;
        reply.add_query(query.clone());
        match habit {
            Some(Habit::Silent) => return None,
            Some(Habit::Says(code)) => {
                reply.metadata.response_code = code;
                return Some(reply);
            }
            Some(Habit::Truncates) if !is_tcp => {
                reply.metadata.truncation = true;
                return Some(reply);
            }
            _ => {}
        }
        let alias = || self.records.get(&(owner.clone(), RecordType::CNAME));
        match self.records.get(&(owner.clone(), kind)).or_else(alias) {
            Some(records) => {
                let mut answers = self.sign(records, habit);
                if habit == Some(Habit::Forges) {
                    answers[0].data = RData::A(A::new(6, 6, 6, 6));
                }
                if habit == Some(Habit::Babbles) {
                    let other = RData::A(A::new(6, 6, 6, 6));
                    answers.insert(0, Record::from_rdata(name("other.example."), TTL, other));
                }
                reply.add_answers(answers);
            }
            None => self.deny(&owner, habit, &mut reply),
        }
        Some(reply)
    }

    /// Says, and proves if it can, that there is nothing.
    fn deny(&self, owner: &Name, habit: Option<Habit>, reply: &mut Message) {
        let zone = match &self.unsigned {
            Some(zone) if zone.zone_of(owner) && zone != owner => zone.clone(),
            _ => Name::root(),
        };
        let soa = SOA::new(name("ns."), name("who."), 1, 60, 60, 60, NEGATIVE_TTL);
        let soa = [Record::from_rdata(zone.clone(), NEGATIVE_TTL, RData::SOA(soa))];
        reply.add_authorities(self.sign(&soa, habit));
        let kinds: Vec<_> = self
            .records
            .keys()
            .filter(|(known, _)| known == owner)
            .map(|(_, kind)| *kind)
            .collect();
        if self.signer.is_some() && zone.is_root() {
            let next = owner.prepend_label(b"\0".as_slice()).expect("a short name");
            let nsec = RData::DNSSEC(DNSSECRData::NSEC(NSEC::new_cover_self(next, kinds)));
            let nsec = [Record::from_rdata(owner.clone(), NEGATIVE_TTL, nsec)];
            reply.add_authorities(self.sign(&nsec, habit));
        } else if !self.records.keys().any(|(known, _)| owner.zone_of(known)) {
            reply.metadata.response_code = ResponseCode::NXDomain;
        }
    }

    fn sign(&self, records: &[Record], habit: Option<Habit>) -> Vec<Record> {
        let owner = records[0].name.clone();
        let is_below = |zone: &Name| zone.zone_of(&owner) && (*zone != owner);
        let is_delegation = records[0].record_type() == RecordType::NS && !owner.is_root();
        let mut all = records.to_vec();
        let Some(signer) = &self.signer else { return all };
        let is_left_out = habit == Some(Habit::Strips) || is_delegation;
        if is_left_out || self.unsigned.as_ref().is_some_and(is_below) {
            return all;
        }
        let kind = records[0].record_type();
        let mut set = RecordSet::new(owner.clone(), kind, 0);
        records.iter().for_each(|record| {
            set.insert(record.clone(), 0);
        });
        let millis = Clock::system().wall_millis() / 1000;
        let now = time::OffsetDateTime::from_unix_timestamp(millis as i64).expect("a time");
        let since = now - Duration::from_secs(60);
        let signature = RRSIG::from_rrset(&set, DNSClass::IN, since, signer).expect("a signature");
        let signature = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        all.push(Record::from_rdata(owner, records[0].ttl, signature));
        all
    }
}

impl Server {
    pub(super) async fn start(mut zone: Zone) -> Self {
        zone.add(Name::root(), RData::NS(NS(name("ns."))));
        let soa = SOA::new(name("ns."), name("who."), 1, 60, 60, 60, NEGATIVE_TTL);
        zone.add(Name::root(), RData::SOA(soa));
        let (udp, tcp) = sockets().await;
        let address = udp.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let zone = Arc::new(zone);
        let clock = Clock::system();
        clock.spawn(serve_udp(udp, zone.clone(), asked.clone()));
        clock.spawn(serve_tcp(tcp, zone, asked.clone()));
        Self { address, asked }
    }

    /// Every question so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// How often a record was asked for.
    pub(super) fn count(&self, owner: &str, kind: RecordType) -> usize {
        let fits = |asked: &&Asked| asked.name == owner && asked.kind == kind;
        self.asked.lock().iter().filter(fits).count()
    }
}

/// Sockets for both protocols with the same port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = tcp.local_addr().expect("an address");
        if let Ok(udp) = UdpSocket::bind(address).await {
            return (udp, tcp);
        }
    }
}

fn handle(zone: &Zone, asked: &Mutex<Vec<Asked>>, bytes: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
    let question = Message::from_vec(bytes).ok()?;
    let query = question.queries.first()?;
    let owner = query.name().to_lowercase().to_ascii();
    asked.lock().push(Asked { name: owner, kind: query.query_type(), is_tcp });
    let mut reply = zone.answer(query, is_tcp)?;
    reply.metadata.id = question.metadata.id;
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.recursion_desired = true;
    let bytes = reply.to_vec().ok()?;
    if is_tcp || bytes.len() <= UDP_BYTES {
        return Some(bytes);
    }
    reply.answers.clear();
    reply.metadata.truncation = true;
    reply.to_vec().ok()
}

async fn serve_udp(socket: UdpSocket, zone: Arc<Zone>, asked: Arc<Mutex<Vec<Asked>>>) {
    let mut bytes = vec![0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
        if let Some(reply) = handle(&zone, &asked, &bytes[..length], false) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, zone: Arc<Zone>, asked: Arc<Mutex<Vec<Asked>>>) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let (zone, asked) = (zone.clone(), asked.clone());
        Clock::system()
            .spawn(async move { while converse(&mut socket, &zone, &asked).await.is_some() {} });
    }
}

/// One question over TCP; None when the connection ends.
async fn converse(socket: &mut TcpStream, zone: &Zone, asked: &Mutex<Vec<Asked>>) -> Option<()> {
    let length = socket.read_u16().await.ok()?;
    let mut bytes = vec![0; usize::from(length)];
    socket.read_exact(&mut bytes).await.ok()?;
    let reply = handle(zone, asked, &bytes, true)?;
    socket.write_u16(reply.len() as u16).await.ok()?;
    socket.write_all(&reply).await.ok()
}
