//! `ledger`: looking at the state of a master, an agent or a framework, and moving it, without that process.
//!
//! Relies on the store, which proves every byte. Never changes a ledger that is there.

pub mod check;
pub mod export;
pub mod import;
mod records;
pub mod show;

use std::path::{Path, PathBuf};

use holdfast_store::{CheckReport, Finding, OpenError};

use crate::failure::{Failure, EXIT_CONFLICT, EXIT_ERROR, EXIT_NOT_FOUND};

/// Which ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct LedgerArgs {
    /// The directory of a master, an agent or a framework (its --dir), or the ledger's own.
    #[arg(long)]
    pub dir: PathBuf,
}

impl LedgerArgs {
    /// Where the ledger's files are.
    pub fn place(&self) -> PathBuf {
        place(&self.dir)
    }
}

/// A process keeps its ledger in `ledger` of its directory.
fn place(dir: &Path) -> PathBuf {
    let within = dir.join("ledger");
    if within.is_dir() {
        within
    } else {
        dir.to_owned()
    }
}

/// The report without what is only a sign of the process that has the ledger open now: its books are never up to date.
fn calm(mut report: CheckReport) -> CheckReport {
    if report.in_use {
        report.findings.retain(|it| !matches!(it, Finding::MirrorInterrupted));
    }
    report
}

