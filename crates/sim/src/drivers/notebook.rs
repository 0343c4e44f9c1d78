//! A framework's ledger as records of a simulated store.
//!
//! It relies on a plain form of its own: fields one after the other, each with its length. (The
//! form of real frameworks is the SDK's, behind its feature `net`, and is tested there.) It never
//! guesses at a record that it cannot read.

use holdfast_model::{AgentId, FrameworkId, PersistenceId, TaskId};
use holdfast_sdk::{KeeperChange, KeeperLedger, Member, MemberTask, Stage};
use holdfast_store::Entry;

use super::ledger_disk::Kept;

const STAGES: [Stage; 3] = [Stage::Wanted, Stage::Claiming, Stage::Placed];

impl Kept for KeeperLedger {
    type Change = KeeperChange;
    const KIND: &'static str = "framework";

    fn entry(change: &KeeperChange) -> Entry {
        match change {
            KeeperChange::Framework(id) => Entry {
                tree: "framework".to_owned(),
                key: b"id".to_vec(),
                value: Some(id.as_str().as_bytes().to_vec()),
            },
            KeeperChange::Member(member) => Entry {
                tree: "members".to_owned(),
                key: member.index.to_be_bytes().to_vec(),
                value: Some(write(member)),
            },
        }
    }

    fn read(records: Vec<(&str, &[u8], &[u8])>) -> Result<KeeperLedger, String> {
        let mut ledger = KeeperLedger::default();
        for (tree, key, value) in records {
            let change = match tree {
                "framework" => String::from_utf8(value.to_vec())
                    .ok()
                    .map(|it| KeeperChange::Framework(FrameworkId::made(it))),
                _ => key
                    .try_into()
                    .ok()
                    .and_then(|key| member(u32::from_be_bytes(key), value))
                    .map(KeeperChange::Member),
            };
            ledger.apply(&change.ok_or_else(|| format!("a record of {tree} cannot be read"))?);
        }
        Ok(ledger)
    }

    fn fold_in(&mut self, change: &KeeperChange) {
        self.apply(change);
    }
}

fn write(member: &Member) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut field = |value: &[u8]| {
        bytes.extend((value.len() as u64).to_be_bytes());
        bytes.extend(value);
    };
    let stage = STAGES.iter().position(|it| *it == member.stage).unwrap_or_default() as u64;
    field(&stage.to_be_bytes());
    field(&u64::from(member.attempts).to_be_bytes());
    field(&member.launches.to_be_bytes());
    field(&member.note);
    field(member.agent.as_ref().map_or("", AgentId::as_str).as_bytes());
    field(member.volume.as_ref().map_or("", PersistenceId::as_str).as_bytes());
    field(member.run.as_ref().map_or("", |it| it.task.as_str()).as_bytes());
    field(&u64::from(member.run.as_ref().is_some_and(|it| it.running)).to_be_bytes());
    bytes
}

fn member(index: u32, value: &[u8]) -> Option<Member> {
    let mut left = value;
    let mut field = || {
        let (length, rest) = left.split_at_checked(8)?;
        let length = usize::try_from(u64::from_be_bytes(length.try_into().ok()?)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        left = rest;
        Some(field)
    };
    let number = |field: &[u8]| Some(u64::from_be_bytes(field.try_into().ok()?));
    let text =
        |field: &[u8]| Some(String::from_utf8(field.to_vec()).ok()?).filter(|it| !it.is_empty());
    let (stage, attempts, launches) = (number(field()?)?, number(field()?)?, number(field()?)?);
    let note = field()?.to_vec();
    let (agent, volume) =
        (text(field()?).map(AgentId::made), text(field()?).map(PersistenceId::made));
    let (task, running) = (text(field()?).map(TaskId::made), number(field()?)? == 1);
    let stage = *STAGES.get(usize::try_from(stage).ok()?)?;
    let attempts = u32::try_from(attempts).ok()?;
    Some(Member {
        index,
        stage,
        agent,
        volume,
        attempts,
        launches,
        run: task.map(|task| MemberTask { task, running }),
        note,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_as_they_were() {
        let run = Some(MemberTask { task: TaskId::made("s-3-9".to_owned()), running: true });
        let full = Member {
            stage: Stage::Placed,
            agent: Some(AgentId::made("a".to_owned())),
            volume: Some(PersistenceId::made("s-3-1".to_owned())),
            attempts: 1,
            launches: 9,
            run,
            note: vec![1, 2],
            ..Member::new(3)
        };
        for wanted in [full, Member::new(3)] {
            let bytes = write(&wanted);
            assert_eq!(member(3, &bytes), Some(wanted));
            assert_eq!(member(3, &bytes[..bytes.len() - 1]), None, "a torn record is no member");
        }
    }
}
