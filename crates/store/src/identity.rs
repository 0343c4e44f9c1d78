//! The owner of a ledger: written into every file, so that a file of another store is never taken
//! for ours.
//!
//! It relies on nothing. It never invents a uuid: it comes with the call that creates a store.

use std::fmt;

/// Longest kind, in bytes.
pub const KIND_BYTES_MAX: usize = 32;

/// The kind of ledger and the uuid of this one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The kind of ledger, for example `agent` or `master`; 1 to [`KIND_BYTES_MAX`] bytes.
    pub kind: String,
    /// The uuid that tells it from others of that kind.
    pub uuid: [u8; 16],
}

impl Identity {
    /// Makes the identity of a ledger.
    pub fn new(kind: impl Into<String>, uuid: [u8; 16]) -> Identity {
        Identity { kind: kind.into(), uuid }
    }

    /// Encodes it in a fixed size: kind padded with zeros, then the uuid.
    pub(crate) fn encode(&self) -> [u8; KIND_BYTES_MAX + 16] {
        let mut out = [0u8; KIND_BYTES_MAX + 16];
        let len = self.kind.len().min(KIND_BYTES_MAX);
        out[..len].copy_from_slice(&self.kind.as_bytes()[..len]);
        out[KIND_BYTES_MAX..].copy_from_slice(&self.uuid);
        out
    }

    /// The reverse of `encode`.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Identity> {
        let (kind, uuid) = bytes.split_at_checked(KIND_BYTES_MAX)?;
        let kind = std::str::from_utf8(kind).ok()?.trim_end_matches('\0').to_owned();
        Some(Identity { kind, uuid: uuid.try_into().ok()? })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        for (at, byte) in self.uuid.iter().enumerate() {
            if [4, 6, 8, 10].contains(&at) {
                write!(f, "-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_round_trip() {
        let identity = Identity::new("agent", [0xAB; 16]);
        assert_eq!(Identity::decode(&identity.encode()), Some(identity.clone()));
        assert_eq!(identity.to_string(), "agent abababab-abab-abab-abab-abababababab");
    }
}
