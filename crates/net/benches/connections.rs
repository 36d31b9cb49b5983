//! What a connection costs the server: resident memory while idle, and CPU time per message.
//!
//! `cargo bench -p waxwing-net` prints both for every way in and for tokio-rustls in place of our
//! own TLS. Server and clients are processes of their own, and each run has fresh ones. A number
//! behind `--` sets how many connections are opened.

#![allow(clippy::unwrap_used, reason = "a failing benchmark may just stop")]

use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::{env, fs};

use mimalloc::MiMalloc;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use waxwing_kernel::clock::Clock;
use waxwing_kernel::wire::Wire;
use waxwing_net::http::Site;
use waxwing_net::{Kind, Limits, Listener, Net, Tls, TlsOptions};
use waxwing_stream::{Input, Mark, MarkKind, Outbox};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const WAYS: [&str; 5] = ["tcp", "tls", "tokio-rustls", "ws", "wss"];
const ROUNDS: usize = 5;
const MESSAGE_BYTES: usize = 400;
/// Connections that talk, and how often each.
const TALKERS: usize = 50;
const TURNS: usize = 1000;

fn main() {
    let args: Vec<_> = env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["server", way, count] => run(serve(way, count)),
        ["client", way, count, address, pem] => {
            run(visit(way, count.parse().unwrap(), address.parse().unwrap(), Path::new(pem)));
        }
        _ => compare(args.first().copied().unwrap_or("2000")),
    }
}

fn run(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

/// Every way in turn, several times over; prints medians and ranges.
fn compare(count: &str) {
    let mut figures = vec![(Vec::new(), Vec::new()); WAYS.len()];
    for _ in 0..ROUNDS {
        for (way, (memory, cpu)) in WAYS.iter().zip(&mut figures) {
            let output = myself(&["server", way, count]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut numbers = text.split_whitespace().map(|number| number.parse::<f64>().unwrap());
            memory.push(numbers.next().unwrap());
            cpu.push(numbers.next().unwrap());
        }
    }
    println!("{count} connections; median (lowest to highest) of {ROUNDS} runs");
    println!("{:14}{:>26}{:>30}", "", "KiB per idle connection", "CPU µs per 400-byte echo");
    for (way, (memory, cpu)) in WAYS.iter().zip(&mut figures) {
        println!("{way:14}{:>26}{:>30}", spread(memory), spread(cpu));
    }
}

fn spread(numbers: &mut [f64]) -> String {
    numbers.sort_by(f64::total_cmp);
    let (low, high) = (numbers[0], numbers[numbers.len() - 1]);
    format!("{:.2} ({low:.2} to {high:.2})", numbers[numbers.len() / 2])
}

fn myself(args: &[&str]) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(args);
    command
}

async fn serve(way: &str, count: &str) {
    let folder = TempDir::new().unwrap();
    let options = TlsOptions {
        domains: vec!["localhost".to_owned()],
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    };
    let tls = Tls::open(options).unwrap();
    let pem = folder.path().join("localhost.pem");
    let address = match way {
        "tokio-rustls" => listen_with_tokio_rustls(&pem).await,
        _ => listen(way, tls).await,
    };
    let mut client = myself(&["client", way, count, &address.to_string(), pem.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(client.stdout.take().unwrap());
    let mut before = (0, 0.0);
    let mut figures = Vec::new();
    // Warm, idle, after talking.
    for step in 0..3 {
        told = tokio::task::spawn_blocking(move || {
            told.read_line(&mut String::new()).unwrap();
            told
        })
        .await
        .unwrap();
        let now = (resident_kib(), cpu_seconds());
        figures.push((now.0 as f64 - before.0 as f64, now.1 - before.1));
        before = now;
        if step < 2 {
            order(&mut client);
        }
    }
    client.kill().unwrap();
    client.wait().unwrap();
    let memory = figures[1].0 / count.parse::<f64>().unwrap();
    println!("{memory} {}", figures[2].1 * 1e6 / (TALKERS * TURNS) as f64);
}

/// Lets the client go on.
fn order(client: &mut Child) {
    client.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// User and system time. Linux counts it in hundredths of a second here.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Our own network layer, with a kernel that echoes.
async fn listen(way: &str, tls: Arc<Tls>) -> SocketAddr {
    let kind = match way {
        "tcp" => Kind::Xmpp,
        "tls" => Kind::XmppTls,
        "ws" => Kind::Http,
        _ => Kind::Https,
    };
    let site = Site { websocket_paths: vec!["/ws".to_owned()], ..Site::default() };
    let entry = |wire: Box<dyn Wire>, _| Clock::system().spawn(echo(wire));
    let net = Net::new(Limits::default(), Some(tls), site, Arc::new(entry), Clock::system());
    let listener = Listener::new(SocketAddr::from(([127, 0, 0, 1], 0)), kind);
    let listening = net.listen(&[listener]).await.unwrap();
    let address = listening.addresses()[0].1;
    std::mem::forget(listening);
    address
}

async fn echo(mut wire: Box<dyn Wire>) {
    let mut out = Outbox::default();
    let mut is_ended = false;
    while !is_ended {
        poll_fn(|cx| {
            wire.poll_read(cx, &mut |input| match input {
                Input::Bytes(bytes) | Input::Message(bytes) => {
                    out.text.push_str(std::str::from_utf8(bytes).expect("clients send text"));
                    out.marks.push(Mark { end: out.text.len(), kind: MarkKind::Text });
                }
                Input::End => is_ended = true,
                _ => {}
            })
        })
        .await;
        let _ = poll_fn(|cx| wire.poll_write(cx, &mut out)).await;
        out = Outbox::default();
    }
}

/// The same with tokio-rustls, read through one buffer for all connections as well.
async fn listen_with_tokio_rustls(pem: &Path) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_file(pem).unwrap()];
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(pem).unwrap())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Clock::system().spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let acceptor = acceptor.clone();
            Clock::system().spawn(async move {
                let stream = Box::new(acceptor.accept(tcp).await.unwrap());
                Clock::system().spawn(echo_with_tokio_rustls(stream));
            });
        }
    });
    address
}

