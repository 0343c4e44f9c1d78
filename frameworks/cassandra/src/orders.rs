//! What the scheduler has a node's executor do beside the node, and what that says of it.
//!
//! Plain values. Messages may be lost: an order is said until it is answered, bears a name, and is begun once by each executor, however often
//! it comes.

use serde::{Deserialize, Serialize};

/// What is done beside a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// It gives its data to the others and leaves the ring.
    Leave,
    /// It drops what has become others' since they joined.
    Cleanup,
    /// It brings the ranges that it is first for into agreement with their other copies.
    Repair,
    /// It copies its tables to where backups are, and reads the copy back.
    Backup,
    /// It takes the tables of a backup in.
    Restore,
}

/// All acts.
const ALL: [Act; 5] = [Act::Leave, Act::Cleanup, Act::Repair, Act::Backup, Act::Restore];

impl Act {
    /// The act of a step of that name.
    pub fn of_name(name: &str) -> Option<Act> {
        ALL.into_iter().find(|it| it.name() == name)
    }

    /// The name of its steps.
    pub fn name(self) -> &'static str {
        match self {
            Act::Leave => "leave",
            Act::Cleanup => "cleanup",
            Act::Repair => "repair",
            Act::Backup => "backup",
            Act::Restore => "restore",
        }
    }
}

/// An order to an executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name: that of the step, of which plan, and how often it was tried again.
    pub order: String,
    /// What is to be done.
    pub act: Act,
    /// The name of the backup that is made or restored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<String>,
}

/// How far an order has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It is under way.
    Running,
    /// It is done.
    Done,
    /// It has failed, or nobody knows; the last words.
    Failed(String),
}

/// What an executor says of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The name of the order.
    pub order: String,
    /// How far it has come.
    pub progress: Progress,
}

/// As it is said.
pub fn to_text(said: &impl Serialize) -> String {
    serde_json::to_string(said).expect("texts are always written")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood_and_never_taken_for_something_else() {
        let order = Order {
            order: "decommission-1/node-3:leave/0".to_owned(),
            act: Act::Leave,
            backup: None,
        };
        assert_eq!(serde_json::from_str::<Order>(&to_text(&order)).unwrap(), order);
        for progress in [Progress::Running, Progress::Done, Progress::Failed("x".to_owned())] {
            let report = Report { order: order.order.clone(), progress };
            assert_eq!(serde_json::from_str::<Report>(&to_text(&report)).unwrap(), report);
            assert!(serde_json::from_str::<Order>(&to_text(&report)).is_err());
            assert!(crate::marker::Note::read(to_text(&report).as_bytes()).is_err());
        }
        for act in ALL {
            assert_eq!(Act::of_name(act.name()), Some(act));
        }
        assert_eq!(Act::of_name("format"), None);
    }
}
