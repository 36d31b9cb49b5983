//! Many XMPP clients in one process, to find out what they cost a server.
//!
//! It knows no server from inside: everything goes over sockets, and the figures about the server's
//! process come from the operating system. The result is one line of JSON.

mod client;
mod clock;
mod cutter;
mod process;
mod scenario;
mod scram;
mod target;
mod tls;
mod websocket;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::scenario::{Chat, Idle, chat, idle, register};
use self::target::{Target, Transport};

/// What goes wrong is told to a person and ends the run.
type Outcome<T> = Result<T, String>;

/// Load for an XMPP server, and what it costs that server.
#[derive(Parser)]
#[command(name = "waxwing-load", version)]
struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    scenario: Scenario,
}

#[derive(Args)]
struct Place {
    /// Where the server listens.
    #[arg(long, global = true, default_value = "127.0.0.1:5222")]
    address: SocketAddr,
    /// The virtual host.
    #[arg(long, global = true, default_value = "localhost")]
    domain: String,
    /// How to speak with it.
    #[arg(long, global = true, value_enum, default_value = "tcp")]
    transport: Transport,
    /// The server's process, whose processor time and memory are read.
    #[arg(long, global = true)]
    pid: Option<u32>,
}

#[derive(Subcommand)]
enum Scenario {
    /// Make the accounts `load0`, `load1`, … by registering in-band (XEP-0077).
    Register {
        /// How many.
        #[arg(long, default_value_t = 2000)]
        users: usize,
    },
    /// Pairs of clients talk: processor time per message, order, and nothing lost or doubled.
    Chat(Chat),
    /// Clients sign in, show presence and fall silent: memory per session.
    Idle(Idle),
}

fn main() -> ExitCode {
    let Arguments { place, scenario } = Arguments::parse();
    process::lift_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = runtime
        .map_err(|error| format!("no threads can be started: {error}"))
        .and_then(|runtime| runtime.block_on(run(place, scenario)));
    match outcome {
        Ok(result) => {
            println!("{result}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("waxwing-load: {reason}");
            ExitCode::FAILURE
        }
    }
}

async fn run(place: Place, scenario: Scenario) -> Outcome<serde_json::Value> {
    let Place { address, domain, transport, pid } = place;
    let target = Target { address, domain, transport };
    match scenario {
        Scenario::Register { users } => register::run(&target, users).await,
        Scenario::Chat(chat) => chat::run(&target, pid, &chat).await,
        Scenario::Idle(idle) => idle::run(&target, pid, &idle).await,
    }
}
