//! L2: a master never falls because of what it is told, and bad input is answered for what it is:
//! refused on its own link, with nothing written down, ordered, or taken from anybody else.
//!
//! It relies on the sender's word for what is bad about its message ([`Bad`]); panics of any core
//! are found by [`crate::storm`]. It never checks a deposed leader, which may not know better.

use holdfast_master::{Effect, Input};
use holdfast_model::{Action, Call, Event, LinkId, MasterChange, OperationState, Order, TaskState};

use super::Checked;

/// What is invalid about a message, which decides the outcome that it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Perhaps nothing: it may be done or refused, but nobody may fall over it.
    Anything,
    /// A SUBSCRIBE to be refused: an ERROR, and the end of its link.
    Subscribe,
    /// A call in another's name: nothing comes of it.
    OtherName,
    /// An ACCEPT of which nothing can be done: every operation and task is answered with an error.
    Accept,
    /// A report that cannot be true: it is refused, and its link is closed; nobody else's is.
    Report,
}

/// Checks a leader's `effects` on a byzantine peer's `input` on `link`.
///
/// # Errors
/// What is wrong with the answer.
pub(crate) fn judge(link: LinkId, bad: Bad, input: &Input, effects: &[Effect]) -> Checked {
    let whole = match (bad, input) {
        (Bad::Anything, _) => Ok(()),
        (Bad::Subscribe, _) => refused_framework(link, effects),
        (Bad::OtherName, _) => changes_nothing(effects),
        (Bad::Accept, Input::FromFramework(_, _, call)) => match &call.call {
            Call::Accept { operations, .. } => all_answered(link, operations, effects),
            _ => Ok(()),
        },
        (Bad::Report, _) => refused_agent(link, effects),
        (Bad::Accept, _) => Ok(()),
    };
    whole.map_err(|why| format!("{why}: {input:?} was answered with {effects:?}"))
}

fn is_closed(link: LinkId, effects: &[Effect]) -> bool {
    effects.iter().any(|it| matches!(it, Effect::CloseFramework(closed) | Effect::CloseAgent(closed) if *closed == link))
}

fn refused_framework(link: LinkId, effects: &[Effect]) -> Checked {
    let error = effects
        .iter()
        .position(|it| matches!(it, Effect::ToFramework(to, Event::Error(_), _) if *to == link));
    let close = effects
        .iter()
        .position(|it| matches!(it, Effect::CloseFramework(closed) if *closed == link));
    let welcome = effects
        .iter()
        .any(|it| matches!(it, Effect::ToFramework(to, Event::Subscribed(_), _) if *to == link));
    match (error, close, welcome) {
        (Some(error), Some(close), false) if error < close => Ok(()),
        _ => Err("a SUBSCRIBE that is wrong was not refused".to_owned()),
    }
}

fn changes_nothing(effects: &[Effect]) -> Checked {
    let changes = |it: &&Effect| {
        matches!(it, Effect::Commit(..) | Effect::ToAgent(..) | Effect::CloseAgent(_))
    };
    effects
        .iter()
        .find(changes)
        .map_or(Ok(()), |_| Err("a call in another's name was obeyed".to_owned()))
}

fn all_answered(
    link: LinkId,
    operations: &[holdfast_model::Operation],
    effects: &[Effect],
) -> Checked {
    let ordered = |it: &&Effect| match it {
        Effect::ToAgent(_, message) => matches!(message.order, Order::Apply { .. }),
        Effect::Commit(_, changes) => {
            changes.iter().any(|it| matches!(it, MasterChange::Pending(_)))
        }
        _ => false,
    };
    if effects.iter().any(|it| ordered(&it)) {
        return Err("an ACCEPT of which nothing can be done was done".to_owned());
    }
    if is_closed(link, effects) {
        return Ok(()); // It had not even subscribed.
    }
    for operation in operations {
        let answered = match (&operation.id, &operation.action) {
            (_, Action::Launch(tasks)) => tasks.iter().all(|task| {
                let fails = |state: TaskState| matches!(state, TaskState::Error | TaskState::Dropped | TaskState::Lost);
                effects.iter().any(|it| matches!(it, Effect::ToFramework(to, Event::Update(status), _) if *to == link && status.task == task.id && fails(status.state)))
            }),
            (Some(id), _) => effects.iter().any(|it| {
                matches!(it, Effect::ToFramework(to, Event::UpdateOperation(status), _)
                    if *to == link && status.id.as_ref() == Some(id) && status.state == OperationState::Error)
            }),
            (None, _) => true,
        };
        if !answered {
            return Err(format!("{:?} of an ACCEPT that is wrong was not answered", operation.id));
        }
    }
    Ok(())
}

