//! `cargo xtask bench`: what things cost, measured by programs that print their own figures, in one table.
//!
//! Relies on the packages that hold the measuring programs, and on how they put their figures. Never judges a figure: budgets belong to
//! tests. A new bench is one entry of [`BENCHES`].

use anyhow::Result;

use crate::arguments::{Flag, Given, Words};
use crate::process::{cargo, echo, watch, End};
use crate::verbs::Verb;

/// The verb.
pub const VERB: Verb = Verb {
    name: "bench",
    about: "Measure what things cost",
    details: "Without a name all benches run, one after the other, and a table of their figures closes the run.\n\
              The list: cargo xtask bench --list",
    flags: &[Flag { name: "--list", value: None, about: "name the benches and run none" }],
    words: Words::FlagsAndNames,
    run: verb,
};

/// A figure: what was measured, and how much it is.
type Figure = (String, String);

/// One program that measures.
struct Bench {
    name: &'static str,
    about: &'static str,
    /// What cargo is told first, if anything: a build that the program needs.
    before: &'static str,
    /// What cargo is told.
    words: &'static str,
    /// The figures in one line of its output, if there are any.
    figures: fn(&str) -> Vec<Figure>,
}

/// One whose program prints what was measured, a tab, and how much it is.
const fn tabbed_bench(name: &'static str, about: &'static str, words: &'static str) -> Bench {
    Bench { name, about, before: "", words, figures: tabbed }
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "sim",
        about: "simulated steps and storms in a time",
        before: "",
        words: "run --quiet --release --package holdfast-sim -- --seeds 100",
        figures: storms,
    },
    tabbed_bench(
        "json",
        "JSON of a big GET_STATE, written and read, against serde_json without types",
        "run --quiet --release --package holdfast-proto --example json_speed",
    ),
    tabbed_bench(
        "failover",
        "CPU time of a new leader for each agent that comes back, and how it grows",
        "run --quiet --release --package holdfast-api --example failover",
    ),
    tabbed_bench(
        "reads",
        "steps of a leader with 100,000 tasks, alone and while eight readers ask for all of it",
        "run --quiet --release --package holdfast-api --example reads",
    ),
    tabbed_bench(
        "operations",
        "one operation on an agent with up to 6,400 claims, in both cores, and how it grows",
        "run --quiet --release --package holdfast-api --example operations",
    ),
    tabbed_bench(
        "restart",
        "an agent's core beside up to 3,000 containers that run on, and how it grows",
        "run --quiet --release --package holdfast-api --example restart",
    ),
    tabbed_bench(
        "memory",
        "bytes that a leader keeps for each agent and each task",
        "run --quiet --release --package holdfast-api --example memory",
    ),
    tabbed_bench(
        "offers",
        "offers of a leader in Mesos's own grids, and how they grow",
        "run --quiet --release --package holdfast-master --example offers",
    ),
    tabbed_bench(
        "damage",
        "what becomes of 10,000 random damages of the store's files, and of sled's alone",
        "test --quiet --release --package holdfast-store --test damage -- --nocapture --ignored",
    ),
    Bench {
        name: "ends",
        about: "what operators and frameworks wait for, with real processes over loopback",
        before: "build --quiet --release --package holdfast --bins",
        words: "run --quiet --release --package holdfast-tests --example ends",
        figures: tabbed,
    },
    Bench {
        name: "syncs",
        about: "syncs of one agent for each operation (where strace may be attached)",
        before: "",
        words: "test --quiet --package holdfast-tests --test syncs -- --nocapture --test-threads=1",
        figures: syncs,
    },
];

fn verb(given: &Given) -> Result<bool> {
    if given.has("--list") {
        for bench in BENCHES {
            println!("{:<10} {}", bench.name, bench.about);
        }
        return Ok(true);
    }
    let (mut whole, mut table) = (true, Vec::new());
    for bench in chosen(&given.names)? {
        eprintln!("bench {}: {}", bench.name, bench.about);
        let before = table.len();
        if !bench.before.is_empty() {
            whole &= matches!(watch(&mut cargo(&words(bench.before)), None, echo)?, End::Exit(it) if it.success());
        }
        let end = watch(&mut cargo(&words(bench.words)), None, |line| {
            echo(line);
            table.extend((bench.figures)(line));
        })?;
        whole &= matches!(end, End::Exit(status) if status.success());
        if table.len() == before {
            table.push((bench.name.to_owned(), "nothing was measured; see above".to_owned()));
        }
    }
    println!("{}", drawn(&table));
    Ok(whole)
}

