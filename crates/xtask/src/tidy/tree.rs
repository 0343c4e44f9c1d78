//! The tree as a whole: what may stand in the root, and what no file speaks of.
//!
//! Relies on names and texts. Never looks into what is built, nor into git's own folder.

use super::house::House;
use super::Complaint;

/// What stands in the root, beside dotfiles and what is built.
const ROOT: &[&str] = &[
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "frameworks",
    "proto",
    "target",
    "tests",
];

/// Places of somebody's workplace, which mean nothing to a reader elsewhere. Written in pieces, so that this file passes.
const WORKPLACE: &[&str] = &[
    concat!("/work", "/.library"),
    concat!("/work", "/shared"),
    concat!("/work", "/main"),
    concat!("/tmp", "/brief"),
];

/// The root holds what it should, and no file mentions a workplace.
pub fn check(house: &House) -> Vec<Complaint> {
    let strangers =
        house.root.iter().filter(|name| !name.starts_with('.') && !ROOT.contains(&name.as_str()));
    let mut complaints: Vec<Complaint> = strangers
        .map(|name| {
            Complaint::at(
                name,
                0,
                "does not belong in the root; put it under crates/, docs/, deploy/ or tests/",
            )
        })
        .collect();
    for (path, text) in &house.texts {
        for (at, line) in text.lines().enumerate() {
            if let Some(place) = WORKPLACE.iter().find(|place| line.contains(**place)) {
                let says = format!(
                    "speaks of `{place}`, which no reader has; say what it is, or leave it out"
                );
                complaints.push(Complaint::at(path, at + 1, says));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_in_the_root_are_named() {
        let house = House::of(&[
            ("Cargo.toml", ""),
            (".gitignore", ""),
            ("notes/a.md", ""),
            ("crates/README.md", ""),
            ("deny.toml", ""),
        ]);
        let paths: Vec<_> = check(&house).into_iter().map(|complaint| complaint.path).collect();
        assert_eq!(paths, ["notes"]);
    }

    #[test]
    fn a_workplace_is_not_spoken_of_in_any_file() {
        let text = format!("fine\nsee {}/x\n", WORKPLACE[0]);
        let house = House::of(&[
            ("docs/a.md", text.as_str()),
            ("crates/x/src/lib.rs", text.as_str()),
            ("docs/b.md", "/workbench"),
        ]);
        let seen: Vec<_> =
            check(&house).into_iter().map(|complaint| (complaint.path, complaint.line)).collect();
        assert_eq!(seen, [("crates/x/src/lib.rs".to_owned(), 2), ("docs/a.md".to_owned(), 2)]);
    }
}
