//! Each file says what it is for.
//!
//! Relies on the text alone. Never judges what is said, only that something is: a header of a word or two tells a reader nothing that the
//! name of the file did not.

use super::house::{House, Source};
use super::Complaint;

/// Fewer words cannot say what a file is for, what it relies on and what it never does.
const WORDS_MIN: usize = 5;

/// Each Rust file begins with `//!`, and can be read.
pub fn check(house: &House) -> Vec<Complaint> {
    house.sources().filter_map(|(_, source)| check_source(source)).collect()
}

fn check_source(source: &Source) -> Option<Complaint> {
    if let Some(why) = &source.unreadable {
        return Some(Complaint::at(&source.path, 0, why.clone()));
    }
    if !source.text.starts_with("//!") {
        let says =
            "does not begin with `//!`; say what it is for, what it relies on, what it never does";
        return Some(Complaint::at(&source.path, 1, says));
    }
    let header = source.text.lines().map_while(|line| line.strip_prefix("//!"));
    let words = header.flat_map(str::split_whitespace).count();
    (words < WORDS_MIN).then(|| {
        let says = format!("a header of {words} words; say what the file is for, what it relies on, what it never does");
        Complaint::at(&source.path, 1, says)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_there_and_says_something() {
        for (text, says) in [
            ("//! What a disk is,\n//! and never what a volume is.\n", ""),
            ("", "does not begin"),
            ("use a;\n//! Late.", "does not begin"),
            ("\n//! What a disk is, and never what a volume is.", "does not begin"),
            ("/// What a disk is, and never what a volume is.\nmod a;", "does not begin"),
            ("//! Tests\nfn f() {}\n", "a header of 1 words"),
            ("//! What a disk is, in words\nfn f( {", "cannot be read"),
        ] {
            let found = check(&House::of(&[("crates/x/src/lib.rs", text)]));
            let found: Vec<_> = found.iter().map(ToString::to_string).collect();
            assert!(
                if says.is_empty() {
                    found.is_empty()
                } else {
                    found.len() == 1 && found[0].contains(says)
                },
                "{text}: {found:?}"
            );
        }
    }
}
