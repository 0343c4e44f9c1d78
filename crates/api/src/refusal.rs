//! Why a request gets no answer, in the terms of the API; the process turns it into HTTP.
//!
//! Never knows status codes or gRPC.

use holdfast_model::Invalid;

/// Why a request is refused; the text is for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It has to be posted.
    #[error("{0}")]
    MustBePosted(String),
    /// It is right in itself, but does not fit what is there now.
    #[error("{0}")]
    Conflict(String),
    /// It is not served here.
    #[error("{0}")]
    NotServed(String),
    /// Not now, or not by this process.
    #[error("{0}")]
    Unavailable(String),
}

impl From<Invalid> for Refusal {
    fn from(invalid: Invalid) -> Refusal {
        Refusal::Invalid(invalid.to_string())
    }
}

/// What the master's core said, in the terms of the API.
impl From<holdfast_master::Refusal> for Refusal {
    fn from(refusal: holdfast_master::Refusal) -> Refusal {
        match refusal {
            holdfast_master::Refusal::Invalid(invalid) => invalid.into(),
            holdfast_master::Refusal::NotFound(why) => Refusal::NotFound(why),
            holdfast_master::Refusal::Conflict(why) => Refusal::Conflict(why),
            holdfast_master::Refusal::NotLeading => {
                Refusal::Unavailable("this master does not lead".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_core_refuses_keeps_its_words() {
        use holdfast_master::Refusal as Core;
        for (core, expected) in [
            (
                Core::Invalid(Invalid::new("weight", "is 0")),
                Refusal::Invalid("weight: is 0".to_owned()),
            ),
            (Core::NotFound("no".to_owned()), Refusal::NotFound("no".to_owned())),
            (Core::Conflict("busy".to_owned()), Refusal::Conflict("busy".to_owned())),
            (Core::NotLeading, Refusal::Unavailable("this master does not lead".to_owned())),
        ] {
            assert_eq!(Refusal::from(core), expected);
        }
    }
}
