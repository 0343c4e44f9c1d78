//! Who speaks.
//!
//! Whoever takes a request says it once, and it goes with the request to whatever decides about it. Never proves anything: that is
//! done where the request comes in.

/// Who is at the other end of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerIdentity {
    /// Nobody in particular.
    #[default]
    Anonymous,
    /// Whom the caller proved to be.
    Principal(String),
}

impl CallerIdentity {
    /// The one who was authenticated, if anybody was.
    pub fn authenticated(principal: Option<String>) -> CallerIdentity {
        principal.map_or(CallerIdentity::Anonymous, CallerIdentity::Principal)
    }

    /// The principal, if the caller was authenticated.
    pub fn principal(&self) -> Option<&str> {
        match self {
            CallerIdentity::Anonymous => None,
            CallerIdentity::Principal(principal) => Some(principal),
        }
    }
}

impl std::fmt::Display for CallerIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CallerIdentity::Anonymous => f.write_str("an anonymous caller"),
            CallerIdentity::Principal(principal) => write!(f, "`{principal}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_not_authenticated_is_anonymous() {
        let (nobody, ops) = (
            CallerIdentity::authenticated(None),
            CallerIdentity::authenticated(Some("ops".to_owned())),
        );
        assert_eq!(
            (nobody.principal(), nobody.to_string().as_str()),
            (None, "an anonymous caller")
        );
        assert_eq!((ops.principal(), ops.to_string().as_str()), (Some("ops"), "`ops`"));
        assert_eq!(nobody, CallerIdentity::default());
    }
}
