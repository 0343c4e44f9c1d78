//! Bytes that earlier programs wrote, kept as files, are read by this one, and written again byte for byte.
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

#[test]
fn messages_of_the_link() {
    let mut kinds = BTreeSet::new();
    for (name, line) in samples("link") {
        let old = bytes(&line);
        let again = match name.split_once('.').unwrap().0 {
            "from_agent" => {
                let message = known(to_master_from_proto(binary::decode(&old).unwrap()));
                binary::encode(&to_master_to_proto(&message))
            }
            "to_agent" => {
                let message = known(to_agent_from_proto(binary::decode(&old).unwrap()));
                binary::encode(&to_agent_to_proto(&message))
            }
            other => panic!("there are no {other} messages on the link"),
        };
        assert_eq!(again, old, "{name}: {line}");
        kinds.insert(name);
    }
    assert_eq!(kinds.len(), 17, "a kind of message has no samples: {kinds:?}");
}

#[test]
fn records_of_the_ledgers() {
    let mut kinds = BTreeSet::new();
    for (name, line) in samples("ledger") {
        let (key, value) = line.split_once(' ').unwrap();
        let (key, value) = (bytes(key), bytes(value));
        let (ledger, tree) = name.split_once('.').unwrap();
        let again = match ledger {
            "agent" => agent::encode(&agent::decode(tree, &key, Some(&value)).unwrap()),
            "master" => master::encode(&master::decode(tree, &key, Some(&value)).unwrap()),
            other => panic!("there is no {other} ledger"),
        };
        assert_eq!((again.tree, again.key), (tree, key), "{name}");
        assert_eq!(again.value.as_ref(), Some(&value), "{name}: {line}");
        kinds.insert(name);
    }
    let all = agent::TREES.len() + master::TREES.len();
    assert_eq!(kinds.len(), all, "a kind of record has no samples: {kinds:?}");
}
