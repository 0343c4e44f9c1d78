//! Nothing sleeps that could wait for something.
//!
//! Relies on paths as written. Never judges whether a reason is one: a reader does. (It is no `disallowed-methods` of clippy, because a
//! sleep that is right says so in a comment, which a statement takes more easily than an attribute.)

use super::house::{House, Source};
use super::paths::PathUse;
use super::Complaint;

/// How a comment says that a sleep is meant.
const MEANT: &str = "tidy: sleep is the point: ";

/// Each sleep says why it is one.
pub fn check(house: &House) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (_, source) in house.sources() {
        for path in source.items.paths.iter().filter(|path| is_sleep(path)) {
            if !is_meant(source, path.line) {
                let says =
                    format!("a sleep; wait for what you wait for, or say `// {MEANT}WHY` above it");
                complaints.push(Complaint::at(&source.path, path.line, says));
            }
        }
    }
    complaints
}

fn is_sleep(path: &PathUse) -> bool {
    let [.., parent, last] = &path.segments[..] else { return false };
    ["sleep", "sleep_until"].contains(&&**last) && ["thread", "time"].contains(&&**parent)
}

/// Whether a comment on the line, or in the comment lines right above it, says that it is meant and why.
fn is_meant(source: &Source, line: usize) -> bool {
    let lines: Vec<&str> = source.text.lines().collect();
    let says = |text: &&str| text.split_once(MEANT).is_some_and(|(_, why)| !why.trim().is_empty());
    let above =
        lines[..line - 1].iter().rev().take_while(|text| text.trim_start().starts_with("//"));
    lines.get(line - 1).into_iter().chain(above).any(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_says_why() {
        for (text, count) in [
            ("fn f() { std::thread::sleep(a) }", 1),
            ("use tokio::time::{self, sleep};", 1),
            ("async fn f() { tokio::time::sleep(a).await }", 1),
            ("#[cfg(test)] mod tests { fn f() { thread::sleep(a) } }", 1),
            ("// tidy: sleep is the point:\nfn f() { thread::sleep(a) }", 1),
            ("fn f() { \"thread::sleep()\"; // time::sleep(a)\n }", 0),
            ("fn f() { thread::sleep(a) } // tidy: sleep is the point: the clock is what is tested", 0),
            ("// tidy: sleep is the point: a pause,\n// as long as it was told\nfn f() { tokio::time::sleep(a) }", 0),
            ("fn sleep() {} fn f() { sleep(); self.sleep(); world::sleep(a); }", 0),
        ] {
            let found = check(&House::of(&[("crates/store/src/lib.rs", text)]));
            assert_eq!(found.len(), count, "{text}: {found:?}");
        }
    }
}
