//! The program as people run it: against its own floor, and against relays and servers that do what
//! it must notice.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_waxwing-load");
const CHAT: &str = "chat --auth floor --pairs 1 --warm-up 0 --seconds 1 --patience 1";

fn load(address: SocketAddr, line: &str) -> Output {
    command(address, line).output().expect("the program runs")
}

fn command(address: SocketAddr, line: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(line.split_whitespace()).args(["--address", &address.to_string()]);
    command
}

fn json(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", reason(output));
    serde_json::from_slice(&output.stdout).expect("one object")
}

fn reason(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The floor as a process, stopped in the end.
struct Floor(Child, SocketAddr);

impl Floor {
    fn start(line: &str) -> Self {
        let address = free();
        let child = Command::new(PROGRAM)
            .args(["floor", "--listen", &address.to_string()])
            .args(line.split_whitespace())
            .spawn()
            .expect("the floor starts");
        let mut left = 200;
        while TcpStream::connect(address).is_err() && left > 0 {
            thread::sleep(Duration::from_millis(10));
            left -= 1;
        }
        Self(child, address)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address")
}

#[test]
fn people_and_programs_read_what_a_chat_cost() {
    let floor = Floor::start("");
    let line = "chat --auth floor --pairs 4 --window 3 --warm-up 0 --seconds 1";
    let pid = floor.0.id();
    let result = json(&load(floor.1, &format!("{line} --json --pid {pid}")));
    let count = result["count"].as_u64().expect("a number");
    assert!(count > 100, "{result}");
    assert!(result["latency_micros"]["p99"].as_f64() >= result["latency_micros"]["p50"].as_f64());
    assert!(result["server"]["cpu_micros"].as_f64().is_some_and(|cpu| cpu < 1e5), "{result}");
    let table = load(floor.1, line);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("every message came once and in order"), "{table}");
    assert!(!table.contains('\x1b'), "no bar without a terminal: {table}");
}

#[test]
fn in_open_loop_as_many_are_said_as_were_asked_for() {
    let floor = Floor::start("--tls");
    let line = "chat --auth floor --transport tls --pairs 4 --rate 400 --warm-up 0 --seconds 1";
    let result = json(&load(floor.1, &format!("{line} --json")));
    // By their schedule, not by when they arrived.
    let latencies = result["latency_micros"]["count"].as_u64().expect("a number");
    assert!((380..=420).contains(&latencies), "{result}");
}

#[test]
fn every_contact_hears_every_change() {
    let floor = Floor::start("");
    let line = "presence --auth floor --contacts 5 --warm-up 0 --seconds 1 --json";
    let result = json(&load(floor.1, line));
    assert!(result["count"].as_u64().is_some_and(|count| count > 50), "{result}");
}

#[test]
fn everybody_hears_what_one_says() {
    let floor = Floor::start("");
    let open = "room --auth floor --occupants 6 --talkers 2 --rate 100 --warm-up 0 --seconds 1";
    let result = json(&load(floor.1, &format!("{open} --json")));
    // Five hear each message.
    let latencies = result["latency_micros"]["count"].as_u64().expect("a number");
    assert!((475..=525).contains(&latencies), "{result}");
    for closed in ["room --occupants 6 --talkers 2 --window 2", "pubsub --subscribers 5"] {
        let line = format!("{closed} --auth floor --warm-up 0 --seconds 1 --json");
        let result = json(&load(floor.1, &line));
        assert!(result["count"].as_u64().is_some_and(|count| count > 50), "{result}");
    }
}

#[test]
fn an_interrupted_run_prints_what_it_has() {
    let (tell, told) = mpsc::channel();
    let relay = relay(move |text| {
        if text.contains("-3'") {
            let _ = tell.send(());
        }
        text
    });
    let line = "chat --auth floor --pairs 1 --rate 20 --warm-up 0 --seconds 600 --json";
    let child = command(relay, line).stdout(Stdio::piped()).spawn().expect("it starts");
    told.recv().expect("the fourth message");
    let result = interrupt(child);
    assert!(result["count"].as_u64().is_some_and(|count| count > 0), "{result}");
}

#[test]
fn idle_sessions_are_told_of_when_interrupted() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let line = "idle --auth floor --first 1 --users 3 --settle 0 --seconds 600 --json";
    let child = command(address, line).stdout(Stdio::piped()).spawn().expect("it starts");
    let _clients = [(); 4].map(|()| listener.accept().expect("a client").0);
    assert_eq!(interrupt(child)["count"], 3);
}

/// Ends a run as Ctrl-C does, and gives what it prints.
fn interrupt(child: Child) -> serde_json::Value {
    kill_process(Pid::from_child(&child), Signal::INT).expect("it runs");
    let result = json(&child.wait_with_output().expect("it ends"));
    assert_eq!(result["interrupted"], true);
    result
}

/// A relay between two that does something to the bytes of the first one to speak.
fn relay(meddle: impl Fn(String) -> String + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let mut sides: Vec<TcpStream> =
            (0..2).filter_map(|_| Some(listener.accept().ok()?.0)).collect();
        let mut group = [0; 4];
        for side in &mut sides {
            side.read_exact(&mut group).expect("a group");
            side.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        }
        let mut buffer = vec![0; 65_536];
        // Who speaks is not known; an end shows as zero bytes.
        for _ in 0..1_000 {
            for from in 0..2 {
                let count = match sides[from].read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => count,
                    Err(_) => continue,
                };
                let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                if sides[1 - from].write_all(meddle(text).as_bytes()).is_err() {
                    return;
                }
            }
        }
    });
    address
}

