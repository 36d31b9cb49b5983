use tempfile::TempDir;
use waxwing_kernel::command::Secret;

use super::*;

fn draft(settings: Option<&str>) -> HostDraft {
    HostDraft {
        domain: DomainName::new("example.org").unwrap(),
        is_new: true,
        settings: settings.map(str::to_owned),
        unset: Vec::new(),
        admins: None,
        pem: None,
    }
}

fn write(estate: &Estate, draft: &HostDraft) -> String {
    let pem = estate.keep_pem(draft, 7).unwrap();
    let text = estate.compose(draft, pem.as_deref()).unwrap();
    estate.prepare(&draft.domain, &text).unwrap();
    estate.commit(&draft.domain).unwrap();
    estate.tidy(&draft.domain);
    estate.settings(&draft.domain).unwrap()
}

#[test]
fn what_is_not_mentioned_stays() {
    let folder = TempDir::new().unwrap();
    let estate = Estate::of(folder.path());
    assert!(estate.read(Edit::None).unwrap().is_empty());
    let first = "language = 'de'\n[modules.register]\nopen = true\ninvites = false";
    write(&estate, &draft(Some(first)));
    let change = HostDraft { unset: vec!["language".to_owned()], ..draft(None) };
    write(&estate, &change);
    let text = write(&estate, &draft(Some("[[host]]\n[host.modules.register]\nopen = false")));
    assert_eq!(
        text,
        "[[host]]\ndomain = \"example.org\"\n\n[host.modules.register]\ninvites = false\n\
         open = false\n"
    );
    assert_eq!(estate.read(Edit::None).unwrap().len(), 1);
    assert!(estate.read(Edit::Drop(&change.domain)).unwrap().is_empty());
    let instead = estate.read(Edit::Put(&change.domain, "text")).unwrap();
    assert_eq!(instead.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["text"]);
    estate.discard(&change.domain).unwrap();
    assert!(estate.settings(&change.domain).is_none());
}

#[test]
fn what_cannot_be_is_refused_with_its_field() {
    let folder = TempDir::new().unwrap();
    let estate = Estate::of(folder.path());
    let field = |draft: HostDraft| estate.compose(&draft, None).unwrap_err().field;
    assert_eq!(field(draft(Some("language = "))), Some("settings"));
    assert_eq!(field(draft(Some("[[host]]\n[[host]]"))), Some("settings"));
    assert_eq!(field(HostDraft { unset: vec!["a.b".into()], ..draft(None) }), Some("unset"));
}

#[test]
fn a_certificate_lives_as_long_as_it_is_named() {
    let folder = TempDir::new().unwrap();
    let estate = Estate::of(folder.path());
    let pem = Some(Secret::new("chain and key".to_owned()));
    let text = write(&estate, &HostDraft { pem, ..draft(None) });
    assert!(text.contains("certificate = \"example.org-7.pem\""), "{text}");
    let kept = folder.path().join(FOLDER).join("example.org-7.pem");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "chain and key");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    // One that was kept for a change that came to nothing.
    fs::write(folder.path().join(FOLDER).join("example.org-8.pem"), "").unwrap();
    fs::write(folder.path().join(FOLDER).join("example.org-b.pem"), "").unwrap();
    estate.tidy(&draft(None).domain);
    assert!(kept.exists() && !folder.path().join(FOLDER).join("example.org-8.pem").exists());
    assert!(folder.path().join(FOLDER).join("example.org-b.pem").exists());
}
