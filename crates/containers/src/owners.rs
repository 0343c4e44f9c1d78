//! The names of users and groups on this machine, as lists of files show them.

use nix::unistd::{Gid, Group, Uid, User};

/// The name of a user, or the number of one that has none.
pub fn user_name(uid: u32) -> String {
    let known = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    known.map_or_else(|| uid.to_string(), |it| it.name)
}

/// The name of a group, or the number of one that has none.
pub fn group_name(gid: u32) -> String {
    let known = Group::from_gid(Gid::from_raw(gid)).ok().flatten();
    known.map_or_else(|| gid.to_string(), |it| it.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_name_has_a_number() {
        assert_eq!((user_name(0), group_name(0)), ("root".to_owned(), "root".to_owned()));
        assert_eq!(user_name(4_000_000_001), "4000000001");
        assert_eq!(group_name(4_000_000_001), "4000000001");
    }
}
