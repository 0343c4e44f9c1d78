//! The scenario language: commands, and below `----` what a person would see; an empty line ends a
//! block. One cluster per file, in which nothing happens by itself and every message takes a
//! millisecond.
//!
//! ```text
//! # The leader dies; the volume comes back to its task.
//! cluster masters=2 agents=3 disks=1
//! framework db members=1
//! run 5s
//! ----
//!
//! kill leader down=1s
//! run 3s
//! tasks
//! ----
//! db-0-1 TASK_RUNNING on agent 1, volume db-0-1
//! ```
//!
//! A rule that is broken ends a scenario with its name. It never reads or writes a file: the test
//! that runs all of them does.

mod command;
mod show;

use crate::world::World;

pub use command::Wrong;

/// Commands and their output.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block {
    /// Comments and commands, as written.
    commands: Vec<String>,
    /// The output below `----`.
    shown: Vec<String>,
}

/// Runs a scenario; returns its text with what was shown now. Equal to `text` when nothing has
/// changed.
///
/// # Errors
/// The line that cannot be understood, and why.
pub fn run(text: &str) -> Result<String, Wrong> {
    let mut world: Option<World> = None;
    let mut shown_blocks = Vec::new();
    for block in blocks(text) {
        let mut shown = Vec::new();
        for line in block.commands.iter().filter(|it| !it.starts_with('#')) {
            command::run(&mut world, line, &mut shown)?;
            if let Some(violation) = world.as_ref().and_then(|it| it.violation.as_ref()) {
                shown.push(format!("RULE {} IS BROKEN: {}", violation.rule, violation.why));
            }
        }
        shown_blocks.push(Block { shown, ..block });
    }
    Ok(shown_blocks.iter().map(Block::text).collect::<Vec<_>>().join("\n"))
}

fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut commands, mut shown, mut below) =
        (Vec::new(), Vec::new(), Vec::new(), false);
    for line in text.lines() {
        match (below, line) {
            (false, "----") => below = true,
            (false, "") if commands.is_empty() => {}
            (false, line) if !line.is_empty() => commands.push(line.to_owned()),
            (_, "") => {
                blocks.push(Block {
                    commands: std::mem::take(&mut commands),
                    shown: std::mem::take(&mut shown),
                });
                below = false;
            }
            (_, line) => shown.push(line.to_owned()),
        }
    }
    if below || !commands.is_empty() {
        blocks.push(Block { commands, shown });
    }
    blocks
}

impl Block {
    fn text(&self) -> String {
        let all = self
            .commands
            .iter()
            .map(String::as_str)
            .chain(std::iter::once("----"))
            .chain(self.shown.iter().map(String::as_str));
        all.map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_shows_the_truth_stays_as_it_is() {
        let written = run("cluster agents=1\nrun 5s\nagents\n").unwrap();
        assert!(written.contains("agent 0 well"), "{written}");
        assert_eq!(run(&written).unwrap(), written);
    }

    #[test]
    fn what_is_shown_is_never_taken_from_the_text() {
        let lie = "cluster agents=1\nrun 5s\nagents\n----\nagent 0 away\n";
        assert!(!run(lie).unwrap().contains("away"));
    }

    #[test]
    fn a_line_that_cannot_be_understood_is_named() {
        for (text, why) in [
            ("agents\n", "cluster"),
            ("cluster agents=1\nfly\n", "fly"),
            ("cluster agents=x\n", "agents"),
        ] {
            assert!(run(text).unwrap_err().to_string().contains(why), "{text}");
        }
    }
}