#[test]
fn what_is_lost_doubled_or_out_of_order_is_noticed() {
    let lost = load(relay(|text| text.replace("-3'", "-4'")), CHAT);
    assert!(reason(&lost).contains("message 3 was due"), "{}", reason(&lost));

    let swallowed = |text: String| if text.contains("-5'") { String::new() } else { text };
    let swallowed = load(relay(swallowed), CHAT);
    assert!(reason(&swallowed).contains("message 5 has not come"), "{}", reason(&swallowed));

    let doubled = load(relay(|text| text.repeat(1 + usize::from(text.contains("-2'")))), CHAT);
    assert!(reason(&doubled).contains("message 3 was due"), "{}", reason(&doubled));

    let refused = load(relay(|text| text.replace("type='chat'", "type='error'")), CHAT);
    assert!(reason(&refused).contains("message 0 was due"), "{}", reason(&refused));

    let fine = load(relay(|text| text), CHAT);
    assert!(fine.status.success(), "{}", reason(&fine));
}

#[test]
fn what_some_of_many_do_not_hear_is_noticed() {
    for (line, mark) in
        [("room --occupants 2 --talkers 1", "-0-3'"), ("pubsub --subscribers 1", "-3'")]
    {
        let line = format!("{line} --auth floor --warm-up 0 --seconds 1 --patience 1");
        let run = |meddle: fn(String, &str) -> String| {
            reason(&load(relay(move |text| meddle(text, mark)), &line))
        };
        let changed = run(|text, mark| text.replace(mark, &mark.replace('3', "4")));
        assert!(changed.contains("message 3 of speaker 0 was due at listener"), "{changed}");
        let doubled = run(|text, mark| text.repeat(1 + usize::from(text.contains(mark))));
        assert!(doubled.contains("message 4 of speaker 0 was due at listener"), "{doubled}");
        let lost = run(|text, mark| if text.contains(mark) { String::new() } else { text });
        assert!(lost.contains("message 3 of speaker 0 has reached 0 of 1"), "{lost}");
    }
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_remedy() {
    let output = load(free(), "login");
    assert!(!output.status.success());
    assert!(reason(&output).contains("start the server, or give --address"), "{}", reason(&output));
}

#[test]
fn a_server_that_says_nothing_ends_the_run() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let output = load(address, "login --patience 1");
    assert!(reason(&output).contains("--patience waits longer"), "{}", reason(&output));
}

#[test]
fn a_wrong_password_is_told_with_its_remedy() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for socket in listener.incoming().take(16) {
            let mut socket = socket.expect("a client");
            let mut buffer = [0; 4096];
            let header = "<stream:stream xmlns='jabber:client' version='1.0'><stream:features>\
                          <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
                          <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
            let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/>\
                           </failure>";
            for answer in [header, failure] {
                let _ = socket.read(&mut buffer);
                let _ = socket.write_all(answer.as_bytes());
            }
        }
    });
    let output = load(address, "login --auth plain --at-once 1");
    assert!(reason(&output).contains("If the password is wrong"), "{}", reason(&output));
}

#[test]
fn what_cannot_fit_is_refused_before_anything_is_done() {
    let output = load(free(), "idle --users 1000000");
    let text = reason(&output);
    assert!(text.contains("use fewer clients"), "{text}");
    let output = load(free(), "login --users 2 --at-once 4");
    assert!(reason(&output).contains("--users 4"), "{}", reason(&output));
    let output = load(free(), "roster --auth floor");
    assert!(reason(&output).contains("knows no contact lists"), "{}", reason(&output));
    let output = load(free(), "room --occupants 2 --talkers 3");
    assert!(reason(&output).contains("--occupants 3"), "{}", reason(&output));
    for line in ["soak --auth floor", "room-join --auth floor"] {
        let output = load(free(), line);
        assert!(reason(&output).contains("knows no rooms"), "{}", reason(&output));
    }
    let output = load(free(), "fairness --auth floor");
    assert!(reason(&output).contains("takes whatever comes"), "{}", reason(&output));
    let output = load(free(), "fairness --flooders 0 --deaf 0");
    assert!(reason(&output).contains("nobody disturbs"), "{}", reason(&output));
    let output = load(free(), "chat --source ::1");
    assert!(reason(&output).contains("addresses of one kind"), "{}", reason(&output));
    let output = load(free(), "chat --source 192.0.2.1");
    assert!(reason(&output).contains("no address of this machine"), "{}", reason(&output));
    let output = load(free(), "chat --pid 4294967295");
    assert!(reason(&output).contains("--pid takes the number"), "{}", reason(&output));
}

#[test]
fn connections_come_from_the_addresses_that_were_named() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let line = "chat --auth floor --pairs 1 --source 127.0.0.7 --source 127.0.0.8 --patience 1";
    let child = command(address, line).stderr(Stdio::null()).spawn().expect("it starts");
    let mut peers = [(); 2].map(|()| listener.accept().expect("a client").1.ip().to_string());
    peers.sort();
    assert_eq!(peers, ["127.0.0.7", "127.0.0.8"]);
    drop(listener);
    kill_process(Pid::from_child(&child), Signal::KILL).expect("it runs");
    child.wait_with_output().expect("it ends");
}

#[test]
fn a_server_that_falls_behind_ends_the_run() {
    // Two seconds pass before anything arrives.
    let slow = relay(|text| {
        thread::sleep(Duration::from_millis(2_000));
        text
    });
    let line = "chat --auth floor --pairs 1 --rate 20 --warm-up 0 --seconds 60 --patience 1";
    let output = load(slow, line);
    assert!(reason(&output).contains("has not come within 1 s"), "{}", reason(&output));
}
