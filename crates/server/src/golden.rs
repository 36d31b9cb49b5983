//! What users read, pinned: a change shows in the review. `cargo xtask golden` renews the files.

mod doap;
mod shown;
mod suites;
mod titles;
mod xeps;

use std::fs;
use std::path::{Path, PathBuf};

use waxwing_kernel::config::{example, reference};

/// The workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn golden_files_are_current() {
    let (sections, claims) = (crate::sections(), xeps::claims());
    let root = root();
    let mut stale = Vec::new();
    for (name, current) in [
        ("golden/config.md", reference(&sections)),
        ("golden/waxwing.toml", example(&sections)),
        ("golden/routes.txt", crate::direct::default_routes()),
        ("docs/xeps.md", xeps::page(&claims)),
        ("docs/waxwing.doap", doap::file(&claims)),
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
