//! Bytes that earlier programs wrote, kept as files, are read by this one, and written again byte for byte; but for labels, which are
//! sorted since their order says nothing.
//!
//! The files in `golden/` are never rewritten: what stands in them lies on disks and travels between programs of two versions. A kind
//! of message or record that is new gets a file of its own. Each line is one sample in hexadecimal; a record's key stands before it.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use holdfast_model::convert::ledger::{agent, master};
use holdfast_model::convert::link::{
    to_agent_from_proto, to_agent_to_proto, to_master_from_proto, to_master_to_proto, Received,
};
use holdfast_model::Invalid;
use holdfast_proto::binary;

/// The samples in a folder of `golden`: the name of the file without its ending, and a line.
fn samples(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let files = std::fs::read_dir(&folder).unwrap().map(|it| it.unwrap().path());
    let files: BTreeSet<PathBuf> = files.collect();
    let mut samples = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        samples.extend(text.lines().map(|line| (name.clone(), line.to_owned())));
    }
    samples
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().map(|it| it.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

fn known<T>(heard: Result<Received<T>, Invalid>) -> T {
    match heard.unwrap() {
        Received::Message(message) => message,
        _ => panic!("a message of today is not understood"),
    }
}

/// Whether two are made of the same bytes, whatever their order.
fn is_reordered(again: &[u8], old: &[u8]) -> bool {
    let sorted = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes.sort_unstable();
        bytes
    };
    sorted(again) == sorted(old)
}

#[test]
fn messages_of_the_link() {
    let mut kinds = BTreeSet::new();
    for (name, line) in samples("link") {
        let old = bytes(&line);
        let from_agent = |bytes: &[u8]| known(to_master_from_proto(binary::decode(bytes).unwrap()));
        let to_agent = |bytes: &[u8]| known(to_agent_from_proto(binary::decode(bytes).unwrap()));
        let (again, is_equal) = match name.split_once('.').unwrap().0 {
            "from_agent" => {
                let again = binary::encode(&to_master_to_proto(&from_agent(&old)));
                let is_equal = from_agent(&again) == from_agent(&old);
                (again, is_equal)
            }
            "to_agent" => {
                let again = binary::encode(&to_agent_to_proto(&to_agent(&old)));
                let is_equal = to_agent(&again) == to_agent(&old);
                (again, is_equal)
            }
            other => panic!("there are no {other} messages on the link"),
        };
        assert!(is_equal && is_reordered(&again, &old), "{name}: {line}");
        kinds.insert(name);
    }
    assert_eq!(kinds.len(), 31, "a kind of message has no samples: {kinds:?}");
}

#[test]
fn records_of_the_ledgers() {
    let mut kinds = BTreeSet::new();
    for (name, line) in samples("ledger") {
        let (key, value) = line.split_once(' ').unwrap();
        let (key, value) = (bytes(key), bytes(value));
        let (ledger, tree) = name.split_once('.').unwrap();
        let of_agent = |value: &[u8]| agent::decode(tree, &key, Some(value)).unwrap();
        let of_master = |value: &[u8]| master::decode(tree, &key, Some(value)).unwrap();
        let again = match ledger {
            "agent" => agent::encode(&of_agent(&value)),
            "master" => master::encode(&of_master(&value)),
            other => panic!("there is no {other} ledger"),
        };
        assert_eq!((again.tree, &again.key), (tree, &key), "{name}");
        let again = again.value.unwrap();
        let is_equal = match ledger {
            "agent" => of_agent(&again) == of_agent(&value),
            _ => of_master(&again) == of_master(&value),
        };
        // A kind that has got fields since is written in a later version.
        assert!(value[0] <= again[0], "{name}: {line}");
        assert!(is_equal && is_reordered(&again[1..], &value[1..]), "{name}: {line}");
        kinds.insert(name);
    }
    let all = agent::TREES.len() + master::TREES.len();
    assert_eq!(kinds.len(), all, "a kind of record has no samples: {kinds:?}");
}
