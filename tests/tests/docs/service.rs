//! The framework that `docs/write-a-framework.md` shows: it is quoted from here, so it compiles; and it is tried here, so it works.
//!
//! Relies on the SDK alone. Never a template to copy: that is `frameworks/journal`.

use holdfast_sdk::model::{CommandInfo, Role, Scalar};
use holdfast_sdk::{Member, Needs, Program, Service};

/// A service without a program of its own: each member appends to a file on its volume, once a second.
pub struct Notes {
    /// The role that its volumes are reserved for.
    pub role: Role,
    /// How many members.
    pub members: u32,
}

impl Service for Notes {
    fn name(&self) -> &str {
        "notes"
    }
    fn role(&self) -> &Role {
        &self.role
    }
    fn members(&self) -> u32 {
        self.members
    }
    fn needs(&self, _member: u32) -> Needs {
        Needs {
            cpus: Scalar::thousandths(100),
            mem_mb: 32,
            disk_mb: 64,
            container_path: "data".to_owned(),
        }
    }
    fn program(&self, member: &Member) -> Program {
        let line = format!(
            "while :; do echo note of {} >>data/notes; sync data/notes; sleep 1; done",
            member.index
        );
        Program {
            command: CommandInfo { value: Some(line), shell: true, ..CommandInfo::default() },
            executor: false,
        }
    }
}

/// What a member's task is told, and what its volume is called, without a cluster.
#[cfg(test)]
mod without_a_cluster {
    use holdfast_sdk::model::convert::text;
    use holdfast_sdk::model::{
        Action, AgentId, Call, ClaimAction, Event, FrameworkId, Instant, Offer, OfferId, Resources,
        Role,
    };
    use holdfast_sdk::{Effect, Input, Keeper, KeeperLedger};

    use super::Notes;

    fn offer(role: &Role) -> Offer {
        let all = text::resources("cpus:1;mem:512;disk:1000", &Role::any()).unwrap();
        Offer {
            unavailability: None,
            id: OfferId::made("o".to_owned()),
            framework: FrameworkId::made("f".to_owned()),
            role: role.clone(),
            agent: AgentId::made("a".to_owned()),
            resources: all.into_iter().map(|it| it.allocated_to(role)).collect::<Resources>(),
            executors: Vec::new(),
            hostname: "node1".to_owned(),
            machine: Default::default(),
            claims: Vec::new(),
        }
    }

    #[test]
    fn a_member_claims_a_volume_and_starts_on_it() {
        let role = Role::parse("notes").unwrap();
        let mut keeper =
            Keeper::recover(Notes { role: role.clone(), members: 1 }, KeeperLedger::default());
        keeper
            .handle(Instant(0), Input::Event(Event::Subscribed(FrameworkId::made("f".to_owned()))));
        let effects = keeper.handle(Instant(1), Input::Event(Event::Offers(vec![offer(&role)])));
        // What it is about to do is written down before it is said.
        let [Effect::Commit(_), Effect::Call(call)] = &effects[..] else { panic!("{effects:?}") };
        let Call::Accept { operations, .. } = &**call else { panic!("{call:?}") };
        let [reserve, create, launch] = &operations[..] else { panic!("{operations:?}") };
        assert!(matches!(&reserve.action, Action::Claim(ClaimAction::Reserve { .. })));
        assert!(
            matches!(&create.action, Action::Claim(ClaimAction::Create(volumes)) if volumes.len() == 1)
        );
        assert!(
            matches!(&launch.action, Action::Launch(tasks) if tasks[0].id.as_str() == "notes-0-1")
        );
    }
}

/// The same on a real cluster, through a kill of its task.
#[cfg(test)]
mod on_a_cluster {
    use std::future::Future;
    use std::path::Path;
    use std::pin::Pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Waker};

    use holdfast_sdk::model::Role;
    use holdfast_sdk::net::{block_on, run_until, Options};
    use holdfast_tests::cluster::volume_dir;
    use holdfast_tests::{until, Cluster};

    use super::Notes;

    /// Resolves when it is told to.
    #[derive(Clone, Default)]
    struct Stop(Arc<Mutex<(bool, Option<Waker>)>>);

    impl Stop {
        fn now(&self) {
            let mut inner = self.0.lock().unwrap();
            inner.0 = true;
            inner.1.take().into_iter().for_each(Waker::wake);
        }
    }

    impl Future for Stop {
        type Output = ();
        fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            let mut inner = self.0.lock().unwrap();
            inner.1 = Some(context.waker().clone());
            if inner.0 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }
    }

    fn lines(path: &Path) -> usize {
        std::fs::read_to_string(path).map(|it| it.lines().count()).unwrap_or(0)
    }

    #[test]
    fn it_comes_back_to_its_volume() {
        let cluster = Cluster::start();
        let options =
            Options::new(vec![cluster.master.address().to_string()], cluster.path("notes"));
        let (stop, service) =
            (Stop::default(), Notes { role: Role::parse("notes").unwrap(), members: 1 });
        let scheduler = std::thread::spawn({
            let stop = stop.clone();
            move || block_on(run_until(service, options, stop))
        });
        let running = |other_than: &str| {
            until("a running member", || {
                let tasks = cluster.list("tasks");
                let found =
                    tasks.iter().find(|it| it["state"] == "TASK_RUNNING" && it["id"] != other_than);
                found
                    .map(|it| it["id"].as_str().unwrap_or_default().to_owned())
                    .ok_or(format!("{tasks:?}"))
            })
        };
        let first = running("");
        let claim = cluster.claim("notes-0-1");
        let notes = volume_dir(&cluster.agent_dir(0), &claim).join("data/notes");
        until("two notes", || if 2 <= lines(&notes) { Ok(()) } else { Err(lines(&notes)) });
        let had = lines(&notes);
        let framework = &cluster.list("frameworks")[0]["id"];
        let kill =
            format!("/holdfast/v1/kill?framework={}&task={first}", framework.as_str().unwrap());
        holdfast_tests::ask(cluster.master.address(), "POST", &kill, &[], b"").expect(200, "kill");
        let second = running(&first);
        assert_eq!((first.as_str(), second.as_str()), ("notes-0-1", "notes-0-2"));
        until("another note", || if had < lines(&notes) { Ok(()) } else { Err(lines(&notes)) });
        assert_eq!(cluster.claim("notes-0-1")["id"], claim["id"]);
        stop.now();
        scheduler.join().unwrap().unwrap();
    }
}
