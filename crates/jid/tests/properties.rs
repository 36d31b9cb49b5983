//! Properties that hold for every text.

use proptest::prelude::*;
use waxwing_jid::{
    BareJid, Jid, JidError, prepare_domain, prepare_local, prepare_password, prepare_resource,
};

type Prepare = fn(&str) -> Result<std::borrow::Cow<'_, str>, JidError>;

const PROFILES: [Prepare; 4] = [prepare_local, prepare_domain, prepare_resource, prepare_password];

/// Text rich in what the profiles care about: case, widths, marks, separators, directions.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "[a-zA-Z0-9.-]{1,20}",
        "\\PC{0,12}",
        "[a-z\u{C0}-\u{24F}\u{300}-\u{36F}\u{370}-\u{3FF}]{1,8}",
        "[\u{5D0}-\u{5EA}\u{627}-\u{64A}\u{660}-\u{669}0-9a-z]{1,8}",
        "[\u{FF01}-\u{FFDC}\u{3000}-\u{30FF}\u{1F300}-\u{1FAFF}]{1,8}",
        "(xn--)?[a-z0-9\u{DF}\u{FC}.\u{3002}-]{1,16}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn preparation_is_idempotent(text in text()) {
        for prepare in PROFILES {
            if let Ok(once) = prepare(&text) {
                let twice = prepare(&once);
                prop_assert_eq!(twice.as_deref(), Ok(&*once));
                prop_assert!((1..=1023).contains(&once.len()));
            }
        }
    }

    #[test]
    fn display_round_trips(local in text(), domain in text(), resource in text()) {
        for text in [
            format!("{local}@{domain}/{resource}"),
            format!("{domain}/{resource}"),
            format!("{local}@{domain}"),
            domain.clone(),
        ] {
            let Ok(jid) = Jid::new(&text) else { continue };
            let again = Jid::new(&jid.to_string());
            prop_assert_eq!(again.as_ref(), Ok(&jid));
            let again = again.unwrap();
            prop_assert_eq!(again.local(), jid.local());
            prop_assert_eq!(again.domain(), jid.domain());
            prop_assert_eq!(again.resource(), jid.resource());
            let bare = jid.bare();
            prop_assert_eq!(BareJid::new(jid.bare_str()), Ok(bare));
        }
    }

    /// The fast path and the profiles agree: an address is what its parts make.
    #[test]
    fn whole_and_parts_agree(local in "[!-~]{1,6}", domain in "[A-Za-z0-9.-]{1,9}",
            resource in "[ -~]{1,6}") {
        let whole = Jid::new(&format!("{local}@{domain}/{resource}"));
        let parts = Jid::from_parts(Some(&local), &domain, Some(&resource));
        if !local.contains(['@', '/']) {
            prop_assert_eq!(whole, parts);
        } else {
            prop_assert!(parts.is_err());
        }
    }

    /// Letter case never distinguishes accounts or domains.
    #[test]
    fn case_is_folded(local in "[a-zA-Z]{1,9}", domain in "[a-zA-Z]{1,9}") {
        let lower = Jid::new(&format!("{local}@{domain}").to_lowercase());
        let upper = Jid::new(&format!("{local}@{domain}").to_uppercase());
        prop_assert_eq!(lower, upper);
    }

    /// Full-width forms are the same account as the plain letters, as stringprep had it.
    #[test]
    fn width_is_folded(local in "[a-zA-Z0-9]{1,9}") {
        let wide: String =
            local.chars().map(|c| char::from_u32(c as u32 + 0xFEE0).expect("full-width")).collect();
        prop_assert_eq!(prepare_local(&wide), prepare_local(&local));
    }
}
