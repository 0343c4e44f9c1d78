//! Bytes of messages and records, kept as files below `tests/golden`: what was written by an earlier program must be read, and written
//! again as it was.
//!
//! Relies on samples that are drawn with a fixed seed, a few of each kind. Never writes a file unless `HOLDFAST_GOLDEN=rewrite` asks for it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How many samples are drawn.
const DRAWN: usize = 256;
/// How many of one kind are kept.
const KEPT: usize = 3;

/// Parts of bytes, such as the place, the key and the value of a record; a value that is deleted is none.
pub(crate) type Parts = Vec<Option<Vec<u8>>>;

/// Holds samples of a family to its file. `kind` names what a sample is.
pub(crate) fn check<T: Debug + PartialEq>(
    family: &str,
    samples: impl Strategy<Value = T>,
    kind: impl Fn(&T) -> String,
    encode: impl Fn(&T) -> Parts,
    decode: impl Fn(&[Option<Vec<u8>>]) -> T,
) {
    let drawn = draw(&samples, &kind);
    let lines: String =
        drawn.iter().map(|(kind, it)| format!("{kind} {}\n", hex(&encode(it)))).collect();
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(format!("{family}.txt"));
    if std::env::var("HOLDFAST_GOLDEN").is_ok_and(|it| it == "rewrite") {
        std::fs::write(&path, &lines).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for line in kept.lines() {
        let (kind, bytes) = line.split_once(' ').unwrap();
        let parts = parts(bytes);
        let read = decode(&parts);
        assert_eq!(
            hex(&encode(&read)),
            bytes,
            "{family}: {kind}, read and written again, is not what it was: {read:?}"
        );
    }
    assert_eq!(kept.lines().count(), drawn.len(), "{family}: as many lines as samples; {HOW}");
    for (line, (kind, sample)) in kept.lines().zip(&drawn) {
        let (_, bytes) = line.split_once(' ').unwrap();
        assert_eq!(
            line,
            format!("{kind} {}", hex(&encode(sample))),
            "{family}: the bytes of {sample:?} have changed; {HOW}"
        );
        assert_eq!(
            decode(&parts(bytes)),
            *sample,
            "{family}: {kind} is not read as it was written"
        );
    }
}

/// What to do when only the samples have changed.
const HOW: &str =
    "if only the samples have: HOLDFAST_GOLDEN=rewrite cargo test -p holdfast-model golden";

/// The name of a variant: the first word of how it is shown.
pub(crate) fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// The first few samples of each kind, by kind.
fn draw<T: Debug>(
    samples: &impl Strategy<Value = T>,
    kind: &impl Fn(&T) -> String,
) -> Vec<(String, T)> {
    let config = Config { failure_persistence: None, ..Config::default() };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let mut found: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for _ in 0..DRAWN {
        let sample = samples.new_tree(&mut runner).unwrap().current();
        let alike = found.entry(kind(&sample)).or_default();
        if alike.len() < KEPT {
            alike.push(sample);
        }
    }
    found
        .into_iter()
        .flat_map(|(kind, all)| all.into_iter().map(move |it| (kind.clone(), it)))
        .collect()
}

fn hex(parts: &[Option<Vec<u8>>]) -> String {
    let text = |part: &Option<Vec<u8>>| match part {
        None => "-".to_owned(),
        Some(bytes) => {
            format!("x{}", bytes.iter().map(|it| format!("{it:02x}")).collect::<String>())
        }
    };
    parts.iter().map(text).collect::<Vec<_>>().join(" ")
}

fn parts(text: &str) -> Parts {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.split(' ')
        .map(|part| part.strip_prefix('x').map(|it| it.as_bytes().chunks(2).map(byte).collect()))
        .collect()
}

#[test]
fn hex_is_read_as_it_was_written() {
    let given: Parts = vec![Some(vec![0, 255, 16]), None, Some(Vec::new())];
    assert_eq!((hex(&given).as_str(), parts("x00ff10 - x")), ("x00ff10 - x", given));
}
