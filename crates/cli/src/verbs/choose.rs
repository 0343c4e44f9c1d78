//! Which one is meant: an id, the beginning of one, its short form, or a name.
//!
//! Relies on ids being unique. Never guesses between two.

use serde_json::Value;

use crate::failure::{Failure, EXIT_ERROR};
use crate::output::{ids, Row};

/// How many candidates are named.
const CANDIDATES_MAX: usize = 10;

/// A kind of thing, and how people call one.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The word for it.
    pub noun: &'static str,
    /// Other fields that name it, apart from its id.
    pub names: &'static [&'static str],
}

/// Agents.
pub const AGENT: Kind = Kind { noun: "agent", names: &["hostname", "address"] };
/// Claims.
pub const CLAIM: Kind = Kind { noun: "claim", names: &["volume"] };
/// Disks.
pub const DISK: Kind = Kind { noun: "disk", names: &["root"] };
/// Frameworks.
pub const FRAMEWORK: Kind = Kind { noun: "framework", names: &["name"] };
/// Tasks.
pub const TASK: Kind = Kind { noun: "task", names: &["name"] };

impl Kind {
    /// The one of `rows` that `given` means.
    ///
    /// # Errors
    /// When it is none (not found) or could be several (they are listed).
    pub fn choose<'a>(&self, rows: &'a [Value], given: &str) -> Result<&'a Value, Failure> {
        let matching = |fits: &dyn Fn(Row<'_>) -> bool| {
            rows.iter().filter(|it| fits(Row(it))).collect::<Vec<_>>()
        };
        let ways: [&dyn Fn(Row<'_>) -> bool; 4] = [
            &|row| row.text("id") == given,
            &|row| ids::tail(row.text("id")) == Some(given),
            &|row| self.names.iter().any(|field| row.text(field) == given),
            &|row| row.text("id").starts_with(given),
        ];
        let ways = if given.is_empty() { &[][..] } else { &ways[..] };
        for way in ways {
            match matching(way).as_slice() {
                [] => {}
                [one] => return Ok(one),
                several => return Err(self.ambiguous(several, given)),
            }
        }
        let noun = self.noun;
        Err(Failure::not_found(
            format!("there is no {noun} `{given}`"),
            format!("see `holdfast {noun} list`"),
        ))
    }

    fn ambiguous(&self, several: &[&Value], given: &str) -> Failure {
        let describe = |it: &&Value| {
            let row = Row(it);
            let names =
                self.names.iter().map(|field| row.text(field)).chain([row.text("framework")]);
            let names: Vec<&str> = names.filter(|it| !it.is_empty() && *it != given).collect();
            let names =
                if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
            format!("{}{names}", row.text("id"))
        };
        let listed: Vec<String> = several.iter().take(CANDIDATES_MAX).map(describe).collect();
        let more = several.len() - listed.len();
        let more = if more == 0 { String::new() } else { format!("\n    and {more} more") };
        let cause = format!(
            "`{given}` could be any of {} {}s:\n    {}{more}",
            several.len(),
            self.noun,
            listed.join("\n    ")
        );
        Failure::new(EXIT_ERROR, cause, "write more of the id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CLUSTER: &str = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";

    fn agents() -> Vec<Value> {
        let agent = |tail: &str, hostname: &str| json!({ "id": format!("{CLUSTER}-{tail}"), "hostname": hostname, "address": format!("{hostname}:5051") });
        vec![
            agent("S1", "one"),
            agent("S12", "two"),
            agent("S2", "two"),
            json!({ "id": "one", "hostname": "x", "address": "x:1" }),
        ]
    }

    fn chosen(given: &str) -> Result<String, i32> {
        let rows = agents();
        AGENT
            .choose(&rows, given)
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .map_err(|it| it.code)
    }

    #[test]
    fn ids_names_and_beginnings_are_accepted() {
        let id = |tail: &str| Ok(format!("{CLUSTER}-{tail}"));
        assert_eq!(
            chosen(&format!("{CLUSTER}-S1")),
            id("S1"),
            "a whole id is never the beginning of another"
        );
        assert_eq!(chosen("S1"), id("S1"), "nor is a short form");
        assert_eq!(chosen("one"), Ok("one".to_owned()), "an id goes before a name");
        assert_eq!(chosen("two:5051"), Err(EXIT_ERROR));
        assert_eq!(chosen("x:1"), Ok("one".to_owned()));
        assert_eq!(chosen("o"), Ok("one".to_owned()));
        assert_eq!((chosen(""), chosen("S3"), chosen("tw")), (Err(3), Err(3), Err(3)));
    }

    #[test]
    fn two_are_listed_and_none_is_taken() {
        let rows = agents();
        let failure = AGENT.choose(&rows, "0d1e").unwrap_err();
        assert_eq!(failure.code, EXIT_ERROR);
        assert!(
            failure.cause.contains("any of 3 agents")
                && failure.cause.contains(&format!("{CLUSTER}-S12 (two, two:5051)")),
            "{failure}"
        );
        assert!(AGENT.choose(&rows, "two").unwrap_err().cause.contains("any of 2 agents"));
        let many: Vec<Value> =
            (0..30).map(|it| json!({ "id": format!("t{it}"), "framework": "f" })).collect();
        assert!(TASK.choose(&many, "t").unwrap_err().cause.ends_with("t9 (f)\n    and 20 more"));
    }
}
