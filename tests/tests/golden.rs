//! What every surface answers, kept as files: the v1 APIs, the pages before them, the native API, the command line, the metrics.
//!
//! Relies on a scene of real processes that comes to the same state in every run (`golden/scene.rs`), and on what differs from run to run
//! being recognised (`golden/normal.rs`). Never judges an answer: it only says that one has changed. To accept what is answered now:
//! `HOLDFAST_GOLDEN=rewrite cargo test -p holdfast-tests --test golden`.

#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

#[path = "golden/book.rs"]
mod book;
#[path = "golden/command_line.rs"]
mod command_line;
#[path = "golden/file_systems.rs"]
mod file_systems;
#[path = "golden/layout.rs"]
mod layout;
#[path = "golden/lines.rs"]
mod lines;
#[path = "golden/metrics.rs"]
mod metrics;
#[path = "golden/native.rs"]
mod native;
#[path = "golden/normal.rs"]
mod normal;
#[path = "golden/operator.rs"]
mod operator;
#[path = "golden/pages.rs"]
mod pages;
#[path = "golden/play.rs"]
mod play;
#[path = "golden/refusals.rs"]
mod refusals;
#[path = "golden/scene.rs"]
mod scene;
#[path = "golden/scheduler.rs"]
mod scheduler;
#[path = "golden/steps.rs"]
mod steps;

use scene::Scene;

#[test]
fn every_surface_answers_as_before() {
    let scene = Scene::set();
    let books = vec![
        operator::master_book(&scene),
        operator::agent_book(&scene),
        pages::master_book(&scene),
        pages::agent_book(&scene),
        native::book(&scene),
        metrics::book(&scene),
        command_line::lists(&scene),
        command_line::sheets(&scene),
        command_line::misuse(&scene),
        command_line::ledgers(&scene),
        // Last, as it changes the scene.
        command_line::changes(&scene),
    ];
    book::close(books);
}

#[test]
fn schedulers_and_executors_are_told_as_before() {
    book::close(scheduler::book());
}

#[test]
fn help_reads_as_before() {
    book::close(vec![command_line::help()]);
}
