//! The names of users and groups on this machine, as lists of files show them.

use std::collections::BTreeMap;

use nix::unistd::{Gid, Group, Uid, User};

/// Names that were looked up for one list: most files in it have the same owner.
#[derive(Debug, Default)]
pub struct Owners {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Owners {
    /// The name of a user, or the number of one that has none.
    pub fn user(&mut self, uid: u32) -> String {
        let look = || User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|it| it.name);
        let name = || look().unwrap_or_else(|| uid.to_string());
        self.users.entry(uid).or_insert_with(name).clone()
    }

    /// The name of a group, or the number of one that has none.
    pub fn group(&mut self, gid: u32) -> String {
        let look = || Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|it| it.name);
        let name = || look().unwrap_or_else(|| gid.to_string());
        self.groups.entry(gid).or_insert_with(name).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_name_has_a_number() {
        let mut owners = Owners::default();
        for _ in 0..2 {
            assert_eq!((owners.user(0), owners.group(0)), ("root".to_owned(), "root".to_owned()));
            assert_eq!(owners.user(4_000_000_001), "4000000001");
            assert_eq!(owners.group(4_000_000_001), "4000000001");
        }
    }
}
