//! GROW_VOLUME and SHRINK_VOLUME: which volumes can change their size, by what, and what that takes and gives.
//!
//! The volume is the same before and after, but for its size: what it is called, where it lies and what it holds do not change. Never
//! says how much of a volume is used: only its agent can know.

use super::Conversion;
use crate::resource::{Resource, SourceKind};
use crate::resources::Resources;
use crate::validate::{check_resource, Invalid};
use crate::value::{Scalar, Value};

/// A volume whose size can be changed: a part of a disk that others share, for one task at a time.
pub(super) fn check_volume(volume: &Resource) -> Result<(), Invalid> {
    let identity = &volume.identity;
    let wrong = |field: &str, why: &str| Err(Invalid::new(format!("volume.{field}"), why));
    if identity.persistence.is_none() {
        return wrong(
            "disk.persistence",
            "this is no persistent volume; only those can be resized",
        );
    }
    if identity.provider.is_some() {
        return wrong("provider_id", "a volume of a resource provider cannot be resized");
    }
    if identity.shared {
        return wrong("shared", "a shared volume cannot be resized");
    }
    match identity.source.as_ref().map(|it| it.kind) {
        None | Some(SourceKind::Path) => Ok(()),
        Some(SourceKind::Mount) => wrong(
            "disk.source.type",
            "a volume on a MOUNT disk is as large as its disk and cannot be resized; use a ROOT or PATH disk",
        ),
        Some(SourceKind::Block | SourceKind::Raw) => wrong(
            "disk.source.type",
            "a volume on a BLOCK or RAW disk cannot be resized; use a ROOT or PATH disk",
        ),
    }
}

/// What comes to a volume is disk of the same reservation on the same disk.
pub(super) fn check_addition(volume: &Resource, addition: &Resource) -> Result<(), Invalid> {
    check_resource(addition).map_err(|it| it.within("addition"))?;
    if addition.value.is_empty() {
        return Err(Invalid::new("addition.scalar.value", "a volume grows by more than 0"));
    }
    let wanted = volume.without_volume().identity;
    if addition.identity != wanted {
        let why = format!(
            "is `{}`, but a volume grows by disk of its own reservation on its own disk, which is `{wanted}`",
            addition.identity
        );
        return Err(Invalid::new("addition", why));
    }
    Ok(())
}

/// Something of a volume is left when it has shrunk.
pub(super) fn check_subtract(volume: &Resource, subtract: Scalar) -> Result<(), Invalid> {
    if subtract <= Scalar::ZERO {
        return Err(Invalid::new("subtract.value", "a volume shrinks by more than 0"));
    }
    let size = volume.value.quantity();
    if size.minus(subtract) < Scalar::whole(1) {
        let why = format!(
            "{subtract} MB of a volume of {size} MB leave less than the 1 MB that a volume needs; DESTROY it if it may go"
        );
        return Err(Invalid::new("subtract.value", why));
    }
    Ok(())
}

pub(super) fn grown(volume: &Resource, addition: &Resource) -> Conversion {
    let larger = Resource { value: volume.value.plus(&addition.value), ..volume.clone() };
    Conversion {
        consumed: [volume, addition].into_iter().collect(),
        converted: [larger].iter().collect(),
    }
}

pub(super) fn shrunk(volume: &Resource, subtract: Scalar) -> Conversion {
    let subtract = Value::Scalar(subtract);
    let smaller = Resource { value: volume.value.minus(&subtract), ..volume.clone() };
    let rest = Resource { value: subtract, ..volume.without_volume() };
    Conversion {
        consumed: [volume].into_iter().collect(),
        converted: [smaller, rest].iter().collect(),
    }
}

