use super::*;

fn read(text: &str) -> Source {
    scan(&File { path: "crates/x/src/lib.rs".to_owned(), text: text.to_owned() }).expect("Rust")
}

fn calls(text: &str) -> Vec<(String, usize, bool)> {
    let calls = read(text).calls.into_iter();
    calls.map(|call| (call.name, call.line, call.is_test)).collect()
}

#[test]
fn functions_are_measured_from_their_keyword_to_their_brace() {
    let source = read(
        "/// Doc.\npub fn one(a: [u8; 3]) -> u8 {\n    a[0]\n}\n\
         trait T {\n    fn none(&self);\n    fn with(&self) {}\n}\n",
    );
    let sizes: Vec<_> =
        source.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
    assert_eq!(sizes, [("one", 2, 3), ("with", 7, 1)]);
}

#[test]
fn strings_and_comments_are_not_code() {
    assert_eq!(calls("// a.unwrap()\nconst A: &str = \"x.unwrap() todo!()\";\n"), []);
    assert_eq!(calls("const B: &str = r#\"fn long() { todo!() }\"#; // '\"'\n"), []);
}

#[test]
fn what_is_disallowed_is_seen_also_inside_macros() {
    let text = "fn f() {\n    vec![a.unwrap()];\n    println!(\"{}\", std::env::var(\"X\"));\n}\n";
    let found = calls(text);
    assert!(found.contains(&(".unwrap()".to_owned(), 2, false)), "{found:?}");
    assert!(found.contains(&("env::var".to_owned(), 3, false)), "{found:?}");
}

#[test]
fn unwrap_or_is_something_else() {
    assert_eq!(calls("fn f() { a.unwrap_or(1); a.unwrap_or_default(); }\n"), []);
}

#[test]
fn not_equal_is_no_macro() {
    assert_eq!(calls("fn f() { if todo != 1 { x } }\n"), []);
}

#[test]
fn inline_tests_are_told_from_code() {
    let source = read(
        "fn code() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    \
         fn works() { a.unwrap() }\n}\n",
    );
    assert_eq!(source.test_lines, 5);
    assert!(source.functions.iter().any(|f| f.name == "works" && f.is_test));
    assert!(source.functions.iter().any(|f| f.name == "code" && !f.is_test));
    assert!(source.calls.iter().all(|call| call.is_test));
}

#[test]
fn an_attribute_reaches_only_to_the_end_of_its_item() {
    let found = calls("#[cfg(test)]\nuse a::b;\nfn f() { x.unwrap() }\n");
    assert!(found.contains(&(".unwrap()".to_owned(), 3, false)), "{found:?}");
    let found = calls("#[cfg(test)]\nfn g<A, B>() { x.unwrap() }\n");
    assert_eq!(found, [(".unwrap()".to_owned(), 2, true)]);
    let found = calls("#[cfg(not(test))]\nfn g() { x.unwrap() }\n");
    assert_eq!(found, [(".unwrap()".to_owned(), 2, false)]);
}

#[test]
fn test_attributes_with_arguments_count() {
    let source = read("#[tokio::test(start_paused = true)]\nasync fn waits() {}\n");
    assert!(source.functions[0].is_test);
}

#[test]
fn ignored_tests_and_dead_code_are_seen() {
    let found = calls("#[test]\n#[ignore]\nfn f() {}\n#![allow(dead_code)]\n");
    assert_eq!(
        found,
        [("#[ignore]".to_owned(), 2, true), ("allow(dead_code)".to_owned(), 4, false)]
    );
}

#[test]
fn a_function_pointer_is_no_function() {
    assert!(read("type F = fn(u8) -> u8;\nstruct S { run: fn() }\n").functions.is_empty());
}
