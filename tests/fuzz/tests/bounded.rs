//! Each target over its corpus, and over mutations of it: the same ones each time, and as many on every machine.

use holdfast_fuzz::mutations::{mutated, Source};
use holdfast_fuzz::{check, corpus, corpus_path, Target, TARGETS};

/// How many mutations each target reads.
const MUTATIONS: usize = 3_000;

fn kept(target: &Target) -> Vec<Vec<u8>> {
    let path = corpus_path(target.name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    corpus::read(&text).expect("a corpus is of base64")
}

#[test]
fn every_target_has_a_corpus_and_takes_it() {
    for target in TARGETS {
        let inputs = kept(target);
        assert!(!inputs.is_empty(), "{} has no corpus", target.name);
        for input in inputs {
            check(target, &input);
        }
    }
}

#[test]
fn every_target_takes_what_is_made_of_its_corpus() {
    let run = |target: &'static Target| {
        let (inputs, mut source) = (kept(target), Source::new(7));
        for _ in 0..MUTATIONS {
            let of = &inputs[source.below(inputs.len())];
            let other = &inputs[source.below(inputs.len())];
            let input = mutated(&mut source, of, other);
            let found = std::panic::catch_unwind(|| check(target, &input));
            assert!(found.is_ok(), "{} does not take {}", target.name, corpus::write([input]));
        }
    };
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || run(target));
        }
    });
}
