//! What became of a task, as an exit code and a sentence.

use holdfast_model::{Reason, TaskState, TaskStatus};

use crate::failure::EXIT_ERROR;

/// How the word for the command's own exit status begins, in the built-in executor and in Mesos's.
const EXITED: &str = "exited with status ";

/// The exit code for a task that ended with this status: the command's own where it is known.
pub(super) fn code(status: &TaskStatus) -> i32 {
    match status.state {
        TaskState::Finished => 0,
        TaskState::Failed => {
            own_code(status.message.as_deref().unwrap_or_default()).unwrap_or(EXIT_ERROR)
        }
        _ => EXIT_ERROR,
    }
}

fn own_code(message: &str) -> Option<i32> {
    let rest = message.split_once(EXITED)?.1;
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|it| (1..256).contains(it))
}

/// What became of it, in a sentence.
pub(super) fn words(status: &TaskStatus) -> String {
    let why = status
        .message
        .as_ref()
        .filter(|it| !it.is_empty())
        .map(|it| format!(": {it}"))
        .unwrap_or_default();
    format!("{}{why}", status.state.name())
}

/// Whether it never ran because its offer was gone: then the next one is as good.
pub(super) fn may_try_again(status: &TaskStatus) -> bool {
    matches!(status.state, TaskState::Lost | TaskState::Dropped)
        && status.reason == Some(Reason::InvalidOffers as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::{Instant, StatusSource, TaskId};

    fn status(state: TaskState, message: &str) -> TaskStatus {
        let status = TaskStatus::new(TaskId::made("t".to_owned()), state, Instant(0));
        TaskStatus { message: Some(message.to_owned()), ..status }
    }

    #[test]
    fn the_commands_own_code_is_kept() {
        let failed = |message: &str| code(&status(TaskState::Failed, message));
        assert_eq!(failed("Command exited with status 3"), 3);
        assert_eq!(failed("Command exited with status 42 (core dumped)"), 42);
        for unknown in [
            "",
            "Command terminated with signal Killed (SIGKILL)",
            "exited with status 0",
            "exited with status 256",
            "exited with status x",
        ] {
            assert_eq!(failed(unknown), EXIT_ERROR, "{unknown}");
        }
        assert_eq!(code(&status(TaskState::Finished, "Command exited with status 0")), 0);
        assert_eq!(code(&status(TaskState::Killed, "exited with status 3")), EXIT_ERROR);
        assert_eq!(words(&status(TaskState::Failed, "why")), "TASK_FAILED: why");
    }

    #[test]
    fn only_a_lost_offer_is_tried_again() {
        let lost = |reason| {
            may_try_again(&status(TaskState::Dropped, "").because(
                StatusSource::Master,
                reason,
                "x",
            ))
        };
        assert!(lost(Reason::InvalidOffers) && !lost(Reason::TaskInvalid));
        assert!(!may_try_again(&status(TaskState::Failed, "").because(
            StatusSource::Master,
            Reason::InvalidOffers,
            "x"
        )));
    }
}
