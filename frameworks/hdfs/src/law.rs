//! The law of formatting: whether a member may be started on what lies on its volumes, and what must be done first. Hadoop itself starts
//! a data node on anything, and formats whatever it is told to.
//!
//! Pure. What is not surely right is refused, with what to do; nothing on a volume is changed then.

use std::fmt;

use crate::identity::{Identity, Kind, Version, Who};
use crate::marker::{Marker, Note, Stage};
use crate::volumes::Found;

/// What is known of a member that is about to start.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Who it is.
    pub who: &'a Who,
    /// The names of its volumes in the cluster.
    pub volumes: &'a [String],
    /// The file system, once the scheduler's ledger knows it.
    pub identity: Option<&'a Identity>,
    /// What the ledger remembers of the member.
    pub note: Option<&'a Note>,
    /// Whether the ledger knows of no file system, and of nothing on either name node's volume.
    pub may_format: bool,
    /// Whether it is a journal node that was given a new volume on purpose, and the others have all edits.
    pub may_fill: bool,
    /// What lies on each volume.
    pub found: &'a [Found],
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It goes on with what it has.
    Goes,
    /// It has nothing yet, and its volumes are new.
    New,
    /// It formats a new file system; of this `clusterID`, if an earlier attempt was interrupted.
    Formats(Option<String>),
    /// It copies the file system's metadata from the other name node.
    Bootstraps,
    /// Its journal begins empty, and it copies the edits of the other journal nodes.
    Fills,
}

/// Why a member is not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// What a volume is.
enum State {
    New,
    Begun,
    Formatting(String),
    Whole,
}

/// Judges.
///
/// # Errors
/// Why the member is not started, with what to do.
pub fn judge(case: &Case<'_>) -> Result<Admitted, Refused> {
    if case.found.len() != case.volumes.len() || case.found.is_empty() {
        return no(format!("{} of its {} volumes are there", case.found.len(), case.volumes.len()));
    }
    if let (Some(note), Some(identity)) = (case.note, case.identity) {
        if let Some((what, noted, is)) = note.identity.contradiction(identity) {
            return no(format!(
                "the ledger says {what} `{noted}` of it and `{is}` of the file system; restore the right ledger"
            ));
        }
    }
    let states = case.found.iter().enumerate().map(|(place, found)| volume(case, place, found));
    let states = states.collect::<Result<Vec<State>, Refused>>()?;
    let whole = states.iter().filter(|it| matches!(it, State::Whole)).count();
    if whole == states.len() {
        return Ok(Admitted::Goes);
    }
    if 0 < whole {
        return no(format!(
            "{whole} of its {} volumes have data, and the others are empty; bring back what was on those",
            states.len()
        ));
    }
    match case.who.kind {
        Kind::Name => name(case, &states),
        Kind::Data if case.identity.is_none() => {
            no("there is no file system yet that it could join; it starts once a name node is formatted".to_owned())
        }
        Kind::Journal if case.identity.is_some() && case.may_fill => Ok(Admitted::Fills),
        Kind::Journal if case.identity.is_some() => no(
            "its volume is new, and the file system has edits that the other two journal nodes alone know; bring the volume back that it had, or replace the member"
                .to_owned(),
        ),
        Kind::Data | Kind::Journal => Ok(Admitted::New),
    }
}

/// A name node whose volume has nothing that was ever acknowledged.
fn name(case: &Case<'_>, states: &[State]) -> Result<Admitted, Refused> {
    if case.identity.is_some() {
        return Ok(Admitted::Bootstraps);
    }
    if !case.may_format {
        return no(
            "no file system is known, and it is not the one to format one: that is done once, by name-0, when nothing is known of either name node"
                .to_owned(),
        );
    }
    let interrupted = states.iter().find_map(|it| match it {
        State::Formatting(cluster) => Some(cluster.clone()),
        _ => None,
    });
    Ok(Admitted::Formats(interrupted))
}

