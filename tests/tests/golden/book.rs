//! One golden file: what is recorded in a run, and how it is compared with what was recorded before.
//!
//! Relies on `tests/golden` of the sources. Never writes there unless `HOLDFAST_GOLDEN=rewrite` asks for it.

use std::path::PathBuf;

use holdfast_tests::Answer;

use super::layout::laid_out;
use super::normal::{Known, Normal};

/// How many lines of a difference are shown.
const SHOWN_LINES: usize = 60;
/// Lines that are the same, around those that differ.
const CONTEXT_LINES: usize = 3;

/// See the module.
pub struct Book {
    name: &'static str,
    normal: Normal,
    text: String,
}

impl Book {
    /// An empty one; `name` is that of its file.
    pub fn new(name: &'static str, about: &str, known: &Known) -> Book {
        Book { name, normal: Normal::new(known), text: format!("# {about}\n") }
    }

    /// Records a text under a title.
    pub fn put(&mut self, title: &str, body: &str) {
        let entry = format!("\n=== {}\n{}\n", title.trim_end(), body.trim_end_matches('\n'));
        self.text.push_str(&self.normal.text(&entry));
    }

    /// Tables or lists with rows in an order that does not depend on random ids, and columns without regard to their width, which such ids
    /// and times decide.
    pub fn calm(&self, text: &str) -> String {
        calm(text, &mut self.masking())
    }

    /// Learns of a uuid that people see shortened.
    pub fn learn(&mut self, uuid: &str) {
        self.normal.learn(uuid);
    }

    /// For comparing texts apart from their random ids.
    pub fn masking(&self) -> Normal {
        self.normal.masking()
    }

    /// Records an answer: its status, its type, its body.
    pub fn answer(&mut self, title: &str, answer: &Answer) {
        self.put(title, &shown(answer));
    }

    /// Compares with the file, or writes it; the difference if there is one.
    pub fn close(self) -> Option<String> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(self.name);
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        if before == self.text {
            return None;
        }
        if std::env::var("HOLDFAST_GOLDEN").is_ok_and(|it| it == "rewrite") {
            std::fs::write(&path, &self.text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            return None;
        }
        Some(format!(
            "tests/golden/{} (- is the file, + is what was answered):\n{}",
            self.name,
            difference(&before, &self.text)
        ))
    }
}

/// Fails with all differences of some books, and says how to accept them.
pub fn close(books: Vec<Book>) {
    let wrong: Vec<String> = books.into_iter().filter_map(Book::close).collect();
    let count = wrong.len();
    let how = "if that is meant: HOLDFAST_GOLDEN=rewrite cargo test -p holdfast-tests --test golden, and look at `git diff tests/golden`";
    assert!(wrong.is_empty(), "{count} golden files differ\n\n{}\n\n{how}", wrong.join("\n\n"));
}

/// An answer as text.
pub fn shown(answer: &Answer) -> String {
    let mut text = answer.status.to_string();
    for name in ["content-type", "location", "allow", "content-disposition"] {
        text.extend(answer.header(name).map(|value| format!(" {value}")));
    }
    let body = answer.text();
    // JSON, alone or as what a script's function is given.
    let inner = body.strip_prefix("f(").and_then(|it| it.strip_suffix(')'));
    let body = match inner.and_then(laid_out) {
        Some(laid) => format!("f({laid})"),
        None => laid_out(&body).unwrap_or(body),
    };
    format!("{text}\n{body}")
}

/// Neighbouring lines that begin with a random id are sorted by what else they say.
fn calm(text: &str, masking: &mut Normal) -> String {
    let (mut out, mut run): (Vec<String>, Vec<(String, String)>) = (Vec::new(), Vec::new());
    for line in text.lines().map(narrowed) {
        let masked = masking.text(&line);
        let first = masked.split_whitespace().next().unwrap_or_default();
        if first.starts_with("<uuid") || first.contains("<offer") || first.contains("/<uuid") {
            run.push((masked, line));
        } else {
            run.sort();
            out.extend(run.drain(..).map(|it| it.1));
            out.push(line);
        }
    }
    run.sort();
    out.extend(run.into_iter().map(|it| it.1));
    out.join("\n")
}

/// YAML whose lists of things with random ids are sorted by what else these say.
pub fn sorted_yaml(text: &str, masking: &Normal) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // From the inside: a list in a field begins where its field does.
    for indent in [4, 2, 0] {
        lines = sorted_items(&lines, &format!("{}- ", " ".repeat(indent)), &mut masking.clone());
    }
    lines.join("\n")
}

