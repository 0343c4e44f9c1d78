//! What a page of documentation contains: its fenced blocks, with what the comment above each says about it, and its links.
//!
//! Relies on pages being plain Markdown with fences of three backticks at the beginning of a line. Never passes over a fence that it does
//! not understand: what is neither run nor checked must say so.

/// Languages of blocks that are run.
const RUN: [&str; 2] = ["sh", "console"];
/// Languages of blocks that are only looked at.
const SHOWN: [&str; 7] = ["text", "rust", "json", "toml", "yaml", "ini", "proto"];

/// What becomes of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is run, or looked at.
    Here,
    /// It is run by something else: files of the repository, and why.
    Elsewhere { files: Vec<String>, why: String },
    /// It is run where this is given: `root`, or a program.
    Needs(Vec<String>),
    /// Its lines are those of a file of the repository.
    From(String),
}

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    /// What follows the fence.
    pub language: String,
    /// What is said of it.
    pub fate: Fate,
    /// What is in it.
    pub body: Vec<String>,
}

/// Something to run, and what it must print.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its line, from 1.
    pub line: usize,
    /// For the shell.
    pub command: String,
    /// Lines that its output must have, in this order; `...` stands for anything.
    pub expected: Vec<String>,
}

impl Block {
    /// Whether it is for a shell.
    pub fn is_run(&self) -> bool {
        RUN.contains(&self.language.as_str())
    }

    /// What there is to run: a `sh` block as a whole, a `console` block command by command.
    ///
    /// # Errors
    /// When output comes before the first command.
    pub fn steps(&self) -> Result<Vec<Step>, String> {
        if self.language == "sh" {
            return Ok(vec![Step {
                line: self.line,
                command: self.body.join("\n"),
                expected: Vec::new(),
            }]);
        }
        let mut steps: Vec<Step> = Vec::new();
        let mut open = false;
        for (index, line) in self.body.iter().enumerate() {
            let number = self.line + 1 + index;
            match (line.strip_prefix("$ "), steps.last_mut()) {
                (_, Some(step)) if open => step.command = format!("{}\n{line}", step.command),
                (Some(command), _) => steps.push(Step {
                    line: number,
                    command: command.to_owned(),
                    expected: Vec::new(),
                }),
                (None, Some(step)) => step.expected.push(line.clone()),
                (None, None) => {
                    return Err(format!(
                        "line {number}: a console block begins with a command: `$ ...`"
                    ))
                }
            }
            open =
                steps.last().is_some_and(|it| it.expected.is_empty() && it.command.ends_with('\\'));
        }
        Ok(steps)
    }
}

/// All blocks of a page.
///
/// # Errors
/// Every fence and comment that is not understood, by its line.
pub fn blocks(text: &str) -> Result<Vec<Block>, Vec<String>> {
    let (mut blocks, mut wrong) = (Vec::new(), Vec::new());
    let mut fate: Option<(usize, Fate)> = None;
    let mut open: Option<Block> = None;
    for (number, line) in text.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        if let Some(mut block) = open.take() {
            if line.trim_end() == "```" {
                blocks.push(block);
            } else {
                block.body.push(line.to_owned());
                open = Some(block);
            }
            continue;
        }
        let above = fate.take();
        if let Some(language) = line.strip_prefix("```") {
            let block = Block {
                line: number,
                language: language.trim().to_owned(),
                fate: above.map_or(Fate::Here, |(_, it)| it),
                body: Vec::new(),
            };
            wrong.extend(misfit(&block).map(|why| format!("line {number}: {why}")));
            open = Some(block);
            continue;
        }
        wrong.extend(
            above.map(|(at, _)| format!("line {at}: the comment must be directly above a block")),
        );
        match directive(line) {
            Some(Ok(said)) => fate = Some((number, said)),
            Some(Err(why)) => wrong.push(format!("line {number}: {why}")),
            None if line.trim_start().starts_with("```") => {
                wrong.push(format!("line {number}: begin the fence at the beginning of the line"))
            }
            None => {}
        }
    }
    wrong.extend(open.map(|it| format!("line {}: the block has no end", it.line)));
    wrong.extend(
        fate.map(|(at, _)| format!("line {at}: the comment must be directly above a block")),
    );
    if wrong.is_empty() {
        Ok(blocks)
    } else {
        Err(wrong)
    }
}

/// Why a block cannot have this language or comment.
fn misfit(block: &Block) -> Option<String> {
    let language = block.language.as_str();
    let shown = SHOWN.contains(&language);
    if !shown && !block.is_run() {
        return Some(format!(
            "say what `{language}` is: {} are run; {} are not",
            RUN.join(", "),
            SHOWN.join(", ")
        ));
    }
    match (&block.fate, language) {
        (Fate::From(_), _) if block.is_run() => Some("what is run is not quoted".to_owned()),
        (Fate::Elsewhere { .. } | Fate::Needs(_), _) if shown => {
            Some(format!("a block of {language} is never run"))
        }
        (Fate::Here, "rust") => {
            Some("code must be true: say `<!-- from: FILE -->` above it".to_owned())
        }
        _ => None,
    }
}

