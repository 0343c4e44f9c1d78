//! How long things may be: a file, a `main.rs`, and functions in general (clippy's `too_many_lines` judges each alone).
//!
//! Relies on lines as they stand (the formatter decides how wide they are). Never counts what only tests compile: a table of cases may be
//! long, and many short tests would hide long functions.

use super::house::{House, Source};
use super::limits;
use super::Complaint;

/// A file that cannot be read in one sitting is two files.
const FILE_LINES_MAX: usize = 800;
/// `main` reads what is asked for and calls the one who does it.
const MAIN_LINES_MAX: usize = 60;

/// Files, `main.rs` and most functions stay within their lengths.
pub fn check(house: &House) -> Vec<Complaint> {
    let mut complaints: Vec<Complaint> =
        house.sources().flat_map(|(_, source)| check_source(source)).collect();
    for package in &house.packages {
        let most = limits::of(&package.name).usual_function_lines;
        let lengths = functions(package.sources.iter());
        if most < usual(&lengths) {
            let says = format!(
                "of 100 functions the five longest have more than {} lines, the limit is {most}; give parts of them names",
                usual(&lengths)
            );
            complaints.push(Complaint::at(&package.folder, 0, says));
        }
    }
    complaints
}

/// How long functions are, in one line.
pub fn summary(house: &House) -> String {
    let lengths = functions(house.sources().map(|(_, source)| source));
    let middle = lengths.get(lengths.len() / 2).copied().unwrap_or(0);
    format!(
        "{} functions, of {middle} lines in the middle, {} at 95 of 100",
        lengths.len(),
        usual(&lengths)
    )
}

/// The lengths of all functions that are shipped, from signature to brace, shortest first.
fn functions<'a>(sources: impl Iterator<Item = &'a Source>) -> Vec<usize> {
    let shipped = sources.filter(|source| !source.standing.test && !source.standing.outside);
    let bodies = shipped.flat_map(|source| &source.items.bodies).filter(|it| !it.name.is_empty());
    let mut lengths: Vec<usize> = bodies.map(|body| body.lines.clone().count()).collect();
    lengths.sort_unstable();
    lengths
}

/// The length that 95 of 100 do not exceed.
fn usual(lengths: &[usize]) -> usize {
    lengths.get((lengths.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0)
}

fn check_source(source: &Source) -> Vec<Complaint> {
    let mut complaints = Vec::new();
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
    let is_kept = |line: &usize| {
        source.standing.outside || !source.items.tests.iter().any(|range| range.contains(line))
    };
    (1..=source.text.lines().count()).filter(is_kept).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        check(&House::of(&[(path, text)])).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn few_functions_are_long() {
        let function = |lines: usize| {
            format!("pub fn long<A, B>(\n{}) {{\n}}\n", "    // x\n".repeat(lines - 3))
        };
        let fits = format!("{}{}", function(30).repeat(19), function(70));
        assert_eq!(found("crates/x/src/a.rs", &fits), [""; 0]);
        let over = found("crates/x/src/a.rs", &format!("{fits}{}", function(46)));
        assert!(over.len() == 1 && over[0].starts_with("crates/x: of 100 functions"), "{over:?}");
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}", function(80));
        assert_eq!(found("crates/x/src/a.rs", &test), [""; 0]);
        assert_eq!(found("crates/x/tests/a.rs", &function(80)), [""; 0]);
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
