//! Configurations as operators write them: what is read, and what is said of mistakes.
//!
//! Every `config/NAME.toml` has its errors in `config/NAME.txt`. To renew one, delete it and run
//! the tests twice: the first run writes it.

use std::fs;
use std::path::Path;

use waxwing_kernel::config::sections::{Durability, Port, StorageUrl};
use waxwing_kernel::config::{Bytes, Config, SectionAbout, Source, example, reference};

waxwing_kernel::section! {
    /// Asks silent clients whether they are still there.
    pub struct PingConfig("ping") {
        /// How long a client may be silent (seconds).
        pub idle_seconds: u32 = 60 in 10..=3600,
        /// What it is asked.
        pub greeting: String = "Hello?",
        /// Where answers are noted.
        [restart] pub file: Option<std::path::PathBuf> = None,
    }
}

waxwing_kernel::section! {
    /// Lets strangers make accounts.
    pub struct RegisterConfig("register") {
        /// Names that nobody may take.
        pub reserved: Vec<String> = ["admin", "root"],
    }
}

static PING: SectionAbout = SectionAbout::of::<PingConfig>();
static REGISTER: SectionAbout = SectionAbout::of::<RegisterConfig>().off();
static MODULES: [&SectionAbout; 2] = [&PING, &REGISTER];

fn read(text: &str) -> Result<Config, String> {
    Config::read(Source { name: "waxwing.toml", text }, &MODULES).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        told.join("\n\n") + "\n"
    })
}

#[test]
fn mistakes_are_explained() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut written = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a text");
        let told = read(&text).map_or_else(|errors| errors, |_| "fine\n".to_owned());
        let golden = path.with_extension("txt");
        let Ok(expected) = fs::read_to_string(&golden) else {
            fs::write(&golden, told).expect("the folder can be written");
            written.push(golden);
            continue;
        };
        assert_eq!(told, expected, "{}", path.display());
    }
    assert!(written.is_empty(), "look at what was written: {written:?}");
}

#[test]
fn values_are_read() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/fine.toml"));
    let mut config = read(&text.expect("a text")).expect("it is fine");
    config.settle(Path::new("/etc"));
    assert_eq!(config.server.data, Path::new("/var/lib/waxwing"));
    assert_eq!(config.limits.stanza_bytes, Bytes(1 << 20));
    assert_eq!(config.limits.unacked_bytes, Bytes(512 << 10));
    assert_eq!(config.storage.url, StorageUrl::Postgres("postgres://waxwing@db/waxwing".into()));
    assert_eq!(config.storage.durability, Durability::ProcessCrash);

    let org = config.host("example.org").expect("a host");
    assert_eq!(org.config.admins[0].as_str(), "admin@example.org");
    let ping: PingConfig = org.module("ping");
    assert_eq!((ping.idle_seconds, ping.greeting.as_str()), (600, "Still there?"));
    assert!(org.is_on("register") && org.is_on("ping"));

    let net = config.host("example.net").expect("a host");
    assert_eq!(net.module::<PingConfig>("ping").idle_seconds, 120);
    assert!(!net.is_on("register"));
}

#[test]
fn nothing_said_means_the_defaults() {
    let config = Config::defaults(&MODULES);
    assert_eq!(config.hosts.len(), 1);
    assert_eq!(config.hosts[0].config.domain.as_str(), "localhost");
    let reserved = config.hosts[0].module::<RegisterConfig>("register").reserved;
    assert_eq!(reserved, ["admin", "root"]);
    let loopback = config.addresses();
    assert_eq!(loopback.len(), 8);
    assert!(loopback.iter().all(|listen| listen.address.ip().is_loopback() && !listen.is_asked));
    let open = config.listen.addresses(true);
    let is_open = |port| {
        let mut of_port = open.iter().filter(|listen| listen.port == port);
        of_port.all(|listen| listen.address.ip().is_unspecified())
    };
    let fallback = open[0].fallback().expect("IPv4");
    assert_eq!(fallback.to_string(), "0.0.0.0:5222");
    assert!(is_open(Port::Xmpp) && is_open(Port::Https) && !is_open(Port::Http));
    assert!(!is_open(Port::Component));
}

#[test]
fn components_are_waited_for_where_there_are_any() {
    let component = "[[component]]\ndomain = \"irc.example.org\"\nsecret = \"s3cret\"\n";
    let with = |text: &str| read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let waits = |config: &Config| {
        config.addresses().iter().filter(|address| address.port == Port::Component).count()
    };
    let (none, one) = (with(""), with(component));
    assert_eq!((waits(&none), waits(&one)), (0, 2));
    // Nothing that is printed tells the secret.
    assert!(!format!("{one:?}").contains("s3cret"));
    let keys = |changes: Vec<waxwing_kernel::config::Change>| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        keys(none.reload(&one).expect_err("a port")),
        ["listen.component (needs a restart)"]
    );
    let other = with(&component.replace("s3cret", "changed"));
    assert_eq!(keys(one.reload(&other).expect("it can")), ["component.irc.example.org.secret"]);
    let two = with(&format!("{component}{}", component.replace("irc", "sms")));
    assert!(one.reload(&two).is_ok() && two.reload(&one).is_ok());
}