/// What the store says, with an exit code.
fn failure(error: &OpenError) -> Failure {
    let (code, hint) = match error {
        OpenError::Absent { .. } => {
            (EXIT_NOT_FOUND, "give the --dir of the process whose ledger it is")
        }
        OpenError::InUse { .. } => (EXIT_CONFLICT, "stop that process first"),
        _ => (
            EXIT_ERROR,
            "look closer: `holdfast ledger check`; another copy helps: `holdfast ledger import`",
        ),
    };
    Failure::new(code, error.to_string(), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;
    use crate::verbs::testbed;
    use holdfast_model::convert::ledger;
    use holdfast_model::{AgentChange, AgentLedger, DiskId, DiskKind, DiskRecord, NodeId};
    use holdfast_store::{DurableStore, Options, Store};
    use uuid::Uuid;

    fn ledger_in(dir: &Path) {
        let (mut store, _) =
            DurableStore::open(&dir.join("ledger"), Options::new("agent").create_as([7; 16]))
                .unwrap();
        let identity = AgentChange::Identity(AgentLedger::new(NodeId(Uuid::from_u128(1))).identity);
        let disk = DiskRecord {
            id: DiskId(Uuid::from_u128(2)),
            kind: DiskKind::Path,
            root: "/d".to_owned(),
            size_mb: 5,
        };
        let batches = holdfast_node::ledger_file::batches(std::iter::once(
            [identity, AgentChange::Disk(disk)].iter().map(ledger::agent::encode),
        ));
        for batch in &batches {
            store.commit(1, batch).unwrap();
        }
        store.close().unwrap();
    }

    #[test]
    fn a_ledger_is_shown_checked_exported_and_imported() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        ledger_in(dir.path());
        let at = LedgerArgs { dir: dir.path().to_owned() };
        let (mut context, data, _) = testbed::context("127.0.0.1:1", None);
        let in_use = DurableStore::open(&dir.path().join("ledger"), Options::new("agent")).unwrap();
        assert_eq!(check::run(&context, &at).unwrap(), 0);
        assert!(
            data.text().contains("books InUse\n") && !data.text().contains("crash"),
            "{}",
            data.text()
        );
        drop(in_use);
        assert_eq!(check::run(&context, &at).unwrap(), 0);
        assert!(
            data.text().contains("agent 07070707") && data.text().contains("2 records"),
            "{}",
            data.text()
        );

        let file = other.path().join("copy");
        let export =
            export::ExportArgs { ledger: at.clone(), to: Some(file.clone()), damaged_too: false };
        assert_eq!(export::run(&context, &export).unwrap(), 0);
        assert_eq!(
            export::run(&context, &export).unwrap_err().downcast::<Failure>().unwrap().code,
            EXIT_CONFLICT,
            "a copy is never overwritten"
        );

        let new = LedgerArgs { dir: other.path().join("agent") };
        let import = import::ImportArgs { ledger: new.clone(), from: Some(file) };
        assert_eq!(import::run(&context, &import).unwrap(), 0);
        assert!(new.dir.join("ledger").is_dir());
        assert_eq!(
            import::run(&context, &import).unwrap_err().downcast::<Failure>().unwrap().code,
            EXIT_CONFLICT,
            "nor is a ledger"
        );

        context.format = Format::Json;
        let (json_context, json, _) = testbed::context("127.0.0.1:1", None);
        let context = crate::verbs::Context { format: Format::Json, ..json_context };
        assert_eq!(
            show::run(&context, &show::ShowArgs { ledger: new, tree: Some("disks".to_owned()) })
                .unwrap(),
            0
        );
        let rows: serde_json::Value = serde_json::from_str(&json.text()).unwrap();
        assert_eq!(
            (
                rows[0]["tree"].as_str(),
                rows[0]["record"]["root"].as_str(),
                rows.as_array().unwrap().len()
            ),
            (Some("disks"), Some("/d"), 1)
        );
    }

    #[test]
    fn a_frameworks_ledger_is_shown_in_words() {
        use holdfast_sdk::model::FrameworkId;
        use holdfast_sdk::{KeeperChange, Member};
        let dir = tempfile::tempdir().unwrap();
        let (mut file, _) = holdfast_sdk::net::LedgerFile::open(dir.path(), "journal").unwrap();
        let member = Member { note: b"41:0badcafe".to_vec(), launches: 3, ..Member::new(2) };
        file.commit(&[
            KeeperChange::Framework(FrameworkId::made("f-1".to_owned())),
            KeeperChange::Member(member),
        ])
        .unwrap();
        let (context, json, _) = testbed::context("127.0.0.1:1", None);
        let context = crate::verbs::Context { format: Format::Json, ..context };
        // Looked at while the framework has it open.
        assert_eq!(
            show::run(
                &context,
                &show::ShowArgs { ledger: LedgerArgs { dir: dir.path().to_owned() }, tree: None }
            )
            .unwrap(),
            0
        );
        let rows: serde_json::Value = serde_json::from_str(&json.text()).unwrap();
        let found = |tree: &str| {
            rows.as_array().unwrap().iter().find(|it| it["tree"] == tree).unwrap().clone()
        };
        assert_eq!(found("service")["record"]["service"], "journal");
        assert_eq!(found("framework")["record"]["framework_id"], "f-1");
        let member = found("member");
        assert_eq!(
            (member["key"].as_str(), member["record"]["stage"].as_str()),
            (Some("2"), Some("wanted")),
            "{member}"
        );
        assert_eq!(
            (member["record"]["note"].as_str(), member["record"]["launches"].as_u64()),
            (Some("41:0badcafe"), Some(3)),
            "{member}"
        );
        assert!(member["record"].get("task").is_none(), "{member}");
    }

    #[test]
    fn damage_is_told_and_not_exported_by_accident() {
        let dir = tempfile::tempdir().unwrap();
        ledger_in(dir.path());
        let at = LedgerArgs { dir: dir.path().to_owned() };
        std::fs::write(dir.path().join("ledger/books.seal"), b"scribble").unwrap();
        let (context, ..) = testbed::context("127.0.0.1:1", None);
        assert_eq!(check::run(&context, &at).unwrap(), EXIT_ERROR);
        let export = |damaged_too| export::ExportArgs {
            ledger: at.clone(),
            to: Some(dir.path().join("copy")),
            damaged_too,
        };
        assert_eq!(
            export::run(&context, &export(false)).unwrap_err().downcast::<Failure>().unwrap().code,
            EXIT_ERROR
        );
        assert!(!dir.path().join("copy").exists());
        assert_eq!(export::run(&context, &export(true)).unwrap(), 0);
    }

    #[test]
    fn what_is_no_ledger_is_not_found() {
        let dir = tempfile::tempdir().unwrap();
        let (context, ..) = testbed::context("127.0.0.1:1", None);
        let at = LedgerArgs { dir: dir.path().to_owned() };
        assert_eq!(
            check::run(&context, &at).unwrap_err().downcast::<Failure>().unwrap().code,
            EXIT_NOT_FOUND
        );
        let file = dir.path().join("nonsense");
        std::fs::write(&file, b"no export at all").unwrap();
        let import = import::ImportArgs {
            ledger: LedgerArgs { dir: dir.path().join("new") },
            from: Some(file),
        };
        assert_eq!(
            import::run(&context, &import).unwrap_err().downcast::<Failure>().unwrap().code,
            EXIT_ERROR
        );
        assert!(!dir.path().join("new/ledger/books").exists());
    }
}
