//! How long things may be: a function, a file, a `main.rs`.
//!
//! Relies on lines as they stand (the formatter decides how wide they are). Never counts what stands under `#[cfg(test)]` towards a file;
//! a test function, though, is a function.

use super::house::{House, Source};
use super::Complaint;

/// A function longer than a screen is two functions.
const FUNCTION_LINES_MAX: usize = 70;
/// A file that cannot be read in one sitting is two files.
const FILE_LINES_MAX: usize = 800;
/// `main` reads what is asked for and calls the one who does it.
const MAIN_LINES_MAX: usize = 60;

/// Functions, files and `main.rs` stay within their lengths.
pub fn check(house: &House) -> Vec<Complaint> {
    house.sources().flat_map(|(_, source)| check_source(source)).collect()
}

fn check_source(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for function in source.lexed.iter().flat_map(|lexed| &lexed.functions) {
        let lines = function.lines.clone().count();
        if FUNCTION_LINES_MAX < lines {
            let says = format!("`{}` has {lines} lines, the limit is {FUNCTION_LINES_MAX}; give a part of it a name", function.name);
            complaints.push(Complaint::at(&source.path, *function.lines.start(), says));
        }
    }
    let lines = lines(source);
    let is_main = source.path.ends_with("/src/main.rs");
    if is_main && MAIN_LINES_MAX < lines {
        let says = format!("{lines} lines in main.rs, the limit is {MAIN_LINES_MAX}; move what it does into a module");
        complaints.push(Complaint::at(&source.path, 0, says));
    }
    if FILE_LINES_MAX < lines {
        let says = format!("{lines} lines without tests, the limit is {FILE_LINES_MAX}; one operation, call or verb per file");
        complaints.push(Complaint::at(&source.path, 0, says));
    }
    complaints
}

/// How many lines a file has without those that only tests compile.
fn lines(source: &Source) -> usize {
    if source.standing.test {
        return 0;
    }
    let tests = source.lexed.as_ref().map(|lexed| lexed.tests.as_slice()).unwrap_or_default();
    let is_kept =
        |line: &usize| source.standing.outside || !tests.iter().any(|range| range.contains(line));
    (1..=source.text.lines().count()).filter(is_kept).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&House::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    fn function(lines: usize) -> String {
        format!("pub fn long<A, B>(\n{}) {{\n}}\n", "    // x\n".repeat(lines - 3))
    }

    #[test]
    fn functions_are_counted_from_signature_to_brace() {
        assert_eq!(found("crates/x/src/a.rs", &function(70)), [""; 0]);
        let over = found("crates/x/src/a.rs", &format!("// one\n{}", function(71)));
        assert_eq!(over.len(), 1);
        assert!(over[0].starts_with("crates/x/src/a.rs:2: `long` has 71 lines"), "{over:?}");
        let method = format!("impl X {{\n#[cfg(test)]\nmod tests {{\n{}}}\n}}", function(80));
        assert!(
            found("crates/x/src/a.rs", &method)[0].contains("80 lines"),
            "test functions count as well"
        );
    }

    #[test]
    fn files_are_counted_without_their_tests() {
        let fits = format!(
            "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
            "// x\n".repeat(800),
            "// y\n".repeat(500)
        );
        assert_eq!(found("crates/x/src/lib.rs", &fits), [""; 0]);
        let over = found("crates/x/src/lib.rs", &format!("// x\n{fits}"));
        assert!(over.len() == 1 && over[0].contains("801 lines without tests"), "{over:?}");
        let outer = found("tests/tests/flow.rs", &fits);
        assert!(outer.len() == 1 && outer[0].contains("1303 lines"), "{outer:?}");
        assert_eq!(found("crates/x/src/lib.rs", &format!("#![cfg(test)]\n{fits}\n// x")), [""; 0]);
    }

    #[test]
    fn main_is_short() {
        assert_eq!(found("crates/x/src/main.rs", &"// x\n".repeat(60)), [""; 0]);
        assert!(
            found("crates/x/src/main.rs", &"// x\n".repeat(61))[0].contains("61 lines in main.rs")
        );
        assert_eq!(found("crates/x/src/domain.rs", &"// x\n".repeat(61)), [""; 0]);
    }
}