#[test]
fn other_servers_come_in_where_this_one_talks_with_them() {
    let with = |text: &str| read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let ports = |text: &str| {
        let config = with(text);
        let servers = config.addresses().into_iter().filter(|it| it.port.is_for_servers());
        let mut ports: Vec<String> = servers.map(|it| it.address.to_string()).collect();
        ports.sort();
        ports
    };
    assert_eq!(ports(""), Vec::<String>::new());
    assert_eq!(ports("[server]\npublic = true"), ["[::]:5269", "[::]:5270"]);
    assert_eq!(ports("[server]\npublic = true\n[federation]\nenabled = false").len(), 0);
    let here = ["127.0.0.1:5269", "127.0.0.1:5270", "[::1]:5269", "[::1]:5270"];
    assert_eq!(ports("[federation]\nenabled = true"), here);
    let asked = "[federation]\nenabled = true\n[listen]\nserver = ['10.0.0.1:1']\nserver_tls = []";
    assert_eq!(ports(asked), ["10.0.0.1:1"]);
}

#[test]
fn rules_about_other_servers_take_effect_while_the_server_runs() {
    let with = |text: &str| read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let old = with("[federation]\nblock = ['a.example']");
    let new = with(
        "[federation]\nallow = ['b.example']\nlists = ['xmpp:l.example?;node=n']\n\
         [[peer]]\ndomain = 'c.example'\naddress = '[::1]:1'\n[limits]\npeer_queue = 16",
    );
    let changed = old.reload(&new).expect("it can be done");
    let keys: Vec<String> = changed.iter().map(ToString::to_string).collect();
    for key in ["federation.allow", "federation.block", "federation.lists", "limits.peer_queue"] {
        assert!(keys.iter().any(|it| it == key), "{key} is missing in {keys:?}");
    }
    assert!(keys.iter().any(|key| key == "peer.c.example.address"), "{keys:?}");
    let off = old.reload(&with("[federation]\nenabled = true")).expect_err("ports come and go");
    assert_eq!(off[0].to_string(), "federation.enabled (needs a restart)");
}

#[test]
fn a_component_does_not_stand_in_front_of_a_service() {
    static SERVES: SectionAbout = SectionAbout::of::<RegisterConfig>().serving("files");
    let read = |text: &str| {
        let config = Config::read(Source { name: "waxwing.toml", text }, &[&PING, &SERVES]);
        config.map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    let text = "[[host]]\ndomain = \"example.org\"\n\
                [[component]]\ndomain = \"Files.example.org\"\nsecret = \"s3cret\"\n";
    let told = read(text).expect_err("it is taken");
    assert_eq!(
        told,
        ["waxwing.toml:4:10: component.domain: the server's own module `register` answers at \
          this domain\n  |\n4 | domain = \"Files.example.org\"\n  |          ^^^^^^^^^^^^^^^^^^^ \
          choose another domain, or write `enabled = false` below [modules.register]"]
    );
    for fine in [
        text.replace("Files.", "my-files."),
        text.replace("Files.", "my.files."),
        text.replace("Files.example.org", "files.example.net"),
        format!("{text}[modules.register]\nenabled = false\n"),
    ] {
        assert!(read(&fine).is_ok(), "{fine}: {:?}", read(&fine).err());
    }
}

#[test]
fn the_example_changes_nothing_until_its_marks_are_taken_away() {
    let text = example(&MODULES);
    let config = read(&text).expect("comments are fine");
    assert_eq!(Config::defaults(&MODULES).changes(&config), []);

    let is_setting = |line: &&str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_lowercase() || c == '['))
    };
    let live: Vec<&str> =
        text.lines().map(|line| if is_setting(&line) { &line[1..] } else { line }).collect();
    let config = read(&live.join("\n")).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.hosts[0].config.domain.as_str(), "example.org");
    assert!(!config.hosts[0].is_on("register"));
}

#[test]
fn the_reference_names_every_setting() {
    let page = reference(&MODULES);
    for part in [
        "## `[server]`",
        "## `[[host]]`",
        "### `[modules.ping]`",
        "- **`idle_seconds`** (a whole number; 10 to 3600; default `60`)",
        "- **`file`** (a path such as \"file.pem\"; no default; restart)",
        "Off unless `enabled = true`.",
    ] {
        assert!(page.contains(part), "{part} is missing in\n{page}");
    }
}

#[test]
fn a_reload_is_all_or_nothing() {
    let host = "[[host]]\ndomain = \"example.org\"\n";
    let with =
        |text: &str| read(&format!("{host}{text}")).unwrap_or_else(|errors| panic!("{errors}"));
    let old = with("");
    let keys = |changes: Vec<waxwing_kernel::config::Change>| -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    };
    let fine = with("[modules.ping]\nidle_seconds = 99\n[limits]\ndepth = 32\n");
    let changed = old.reload(&fine).expect("it can be done");
    assert_eq!(keys(changed), ["example.org.modules.ping.idle_seconds", "limits.depth"]);

    let hard =
        with("[limits]\ndepth = 32\n[server]\npublic = true\n[modules.ping]\nfile = \"x\"\n");
    let refused = old.reload(&hard).expect_err("it cannot");
    assert_eq!(
        keys(refused),
        ["example.org.modules.ping.file (needs a restart)", "server.public (needs a restart)"]
    );
    let more = with("[[host]]\ndomain = \"example.net\"\n");
    for (from, to) in [(&old, &more), (&more, &old)] {
        let changed = keys(from.reload(to).expect("hosts come and go"));
        assert!(changed.iter().all(|key| key.starts_with("example.net.")), "{changed:?}");
    }
    assert_eq!(old.reload(&with("")), Ok(Vec::new()));
}