/// The lists whose items begin with `mark`, sorted.
fn sorted_items(lines: &[String], mark: &str, masking: &mut Normal) -> Vec<String> {
    let inner = " ".repeat(mark.len());
    let mut out: Vec<String> = Vec::new();
    let mut flush = |items: &mut Vec<String>, out: &mut Vec<String>| {
        let mut keyed: Vec<(String, String)> =
            items.drain(..).map(|it| (masking.text(&it), it)).collect();
        if keyed
            .iter()
            .all(|(key, _)| ["id: <uuid", "-<offer", "key: "].iter().any(|it| key.contains(it)))
        {
            keyed.sort();
        }
        out.extend(keyed.into_iter().map(|it| it.1));
    };
    let mut open: Vec<String> = Vec::new();
    for line in lines {
        match open.last_mut() {
            _ if line.starts_with(mark) => open.push(line.clone()),
            Some(item) if line.starts_with(&inner) => *item += &format!("\n{line}"),
            _ => {
                flush(&mut open, &mut out);
                out.push(line.clone());
            }
        }
    }
    flush(&mut open, &mut out);
    out.join("\n").lines().map(str::to_owned).collect()
}

/// Two spaces between columns, however far apart they are; the indentation stays.
fn narrowed(line: &str) -> String {
    let start = line.len() - line.trim_start().len();
    let words: Vec<&str> =
        line[start..].split("  ").map(str::trim).filter(|it| !it.is_empty()).collect();
    format!("{}{}", &line[..start], words.join("  "))
}

/// The lines that differ, with some around them.
fn difference(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = common(&old, &new);
    let mut lines: Vec<(char, &str)> = Vec::new();
    let (mut left, mut right) = (0, 0);
    for (at, other) in same.into_iter().chain([(old.len(), new.len())]) {
        lines.extend(old[left..at].iter().map(|it| ('-', *it)));
        lines.extend(new[right..other].iter().map(|it| ('+', *it)));
        lines.extend(old.get(at).map(|it| (' ', *it)));
        (left, right) = (at + 1, other + 1);
    }
    let near = |at: usize| {
        lines[at.saturating_sub(CONTEXT_LINES)..lines.len().min(at + CONTEXT_LINES + 1)]
            .iter()
            .any(|it| it.0 != ' ')
    };
    let heading = |at: usize| {
        lines[at].1.starts_with("=== ")
            && lines[at + 1..]
                .iter()
                .take_while(|it| !it.1.starts_with("=== "))
                .any(|it| it.0 != ' ')
    };
    let shown = (0..lines.len())
        .filter(|at| near(*at) || heading(*at))
        .map(|at| format!("{} {}", lines[at].0, lines[at].1));
    let shown: Vec<String> = shown.collect();
    let more = shown.len().saturating_sub(SHOWN_LINES);
    let more = if more == 0 { String::new() } else { format!("\n... and {more} lines more") };
    format!("{}{more}", shown[..shown.len().min(SHOWN_LINES)].join("\n"))
}

/// Places of lines that both have, in order: the longest such row.
fn common(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    let mut lengths = vec![0u32; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            lengths[at * width + other] = if old[at] == new[other] {
                lengths[(at + 1) * width + other + 1] + 1
            } else {
                lengths[(at + 1) * width + other].max(lengths[at * width + other + 1])
            };
        }
    }
    let (mut at, mut other, mut found) = (0, 0, Vec::new());
    while at < old.len() && other < new.len() {
        if old[at] == new[other] {
            found.push((at, other));
            (at, other) = (at + 1, other + 1);
        } else if lengths[(at + 1) * width + other] >= lengths[at * width + other + 1] {
            at += 1;
        } else {
            other += 1;
        }
    }
    found
}

#[test]
fn a_difference_shows_the_lines_that_differ_and_their_title() {
    let before = "=== one\na\nb\n=== two\nc\nd\ne\nf\ng\nh\n";
    let told = difference(before, &before.replace("\nh\n", "\nx\n"));
    assert_eq!(told, "  === two\n  e\n  f\n  g\n- h\n+ x");
    let rows = "ID        X\n0d1e2f30-4151-6172-8393-a4b5c6d7e8f9     b\n1d1e2f30-4151-6172-8393-a4b5c6d7e8f9   a\nend";
    assert_eq!(
        calm(rows, &mut Normal::default().masking())
            .lines()
            .map(|it| it.chars().last().unwrap())
            .collect::<String>(),
        "Xabd"
    );
}
