//! Labels, which are written on a disk and beside each volume, and their text form.
//!
//! What it is for: a label tells which disk or volume this is, to a program that knows nothing else
//! and to a person with `cat`. One header line (kind, version of the text, serial number,
//! checksum), then JSON. The header line keeps its form in all versions. What it relies on: CRC-32.
//! What it never does: guess; a label is whole or it is damaged.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The highest version of a label's body that this program reads. It writes the lowest that says all: an older program would take a volume
/// that is an image for the directory below its mount.
pub const LABEL_VERSION: u32 = 2;

/// The identity of a disk, and the cluster that owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskLabel {
    /// The disk's own id, generated when it was first used.
    pub disk_uuid: Uuid,
    /// The cluster whose claims it holds. The nil uuid says: of no cluster yet.
    pub cluster_uuid: Uuid,
}

/// The identity of a volume, and its claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeLabel {
    /// The volume's own id; also the name of its directory. Never used twice.
    pub volume_uuid: Uuid,
    /// The name that its framework gave it.
    pub persistence_id: String,
    /// The role that holds the claim.
    pub role: String,
    /// The principal that made the claim, if one was named.
    pub principal: Option<String>,
    /// Grows with each change of the claim.
    pub generation: u64,
    /// The disk it was made on.
    pub disk_uuid: Uuid,
    /// The cluster it belongs to; nil: of no cluster yet.
    pub cluster_uuid: Uuid,
    /// Its size in MiB, as claimed; on a disk, as it was claimed when the volume was made.
    pub size_mb: u64,
    /// Whether it is a file system of its own in an image of fixed size, or a directory. Decided when it is made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub image: bool,
    /// Whether several tasks may use it at a time. Labels that were written before there were such do not say so, and a program of before
    /// takes the volume for one of a single task, as it always did: so it needs no newer version.
    #[serde(default, skip_serializing_if = "is_false")]
    pub shared: bool,
}

fn is_false(it: &bool) -> bool {
    !*it
}

/// The content of a label of one kind.
pub(crate) trait Labelled: Serialize + DeserializeOwned + Clone + PartialEq {
    /// The word in the header.
    const KIND: &'static str;

    /// The lowest version of the body that says all of it.
    fn version(&self) -> u32 {
        1
    }
}

impl Labelled for DiskLabel {
    const KIND: &'static str = "disk";
}

impl Labelled for VolumeLabel {
    const KIND: &'static str = "volume";

    fn version(&self) -> u32 {
        if self.image {
            2
        } else {
            1
        }
    }
}

/// The first bytes of every label of kind `kind`.
pub(crate) fn magic(kind: &str) -> String {
    format!("holdfast {kind} label v")
}

/// The greatest length of a file that is read as a label; real labels are far smaller.
pub(crate) const LABEL_BYTES_MAX: u64 = 64 * 1024;

/// Why bytes cannot be read as a label.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// They are not what was written.
    Damaged(String),
    /// They are whole, but written by a newer program.
    TooNew(u32),
}

/// Whether both are the same cluster, or one of the two has none yet.
pub(crate) fn same_cluster(one: Uuid, other: Uuid) -> bool {
    one == other || one.is_nil() || other.is_nil()
}

/// Encodes a label as text.
pub(crate) fn render<T: Labelled>(label: &T, serial: u64) -> Vec<u8> {
    let body = serde_json::to_string_pretty(label)
        .expect("a label is made of uuids, strings and numbers, which JSON can always hold");
    render_body(T::KIND, label.version(), serial, &format!("{body}\n")).into_bytes()
}

fn render_body(kind: &str, version: u32, serial: u64, body: &str) -> String {
    let head = format!("{}{version} serial {serial}", magic(kind));
    let mut crc = crc32fast::Hasher::new();
    crc.update(head.as_bytes());
    crc.update(body.as_bytes());
    format!("{head} crc32 {:08x}\n{body}", crc.finalize())
}

