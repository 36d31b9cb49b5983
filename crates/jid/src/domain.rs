//! How domains lie below each other.

/// Whether `domain` is a subdomain of `above`, at any depth, and not `above` itself. Both are in
/// prepared form.
pub fn is_subdomain(domain: &str, above: &str) -> bool {
    let labels = domain.strip_suffix(above);
    labels.is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::is_subdomain;

    #[test]
    fn whole_labels_count() {
        assert!(is_subdomain("irc.example.org", "example.org"));
        assert!(is_subdomain("a.b.example.org", "example.org"));
        for domain in ["example.org", "badexample.org", ".example.org", "org", "example.org.uk"] {
            assert!(!is_subdomain(domain, "example.org"), "{domain}");
        }
    }
}
