use super::*;

fn jid(text: &str) -> BareJid {
    BareJid::new(text).unwrap()
}

#[test]
fn there_is_one_value_for_each_node() {
    let mut held = Held::default();
    let one = held.find(&jid("a@b"), "n", 10);
    assert!(Arc::ptr_eq(&one, &held.find(&jid("a@b"), "n", 10)));
    assert!(!Arc::ptr_eq(&one, &held.find(&jid("c@b"), "n", 10)));
    assert!(!Arc::ptr_eq(&one, &held.find(&jid("a@b"), "m", 10)));
}

#[test]
fn what_is_in_use_or_was_asked_for_lately_is_kept() {
    let mut held = Held::default();
    let used = held.find(&jid("a@b"), "used", 4);
    for number in 0..100 {
        held.find(&jid("a@b"), "favourite", 4);
        held.find(&jid("a@b"), &number.to_string(), 4);
    }
    assert!(held.order.len() <= 5, "{} are kept", held.order.len());
    assert_eq!(held.known[&jid("a@b")].len(), held.order.len());
    assert!(Arc::ptr_eq(&used, &held.known[&jid("a@b")]["used"]));
    assert!(held.known[&jid("a@b")].contains_key("favourite"));
    drop(used);
    for number in 100..120 {
        held.find(&jid("c@b"), &number.to_string(), 4);
    }
    assert!(!held.known.contains_key(&jid("a@b")), "nobody asked for them");
}

#[test]
fn an_erased_account_has_no_nodes() {
    let cache = Cache::default();
    cache.held.lock().find(&jid("a@b"), "n", 10);
    cache.held.lock().find(&jid("c@b"), "n", 10);
    cache.forget(&jid("a@b"));
    let held = cache.held.lock();
    assert!(!held.known.contains_key(&jid("a@b")) && held.known.contains_key(&jid("c@b")));
    assert_eq!(held.order.len(), 1);
}
