//! What a client sent, made harmless where it becomes part of a name or of a filter.

/// A value inside a filter (RFC 4515 §3): a backslash "followed by the two hexadecimal digits" for
/// NUL, parentheses, asterisk and backslash.
pub(super) fn of_filter(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\0' | '(' | ')' | '*' | '\\' => out.push_str(&format!("\\{:02x}", u32::from(letter))),
            plain => out.push(plain),
        }
    }
    out
}

/// A value inside a distinguished name (RFC 4514 §2.4).
pub(super) fn of_dn(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, letter) in value.chars().enumerate() {
        match letter {
            '\0' => out.push_str("\\00"),
            '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\' => out.extend(['\\', letter]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || at == last => out.push_str("\\ "),
            plain => out.push(plain),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_stay_what_they_were() {
        // RFC 4515 §4.
        assert_eq!(
            of_filter("Parens R Us (for all your parenthetical needs)"),
            r"Parens R Us \28for all your parenthetical needs\29"
        );
        assert_eq!(of_filter("*"), r"\2a");
        assert_eq!(of_filter("C:\\MyFile"), r"C:\5cMyFile");
        assert_eq!(of_filter("x)(uid=*))(|(uid=*"), r"x\29\28uid=\2a\29\29\28|\28uid=\2a");
        assert_eq!(of_filter("\0"), r"\00");
        assert_eq!(of_filter("Lučić"), "Lučić");
    }

    #[test]
    fn names_stay_what_they_were() {
        // RFC 4514 §4.
        assert_eq!(of_dn("James \"Jim\" Smith, III"), r#"James \"Jim\" Smith\, III"#);
        assert_eq!(of_dn("#hello"), r"\#hello");
        assert_eq!(of_dn(" a#b "), r"\ a#b\ ");
        assert_eq!(of_dn(" "), r"\ ");
        assert_eq!(of_dn("admin,dc=example"), r"admin\,dc\=example");
        assert_eq!(of_dn("a+b;c<d>e\\f\0"), r"a\+b\;c\<d\>e\\f\00");
        assert_eq!(of_dn(""), "");
    }
}