/// The volume as it is there, with how it shows in a container, which a request need not repeat.
///
/// # Errors
/// [`Invalid`] when there is no such volume, or one of another size.
pub(super) fn volume_there(volume: &Resource, resources: &Resources) -> Result<Resource, Invalid> {
    let Some(there) = resources.one(&volume.identity) else {
        let why = format!("{volume} is not available there{}", resources.near_miss(volume));
        return Err(Invalid::new("volume", why));
    };
    if there.value != volume.value {
        let why = format!("has {} MB now, not {} MB; look again", there.value, volume.value);
        return Err(Invalid::new("volume.scalar.value", why));
    }
    Ok(there)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dynamic, role, volume};
    use super::super::{Asker, ClaimAction};
    use super::*;
    use crate::resource::{Mode, Source, VolumeMount};

    const OPERATOR: Asker<'static> = Asker::Operator { principal: None };

    fn reserved(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb)).reserved(dynamic("db"))
    }

    fn grow(volume: Resource, addition: Resource) -> ClaimAction {
        ClaimAction::Grow { volume, addition }
    }

    fn shrink(volume: Resource, mb: i64) -> ClaimAction {
        ClaimAction::Shrink { volume, subtract: Scalar::whole(mb) }
    }

    #[test]
    fn a_volume_grows_by_its_reservation_and_gives_back_to_it() {
        let start: Resources = [reserved(60), volume(40, "a")].iter().collect();
        let mut now = start.clone();
        let steps = [grow(volume(40, "a"), reserved(25)), shrink(volume(65, "a"), 25)];
        let after = [vec![reserved(35), volume(65, "a")], vec![reserved(60), volume(40, "a")]];
        for (step, after) in steps.iter().zip(&after) {
            step.check(OPERATOR).unwrap();
            step.apply(&mut now).unwrap();
            assert_eq!(now, after.iter().collect(), "{}", step.name());
            assert_eq!(now.quantities(), start.quantities());
        }
    }

    #[test]
    fn what_cannot_be_resized_is_refused_by_the_name_of_the_rule() {
        let on = |source: Source| {
            let mut volume = volume(10, "a");
            volume.identity.source = Some(source);
            volume
        };
        let block = Source { kind: SourceKind::Block, root: None, ..Source::path("/") };
        let raw = Source { kind: SourceKind::Raw, ..block.clone() };
        let (mut shared, mut provided) = (volume(10, "a"), volume(10, "a"));
        shared.identity.shared = true;
        provided.identity.provider = Some("csi".to_owned());
        let wrong = [
            (on(Source::mount("/m")), "volume.disk.source.type", "MOUNT"),
            (on(block), "volume.disk.source.type", "BLOCK"),
            (on(raw), "volume.disk.source.type", "RAW"),
            (shared, "volume.shared", "shared"),
            (provided, "volume.provider_id", "provider"),
            (reserved(10), "volume.disk.persistence", "no persistent volume"),
        ];
        for (volume, path, word) in wrong {
            let addition = Resource { value: reserved(1).value, ..volume.without_volume() };
            for action in [grow(volume.clone(), addition), shrink(volume.clone(), 1)] {
                let refused = action.check(OPERATOR).unwrap_err();
                assert_eq!(refused.path, path, "{volume}: {refused}");
                assert!(refused.why.contains(word), "{volume}: {refused}");
            }
        }
        assert!(grow(on(Source::path("/p")), reserved(1).on(Source::path("/p")))
            .check(OPERATOR)
            .is_ok());
    }

    #[test]
    fn an_addition_is_disk_of_the_same_reservation_on_the_same_disk() {
        let refined = reserved(5).reserved(dynamic("db/x"));
        let unreserved = Resource::scalar("disk", Scalar::whole(5));
        let mut labelled = reserved(5);
        labelled.identity.reservations[0].labels = [("a".to_owned(), None)].into_iter().collect();
        let mem = Resource::scalar("mem", Scalar::whole(5)).reserved(dynamic("db"));
        for other in
            [unreserved, reserved(5).on(Source::path("/p")), refined, labelled, mem, volume(5, "b")]
        {
            let refused = grow(volume(10, "a"), other.clone()).check(OPERATOR).unwrap_err();
            assert!(refused.path == "addition" && refused.why.contains("disk(db)"), "{refused}");
        }
        let nothing = grow(volume(10, "a"), reserved(0)).check(OPERATOR).unwrap_err();
        assert_eq!(nothing.path, "addition.scalar.value");
    }

    #[test]
    fn something_of_a_volume_is_left() {
        for mb in [0, -1, 10, 11] {
            let refused = shrink(volume(10, "a"), mb).check(OPERATOR).unwrap_err();
            assert_eq!(refused.path, "subtract.value", "{mb}");
        }
        assert!(shrink(volume(10, "a"), 9).check(OPERATOR).is_ok());
    }

    #[test]
    fn the_size_that_is_named_is_the_one_that_is_there() {
        let mut now: Resources = [reserved(60), volume(40, "a")].iter().collect();
        let before = now.clone();
        let refused = shrink(volume(50, "a"), 5).apply(&mut now).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "volume.scalar.value: has 40 MB now, not 50 MB; look again"
        );
        let refused = grow(volume(40, "b"), reserved(5)).apply(&mut now).unwrap_err();
        assert!(refused.path == "volume" && refused.why.contains("not available"), "{refused}");
        let refused = grow(volume(40, "a"), reserved(61)).apply(&mut now).unwrap_err();
        assert!(refused.why.contains("needs disk(db):61"), "{refused}");
        assert_eq!(now, before);
    }

    #[test]
    fn how_a_volume_shows_in_a_container_is_not_changed_by_its_size() {
        let mut now: Resources = [reserved(60), volume(40, "a")].iter().collect();
        let mut asked = volume(40, "a");
        asked.mount =
            Some(VolumeMount { container_path: "elsewhere".to_owned(), mode: Mode::ReadOnly });
        grow(asked, reserved(10)).apply(&mut now).unwrap();
        assert_eq!(now.one(&volume(1, "a").identity).unwrap().mount, volume(1, "a").mount);
    }

    #[test]
    fn a_framework_resizes_volumes_of_its_own_roles_only() {
        for (mine, is_allowed) in [("db", true), ("web", false)] {
            let roles = [role(mine)];
            let asker = Asker::Framework { roles: &roles, principal: None, made: &[] };
            for action in [grow(volume(10, "a"), reserved(1)), shrink(volume(10, "a"), 1)] {
                assert_eq!(action.check(asker).is_ok(), is_allowed, "{mine}: {}", action.name());
            }
        }
    }
}