fn words(line: &'static str) -> Vec<&'static str> {
    line.split(' ').collect()
}

fn chosen(names: &[String]) -> Result<Vec<&'static Bench>> {
    if names.is_empty() {
        return Ok(BENCHES.iter().collect());
    }
    let find = |name: &String| {
        let known = BENCHES.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
        BENCHES
            .iter()
            .find(|bench| bench.name == name)
            .ok_or_else(|| anyhow::anyhow!("no bench `{name}`; known are {known}"))
    };
    names.iter().map(find).collect()
}

/// `100 seeds, 285000 steps, ..., 450 seeds/min, 21000 steps/s`.
fn storms(line: &str) -> Vec<Figure> {
    let rate =
        |what: &str| line.split(", ").find_map(|it| it.strip_suffix(what)).map(str::to_owned);
    match (rate(" seeds/min"), rate(" steps/s")) {
        (Some(seeds), Some(steps)) => {
            vec![
                ("storms".to_owned(), format!("{seeds}/min")),
                ("simulated steps".to_owned(), format!("{steps}/s")),
            ]
        }
        _ => Vec::new(),
    }
}

/// What was measured, a tab, how much it is.
fn tabbed(line: &str) -> Vec<Figure> {
    line.split_once('\t')
        .map(|(what, figure)| (what.to_owned(), figure.to_owned()))
        .into_iter()
        .collect()
}

/// `RESERVE, one after another   100 operations   101 syncs   1.010 each  (fdatasync 101)`.
fn syncs(line: &str) -> Vec<Figure> {
    let figure = || {
        let (what, rest) = line.split_once("  ")?;
        let each = rest.split("  ").map(str::trim).find_map(|it| it.strip_suffix(" each"))?;
        Some((what.to_owned(), format!("{} syncs each", each.trim())))
    };
    figure().into_iter().collect()
}

fn drawn(table: &[Figure]) -> String {
    let wide = table.iter().map(|(what, _)| what.len()).max().unwrap_or(0);
    let mut text = String::from("\n");
    table.iter().for_each(|(what, figure)| text.push_str(&format!("{what:<wide$}  {figure}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn benches_are_chosen_by_name() {
        assert_eq!(chosen(&[]).unwrap().len(), BENCHES.len());
        assert!(chosen(&["sim".to_owned()]).unwrap()[0].words.contains("holdfast-sim"));
        let error = chosen(&["sym".to_owned()]).err().unwrap();
        assert!(error.to_string().contains("known are sim"), "{error}");
    }

    #[test]
    fn figures_are_read_from_what_programs_print() {
        let pair = |what: &str, figure: &str| (what.to_owned(), figure.to_owned());
        let line = "100 seeds, 285000 steps, 4000 faults, 9 records, 0 violations, 450 seeds/min, 21000 steps/s";
        assert_eq!(storms(line), [pair("storms", "450/min"), pair("simulated steps", "21000/s")]);
        assert_eq!(tabbed("JSON read\t300 MB/s"), [pair("JSON read", "300 MB/s")]);
        let line = "RESERVE, one after another      100 operations    101 syncs   1.010 each  (fdatasync 101)";
        assert_eq!(syncs(line), [pair("RESERVE, one after another", "1.010 syncs each")]);
        assert!(
            storms("seed 4 breaks V1").is_empty()
                && tabbed("no tab").is_empty()
                && syncs("running 2 tests").is_empty()
        );
    }

    #[test]
    fn the_table_is_as_wide_as_its_longest_name() {
        let table = [("a".to_owned(), "1".to_owned()), ("longer".to_owned(), "2".to_owned())];
        assert_eq!(drawn(&table), "\na       1\nlonger  2\n");
    }
}
