//! Whether Cassandra may be started on a directory. It starts on anything: on an empty directory it is a new node, which takes the part
//! of the ring that it is given and answers that nothing was ever written there; on an older copy it brings deleted data back. So it is
//! asked here first, and what is not surely right is refused with words for the one who must decide.
//!
//! Pure. It never says yes for want of knowledge.

use crate::directory::Found;
use crate::jars::Release;
use crate::marker::{Frozen, Marker, Memory, Note};

/// What is judged.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The number of the member that shall be started.
    pub member: u32,
    /// What is wanted of it.
    pub wanted: &'a Frozen,
    /// What the scheduler remembers of it.
    pub memory: &'a Memory,
    /// What its directory holds.
    pub found: &'a Found,
    /// The version of Cassandra that would run.
    pub release: &'a Release,
    /// The time, in milliseconds since 1970.
    pub now_ms: u64,
    /// For how long a node may have been away, in milliseconds; `None` for ever.
    pub gc_grace_ms: Option<u64>,
}

impl Case<'_> {
    fn note(&self) -> Option<&Note> {
        match self.memory {
            Memory::Joined(note) => Some(note),
            Memory::Nothing | Memory::Adopted => None,
        }
    }
}

/// How a node is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It joins, on an empty directory; or goes on to join, on what it had written of its own.
    ToJoin(Marker),
    /// It comes back to its own data.
    Back(Marker),
}

/// Why a node is not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The marker cannot be read.
    #[error("the marker on its volume cannot be read ({0}); look at {file} there, nothing was changed", file = crate::marker::MARKER_FILE)]
    Damaged(String),
    /// There is data that nobody of ours has marked.
    #[error(
        "its volume is not empty ({names}) and bears no marker, so these are somebody else's data; give it an empty volume, or find out whose this is",
        names = .0.join(", ")
    )]
    Unmarked(Vec<String>),
    /// The volume is another node's.
    #[error("its volume belongs to {is}, and this is {wanted}; nothing was changed")]
    Foreign {
        /// Whose it is.
        is: String,
        /// Who would be started.
        wanted: String,
    },
    /// A member that has joined finds nothing.
    #[error(
        "its directory is empty, but it joined the ring as host {0}: started here it would answer that nothing was ever written. Bring its volume back, \
         or replace the node"
    )]
    Empty(String),
    /// Its marker is there, but not its data.
    #[error(
        "its marker is there, but the table system.local is not, so host {0} would come back without its tokens and data. Restore the volume, or replace \
         the node"
    )]
    Emptied(String),
    /// The volume was adopted, and nobody has joined on it.
    #[error(
        "its volume was adopted, since it bears the ring's name, but no node has joined on it: started here it would be a new one, beside a ring that may \
         exist. Replace the node, which gives it an empty volume"
    )]
    NeverJoined,
    /// The node has left its ring.
    #[error("host {0} has given its data to the others and left its ring for good; replace the node, which gives it an empty volume")]
    Left(String),
    /// The volume is an older copy.
    #[error(
        "its directory is older than what is known of it: {0}. It was rolled back, or is a copy; what was written since is missing. Bring the right volume \
         back, or replace the node"
    )]
    Older(String),
    /// A setting was changed that cannot be.
    #[error(
        "{setting} was `{old}` when it joined and is `{new}` now; Cassandra cannot change that on a node that has data. Set it back, or replace the node"
    )]
    Frozen {
        /// Which setting.
        setting: &'static str,
        /// What it was.
        old: String,
        /// What it should be.
        new: String,
    },
    /// The directory was written by a newer Cassandra.
    #[error("its data were written by Cassandra {was} and this is {is}, which cannot read them; start {was} or newer")]
    Downgrade {
        /// What ran last.
        was: String,
        /// What would run.
        is: String,
    },
    /// It was away for too long.
    #[error(
        "it was last seen serving {days} days ago, longer than gc_grace: what was deleted meanwhile would come back with it. Replace the node; to \
         start it all the same, raise --gc-grace-days"
    )]
    AwayTooLong {
        /// For how long, in days.
        days: u64,
    },
}

