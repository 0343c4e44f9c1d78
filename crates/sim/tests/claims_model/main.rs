//! The whole cluster against an executable model of claims ([`model`]): random sequences of what operators ask, with crashes in the middle of
//! it, reboots, failovers and disks that go away, compared step by step; what fails is shrunk to its shortest story, in the scenario language.
//!
//! Relies on the scenario language, so that each story can be kept as a file. Never looks into a core.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod model;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use holdfast_sim::scenario;
use model::{Act, Law, Model, Place};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

const CLUSTER: &str = "cluster agents=2 disks=2 masters=2\nrun 3s";

/// An act; and, of some, a crash so many milliseconds after it was asked.
#[derive(Clone, Debug)]
struct Turn {
    act: Act,
    cut_short: Option<(u64, &'static str)>,
}

/// The disks of [`CLUSTER`], whose sizes follow from its seed.
fn sizes() -> BTreeMap<Place, i64> {
    let shown = scenario::run(&format!("{CLUSTER}\nagents\n")).unwrap();
    let mut sizes = BTreeMap::new();
    for line in shown.lines().filter_map(|it| it.strip_prefix("agent ")) {
        let (agent, free) = line.split_once(" well, free ").unwrap();
        for (disk, name) in
            ["disk", "disk[Path:/disks/1]", "disk[Mount:/disks/2]"].iter().enumerate()
        {
            let mut amounts =
                free.split("; ").filter_map(|it| it.strip_prefix(name)?.strip_prefix(':'));
            let mb = amounts.next().unwrap().parse().unwrap();
            sizes.insert((agent.parse().unwrap(), disk), mb);
        }
    }
    sizes
}

fn act(sizes: &BTreeMap<Place, i64>) -> impl Strategy<Value = Act> {
    let sizes = sizes.clone();
    let whole = move |(place, mb): (Place, i64)| match place.1 {
        2 if mb != 100 => (place, sizes[&place]), // Now and then it is tried with a part.
        _ => (place, mb),
    };
    // What is done meets what was done before more often than not.
    let agent = || prop_oneof![4 => Just(0usize), 1 => Just(1)];
    let role = || prop_oneof![4 => Just("ops"), 1 => Just("web")];
    let name = || prop_oneof![3 => Just("v1"), 1 => Just("v2")];
    let disk = || (agent(), 1usize..3);
    let mb = prop_oneof![9 => select(vec![100i64, 200]), 1 => Just(20_000)];
    let resize = || prop_oneof![6 => Just(30i64), 2 => Just(100), 1 => Just(300)];
    let place = (agent(), prop_oneof![1 => Just(0usize), 3 => Just(1), 2 => Just(2)]);
    let amount = (place, mb).prop_map(whole).boxed();
    prop_oneof![
        6 => (amount.clone(), role()).prop_map(|((place, mb), role)| Act::Reserve { place, role, mb }),
        2 => (amount.clone(), role()).prop_map(|((place, mb), role)| Act::Unreserve { place, role, mb }),
        6 => (amount, role(), name()).prop_map(|((place, mb), role, name)| Act::Create { place, role, mb, name }),
        3 => (agent(), role(), name()).prop_map(|(agent, role, name)| Act::Destroy { agent, role, name }),
        3 => (agent(), role(), name(), resize()).prop_map(|(agent, role, name, mb)| Act::Grow { agent, role, name, mb }),
        3 => (agent(), role(), name(), resize()).prop_map(|(agent, role, name, mb)| Act::Shrink { agent, role, name, mb }),
        2 => (agent(), role(), name()).prop_map(|(agent, role, name)| Act::Undelete { agent, role, name }),
        1 => (agent(), role(), name()).prop_map(|(agent, role, name)| Act::Purge { agent, role, name }),
        4 => (agent(), role(), name(), any::<u32>()).prop_map(|(agent, role, name, text)| Act::Write { agent, role, name, text }),
        1 => (disk(), any::<bool>()).prop_map(|(place, stranger)| Act::Unmount { place, stranger }),
        2 => disk().prop_map(|place| Act::Mount { place }),
        1 => agent().prop_map(|agent| Act::KillAgent { agent }),
        1 => Just(Act::KillLeader),
        1 => Just(Act::Elect),
        1 => agent().prop_map(|agent| Act::Reboot { agent }),
    ]
}

fn turns(sizes: &BTreeMap<Place, i64>) -> impl Strategy<Value = Vec<Turn>> {
    let crash = select(vec![
        "kill agent 0 down=1s",
        "kill agent 1 down=1s",
        "reboot 0 down=1s",
        "reboot 1 down=1s",
        "kill leader down=1s",
        "elect",
    ]);
    let cut_short = prop::option::weighted(0.3, (1u64..12, crash));
    let turn = (act(sizes), cut_short).prop_map(|(act, cut_short)| {
        let cut_short = cut_short.filter(|_| is_asked(&act));
        Turn { act, cut_short }
    });
    prop::collection::vec(turn, 1..60)
}

/// The act in the scenario language.
fn line(act: &Act) -> String {
    let on = |place: &Place| match place.1 {
        0 => String::new(),
        disk => format!(" on={disk}"),
    };
    match act {
        Act::Reserve { place, role, mb } => {
            format!("reserve {} role={role} disk={mb}{}", place.0, on(place))
        }
        Act::Unreserve { place, role, mb } => {
            format!("unreserve {} role={role} disk={mb}{}", place.0, on(place))
        }
        Act::Create { place, role, mb, name } => {
            format!("create {} role={role} disk={mb} name={name}{}", place.0, on(place))
        }
        Act::Destroy { agent, role, name } => format!("destroy {agent} role={role} name={name}"),
        Act::Grow { agent, role, name, mb } => {
            format!("grow {agent} role={role} name={name} disk={mb}")
        }
        Act::Shrink { agent, role, name, mb } => {
            format!("shrink {agent} role={role} name={name} disk={mb}")
        }
        Act::Undelete { agent, role, name } => format!("undelete {agent} role={role} name={name}"),
        Act::Purge { agent, role, name } => format!("purge {agent} role={role} name={name}"),
        Act::Write { agent, role, name, text } => {
            format!("write {agent} role={role} name={name} text=t{text}")
        }
        Act::Unmount { place, stranger: false } => format!("unmount {} {}", place.0, place.1),
        Act::Unmount { place, stranger: true } => format!("swap {} {}", place.0, place.1),
        Act::Mount { place } => format!("mount {} {}", place.0, place.1),
        Act::KillAgent { agent } => format!("kill agent {agent} down=1s"),
        Act::KillLeader => "kill leader down=1s".to_owned(),
        Act::Elect => "elect".to_owned(),
        Act::Reboot { agent } => format!("reboot {agent} down=1s"),
    }
}

/// Whether it is said how it ended.
fn is_answered(act: &Act) -> bool {
    is_asked(act) || matches!(act, Act::Write { .. })
}

/// Whether an operator asks it, so that a crash may come between.
fn is_asked(act: &Act) -> bool {
    matches!(
        act,
        Act::Reserve { .. }
            | Act::Unreserve { .. }
            | Act::Create { .. }
            | Act::Destroy { .. }
            | Act::Grow { .. }
            | Act::Shrink { .. }
            | Act::Undelete { .. }
            | Act::Purge { .. }
    )
}

/// Two blocks of a scenario for each turn: what it comes to, and what lies on the disks then.
fn story(turns: &[Turn]) -> String {
    let mut text = format!("{CLUSTER}\n----\n");
    for Turn { act, cut_short } in turns {
        let hurry = cut_short.map_or_else(String::new, |(ms, _)| format!(" wait={ms}ms"));
        let crash = cut_short.map_or_else(String::new, |(_, crash)| format!("{crash}\n"));
        write!(text, "\n{}{hurry}\n{crash}run 20s\nclaims\n----\n\nbytes\n----\n", line(act))
            .unwrap();
    }
    text
}

/// What was shown below each block.
fn shown(text: &str) -> Vec<Vec<String>> {
    let blocks = text.split("\n\n");
    let below = blocks.map(|it| it.split_once("----").map_or("", |(_, shown)| shown));
    below.map(|it| it.lines().filter(|it| !it.is_empty()).map(str::to_owned).collect()).collect()
}

/// Plays the turns, and says where the cluster is not as the model says.
fn compare(turns: &[Turn], mut model: Model) -> Result<usize, String> {
    let played = scenario::run(&story(turns)).map_err(|it| it.to_string())?;
    let told = |why: &str, model: &Model| {
        let (claims, bytes) = (model.claims().join("\n"), model.bytes().join("\n"));
        Err(format!("{why}\n{played}\nthe model says:\n{claims}\n{bytes}"))
    };
    if played.contains("IS BROKEN") {
        return told("a rule is broken", &model);
    }
    let blocks = shown(&played);
    for (turn, pair) in turns.iter().zip(blocks[1..].chunks(2)) {
        let (mut claims, bytes) = (pair[0].clone(), &pair[1]);
        let answer = is_answered(&turn.act).then(|| claims.remove(0));
        let said_done = answer.as_ref().map(|it| it.ends_with(": done"));
        let is = |model: &Model| model.claims() == claims && model.bytes() == *bytes;
        let after = model.after(&turn.act);
        let why = format!("after `{}`", line(&turn.act));
        let half = model.after_half(&turn.act).filter(is);
        model = match (after, said_done, turn.cut_short.is_some()) {
            (Ok(after), None | Some(true), _) if is(&after) => after,
            (Ok(after), Some(false), true) if is(&after) => after,
            (_, Some(false), true) if is(&model) => model,
            (Ok(_), Some(false), true) if half.is_some() => half.expect("it was just looked at"),
            (Err(_), Some(false) | None, false) if is(&model) => model,
            _ => return told(&why, &model),
        };
    }
    Ok(turns.len())
}

#[test]
fn the_cluster_does_what_the_model_says() {
    let (sizes, steps) = (sizes(), Cell::new(0));
    let mut config =
        Config { max_shrink_iters: 2_000, failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 100;
    }
    let sequences = config.cases;
    let outcome = TestRunner::new(config).run(&turns(&sizes), |turns| {
        let compared = compare(&turns, Model::new(Law::Ours, sizes.clone()));
        steps.set(steps.get() + compared.map_err(TestCaseError::fail)?);
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    println!("{sequences} sequences, {} steps, as the model says", steps.get());
}

/// The test finds laws that are not ours, each within so many sequences.
#[test]
fn other_laws_are_told_from_ours() {
    let sizes = sizes();
    for law in [
        Law::ADestroyedVolumesSpaceIsNobodys,
        Law::WhatAVolumeShrinksByIsNobodys,
        Law::ARebootEmptiesTheTrash,
        Law::AVolumeInheritsTheBytesOfItsName,
        Law::WhatIsNotMountedTakesVolumes,
        Law::ReservationsAreGivenBackByAFailover,
        Law::AnyRoleMayTakeAReservation,
    ] {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let found = (1..=300).find(|_| {
            let turns = turns(&sizes).new_tree(&mut runner).unwrap().current();
            compare(&turns, Model::new(law, sizes.clone())).is_err()
        });
        println!("{law:?}: found by sequence {found:?}");
        assert!(found.is_some(), "{law:?} is not told from ours");
    }
}
