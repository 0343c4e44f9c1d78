//! The paths and plain names of a Rust file, each with its line.
//!
//! Relies on `proc_macro2` as a lexer, so strings and comments are never taken for code, and what stands inside a macro call is seen like
//! anything else. Never resolves names: a path is what is written, with `use a::{b, c}` spread into `a::b` and `a::c`.

use proc_macro2::{Delimiter, TokenTree};

use super::items::is_punct;

/// A path or name where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathUse {
    /// `["std", "fs", "read"]`; a glob ends in `*`.
    pub segments: Vec<String>,
    /// Of its first word.
    pub line: usize,
    /// Whether it is a method or field: a dot stands before it.
    pub after_dot: bool,
}

/// Every path and name in some tokens, in their order.
pub fn of(tokens: &[TokenTree]) -> Vec<PathUse> {
    let mut found = Vec::new();
    words(tokens, &[], &mut found);
    found
}

/// Every path and name, use lists spread out.
fn words(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<PathUse>) {
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            // The new name in `use a::{b as c}` is no path of its own.
            TokenTree::Ident(word) if word == "as" && !prefix.is_empty() => at += 1,
            TokenTree::Ident(word) => {
                let mut segments = prefix.to_vec();
                segments.push(word.to_string());
                let after_dot = 0 < at
                    && is_punct(tokens.get(at - 1), '.')
                    && !(1 < at && is_punct(tokens.get(at - 2), '.'));
                while let Some((separator, next)) =
                    tokens.get(at + 1..at + 3).zip(tokens.get(at + 3))
                {
                    if !separator.iter().all(|token| is_punct(Some(token), ':')) {
                        break;
                    }
                    match next {
                        TokenTree::Ident(word) => segments.push(word.to_string()),
                        TokenTree::Punct(star) if star.as_char() == '*' => {
                            segments.push("*".to_owned())
                        }
                        TokenTree::Group(list) if list.delimiter() == Delimiter::Brace => {
                            let list: Vec<TokenTree> = list.stream().into_iter().collect();
                            words(&list, &segments, found);
                        }
                        _ => break,
                    }
                    at += 3;
                }
                found.push(PathUse { segments, line: word.span().start().line, after_dot });
            }
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                words(&inside, &[], found);
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => (),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<PathUse> {
        of(&text.parse::<proc_macro2::TokenStream>().unwrap().into_iter().collect::<Vec<_>>())
    }

    fn paths(text: &str) -> Vec<String> {
        found(text).iter().map(|path| path.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_seen_in_code_but_not_in_strings_or_comments() {
        let text = "// std::fs\nfn f() { let a = \"std::net\"; /* std::env */ std::thread::spawn(r#\"x.unwrap()\"#) }";
        assert_eq!(paths(text), ["fn", "f", "let", "a", "std::thread::spawn"]);
    }

    #[test]
    fn use_lists_are_spread_out() {
        let found = paths("use std::{fs::{self, File as F}, net::*, time};");
        for path in ["std::fs::self", "std::fs::File", "std::net::*", "std::time"] {
            assert!(found.contains(&path.to_owned()), "{path} in {found:?}");
        }
        assert!(!found.iter().any(|path| path.ends_with("::F")), "{found:?}");
    }

    #[test]
    fn methods_and_ranges_are_told_apart() {
        let found = found("fn f() { a.get(); ..get(); get(); vec![z.get()]; }");
        let dots: Vec<_> =
            found.iter().filter(|it| it.segments == ["get"]).map(|it| it.after_dot).collect();
        assert_eq!(dots, [true, false, false, true]);
    }
}
