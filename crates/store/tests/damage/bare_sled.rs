//! The same commits in sled alone, as one would use it: a flush after each commit. What becomes of the same damages there is what the store's
//! second copy and its journal are for.

use crate::ground::{batch, copy_dir, model_at, Model, Rng};
use crate::harm::damage;
use std::cell::Cell;
use std::fs::{self, File};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};

thread_local! {
    /// Whether a panic of this thread is counted, and need not be printed.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// What became of damaged databases.
#[derive(Debug, Default)]
pub struct Tally {
    /// Opened, and every record is right.
    pub right: u64,
    /// Opened, and records are wrong or missing with no word about it.
    pub silent: u64,
    /// Refused with an error.
    pub refused: u64,
    /// The process would have ended with a panic.
    pub panicked: u64,
}

/// A database at rest, and how many commits it has acknowledged.
struct Template {
    dir: PathBuf,
    acknowledged: u64,
}

fn commit(db: &sled::Db, number: u64) {
    for entry in batch(number) {
        let tree = db.open_tree(&entry.tree).unwrap();
        match entry.value {
            Some(value) => drop(tree.insert(entry.key, value).unwrap()),
            None => drop(tree.remove(entry.key).unwrap()),
        }
    }
    db.flush().unwrap();
}

fn open(dir: &Path) -> sled::Result<sled::Db> {
    sled::Config::new().path(dir).open()
}

/// Its own threads let go of a store after its value has gone.
fn wait_until_closed(dir: &Path) {
    File::open(dir.join("db")).unwrap().lock().unwrap();
}

fn templates(root: &Path) -> Vec<Template> {
    let live = root.join("live");
    let (mut made, mut number) = (Vec::new(), 0);
    for acknowledged in [9, 24, 44] {
        let db = open(&live).unwrap();
        while number < acknowledged {
            number += 1;
            commit(&db, number);
        }
        let mut keep = |state: &str| {
            let dir = root.join(format!("{state}-{acknowledged}"));
            copy_dir(&live, &dir);
            made.push(Template { dir, acknowledged });
        };
        keep("crashed");
        drop(db);
        wait_until_closed(&live);
        keep("closed");
    }
    made
}

fn state_of(db: &sled::Db) -> sled::Result<Model> {
    let mut model = Model::new();
    for name in db.tree_names().into_iter().filter(|it| it.as_ref() != b"__sled__default") {
        for record in db.open_tree(&name)?.iter() {
            let (key, value) = record?;
            let tree = String::from_utf8_lossy(&name).into_owned();
            model.insert((tree, key.to_vec()), value.to_vec());
        }
    }
    Ok(model)
}

fn one_case(case: u64, templates: &[Template], dir: &Path, tally: &mut Tally) {
    let mut rng = Rng(case * 7919);
    let template = &templates[rng.below(templates.len() as u64) as usize];
    let older: Vec<&Template> =
        templates.iter().filter(|it| it.acknowledged <= template.acknowledged).collect();
    let older = older[rng.below(older.len() as u64) as usize];
    copy_dir(&template.dir, dir);
    let (first, _) = damage(dir, &older.dir, &mut rng);
    if case.is_multiple_of(4) && !first.contains("older") {
        damage(dir, Path::new("/nowhere"), &mut rng);
    }
    IS_COUNTED.set(true);
    let found = catch_unwind(AssertUnwindSafe(|| open(dir).and_then(|db| state_of(&db))));
    IS_COUNTED.set(false);
    match found {
        Err(_) => tally.panicked += 1,
        Ok(Err(_)) => tally.refused += 1,
        Ok(Ok(model)) if model == model_at(template.acknowledged) => tally.right += 1,
        Ok(Ok(_)) => tally.silent += 1,
    }
}

/// Damages `cases` databases below `root`, each by itself, and looks what is left.
pub fn tally(cases: u64, root: &Path) -> Tally {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !IS_COUNTED.get() {
            told(panic);
        }
    }));
    let templates = templates(root);
    let mut tally = Tally::default();
    for case in 0..cases {
        let dir = root.join("case");
        one_case(case, &templates, &dir, &mut tally);
        fs::remove_dir_all(&dir).unwrap();
    }
    tally
}
