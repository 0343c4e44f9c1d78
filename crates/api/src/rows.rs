//! The rows of the native API, shared by the master that writes them and the command line that reads them.
//!
//! Field names and words are a promise. Every field has to be there: a row that lacks one is of another version, and reading it fails
//! with the field's name. Never holds a domain type: what lies in a row is what is written.

mod agent;
mod agent_page;
mod change;
mod claim;
mod disk;
mod disk_move;
mod ended;
mod explain;
mod framework;
mod leaving;
mod machine;
mod offer;
mod outlook;
mod plan;
mod quota;
mod recovery;
mod role;
mod task;
mod trash;

pub use agent::{AgentRow, AgentStanding, DeactivationRow, DrainRow};
pub use agent_page::{AgentClaimRow, AgentExecutorRow, AgentLedgerRow};
pub use change::ChangeDocument;
pub use claim::{ClaimKind, ClaimRow, ClaimStanding, EventRow, UserRow};
pub use disk::{DiskPlace, DiskRow, OrphanRow};
pub use disk_move::{DiskMoveRow, DiskMoveState};
pub use ended::{ClaimsAt, EndedClaimRow, EndedData, PastClaimRow};
pub use explain::{ExplainRow, Explained};
pub use framework::{FrameworkRow, FrameworkStanding};
pub use leaving::{GoneAgentRow, LeavingClaimRow, LeavingPlan, LeavingTaskRow};
pub use machine::{DowntimeAnswer, DowntimeAnswerRow, MachineMode, MachineRow, MaintenancePlan};
pub use offer::OfferRow;
pub use outlook::OutlookRow;
pub use plan::{
    ApplyPlan, ChangeDone, ClaimPlan, EndPlan, HolderRow, KillAccepted, Plan, RemovalPlan,
    TakenRow, TeardownPlan,
};
pub use quota::{QuotaPlan, QuotaRow};
pub use recovery::{
    KnownBy, LeftVolumeRow, OverClaimRow, RecoverPlan, RecoveredClaimRow, RecoveredStanding,
};
pub use role::RoleRow;
pub use task::TaskRow;
pub use trash::{TrashDone, TrashRow};

/// An enum whose variants are written as words.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word that stands for it.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}
use words;

#[cfg(test)]
mod tests;