/// What a comment says, if it is one of ours.
fn directive(line: &str) -> Option<Result<Fate, String>> {
    let said = line.trim().strip_prefix("<!--")?.strip_suffix("-->")?.trim();
    let (name, value) = said.split_once(':')?;
    let value = value.trim();
    match name.trim() {
        "runs" => Some(elsewhere(value)),
        "needs" if value.is_empty() => Some(Err("needs what? `root`, or programs".to_owned())),
        "needs" => Some(Ok(Fate::Needs(
            value.split([' ', ',']).filter(|it| !it.is_empty()).map(str::to_owned).collect(),
        ))),
        "from" if value.is_empty() => Some(Err("from which file?".to_owned())),
        "from" => Some(Ok(Fate::From(value.to_owned()))),
        _ => None,
    }
}

fn elsewhere(value: &str) -> Result<Fate, String> {
    let wrong = || format!("`{value}` is not understood; write `elsewhere (FILE, FILE ...: why)`");
    let inner = value
        .strip_prefix("elsewhere")
        .and_then(|it| it.trim().strip_prefix('(')?.strip_suffix(')'))
        .ok_or_else(wrong)?;
    let listed = |files: &str| files.split(',').map(|it| it.trim().to_owned()).collect::<Vec<_>>();
    match inner.split_once(':').map(|(files, why)| (listed(files), why.trim())) {
        Some((files, why)) if files.iter().all(|it| !it.is_empty()) && !why.is_empty() => {
            Ok(Fate::Elsewhere { files, why: why.to_owned() })
        }
        _ => Err(wrong()),
    }
}

/// Where the links of a page lead, with their lines; links to other hosts are left out.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        fenced ^= line.starts_with("```");
        if fenced {
            continue;
        }
        for part in line.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((index + 1, target.to_owned()));
            }
        }
    }
    found
}

/// The anchors of a page: its headings, as web pages of Markdown name them.
pub fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.starts_with("```");
        !fenced && line.starts_with('#')
    });
    let letter = |it: char| it.is_alphanumeric() || it == '-' || it == '_';
    let name = |line: &str| -> String {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|it| letter(*it)).collect()
    };
    headings.map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> String {
        blocks(text).err().unwrap_or_default().join("\n")
    }

    #[test]
    fn blocks_are_found_with_what_is_said_of_them() {
        let text = "# A\n\n```sh\necho 1\necho 2\n```\n<!-- needs: root strace -->\n```console\n$ ls\n```\n\
                    <!-- runs: elsewhere (.ci/run: it takes long) -->\n```sh\ncargo xtask test\n```\n<!-- a remark -->\n";
        let found = blocks(text).unwrap();
        assert_eq!(found.iter().map(|it| it.line).collect::<Vec<_>>(), [3, 8, 12]);
        assert_eq!(found[0].body, ["echo 1", "echo 2"]);
        assert_eq!(found[1].fate, Fate::Needs(vec!["root".to_owned(), "strace".to_owned()]));
        assert_eq!(
            found[2].fate,
            Fate::Elsewhere { files: vec![".ci/run".to_owned()], why: "it takes long".to_owned() }
        );
        let two = blocks("<!-- runs: elsewhere (a, b/c: why) -->\n```sh\nx\n```\n").unwrap();
        assert_eq!(
            two[0].fate,
            Fate::Elsewhere {
                files: vec!["a".to_owned(), "b/c".to_owned()],
                why: "why".to_owned()
            }
        );
    }

    #[test]
    fn nothing_is_passed_over() {
        for (text, says) in [
            ("```sh\necho", "has no end"),
            ("```\necho\n```", "say what"),
            ("```bash\necho\n```", "say what `bash` is"),
            (" ```sh\necho\n ```", "at the beginning of the line"),
            ("<!-- needs: root -->\n\n```sh\n```", "line 1: the comment must be directly above"),
            ("<!-- needs: root -->", "directly above"),
            ("<!-- runs: never -->\n```sh\n```", "`never` is not understood"),
            ("<!-- runs: elsewhere (because) -->\n```sh\n```", "not understood"),
            ("<!-- runs: elsewhere (a: b) -->\n```json\n```", "never run"),
            ("<!-- from: x.rs -->\n```sh\n```", "not quoted"),
            ("```rust\nfn f() {}\n```", "code must be true"),
        ] {
            assert!(errors(text).contains(says), "{text:?}: {}", errors(text));
        }
    }

    #[test]
    fn a_session_is_commands_and_what_they_print() {
        let text = "```console\n$ one \\\n    two\nout\n  more\n$ three\n```\n";
        let steps = blocks(text).unwrap()[0].steps().unwrap();
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].line, steps[0].command.as_str()), (2, "one \\\n    two"));
        assert_eq!(steps[0].expected, ["out", "  more"]);
        assert_eq!((steps[1].line, steps[1].expected.len()), (6, 0));
        assert!(blocks("```console\nout\n```").unwrap()[0].steps().is_err());
        assert_eq!(blocks("```sh\na\nb\n```").unwrap()[0].steps().unwrap()[0].command, "a\nb");
    }

    #[test]
    fn links_and_anchors() {
        let text = "# What it *is*, here\n[a](docs/a.md#top) [b](https://x) [c](#what-it-is-here)\n```text\n[d](e)\n# no\n```\n";
        assert_eq!(
            links(text),
            [(2, "docs/a.md#top".to_owned()), (2, "#what-it-is-here".to_owned())]
        );
        assert_eq!(anchors(text), ["what-it-is-here"]);
    }
}