async fn echo_with_tokio_rustls(mut stream: Box<tokio_rustls::server::TlsStream<TcpStream>>) {
    thread_local! {
        static LENT: std::cell::Cell<Vec<u8>> = const { std::cell::Cell::new(Vec::new()) };
    }
    loop {
        let mut out = Vec::new();
        let read = poll_fn(|cx| {
            let mut lent = LENT.take();
            lent.resize(16 * 1024, 0);
            let mut read = ReadBuf::new(&mut lent);
            let polled = std::pin::Pin::new(&mut stream).poll_read(cx, &mut read);
            out.extend_from_slice(read.filled());
            LENT.set(lent);
            polled
        });
        if read.await.is_err() || out.is_empty() || stream.write_all(&out).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
    }
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// The clients of one run: some to warm up, then all, then those that talk.
async fn visit(way: &str, count: usize, address: SocketAddr, pem: &Path) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pem).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let is_tls = !["tcp", "ws"].contains(&way);
    let mut open = Vec::new();
    for index in 0..TALKERS + count {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut stream: Box<dyn Duplex> = Box::new(tcp);
        if is_tls {
            let name = ServerName::try_from("localhost").unwrap();
            stream = Box::new(connector.connect(name, stream).await.unwrap());
        }
        if way.starts_with("ws") {
            upgrade(&mut stream).await;
        }
        talk(&mut stream, way, 1).await;
        open.push(stream);
        if index + 1 == TALKERS {
            report();
        }
    }
    report();
    let mut talking = JoinSet::new();
    for mut stream in open.drain(..TALKERS) {
        let way = way.to_owned();
        talking.spawn(async move {
            talk(&mut stream, &way, TURNS).await;
            stream
        });
    }
    let talked = talking.join_all().await;
    report();
    drop((open, talked));
}

/// Tells the server, and waits for its word.
fn report() {
    println!();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn upgrade(stream: &mut Box<dyn Duplex>) {
    let request = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: xmpp\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
}

/// Says something and waits for the echo, `turns` times.
async fn talk(stream: &mut Box<dyn Duplex>, way: &str, turns: usize) {
    let (mut message, mut echo) = (vec![b'x'; MESSAGE_BYTES], vec![0; MESSAGE_BYTES]);
    if way.starts_with("ws") {
        // A masked frame with the key 0; the answer has no key.
        let head = [0x81, 0x80 | 126, 1, 0x90, 0, 0, 0, 0];
        message.splice(..0, head);
        echo.resize(MESSAGE_BYTES + 4, 0);
    }
    for _ in 0..turns {
        stream.write_all(&message).await.unwrap();
        stream.flush().await.unwrap();
        stream.read_exact(&mut echo).await.unwrap();
    }
}