/// Judges one volume by itself.
fn volume(case: &Case<'_>, place: usize, found: &Found) -> Result<State, Refused> {
    let name = &case.volumes[place];
    let note = case.note.filter(|it| it.volumes == case.volumes);
    let marker = match &found.marker {
        Ok(marker) => marker.as_ref(),
        Err(why) => return no(format!("the marker on its volume {name} cannot be read: {why}")),
    };
    let version = match &found.version {
        Ok(version) => version.as_ref(),
        Err(why) => {
            return no(format!("the file VERSION on its volume {name} cannot be read: {why}"))
        }
    };
    let Some(marker) = marker else { return unmarked(name, note, found) };
    owner(case, place, marker, version)?;
    if let Some(note) = note {
        if marker.starts < note.starts {
            return no(format!(
                "its volume {name} is older than what the scheduler remembers ({} starts, and there were {}): it is a copy, or was rolled back; bring the right one back",
                marker.starts, note.starts
            ));
        }
        if marker.identity().is_none() {
            return no(format!(
                "its volume {name} is as before the first start, and it has been a part of the file system since; bring the right one back"
            ));
        }
    }
    Ok(match (&marker.stage, version) {
        (Stage::Whole(_), Some(_)) => State::Whole,
        (Stage::Whole(_), None) => {
            return no(format!(
                "its volume {name} is marked, and Hadoop's file VERSION is gone from it; restore the volume"
            ))
        }
        (Stage::Formatting(cluster), _) => State::Formatting(cluster.clone()),
        // A journal node is formatted from outside, and a data node by itself, before that is marked.
        (Stage::Begun, Some(_)) if case.who.kind != Kind::Name => State::Whole,
        (Stage::Begun, _) => State::Begun,
    })
}

/// A volume without a marker.
fn unmarked(name: &str, note: Option<&Note>, found: &Found) -> Result<State, Refused> {
    if !found.others.is_empty() {
        return no(format!(
            "its volume {name} has {} and no marker: it is somebody else's; give the member an empty volume",
            found.others.join(", ")
        ));
    }
    match note {
        Some(note) => no(format!(
            "its volume {name} is empty, but it had data of the file system {}; bring it back, or replace the member if it is lost for good",
            note.identity.cluster
        )),
        None => Ok(State::New),
    }
}

/// Whether a volume is the member's own, of its file system.
fn owner(
    case: &Case<'_>,
    place: usize,
    marker: &Marker,
    version: Option<&Version>,
) -> Result<(), Refused> {
    let name = &case.volumes[place];
    if marker.who != *case.who || marker.place != place {
        return no(format!(
            "its volume {name} is volume {} of {}, and not volume {place} of {}; find out whose volume it is",
            marker.place, marker.who, case.who
        ));
    }
    let noted = case.note.map(|it| &it.identity);
    for identity in [case.identity, noted].into_iter().flatten() {
        let known = [marker.identity(), version.map(|it| &it.identity)];
        let clash = known.into_iter().flatten().find_map(|it| it.contradiction(identity));
        if let Some((what, is, wanted)) = clash {
            return no(format!(
                "its volume {name} is of another file system: its {what} is `{is}`, and this one's is `{wanted}`; find out whose volume it is"
            ));
        }
    }
    let Some(version) = version else { return Ok(()) };
    if let Some((what, marked, is)) =
        marker.identity().and_then(|it| it.contradiction(&version.identity))
    {
        return no(format!(
            "its volume {name} is marked with {what} `{marked}`, and Hadoop's file VERSION says `{is}`; restore the volume"
        ));
    }
    let is = version.data_node.clone().zip(version.storage.clone());
    match (&marker.data_node, is) {
        (Some(marked), Some(is)) if *marked != is => no(format!(
            "its volume {name} is marked as storage {} of data node {}, and Hadoop's file VERSION says storage {} of {}; restore the volume",
            marked.1, marked.0, is.1, is.0
        )),
        _ => Ok(()),
    }
}

