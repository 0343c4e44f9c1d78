//! A refusal: a status code and a message for people.
//!
//! It relies on nothing, and never carries anything but what the peer may read.

use tonic::{Code, Status};

/// The reason why a call is not carried out. The status is HTTP's; over gRPC it becomes the nearest
/// code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status}: {message}")]
pub struct Refusal {
    /// An HTTP status from 400 to 599; anything else is answered as 500.
    pub status: u16,
    /// What is wrong and what to try.
    pub message: String,
    /// What Mesos answers over HTTP where its status is a coarser one; `status` then goes along as
    /// a header of its own.
    pub mesos_status: Option<u16>,
}

/// The header that has the status of a refusal which is answered with Mesos's coarser one.
pub const EXACT_STATUS: &str = "holdfast-status";

impl Refusal {
    /// Makes a refusal with any status.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), mesos_status: None }
    }

    /// Makes a 400: the call itself is wrong.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    /// Makes a 403: the caller may not do this, or not now.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(403, message)
    }

    /// Makes a 404: the object does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, message)
    }

    /// Makes a 409: the call is valid, but conflicts with the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(409, message)
    }

    /// Makes a 500: an internal error.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, message)
    }

    /// Makes a 501: this call is not served.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, message)
    }

    /// Makes a 503: the call cannot be served now and may be tried again.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, message)
    }

    /// Makes a 404 of a call for which Mesos says 400, as it does of most that name what is unknown.
    pub fn unknown_is_bad_request(mut self) -> Self {
        if self.status == 404 {
            self.mesos_status = Some(400);
        }
        self
    }

    /// Converts the refusal to a gRPC status.
    pub(crate) fn to_grpc(&self) -> Status {
        let code = match self.status {
            400 | 405 | 406 | 415 => Code::InvalidArgument,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::NotFound,
            408 => Code::DeadlineExceeded,
            409 => Code::FailedPrecondition,
            413 | 429 => Code::ResourceExhausted,
            501 => Code::Unimplemented,
            503 => Code::Unavailable,
            _ => Code::Internal,
        };
        Status::new(code, self.message.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mesoss_coarser_status_is_of_what_is_not_found_alone() {
        let known = Refusal::conflict("x").unknown_is_bad_request();
        assert_eq!(known.mesos_status, None);
        let unknown = Refusal::not_found("x").unknown_is_bad_request();
        assert_eq!((unknown.status, unknown.mesos_status), (404, Some(400)));
        assert_eq!(unknown.to_grpc().code(), Code::NotFound);
    }

    #[test]
    fn codes_are_the_nearest() {
        assert_eq!(Refusal::bad_request("x").to_grpc().code(), Code::InvalidArgument);
        assert_eq!(Refusal::unavailable("x").to_grpc().code(), Code::Unavailable);
        assert_eq!(Refusal::new(599, "x").to_grpc().code(), Code::Internal);
        assert_eq!(Refusal::conflict("volume is in use").to_grpc().message(), "volume is in use");
    }
}
