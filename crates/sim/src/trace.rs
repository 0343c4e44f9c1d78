//! The trace of a run: what happened and when, for people who replay a seed; `note` adds a line.
//!
//! It relies on callers to note events; lines are only made when somebody listens. It never changes
//! what happens.

use holdfast_model::{Event, ToMaster};

use crate::agenda::{Message, Node};

/// The newest lines that are kept for a failing seed.
const LINES_MAX: usize = 4_000;

/// The detail of the trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The trace is empty.
    #[default]
    Silent,
    /// Faults, starts, deaths, elections, and log lines of cores.
    Plot,
    /// Every message as well.
    Messages,
}

/// The lines of a trace, with how much detail is kept.
#[derive(Debug, Default)]
pub struct Trace {
    /// The detail of the trace.
    pub detail: Detail,
    /// The lines, oldest first.
    pub lines: std::collections::VecDeque<String>,
}

impl Trace {
    pub(crate) fn tell(&mut self, elapsed_ms: u64, line: impl FnOnce() -> String) {
        if self.detail < Detail::Plot {
            return;
        }
        if LINES_MAX <= self.lines.len() {
            self.lines.pop_front();
        }
        self.lines.push_back(format!(
            "{:>4}.{:03}  {}",
            elapsed_ms / 1_000,
            elapsed_ms % 1_000,
            line()
        ));
    }

    pub(crate) fn message(&mut self, elapsed_ms: u64, to: Node, message: &Message) {
        if Detail::Messages <= self.detail {
            self.tell(elapsed_ms, || format!("  {to} <- {}", brief(message)));
        }
    }
}

/// Formats a message in one line.
fn brief(message: &Message) -> String {
    match message {
        Message::FromAgent(ToMaster::Report(it)) => format!(
            "report v{} seen {} claims {} tasks {:?} operations {} faults {} resources {}",
            it.ledger_version,
            it.orders_seen,
            it.claims.len(),
            it.tasks
                .iter()
                .map(|task| format!("{}:{:?}", task.info.id, task.state))
                .collect::<Vec<_>>(),
            it.operations.len(),
            it.faults.len(),
            it.machine.resources
        ),
        Message::FromAgent(ToMaster::TaskUpdate { status, latest, .. }) => {
            format!(
                "{} is {:?} (latest {latest:?}): {}",
                status.task,
                status.state,
                status.message.as_deref().unwrap_or("")
            )
        }
        Message::ToFramework(Event::Offers(offers)) => {
            let each: Vec<String> = offers
                .iter()
                .map(|it| format!("{} of {}: {}", it.id, it.agent, it.resources))
                .collect();
            format!("offers {}", each.join("; "))
        }
        Message::ToFramework(Event::Update(status)) => {
            format!(
                "{} is {:?} (uuid {}): {}",
                status.task,
                status.state,
                status.uuid.map_or("none".to_owned(), |it| it.to_string()[..8].to_owned()),
                status.message.as_deref().unwrap_or("")
            )
        }
        other => shorten(format!("{other:?}")),
    }
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(600) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_trace_makes_no_lines_and_a_long_one_forgets_its_beginning() {
        let mut trace = Trace::default();
        trace.tell(0, || unreachable!("nobody listens"));
        trace.detail = Detail::Plot;
        (0..LINES_MAX as u64 + 5).for_each(|it| trace.tell(it, || it.to_string()));
        assert_eq!((trace.lines.len(), trace.lines[0].as_str()), (LINES_MAX, "   0.005  5"));
    }
}