fn refused_agent(link: LinkId, effects: &[Effect]) -> Checked {
    let refused =
        effects.iter().any(|it| matches!(it, Effect::ToAgent(to, message) if *to == link && matches!(message.order, Order::Refused(_))));
    let others =
        effects.iter().any(|it| matches!(it, Effect::CloseAgent(closed) if *closed != link));
    match refused && is_closed(link, effects) && !others {
        true => Ok(()),
        false => {
            Err("a report that cannot be true was not refused, or somebody else was".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_model::convert::Format;
    use holdfast_model::FrameworkCall;
    use holdfast_model::{
        Filters, FrameworkId, OfferId, Operation, OperationStatus, Resources, Term, ToAgent,
    };

    const LINK: LinkId = LinkId(7);

    fn accept() -> Input {
        let operations = vec![Operation {
            id: Some("x".to_owned()),
            action: Action::Unsupported("CREATE_DISK"),
        }];
        let call = Call::Accept {
            offers: vec![OfferId::made("o".to_owned())],
            operations,
            filters: Filters::default(),
        };
        Input::FromFramework(
            LINK,
            holdfast_model::CallerIdentity::Anonymous,
            FrameworkCall { framework: None, call },
        )
    }

    fn answer(state: OperationState) -> Effect {
        let id = Some("x".to_owned());
        let status = OperationStatus {
            id,
            state,
            message: None,
            converted: Resources::new(),
            uuid: None,
            agent: None,
        };
        Effect::ToFramework(LINK, Event::UpdateOperation(status), Format::WHOLE)
    }

    #[test]
    fn a_bad_accept_is_answered_and_not_done() {
        assert_eq!(judge(LINK, Bad::Accept, &accept(), &[answer(OperationState::Error)]), Ok(()));
        assert_eq!(judge(LINK, Bad::Accept, &accept(), &[Effect::CloseFramework(LINK)]), Ok(()));
        assert!(judge(LINK, Bad::Accept, &accept(), &[]).unwrap_err().contains("not answered"));
        assert!(judge(LINK, Bad::Accept, &accept(), &[answer(OperationState::Finished)]).is_err());
    }

    #[test]
    fn a_wrong_subscribe_gets_an_error_and_then_the_end() {
        let error = || Effect::ToFramework(LINK, Event::Error("no".to_owned()), Format::WHOLE);
        let judged = |effects: &[Effect]| judge(LINK, Bad::Subscribe, &accept(), effects).is_ok();
        assert!(judged(&[error(), Effect::CloseFramework(LINK)]));
        assert!(!judged(&[Effect::CloseFramework(LINK), error()]) && !judged(&[error()]));
        let welcome = Effect::ToFramework(
            LINK,
            Event::Subscribed(FrameworkId::made("f".to_owned())),
            Format::WHOLE,
        );
        assert!(!judged(&[welcome, error(), Effect::CloseFramework(LINK)]));
    }

    #[test]
    fn a_false_report_ends_its_own_link_only() {
        let refused = || {
            Effect::ToAgent(LINK, ToAgent { term: Term(1), order: Order::Refused("no".to_owned()) })
        };
        let judged = |effects: &[Effect]| judge(LINK, Bad::Report, &accept(), effects).is_ok();
        assert!(judged(&[refused(), Effect::CloseAgent(LINK)]));
        assert!(
            !judged(&[refused(), Effect::CloseAgent(LINK), Effect::CloseAgent(LinkId(3))])
                && !judged(&[Effect::CloseAgent(LINK)])
        );
    }

    #[test]
    fn nothing_comes_of_a_call_in_anothers_name() {
        assert_eq!(judge(LINK, Bad::OtherName, &accept(), &[Effect::Log("no".to_owned())]), Ok(()));
        assert!(
            judge(LINK, Bad::OtherName, &accept(), &[Effect::Commit(Term(1), Vec::new())]).is_err()
        );
    }
}
