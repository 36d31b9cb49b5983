//! Certificates while settings change.

use std::fs;
use std::thread;

use super::*;

/// The periodic check and a reload of the settings may come at the same time.
#[test]
fn a_check_does_not_bring_old_settings_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = |domains: &[&str]| TlsOptions {
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        folder: folder.path().to_owned(),
        ..TlsOptions::default()
    };
    let old = options(&["a.example", "b.example", "c.example", "d.example"]);
    let new = options(&["new.example"]);
    let tls = Tls::open(new.clone()).unwrap();
    for _ in 0..20 {
        tls.configure(old.clone()).unwrap();
        for domain in &old.domains {
            fs::remove_file(pem_path(folder.path(), domain)).unwrap();
        }
        thread::scope(|threads| {
            threads.spawn(|| tls.reload().unwrap());
            threads.spawn(|| tls.configure(new.clone()).unwrap());
        });
        let names: Vec<_> = tls.in_use().into_iter().map(|one| one.names[0].clone()).collect();
        assert_eq!(names, ["new.example"]);
    }
}
