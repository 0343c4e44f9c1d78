//! What is written is meant: no `unwrap` that hopes, no stub, no test that sleeps or is left out, no lint silenced without a reason.
//!
//! Relies on words as written, in macros as well. Never looks at `expect` messages: whether a reason is one, a reader judges.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::house::{House, Source};
use super::lexed::{Attribute, Followed, Lexed, PathUse};
use super::Complaint;

/// How a comment says that what stands beside it is meant.
const MEANT: &str = "// tidy: ";
const IS_THE_POINT: &str = " is the point: ";

/// Every source keeps the promises.
pub fn check(house: &House) -> Vec<Complaint> {
    house.sources().flat_map(|(_, source)| check_source(source)).collect()
}

fn check_source(source: &Source) -> Vec<Complaint> {
    let Ok(lexed) = &source.lexed else { return Vec::new() };
    let mut complaints = Vec::new();
    for path in &lexed.paths {
        if let Some(says) = broken(source, path) {
            complaints.push(Complaint::at(&source.path, path.line, says));
        }
    }
    complaints.extend(check_attributes(source, lexed));
    complaints
}

/// Which promise a word breaks.
fn broken(source: &Source, path: &PathUse) -> Option<&'static str> {
    let last = path.segments.last()?.as_str();
    match last {
        "unwrap" if path.after_dot && path.followed == Followed::EmptyCall && !source.is_test(path.line) => {
            Some("`unwrap` outside of tests; return an error, or `expect(\"why it cannot fail\")`")
        }
        "todo" | "unimplemented" if path.followed == Followed::Macro => Some("a stub; do it, or leave it out and say so"),
        "sleep" | "sleep_until" if is_sleep(path) && !is_meant(source, path.line, "sleep") => {
            Some("a sleep; wait for what you wait for, or say `// tidy: sleep is the point: WHY` above it")
        }
        _ => None,
    }
}

fn is_sleep(path: &PathUse) -> bool {
    path.segments.iter().rev().nth(1).is_some_and(|parent| parent == "thread" || parent == "time")
}

fn check_attributes(source: &Source, lexed: &Lexed) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for attribute in &lexed.attributes {
        if attribute.name == "ignore" && !is_meant(source, attribute.line, "ignore") {
            let says = "a test left out; run it, delete it, or say `// tidy: ignore is the point: WHY` above it";
            complaints.push(Complaint::at(&source.path, attribute.line, says));
        }
        if is_silent(attribute) {
            let says = "a lint is silenced without a reason; add `reason = \"...\"`, or mend what it found";
            complaints.push(Complaint::at(&source.path, attribute.line, says));
        }
    }
    complaints
}

/// Whether an attribute silences a lint without a reason, be it inside a `cfg_attr`.
fn is_silent(attribute: &Attribute) -> bool {
    ["allow", "expect", "cfg_attr"].contains(&attribute.name.as_str())
        && silences(&attribute.content)
}

fn silences(content: &TokenStream) -> bool {
    let tokens: Vec<TokenTree> = content.clone().into_iter().collect();
    tokens.windows(2).any(|pair| match pair {
        [TokenTree::Ident(name), TokenTree::Group(group)]
            if group.delimiter() == Delimiter::Parenthesis =>
        {
            if name == "allow" || name == "expect" {
                return !group
                    .stream()
                    .into_iter()
                    .any(|token| matches!(token, TokenTree::Ident(word) if word == "reason"));
            }
            silences(&group.stream())
        }
        _ => false,
    })
}

/// Whether a comment on the line, or in the comment lines right above it, says that it is meant and why.
fn is_meant(source: &Source, line: usize, what: &str) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let says = |text: &str| {
        let reason = text
            .split_once(MEANT)
            .and_then(|(_, rest)| rest.strip_prefix(what))
            .and_then(|rest| rest.strip_prefix(IS_THE_POINT));
        reason.is_some_and(|reason| !reason.trim().is_empty())
    };
    let above =
        lines[..line - 1].iter().rev().take_while(|text| text.trim_start().starts_with("//"));
    lines.get(line - 1).into_iter().chain(above).any(|text| says(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let house = House::of(&[
            ("crates/store/Cargo.toml", "[package]\nname = \"any\""),
            ("crates/store/src/lib.rs", text),
        ]);
        check(&house)
            .iter()
            .map(|complaint| format!("{}: {}", complaint.line, complaint.says))
            .collect()
    }

    #[test]
    fn each_broken_promise_is_seen() {
        for (text, says) in [
            ("fn f() { a.unwrap(); }", "`unwrap` outside of tests"),
            ("fn f() { println!(\"{}\", a?.b().unwrap()); }", "`unwrap` outside of tests"),
            ("fn f() { todo!() }", "a stub"),
            ("fn f() { std::unimplemented!(\"later\") }", "a stub"),
            ("#[cfg(test)] mod tests { fn f() { todo!() } }", "a stub"),
            ("fn f() { std::thread::sleep(a) }", "a sleep"),
            ("use tokio::time::{self, sleep};", "a sleep"),
            ("async fn f() { tokio::time::sleep(a).await }", "a sleep"),
            ("#[cfg(test)] mod tests { fn f() { thread::sleep(a) } }", "a sleep"),
            ("// tidy: sleep is the point:\nfn f() { thread::sleep(a) }", "a sleep"),
            ("// tidy: ignore is the point: it is slow\nfn f() { thread::sleep(a) }", "a sleep"),
            ("#[test]\n#[ignore]\nfn f() {}", "a test left out"),
            ("#[test]\n#[ignore = \"slow\"]\nfn f() {}", "a test left out"),
            ("#![allow(dead_code)]", "silenced without a reason"),
            ("#[expect(clippy::all)]\nfn f() {}", "silenced without a reason"),
            ("#[cfg_attr(test, allow(dead_code))]\nfn f() {}", "silenced without a reason"),
        ] {
            let complaints = found(text);
            assert!(
                complaints.len() == 1 && complaints[0].contains(says),
                "{text}: {complaints:?}"
            );
        }
    }

    #[test]
    fn kept_promises_pass() {
        for text in [
            "fn f() { a.expect(\"why\"); a.unwrap_or(b); a.unwrap(c); unwrap(); }",
            "// a.unwrap() and todo!()\nfn f() { \"thread::sleep()\"; }",
            "#[test]\nfn f() { a.unwrap(); }",
            "#[cfg(test)]\nmod tests { fn kit() { a.unwrap(); } }",
            "fn f() { thread::sleep(a) } // tidy: sleep is the point: the clock is what is tested",
            "// tidy: sleep is the point: a pause between two tries,\n// as long as it was told\nfn f() { tokio::time::sleep(a) }",
            "// tidy: ignore is the point: needs a second machine\n#[ignore]\nfn f() {}",
            "#[allow(dead_code, reason = \"read by the debugger\")]\nfn f() {}",
            "#[cfg_attr(test, expect(dead_code, reason = \"x\"), derive(Debug))]\nstruct A;",
            "fn sleep() {} fn f() { sleep(); self.sleep(); world::sleep(a); }",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn integration_tests_may_unwrap() {
        let manifest = ("crates/store/Cargo.toml", "[package]\nname = \"any\"");
        let text = "fn f() { a.unwrap(); }";
        assert!(check(&House::of(&[
            manifest,
            ("crates/store/tests/open.rs", text),
            ("tests/src/lib.rs", text)
        ]))
        .is_empty());
        assert_eq!(check(&House::of(&[manifest, ("crates/store/build.rs", text)])).len(), 1);
    }
}