fn no<T>(why: String) -> Result<T, Refused> {
    Err(Refused(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::identity;
    use crate::marker::tests::{who, whole};

    fn version(identity: Identity) -> Result<Option<Version>, String> {
        Ok(Some(Version { identity, data_node: None, storage: None }))
    }

    fn empty() -> Found {
        Found { marker: Ok(None), others: Vec::new(), version: Ok(None) }
    }

    fn marked(marker: Marker) -> Found {
        Found { marker: Ok(Some(marker)), others: vec!["name".to_owned()], version: Ok(None) }
    }

    /// A whole volume of this member, started so often.
    fn good(who: &Who, place: usize, starts: u64) -> Found {
        Found { version: version(identity("c")), ..marked(whole(who, place, starts)) }
    }

    /// A member with one volume and what its ledger knows.
    struct Known {
        who: Who,
        volumes: Vec<String>,
        identity: Option<Identity>,
        note: Option<Note>,
        may_format: bool,
        may_fill: bool,
    }

    impl Known {
        fn new(kind: Kind, member: u32) -> Known {
            let volumes = vec!["v-0".to_owned()];
            let who = who(kind, member);
            let identity = Some(identity("c"));
            Known { who, volumes, identity, note: None, may_format: false, may_fill: false }
        }

        fn noted(kind: Kind, starts: u64) -> Known {
            let it = Known::new(kind, 0);
            let markers: Vec<Marker> =
                (0..it.volumes.len()).map(|place| whole(&it.who, place, starts)).collect();
            Known { note: Note::of(&markers, &it.volumes), ..it }
        }

        fn judge(&self, found: &[Found]) -> Result<Admitted, Refused> {
            judge(&Case {
                who: &self.who,
                volumes: &self.volumes,
                identity: self.identity.as_ref(),
                note: self.note.as_ref(),
                may_format: self.may_format,
                may_fill: self.may_fill,
                found,
            })
        }

        fn refused(&self, found: &[Found], says: &str) {
            let why = self.judge(found).unwrap_err().0;
            assert!(why.contains(says), "`{why}` does not say `{says}`");
        }
    }

    #[test]
    fn a_file_system_is_formatted_once_when_nothing_is_known_of_any() {
        let first = Known { identity: None, may_format: true, ..Known::new(Kind::Name, 0) };
        assert_eq!(first.judge(&[empty()]), Ok(Admitted::Formats(None)));
        let begun = Marker::new(&first.who, 0, Stage::Formatting("c".to_owned()));
        let again = Ok(Admitted::Formats(Some("c".to_owned())));
        assert_eq!(first.judge(&[marked(begun.clone())]), again, "it was interrupted");
        let half = Found { version: version(identity("c")), ..marked(begun) };
        assert_eq!(first.judge(&[half]), again);
        let forgotten = first.judge(&[good(&first.who, 0, 1)]);
        assert_eq!(
            forgotten,
            Ok(Admitted::Goes),
            "it was formatted, and the ledger does not know yet"
        );
        let second = Known { may_format: false, ..first };
        second.refused(&[empty()], "not the one to format");
    }

    #[test]
    fn a_name_node_without_data_always_copies_the_others() {
        for member in [0, 1] {
            let known = Known { may_format: true, ..Known::new(Kind::Name, member) };
            assert_eq!(known.judge(&[empty()]), Ok(Admitted::Bootstraps));
            let begun = Marker::new(&known.who, 0, Stage::Begun);
            let half = Found { version: version(identity("c")), ..marked(begun) };
            assert_eq!(known.judge(&[half]), Ok(Admitted::Bootstraps), "half of a copy is none");
        }
        let mut replaced = Known::noted(Kind::Name, 3);
        replaced.volumes = vec!["v-1".to_owned()];
        assert_eq!(
            replaced.judge(&[empty()]),
            Ok(Admitted::Bootstraps),
            "its new volume had nothing"
        );
    }

    #[test]
    fn whoever_had_data_is_not_started_without_them() {
        for kind in [Kind::Journal, Kind::Name, Kind::Data] {
            let known = Known::noted(kind, 2);
            assert_eq!(known.judge(&[good(&known.who, 0, 2)]), Ok(Admitted::Goes));
            assert_eq!(
                known.judge(&[good(&known.who, 0, 3)]),
                Ok(Admitted::Goes),
                "a message was lost"
            );
            known.refused(&[empty()], "is empty, but it had data of the file system c");
            known.refused(&[good(&known.who, 0, 1)], "1 starts, and there were 2");
            let first = Marker { starts: 9, ..Marker::new(&known.who, 0, Stage::Begun) };
            known.refused(&[marked(first)], "as before the first start");
            known.refused(&[marked(whole(&known.who, 0, 2))], "VERSION is gone");
        }
    }

    #[test]
    fn what_is_anothers_is_never_touched() {
        let known = Known::new(Kind::Data, 0);
        let foreign = Found { others: vec!["photos".to_owned()], ..empty() };
        known.refused(&[foreign], "has photos and no marker");
        known.refused(&[good(&who(Kind::Data, 1), 0, 1)], "volume 0 of data-1 of `files`");
        known.refused(&[good(&who(Kind::Name, 0), 0, 1)], "volume 0 of name-0 of `files`");
        let elsewhere = Who { service: "other".to_owned(), ..known.who.clone() };
        known.refused(&[good(&elsewhere, 0, 1)], "of `other`");
        known.refused(&[good(&known.who, 1, 1)], "is volume 1 of data-0");
        let stranger = Marker { stage: Stage::Whole(identity("d")), ..whole(&known.who, 0, 1) };
        known.refused(&[marked(stranger)], "its clusterID is `d`, and this one's is `c`");
        let swapped = Found { version: version(identity("d")), ..good(&known.who, 0, 1) };
        known.refused(std::slice::from_ref(&swapped), "another file system: its clusterID is `d`");
        let unknown = Known { identity: None, ..known };
        unknown.refused(&[swapped], "marked with clusterID `c`");
    }

    #[test]
    fn the_storage_of_a_data_node_is_known_by_its_ids() {
        let known = Known::new(Kind::Data, 0);
        let ids = |node: &str, storage: &str| Some((node.to_owned(), storage.to_owned()));
        let marker = Marker { data_node: ids("u", "DS-1"), ..whole(&known.who, 0, 1) };
        let found = |storage: &str| Found {
            version: Ok(Some(Version {
                identity: identity("c"),
                data_node: Some("u".to_owned()),
                storage: Some(storage.to_owned()),
            })),
            ..marked(marker.clone())
        };
        assert_eq!(known.judge(&[found("DS-1")]), Ok(Admitted::Goes));
        known.refused(&[found("DS-2")], "storage DS-1 of data node u");
    }

    #[test]
    fn volumes_belong_together() {
        let mut known = Known::new(Kind::Data, 0);
        known.volumes.push("v-1".to_owned());
        let both = [good(&known.who, 0, 1), good(&known.who, 1, 1)];
        assert_eq!(known.judge(&both), Ok(Admitted::Goes));
        assert_eq!(known.judge(&[empty(), empty()]), Ok(Admitted::New));
        let begun = marked(Marker::new(&known.who, 0, Stage::Begun));
        assert_eq!(known.judge(&[begun, empty()]), Ok(Admitted::New), "it was interrupted");
        known.refused(&[good(&known.who, 0, 1), empty()], "1 of its 2 volumes have data");
        known.refused(&[empty()], "1 of its 2 volumes are there");
    }

    #[test]
    fn who_joins_is_told_what_it_joins() {
        let data = Known { identity: None, ..Known::new(Kind::Data, 0) };
        data.refused(&[empty()], "no file system yet");
        let journal = Known { identity: None, ..Known::new(Kind::Journal, 0) };
        assert_eq!(journal.judge(&[empty()]), Ok(Admitted::New));
        let late = Known::new(Kind::Journal, 0);
        late.refused(&[empty()], "the other two journal nodes alone know");
        let begun = Marker::new(&late.who, 0, Stage::Begun);
        let formatted = Found { version: version(identity("c")), ..marked(begun.clone()) };
        assert_eq!(late.judge(&[formatted]), Ok(Admitted::Goes), "formatted, and not marked yet");
        let mut replaced = Known { may_fill: true, ..Known::noted(Kind::Journal, 3) };
        replaced.refused(&[empty()], "is empty, but it had data");
        replaced.volumes = vec!["v-1".to_owned()];
        assert_eq!(replaced.judge(&[empty()]), Ok(Admitted::Fills));
        assert_eq!(replaced.judge(&[marked(begun)]), Ok(Admitted::Fills), "it was interrupted");
        replaced.may_fill = false;
        replaced.refused(&[empty()], "replace the member");
    }

    #[test]
    fn what_cannot_be_read_is_never_taken_for_nothing() {
        let known = Known::new(Kind::Name, 0);
        known.refused(&[Found { marker: Err("damaged".into()), ..empty() }], "damaged");
        known.refused(&[Found { version: Err("damaged".into()), ..empty() }], "damaged");
        let other = Known {
            note: Known::noted(Kind::Name, 1).note,
            identity: Some(identity("d")),
            ..known
        };
        other.refused(&[good(&other.who, 0, 1)], "restore the right ledger");
    }
}