/// Judges whether, and how, a node may be started.
///
/// # Errors
/// Why not.
pub fn judge(case: &Case) -> Result<Admitted, Refused> {
    let marker = case.found.marker.as_ref().map_err(|why| Refused::Damaged(why.clone()))?;
    let Some(marker) = marker else { return unmarked(case) };
    // A name of the cluster that was changed by mistake is told as that, where the scheduler knows better.
    let name = &marker.frozen.cluster_name;
    let is_ours = *name == case.wanted.cluster_name
        || case.note().is_some_and(|it| it.frozen.cluster_name == *name);
    if marker.member != case.member || !is_ours {
        return Err(Refused::Foreign {
            is: whose(marker.member, &marker.frozen),
            wanted: whose(case.member, case.wanted),
        });
    }
    if let Some(note) = case.note() {
        as_noted(note, marker)?;
    }
    frozen(&marker.frozen, case.wanted)?;
    let Some(joined) = &marker.joined else {
        return match case.memory {
            Memory::Adopted => Err(Refused::NeverJoined),
            _ => Ok(Admitted::ToJoin(marker.clone())),
        };
    };
    if marker.left {
        return Err(Refused::Left(joined.host_id.clone()));
    }
    if !case.found.has_local {
        return Err(Refused::Emptied(joined.host_id.clone()));
    }
    if Release::parse(&marker.release).is_some_and(|was| case.release.is_before(&was)) {
        let (was, is) = (marker.release.clone(), case.release.to_string());
        return Err(Refused::Downgrade { was, is });
    }
    let away_ms = case.now_ms.saturating_sub(marker.alive_at_ms);
    if 0 < marker.alive_at_ms && case.gc_grace_ms.is_some_and(|most| most < away_ms) {
        return Err(Refused::AwayTooLong { days: away_ms / 86_400_000 });
    }
    Ok(Admitted::Back(marker.clone()))
}

fn unmarked(case: &Case) -> Result<Admitted, Refused> {
    if !case.found.others.is_empty() {
        return Err(Refused::Unmarked(case.found.others.clone()));
    }
    match case.memory {
        Memory::Joined(note) => Err(Refused::Empty(note.joined.host_id.clone())),
        Memory::Adopted => Err(Refused::NeverJoined),
        Memory::Nothing => {
            Ok(Admitted::ToJoin(Marker::about_to_join(case.member, case.wanted.clone())))
        }
    }
}

/// Whether the marker is at least what the scheduler remembers.
fn as_noted(note: &Note, marker: &Marker) -> Result<(), Refused> {
    let host = |id: &str| format!("host {id} of cluster `{}`", marker.frozen.cluster_name);
    match &marker.joined {
        None => Err(Refused::Older(format!(
            "it joined as host {}, and the marker says that it is about to",
            note.joined.host_id
        ))),
        Some(joined) if joined.host_id != note.joined.host_id => {
            Err(Refused::Foreign { is: host(&joined.host_id), wanted: host(&note.joined.host_id) })
        }
        Some(_) if marker.starts < note.starts => Err(Refused::Older(format!(
            "Cassandra was started on it {} times, and the marker knows of {}",
            note.starts, marker.starts
        ))),
        Some(_) => Ok(()),
    }
}

fn frozen(was: &Frozen, wanted: &Frozen) -> Result<(), Refused> {
    match was.difference(wanted) {
        None => Ok(()),
        Some((setting, old, new)) => Err(Refused::Frozen { setting, old, new }),
    }
}

