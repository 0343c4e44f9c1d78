//! What is wrong with a spec file, and where: file, line, column, the line itself, and what to try.
//!
//! It relies on byte ranges into the text. It never shows a control character of the file, nor more
//! of a long line than a person can read.

use std::fmt;
use std::ops::Range;

/// How much of a line is shown, in characters.
const SHOWN_MAX: usize = 120;
/// How many problems are listed; more are counted.
const LISTED_MAX: usize = 40;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The length of what is wrong in this line, in characters; at least 1.
    pub length: usize,
    /// The line itself.
    pub text: String,
    /// What is wrong.
    pub what: String,
    /// What to try.
    pub hint: String,
}

/// All that is wrong with a file, in the order of its lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SpecFileError {
    /// The name of the file.
    pub file: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// What is wrong at a range of a text.
    pub(super) fn at(text: &str, range: &Range<usize>, what: String, hint: String) -> Problem {
        let mut start = range.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let begin = text[..start].rfind('\n').map_or(0, |it| it + 1);
        let end = text[start..].find('\n').map_or(text.len(), |it| start + it);
        let mut stop = range.end.clamp(start, end);
        while !text.is_char_boundary(stop) {
            stop -= 1;
        }
        Problem {
            line: text[..begin].matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            length: text[start..stop].chars().count().max(1),
            text: text[begin..end].trim_end_matches('\r').to_owned(),
            what,
            hint,
        }
    }

    fn write(&self, file: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, column, what, hint, .. } = self;
        // A long line is cut so that the place is in what is shown.
        let from = self.column.saturating_sub(1 + SHOWN_MAX / 2).min(self.column - 1);
        let from = if self.text.chars().count() <= SHOWN_MAX { 0 } else { from };
        let shown: String = self.text.chars().skip(from).take(SHOWN_MAX).map(plain).collect();
        let column_shown = self.column - 1 - from;
        let length = self.length.min(SHOWN_MAX.saturating_sub(column_shown)).max(1);
        let number = line.to_string();
        let (margin, indent) = (" ".repeat(number.len()), " ".repeat(column_shown));
        let carets = "^".repeat(length);
        writeln!(f, "{}:{line}:{column}: {}", said(file), said(what))?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{number} | {}", shown.trim_end())?;
        writeln!(f, "{margin} | {indent}{carets}")?;
        write!(f, "{margin} = try: {}", said(hint))
    }
}

impl fmt::Display for SpecFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(LISTED_MAX).enumerate() {
            if index != 0 {
                f.write_str("\n\n")?;
            }
            problem.write(&self.file, f)?;
        }
        let more = self.problems.len().saturating_sub(LISTED_MAX);
        if more != 0 {
            write!(f, "\n\nand {more} more")?;
        }
        Ok(())
    }
}

/// A character as it can be shown in one place of a terminal.
fn plain(letter: char) -> char {
    match letter {
        '\t' => ' ',
        it if it.is_control() => '?',
        it => it,
    }
}

/// What a person reads may hold words of the file.
fn said(words: &str) -> String {
    words.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, range: Range<usize>) -> String {
        let problem = Problem::at(text, &range, "it is wrong".to_owned(), "another".to_owned());
        SpecFileError { file: "a.toml".to_owned(), problems: vec![problem] }.to_string()
    }

    #[test]
    fn the_place_is_under_the_caret() {
        assert_eq!(
            told("one = 1\n\ttwö = two\nthree", 9..13),
            "a.toml:2:2: it is wrong\n  |\n2 |  twö = two\n  |  ^^^\n  = try: another"
        );
        assert!(told("x = 1", 5..5).contains("\n1 | x = 1\n  |      ^\n"));
        assert!(told("", 0..9).starts_with("a.toml:1:1: "));
        let range_over_lines = told("a = [\n1,\n", 4..8);
        assert!(range_over_lines.contains("1 | a = [\n  |     ^\n"), "{range_over_lines}");
    }

    #[test]
    fn what_is_shown_is_bounded_and_plain() {
        let text = format!("{}x{}", "a".repeat(500), "b".repeat(500));
        let told = told(&text, 500..501);
        assert!(told.contains('x') && told.lines().all(|it| it.chars().count() < 200), "{told}");
        let escape = super::Problem::at("\x1b[2J", &(0..1), "\x1b".into(), "\x07".into());
        let error = SpecFileError { file: "\x1b".to_owned(), problems: vec![escape] };
        assert!(!error.to_string().chars().any(|it| it.is_control() && it != '\n'));
    }
}
