//! What users read, pinned: a change shows in the review. `cargo xtask golden` renews the files.

use std::fs;
use std::path::Path;

use waxwing_kernel::config::{example, reference};
use waxwing_kernel::module::Xep;

use crate::modules::MODULES;

/// What is implemented below the modules: number, version, where.
const CORE: [(Xep, &str); 19] = [
    (Xep(82, "1.1.1"), "kernel"),
    (Xep(124, "1.11.2"), "net"),
    (Xep(128, "1.0.1"), "disco"),
    (Xep(156, "1.4.0"), "net"),
    (Xep(175, "1.2"), "stream"),
    (Xep(178, "1.2"), "stream"),
    (Xep(198, "1.6.3"), "stream"),
    (Xep(199, "2.0.1"), "stream"),
    (Xep(206, "1.4"), "net"),
    (Xep(368, "1.1.0"), "net"),
    (Xep(386, "1.1.0"), "stream"),
    (Xep(388, "1.0.4"), "stream"),
    (Xep(440, "1.0.0"), "stream"),
    (Xep(474, "0.5.0"), "stream"),
    (Xep(478, "0.2.0"), "stream"),
    (Xep(480, "0.2.0"), "stream"),
    (Xep(487, "0.1.0"), "net"),
    (Xep(509, "0.2.0"), "stream"),
    (Xep(515, "0.1.0"), "stream"),
];

#[test]
fn golden_files_are_current() {
    let sections = crate::sections();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut stale = Vec::new();
    for (name, current) in [
        ("golden/config.md", reference(&sections)),
        ("golden/waxwing.toml", example(&sections)),
        ("golden/routes.txt", crate::direct::default_routes()),
        ("docs/xeps.md", xeps()),
    ] {
        if fs::read_to_string(root.join(name)).unwrap_or_default() != current {
            let fresh = root.join("target/fresh").join(name);
            fs::create_dir_all(fresh.parent().unwrap()).unwrap();
            fs::write(fresh, current).unwrap();
            stale.push(name);
        }
    }
    assert!(stale.is_empty(), "{stale:?} are stale; see what changed with `cargo xtask golden`");
}

/// The specifications that are implemented, by number.
fn xeps() -> String {
    let of_modules = MODULES
        .iter()
        .flat_map(|mount| mount.about.xeps.iter().map(|xep| (*xep, mount.about.name)));
    let mut all: Vec<(Xep, &str)> = CORE.into_iter().chain(of_modules).collect();
    all.sort_by_key(|(Xep(number, _), place)| (*number, *place));
    let mut text = String::from(
        "# Specifications\n\n\
         RFC 6120, 6121, 7395 and 7622 whole, for client streams; and these extensions. Where \
         names a module, its\npage is in `crates/modules/src`.\n\n\
         | XEP | version | where |\n| --- | --- | --- |\n",
    );
    for (Xep(number, version), place) in all {
        text += &format!(
            "| [{number:04}](https://xmpp.org/extensions/xep-{number:04}.html) | {version} | \
             {place} |\n"
        );
    }
    text
}
