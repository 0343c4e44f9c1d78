//! Which one is meant: an id, the beginning of one, its short form, or a name.
//!
//! Relies on ids being unique. Never guesses between two.

use holdfast_api::rows::{
    AgentRow, ClaimRow, DiskMoveRow, DiskRow, FrameworkRow, GoneAgentRow, TaskRow, TrashRow,
};

use super::rows::{Listed, Received};
use super::Context;
use crate::failure::{Failure, EXIT_ERROR};
use crate::output::ids;

/// How many candidates are named.
const CANDIDATES_MAX: usize = 10;

/// What people call by an id or a name.
pub trait Named: Listed {
    /// The word for such a thing.
    const NOUN: &'static str;
    /// The same in a sentence, where the noun of the verbs reads badly.
    const WORD: &'static str = Self::NOUN;

    /// The verb that lists them.
    fn listed_by() -> String {
        format!("holdfast {} list", Self::NOUN)
    }

    /// What it is called, apart from its id.
    fn names(&self) -> Vec<&str>;

    /// The framework that it belongs to.
    fn owner(&self) -> Option<&str> {
        None
    }
}

impl Named for AgentRow {
    const NOUN: &'static str = "agent";

    fn names(&self) -> Vec<&str> {
        vec![&self.hostname, &self.address]
    }
}

impl Named for GoneAgentRow {
    const NOUN: &'static str = "agent";

    fn names(&self) -> Vec<&str> {
        vec![&self.hostname]
    }
}

impl Named for ClaimRow {
    const NOUN: &'static str = "claim";

    fn names(&self) -> Vec<&str> {
        self.volume.iter().map(String::as_str).collect()
    }

    fn owner(&self) -> Option<&str> {
        self.framework.as_deref()
    }
}

impl Named for DiskRow {
    const NOUN: &'static str = "disk";

    fn names(&self) -> Vec<&str> {
        vec![&self.root]
    }
}

impl Named for DiskMoveRow {
    const NOUN: &'static str = "move";
    const WORD: &'static str = "move of a disk named";

    fn listed_by() -> String {
        "holdfast disk moves".to_owned()
    }

    fn names(&self) -> Vec<&str> {
        vec![&self.root, &self.from_root]
    }
}

impl Named for FrameworkRow {
    const NOUN: &'static str = "framework";

    fn names(&self) -> Vec<&str> {
        vec![&self.name]
    }
}

impl Named for TaskRow {
    const NOUN: &'static str = "task";

    fn names(&self) -> Vec<&str> {
        vec![&self.name]
    }

    fn owner(&self) -> Option<&str> {
        Some(&self.framework)
    }
}

impl Named for TrashRow {
    const NOUN: &'static str = "trash";
    const WORD: &'static str = "destroyed volume";

    fn names(&self) -> Vec<&str> {
        vec![&self.volume]
    }

    fn owner(&self) -> Option<&str> {
        self.framework.as_deref()
    }
}

/// The id of the agent that a filter of a list names, if it names one.
///
/// # Errors
/// When no master answers, or there is no such agent.
pub async fn agent_filter(
    context: &Context,
    given: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(given) = given else { return Ok(None) };
    let agents = context.master.rows::<AgentRow>().await?;
    Ok(Some(choose(&agents, given)?.id.clone()))
}

/// The one of `rows` that `given` means.
///
/// # Errors
/// When it is none (not found) or could be several (they are listed).
pub fn choose<'a, T: Named>(
    rows: &'a [Received<T>],
    given: &str,
) -> Result<&'a Received<T>, Failure> {
    let ways: [&dyn Fn(&T) -> bool; 4] = [
        &|row| row.id() == given,
        &|row| ids::tail(row.id()) == Some(given),
        &|row| row.names().contains(&given),
        &|row| row.id().starts_with(given),
    ];
    let ways = if given.is_empty() { &[][..] } else { &ways[..] };
    for way in ways {
        let matching: Vec<&Received<T>> = rows.iter().filter(|it| way(it)).collect();
        match matching.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => return Err(ambiguous(several, given)),
        }
    }
    Err(Failure::not_found(
        format!("there is no {} `{given}`", T::WORD),
        format!("see `{}`", T::listed_by()),
    ))
}

fn ambiguous<T: Named>(several: &[&Received<T>], given: &str) -> Failure {
    let describe = |it: &&Received<T>| {
        let names = it.names().into_iter().chain(it.owner());
        let names: Vec<&str> = names.filter(|it| !it.is_empty() && *it != given).collect();
        let names =
            if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        format!("{}{names}", it.id())
    };
    let listed: Vec<String> = several.iter().take(CANDIDATES_MAX).map(describe).collect();
    let more = several.len() - listed.len();
    let more = if more == 0 { String::new() } else { format!("\n    and {more} more") };
    let cause = format!(
        "`{given}` could be any of {} {}s:\n    {}{more}",
        several.len(),
        T::NOUN,
        listed.join("\n    ")
    );
    Failure::new(EXIT_ERROR, cause, "write more of the id")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::testbed;
    use serde_json::json;

    const CLUSTER: &str = "0d1e2f30-4151-6172-8393-a4b5c6d7e8f9";

    fn agents() -> Vec<Received<AgentRow>> {
        let agent = |id: String, hostname: &str, address: &str| {
            testbed::received(json!({ "id": id, "hostname": hostname, "address": address }))
        };
        let of_cluster = |tail: &str| format!("{CLUSTER}-{tail}");
        vec![
            agent(of_cluster("S1"), "one", "one:5051"),
            agent(of_cluster("S12"), "two", "two:5051"),
            agent(of_cluster("S2"), "two", "two:5051"),
            agent("one".to_owned(), "x", "x:1"),
        ]
    }

    fn chosen(given: &str) -> Result<String, i32> {
        let rows = agents();
        choose(&rows, given).map(|it| it.id.clone()).map_err(|it| it.code)
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
        let failure = choose(&rows, "0d1e").unwrap_err();
        assert_eq!(failure.code, EXIT_ERROR);
        assert!(
            failure.cause.contains("any of 3 agents")
                && failure.cause.contains(&format!("{CLUSTER}-S12 (two, two:5051)")),
            "{failure}"
        );
        assert!(choose(&rows, "two").unwrap_err().cause.contains("any of 2 agents"));
        let task = |it: i32| testbed::received(json!({ "id": format!("t{it}"), "name": "" }));
        let many: Vec<Received<TaskRow>> = (0..30).map(task).collect();
        assert!(choose(&many, "t").unwrap_err().cause.ends_with("t9 (f)\n    and 20 more"));
    }
}
