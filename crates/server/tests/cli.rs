//! The program as people run it: what it prints where, and how it exits.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn waxwing(folder: &Path, line: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_waxwing"))
        .args(line.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("the program starts")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("it writes UTF-8")
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("w.toml"), "[server]\npubilc = true\n").expect("written");
    for command in ["check", "serve", "routes", "reload"] {
        let output = waxwing(folder.path(), &format!("{command} --config w.toml"));
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert_eq!(
            text(&output.stderr),
            "w.toml:2:1: server.pubilc: no such setting\n  |\n2 | pubilc = true\n  \
             | ^^^^^^ did you mean `public`?\n",
            "{command}"
        );
        assert!(output.stdout.is_empty(), "{command}");
    }
    let output = waxwing(folder.path(), "check --config none.toml");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("none.toml: "), "{output:?}");
}

#[test]
fn without_a_server_the_remedy_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = waxwing(folder.path(), "reload --data d");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("no server is running on the data folder d"), "{told}");
    assert!(told.contains("waxwing serve"), "{told}");
}

#[test]
fn the_example_passes_the_check() {
    let folder = tempfile::tempdir().expect("a folder");
    let example = waxwing(folder.path(), "config example");
    assert!(example.status.success());
    let quiet = "\n[listen]\nxmpp = []\nxmpp_tls = []\nhttp = []\nhttps = []\n";
    let text_of_file = text(&example.stdout).replace("\n[listen]\n", quiet);
    fs::write(folder.path().join("w.toml"), text_of_file).expect("written");
    let output = waxwing(folder.path(), "check --config w.toml --json");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let verdicts = found.as_array().expect("a list");
    assert!(verdicts.len() >= 3 && verdicts.iter().all(|found| found["verdict"] == "ok"));
}

#[test]
fn a_certificate_that_does_not_exist_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[listen]\nxmpp = []\nxmpp_tls = []\nhttp = []\nhttps = []\n[[host]]\n\
        domain = \"example.org\"\ncertificate = \"chain.pem\"\nkey = \"key.pem\"\n";
    fs::write(folder.path().join("w.toml"), config).expect("written");
    let output = waxwing(folder.path(), "check --config w.toml");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = text(&output.stdout);
    assert!(told.contains("wrong    certificate of example.org: chain.pem\n"), "{told}");
}

#[test]
fn a_public_server_is_told_what_it_lacks() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().expect("a folder");
    // Nobody answers there, whatever the name servers of this machine know.
    let names = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = names.local_addr().expect("an address").port();
    drop(names);
    let config = format!(
        "[server]\npublic = true\n[listen]\nxmpp = []\nxmpp_tls = []\nhttp = []\nhttps = []\n\
         server = [\"127.0.0.1:0\"]\nserver_tls = []\n[http]\n\
         public_url = \"http://localhost\"\n[federation]\ndns = [\"127.0.0.1:{port}\"]\n\
         [[host]]\ndomain = \"localhost\"\n"
    );
    fs::write(folder.path().join("w.toml"), config).expect("written");
    let data = folder.path().join("d");
    fs::create_dir(&data).expect("made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("opened");
    let output = waxwing(folder.path(), "check --config w.toml --data d");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told = text(&output.stdout);
    for line in [
        "careful  data folder d\n         everybody on this machine",
        "careful  http.public_url http://localhost\n",
        "careful  certificate of localhost: self-signed",
        "note     records of localhost\n         these lead everybody to the ports",
        "_xmpp-server._tcp.localhost. 3600 IN SRV 5 0 0 localhost.\n",
        "browsers ask https://localhost/.well-known/host-meta\n",
    ] {
        assert!(told.contains(line), "no {line:?} in {told}");
    }
}

#[test]
fn unknown_words_are_wrong_usage() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = waxwing(folder.path(), "chekc");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'check'"), "{output:?}");
    assert!(waxwing(folder.path(), "--help").status.success());
}