/// Parses the text of a label; returns the label and its serial number.
pub(crate) fn parse<T: Labelled>(bytes: &[u8]) -> Result<(T, u64), Unreadable> {
    let damaged = |why: &str| Unreadable::Damaged(why.to_owned());
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is no text"))?;
    let (head, body) = text.split_once('\n').ok_or_else(|| damaged("it is cut short"))?;
    let rest = head
        .strip_prefix(&magic(T::KIND))
        .ok_or_else(|| damaged("it does not begin as a label of this kind"))?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [version, "serial", serial, "crc32", _] = words[..] else {
        return Err(damaged("its first line is malformed"));
    };
    let version: u32 = version.parse().map_err(|_| damaged("its version is no number"))?;
    let serial: u64 = serial.parse().map_err(|_| damaged("its serial number is no number"))?;
    // Encoded again it must be the same, byte by byte: that checks the checksum, and every other
    // spelling too.
    if render_body(T::KIND, version, serial, body) != text {
        return Err(damaged("its checksum does not match"));
    }
    if version > LABEL_VERSION {
        return Err(Unreadable::TooNew(version));
    }
    let label = serde_json::from_str(body)
        .map_err(|error| Unreadable::Damaged(format!("its body is malformed: {error}")))?;
    Ok((label, serial))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn volume() -> VolumeLabel {
        VolumeLabel {
            volume_uuid: Uuid::from_u128(7),
            persistence_id: "data \"0\"\n".into(),
            role: "db/ä".into(),
            principal: Some("p".into()),
            generation: 3,
            disk_uuid: Uuid::from_u128(8),
            cluster_uuid: Uuid::from_u128(9),
            size_mb: 1024,
            shared: false,
            image: false,
        }
    }

    #[test]
    fn a_label_reads_back() {
        let text = render(&volume(), 5);
        assert!(text.starts_with(b"holdfast volume label v1 serial 5 crc32 "));
        assert_eq!(parse::<VolumeLabel>(&text), Ok((volume(), 5)));
        assert!(
            matches!(parse::<DiskLabel>(&text), Err(Unreadable::Damaged(_))),
            "a volume's label is no disk's"
        );
    }

    #[test]
    fn an_image_is_called_one_and_an_older_program_does_not_read_it() {
        let image = VolumeLabel { image: true, ..volume() };
        let text = render(&image, 5);
        assert!(text.starts_with(b"holdfast volume label v2 serial 5 crc32 "));
        assert_eq!(parse::<VolumeLabel>(&text), Ok((image, 5)));
        let old = String::from_utf8(render(&volume(), 5)).unwrap();
        assert!(!old.contains("image"), "{old}");
    }

    #[test]
    fn a_label_says_that_its_volume_is_shared_and_one_of_before_does_not() {
        let shared = VolumeLabel { shared: true, ..volume() };
        let text = render(&shared, 5);
        assert!(
            text.starts_with(b"holdfast volume label v1 serial 5 crc32 "),
            "any program reads it"
        );
        assert_eq!(parse::<VolumeLabel>(&text), Ok((shared, 5)));
        let old = String::from_utf8(render(&volume(), 5)).unwrap();
        assert!(!old.contains("shared"), "it is as it was written before: {old}");
    }

    #[test]
    fn every_single_bit_flip_and_every_cut_is_seen() {
        let text = render(&volume(), 12);
        for bit in 0..text.len() * 8 {
            let mut bad = text.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(parse::<VolumeLabel>(&bad), Err(Unreadable::Damaged(_))), "bit {bit}");
        }
        for len in 0..text.len() {
            assert!(
                matches!(parse::<VolumeLabel>(&text[..len]), Err(Unreadable::Damaged(_))),
                "cut at {len}"
            );
        }
    }

    #[test]
    fn a_newer_label_is_whole_but_not_read() {
        let text = render_body("disk", LABEL_VERSION + 1, 1, "whatever form the future likes\n");
        assert_eq!(parse::<DiskLabel>(text.as_bytes()), Err(Unreadable::TooNew(LABEL_VERSION + 1)));
    }

    #[test]
    fn a_right_sum_over_a_wrong_body_is_damage() {
        let text = render_body("disk", 1, 1, "{}\n");
        assert!(
            matches!(parse::<DiskLabel>(text.as_bytes()), Err(Unreadable::Damaged(why)) if why.contains("disk_uuid"))
        );
    }

    proptest! {
        #[test]
        fn any_label_reads_back_and_no_bytes_panic(id in ".{0,60}", role in ".{0,60}", principal in proptest::option::of(".{0,20}"),
                                                  generation: u64, serial: u64, noise: Vec<u8>) {
            let label = VolumeLabel { persistence_id: id, role, principal, generation, ..volume() };
            prop_assert_eq!(parse::<VolumeLabel>(&render(&label, serial)), Ok((label, serial)));
            let _ = parse::<VolumeLabel>(&noise);
            let mut headed = magic("volume").into_bytes();
            headed.extend(noise);
            prop_assert!(parse::<VolumeLabel>(&headed).is_err());
        }
    }
}