fn whose(member: u32, frozen: &Frozen) -> String {
    format!("member {member} of cluster `{}`", frozen.cluster_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::tests::{frozen as wanted, joined_marker};

    const NOW_MS: u64 = 20 * 86_400_000;

    /// A member that has joined, on its own volume.
    struct Bed {
        wanted: Frozen,
        memory: Memory,
        found: Found,
        release: &'static str,
    }

    impl Bed {
        fn new() -> Bed {
            let mut marker = joined_marker(1, 5);
            marker.alive_at_ms = NOW_MS - 1_000;
            let note = marker.note("10.0.0.1", "v-1").unwrap();
            let memory = Memory::Joined(Box::new(note));
            let found = Found {
                marker: Ok(Some(marker)),
                others: vec!["data".to_owned()],
                has_local: true,
            };
            Bed { wanted: wanted(), memory, found, release: "5.0.9" }
        }

        fn marker(&mut self) -> &mut Marker {
            self.found.marker.as_mut().unwrap().as_mut().unwrap()
        }

        fn empty(self) -> Bed {
            Bed { found: Found { marker: Ok(None), others: Vec::new(), has_local: false }, ..self }
        }

        fn judge(&self) -> Result<Admitted, Refused> {
            judge(&Case {
                member: 1,
                wanted: &self.wanted,
                memory: &self.memory,
                found: &self.found,
                release: &Release::parse(self.release).unwrap(),
                now_ms: NOW_MS,
                gc_grace_ms: Some(10 * 86_400_000),
            })
        }

        fn refused(&self, says: &str) {
            let error = self.judge().unwrap_err().to_string();
            assert!(error.contains(says), "`{error}` does not say `{says}`");
        }
    }

    #[test]
    fn a_member_comes_back_to_its_own_data() {
        let bed = Bed::new();
        assert!(matches!(bed.judge(), Ok(Admitted::Back(it)) if it.starts == 5));
        // What it said last did not reach the scheduler.
        assert!(matches!(
            Bed { memory: Memory::Nothing, ..Bed::new() }.judge(),
            Ok(Admitted::Back(_))
        ));
        let mut bed = Bed::new();
        bed.marker().starts = 6;
        assert!(bed.judge().is_ok());
    }

    #[test]
    fn a_new_member_joins_on_an_empty_volume_and_goes_on_after_a_crash() {
        let new = Bed { memory: Memory::Nothing, ..Bed::new().empty() };
        let marker = Marker::about_to_join(1, wanted());
        assert_eq!(new.judge(), Ok(Admitted::ToJoin(marker.clone())));
        let found = Found { marker: Ok(Some(marker.clone())), ..Bed::new().found };
        assert_eq!(
            Bed { memory: Memory::Nothing, found, ..Bed::new() }.judge(),
            Ok(Admitted::ToJoin(marker))
        );
    }

    #[test]
    fn an_empty_directory_of_a_member_that_joined_is_refused() {
        Bed::new().empty().refused("joined the ring as host host-1");
        let mut bed = Bed::new();
        bed.found.has_local = false;
        bed.refused("system.local is not");
    }

    #[test]
    fn an_adopted_volume_is_that_of_a_node_that_has_joined_or_refused() {
        let adopted = |bed: Bed| Bed { memory: Memory::Adopted, ..bed };
        assert!(matches!(adopted(Bed::new()).judge(), Ok(Admitted::Back(_))));
        adopted(Bed::new().empty()).refused("its volume was adopted");
        let mut bed = adopted(Bed::new());
        bed.marker().joined = None;
        bed.refused("no node has joined on it");
    }

    #[test]
    fn a_node_that_has_left_does_not_come_back() {
        let mut bed = Bed::new();
        *bed.marker() = joined_marker(1, 5).having_left();
        bed.refused("host host-1 has given its data to the others");
    }

    #[test]
    fn a_foreign_directory_is_refused() {
        let mut unmarked = Bed::new();
        unmarked.found.marker = Ok(None);
        unmarked.refused("not empty (data) and bears no marker");
        Bed { memory: Memory::Nothing, ..unmarked }.refused("bears no marker");
        for change in [
            |it: &mut Marker| it.member = 2,
            |it: &mut Marker| it.frozen.cluster_name = "other".to_owned(),
            |it: &mut Marker| it.joined.as_mut().unwrap().host_id = "another".to_owned(),
        ] {
            let mut bed = Bed::new();
            change(bed.marker());
            bed.refused("belongs to");
        }
        let mut bed = Bed::new();
        bed.found.marker = Err("EOF".to_owned());
        bed.refused("cannot be read (EOF)");
    }

    #[test]
    fn an_older_directory_is_refused() {
        let mut bed = Bed::new();
        bed.marker().starts = 4;
        bed.refused("started on it 5 times, and the marker knows of 4");
        let mut bed = Bed::new();
        bed.marker().joined = None;
        bed.refused("says that it is about to");
    }

    #[test]
    fn frozen_settings_are_frozen() {
        for (change, says) in [
            ((|it| it.cluster_name = "x".to_owned()) as fn(&mut Frozen), "cluster_name was `hf`"),
            (|it| it.dc = "x".to_owned(), "dc was `dc1`"),
            (|it| it.rack = "x".to_owned(), "rack was `r1` when it joined and is `x` now"),
            (|it| it.num_tokens = 4, "num_tokens was `16`"),
            (|it| it.partitioner = "x".to_owned(), "partitioner was"),
        ] {
            let mut bed = Bed::new();
            change(&mut bed.wanted);
            bed.refused(says);
        }
    }

    #[test]
    fn older_software_and_a_long_absence_are_refused() {
        Bed { release: "4.1.7", ..Bed::new() }.refused("written by Cassandra 5.0.9");
        assert!(Bed { release: "5.0.2", ..Bed::new() }.judge().is_ok(), "the format is the same");
        assert!(Bed { release: "5.1.0", ..Bed::new() }.judge().is_ok());
        let mut bed = Bed::new();
        bed.marker().alive_at_ms = NOW_MS - 11 * 86_400_000;
        bed.refused("last seen serving 11 days ago");
        bed.marker().alive_at_ms = 0;
        assert!(bed.judge().is_ok(), "it is not known when that was");
    }
}
