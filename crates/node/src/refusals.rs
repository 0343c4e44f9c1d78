//! What the API refuses, as HTTP says it, and who asks, as the API says it.

use holdfast_api::{authorize, Action, Object, Refusal as Refused};
use holdfast_model::CallerIdentity;
use holdfast_wire::{Caller, Refusal};

/// The status that goes with a refusal.
pub fn http(refused: Refused) -> Refusal {
    match refused {
        Refused::Invalid(why) => Refusal::bad_request(why),
        Refused::Forbidden(why) => Refusal::forbidden(why),
        Refused::NotFound(why) => Refusal::not_found(why),
        Refused::MustBePosted(why) => Refusal::new(405, why),
        Refused::Conflict(why) => Refusal::conflict(why),
        Refused::NotServed(why) => Refusal::not_implemented(why),
        Refused::Unavailable(why) => Refusal::unavailable(why),
    }
}

/// Who is at the other end of a connection.
pub fn identity(caller: &Caller) -> CallerIdentity {
    CallerIdentity::authenticated(caller.principal.clone())
}

/// Whether this caller may see how much a process logs, or change it.
///
/// # Errors
/// 403.
pub fn may_log(caller: &Caller, process: Object<'_>, changes: bool) -> Result<(), Refusal> {
    let action = if changes { Action::SetLogLevel } else { Action::View };
    authorize(&identity(caller), action, process).map_err(|denied| http(denied.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_status() {
        let why = || "why".to_owned();
        for (refused, status) in [
            (Refused::Invalid(why()), 400),
            (Refused::Forbidden(why()), 403),
            (Refused::NotFound(why()), 404),
            (Refused::MustBePosted(why()), 405),
            (Refused::Conflict(why()), 409),
            (Refused::NotServed(why()), 501),
            (Refused::Unavailable(why()), 503),
        ] {
            assert_eq!(http(refused), Refusal::new(status, why()));
        }
    }
}
