//! `waxwing serve`: start, say where, answer signals and the control socket, end properly.

use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use waxwing_kernel::Ending;
use waxwing_net::{Kind, Listening};
use waxwing_store::domains::accounts::Accounts;

use crate::control::{Control, Handle};
use crate::server::{Server, Setup};

/// Serves until asked to end. Says how that was asked.
///
/// # Errors
/// A sentence for the operator: why the server did not start, and the remedy.
pub(crate) async fn serve(setup: Setup) -> Result<Ending, String> {
    let mut signals =
        Signals::new().map_err(|error| format!("signals cannot be caught: {error}"))?;
    make_private(&setup.data).map_err(|error| {
        let data = setup.data.display();
        format!("the data folder {data} cannot be made: {error}. Choose another with --data.")
    })?;
    let control = Control::open(&setup.data).map_err(|error| error.to_string())?;
    let (server, listening) = Server::start(setup).await?;
    greet(&server, &listening).await;
    let handle: Handle = {
        let server = Arc::clone(&server);
        Arc::new(move |request| Box::pin(Arc::clone(&server).handle(request)))
    };
    let ending = tokio::select! {
        () = control.serve(handle) => Ending::Stop,
        () = obey(&mut signals, &server) => Ending::Stop,
        ending = server.hub().ending() => ending,
    };
    server.drain(listening, signals.end()).await;
    Ok(ending)
}

/// Makes the data folder. Keys and messages are nobody else's business.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The signals that mean something to the server.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Resolves when the server is asked to end.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Reloads on SIGHUP; returns on SIGTERM and SIGINT.
async fn obey(signals: &mut Signals, server: &Arc<Server>) {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return,
            _ = signals.interrupt.recv() => return,
            _ = signals.hangup.recv() => match server.reload().await {
                Ok(changed) => tracing::info!("{changed}"),
                Err(reason) => tracing::error!("not reloaded: {reason}"),
            },
        }
    }
}

/// Tells the person at the terminal where everything is, in words; a log gets one line.
async fn greet(server: &Arc<Server>, listening: &Listening) {
    let took = server.hub().clock().now() - server.started();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        addresses = ?listening.addresses(),
        millis = took.as_millis() as u64,
        "serving"
    );
    let text = greeting(server, listening).await;
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

async fn greeting(server: &Arc<Server>, listening: &Listening) -> String {
    let config = server.config();
    let domains: Vec<&str> = config.hosts.iter().map(|host| host.config.domain.as_str()).collect();
    let domain = domains.first().copied().unwrap_or("localhost");
    let (bold, plain) = if io::stdout().is_terminal() { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut text = format!("\n  {bold}Waxwing {}{plain}\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |label: &str, value: &str| text += &format!("  {label:<18}{value}\n");
    line("Domain", &domains.join(", "));
    for (kind, label) in [
        (Kind::Xmpp, "XMPP"),
        (Kind::XmppTls, "XMPP, TLS"),
        (Kind::Http, "Web and WebSocket"),
        (Kind::Https, "the same, TLS"),
        (Kind::Server, "Other servers"),
        (Kind::ServerTls, "the same, TLS"),
        (Kind::Component, "Components"),
        (Kind::Challenges, "Challenges"),
    ] {
        let of = listening.addresses().iter().filter(|(known, _)| *known == kind);
        let all: Vec<String> = of.map(|(_, address)| address.to_string()).collect();
        if !all.is_empty() {
            line(label, &all.join("  "));
        }
    }
    line("Data", &server.data().display().to_string());
    let accounts = Accounts::new(server.hub().db().clone());
    let are_there_any = accounts.count(domain).await.is_ok_and(|count| count > 0);
    let site = server.hub().site(domain);
    // Where accounts are known elsewhere, none is made here.
    let is_kept = site.is_none_or(|site| site.keeps_passwords());
    match crate::server::pages_address(listening).filter(|_| is_kept && !are_there_any) {
        Some((kind, address)) => {
            let scheme = if kind == Kind::Https { "https" } else { "http" };
            let path = server.welcome().path();
            text += "\n  Make the first account in the browser (the link works once):\n";
            text += &format!("    {bold}{scheme}://{address}{path}{plain}\n");
            text += "  or in another terminal:\n";
        }
        None if is_kept => text += "\n  Add an account:\n",
        None => text += "\n  Accounts are known elsewhere: see docs/authentication.md.\n",
    }
    if is_kept {
        text += &format!("    {} user add juliet@{domain}\n", command(server.data()));
    }
    text += "\n";
    text += "  Stop with Ctrl-C.\n\n";
    text
}

/// How to call this program from where it was started, for the same data folder.
fn command(data: &Path) -> String {
    let program = std::env::current_exe().unwrap_or_else(|_| "waxwing".into());
    let here = std::env::current_dir().unwrap_or_default();
    let program = program.strip_prefix(&here).unwrap_or(&program).display().to_string();
    let is_usual = data == Path::new("waxwing-data") || data == here.join("waxwing-data");
    if is_usual { program } else { format!("{program} --data {}", data.display()) }
}
