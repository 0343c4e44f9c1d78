//! The hooks against ledgers as the keeper writes them.

use holdfast_sdk::model::{AgentId, Instant, PersistenceId, TaskId};
use holdfast_sdk::plans::{Intent, PhaseHead, PlanHead, Signed};
use holdfast_sdk::pods::{Fate, PodRun, ServiceLedger};
use holdfast_sdk::spec::ServiceSpec;

use super::*;
use crate::identity::tests::identity as an_identity;
use crate::looks::{DataLook, JournalLook};
use crate::marker::tests::whole;
use crate::settings::tests::settings;
use crate::spec::tests::files;

/// A service of which all members have a place and run, and of which the ledger knows the file system.
struct Case {
    hooks: Hdfs,
    spec: ServiceSpec,
    ledger: ServiceLedger,
}

fn id(kind: Kind, member: u32) -> MemberId {
    MemberId::new(kind.name(), member)
}

fn note(kind: Kind, member: u32, volume: &str) -> Vec<u8> {
    let who = Who { service: "files".to_owned(), kind, member };
    Note::of(&[whole(&who, 0, 1)], &[volume.to_owned()]).unwrap().to_bytes()
}

fn name_look(state: &str, low: u64) -> Look {
    Look::Name(NameLook { state: state.to_owned(), low, live: 3, ..NameLook::default() })
}

impl Case {
    fn new() -> Case {
        let mut case = Case {
            hooks: Hdfs::new(settings("").unwrap()),
            spec: files(""),
            ledger: ServiceLedger::default(),
        };
        for kind in [Kind::Journal, Kind::Name, Kind::Data] {
            for member in 0..case.spec.pod(kind.name()).unwrap().count {
                case.place(kind, member);
            }
        }
        case
    }

    fn place(&mut self, kind: Kind, member: u32) {
        let volume = format!("files-{kind}-{member}-0-1");
        let run = PodRun {
            task: TaskId::parse(&format!("t-{kind}-{member}")).unwrap(),
            name: TASK.to_owned(),
            generation: 1,
            fate: Fate::Ready,
        };
        let placed = PodMember {
            agent: Some(AgentId::parse("a").unwrap()),
            hostname: format!("h{member}"),
            ports: [("rpc".to_owned(), 8_000)].into(),
            note: note(kind, member, &volume),
            volumes: vec![PersistenceId::parse(&volume).unwrap()],
            run: Some(run),
            ..PodMember::new(id(kind, member))
        };
        self.ledger.members.insert(id(kind, member), placed);
    }

    fn member(&mut self, kind: Kind, member: u32) -> &mut PodMember {
        self.ledger.members.get_mut(&id(kind, member)).unwrap()
    }

    fn view(&self) -> ServiceView<'_> {
        ServiceView { spec: &self.spec, ledger: &self.ledger }
    }

    fn hear(&mut self, kind: Kind, member: u32, look: Look) -> Option<Vec<u8>> {
        self.hear_with(kind, member, look, None)
    }

    fn hear_with(
        &mut self,
        kind: Kind,
        member: u32,
        look: Look,
        note: Option<Note>,
    ) -> Option<Vec<u8>> {
        let said = serde_json::to_vec(&Said { note, look }).unwrap();
        let member = self.ledger.members[&id(kind, member)].clone();
        self.hooks.heard(&member, &said)
    }

    /// Everybody says that he is well.
    fn hear_all(&mut self) {
        for it in 0..3 {
            let look = JournalLook { is_formatted: true, ..JournalLook::default() };
            self.hear(Kind::Journal, it, Look::Journal(look));
            self.hear(Kind::Data, it, Look::Data(DataLook { is_registered: true }));
        }
        self.hear(Kind::Name, 0, name_look("active", 0));
        self.hear(Kind::Name, 1, name_look("standby", 0));
    }

    fn may_start(&self, kind: Kind, member: u32) -> Verdict {
        let pod = self.spec.pod(kind.name()).unwrap();
        let member = &self.ledger.members[&id(kind, member)];
        self.hooks.may_start(&self.view(), member, pod.main().unwrap())
    }

    fn order(&self, kind: Kind, member: u32) -> Order {
        let pod = self.spec.pod(kind.name()).unwrap();
        let member = &self.ledger.members[&id(kind, member)];
        let task = self.hooks.task(&self.view(), member, pod.main().unwrap().clone());
        let (_, text) = task.environment.iter().find(|it| it.0 == ORDER_VARIABLE).unwrap();
        Order::read(&text.replace("{{{{", "{{")).unwrap()
    }

    /// Puts a plan of these steps under way.
    fn plan(&mut self, kind: PlanKind, steps: Vec<Step>) {
        let phase = PhaseHead { name: "p".to_owned(), is_parallel: true, is_gated: false };
        let asked = Signed { by: "ann".to_owned(), at: Instant(1) };
        let head =
            PlanHead { kind, serial: 1, asked, paused: None, ended: None, phases: vec![phase] };
        self.ledger.plans.insert(kind, Plan { head, steps: vec![steps] });
    }

    fn may_begin(&self, step: &Step) -> Verdict {
        self.hooks.may_begin(&self.view(), step)
    }
}

fn waits(verdict: &Verdict, says: &str) {
    assert!(matches!(verdict, Verdict::NotYet(why) if why.contains(says)), "{verdict:?}");
}

fn asks(verdict: &Verdict, says: &str) {
    assert!(matches!(verdict, Verdict::Ask(why) if why.contains(says)), "{verdict:?}");
}

#[test]
fn a_new_file_system_is_formatted_by_one_once_all_journal_nodes_are_ready() {
    let mut case = Case::new();
    for member in case.ledger.members.values_mut() {
        member.note = Vec::new();
    }
    assert_eq!(case.may_start(Kind::Name, 0), Verdict::Yes);
    assert!(case.order(Kind::Name, 0).known.may_format);
    waits(&case.may_start(Kind::Name, 1), "name-0 formats");
    assert!(!case.order(Kind::Name, 1).known.may_format);
    waits(&case.may_start(Kind::Data, 0), "no file system");
    case.member(Kind::Journal, 2).run = None;
    waits(&case.may_start(Kind::Name, 0), "once all 3 journal nodes");
    case.member(Kind::Name, 0).note = note(Kind::Name, 0, "files-name-0-0-1");
    assert!(!case.order(Kind::Name, 0).known.may_format, "one is known");
    assert_eq!(case.order(Kind::Data, 1).known.identity, Some(an_identity("c")));
    assert_eq!(case.may_start(Kind::Data, 0), Verdict::Yes);
}

#[test]
fn nobody_starts_before_it_is_known_where_all_are() {
    let mut case = Case::new();
    case.member(Kind::Name, 1).agent = None;
    waits(&case.may_start(Kind::Name, 0), "1 of 2 name nodes");
    assert_eq!(case.may_start(Kind::Journal, 0), Verdict::Yes);
    case.member(Kind::Journal, 1).agent = None;
    for kind in [Kind::Journal, Kind::Name, Kind::Data] {
        waits(&case.may_start(kind, 0), "2 of 3 journal nodes");
    }
    let place = case.spec.pod("name").unwrap().once().next().unwrap().clone();
    let member = &case.ledger.members[&id(Kind::Name, 0)];
    assert_eq!(case.hooks.may_start(&case.view(), member, &place), Verdict::Yes);
    assert_eq!(case.hooks.task(&case.view(), member, place.clone()), place);
    assert!(!case.hooks.is_executor(member, &place));
}

#[test]
fn a_lost_name_node_copies_the_other_and_both_lost_ask() {
    let mut case = Case::new();
    assert_eq!(case.may_start(Kind::Name, 1), Verdict::Yes);
    case.member(Kind::Name, 1).volumes = vec![PersistenceId::parse("files-name-1-0-2").unwrap()];
    assert_eq!(case.may_start(Kind::Name, 1), Verdict::Yes);
    case.member(Kind::Name, 0).run = None;
    waits(&case.may_start(Kind::Name, 1), "copies the metadata of name-0, which is not ready");
    case.member(Kind::Name, 0).volumes = vec![PersistenceId::parse("files-name-0-0-2").unwrap()];
    for member in [0, 1] {
        asks(&case.may_start(Kind::Name, member), "neither name node has a volume");
        assert!(!case.order(Kind::Name, member).known.may_format);
    }
    case.member(Kind::Name, 1).note = b"?".to_vec();
    asks(&case.may_start(Kind::Name, 1), "cannot be read");
}

#[test]
fn what_is_remembered_is_of_the_volumes_that_a_member_has_and_goes_forward_only() {
    let mut case = Case::new();
    let who = Who { service: "files".to_owned(), kind: Kind::Data, member: 0 };
    let of = |starts, volume: &str| Note::of(&[whole(&who, 0, starts)], &[volume.to_owned()]);
    let look = Look::Data(DataLook::default());
    let own = "files-data-0-0-1";
    let newer = of(2, own);
    let kept = case.hear_with(Kind::Data, 0, look.clone(), newer.clone());
    assert_eq!(kept, newer.map(|it| it.to_bytes()));
    assert_eq!(case.hear_with(Kind::Data, 0, look.clone(), of(1, own)), None, "that is known");
    assert_eq!(case.hear_with(Kind::Data, 0, look.clone(), of(9, "elsewhere")), None);
    assert_eq!(case.hear_with(Kind::Data, 1, look.clone(), of(9, own)), None, "another member's");
    assert_eq!(case.hear(Kind::Data, 0, look), None);
    let member = case.ledger.members[&id(Kind::Data, 0)].clone();
    assert_eq!(case.hooks.heard(&member, b"hello"), None);
}

#[test]
fn one_member_after_the_other_is_taken_down_and_only_while_the_others_hold_everything() {
    let mut case = Case::new();
    for kind in [Kind::Journal, Kind::Name, Kind::Data] {
        let steps: Vec<Step> = (0..2).map(|it| Step::new(id(kind, it), Act::Restart)).collect();
        case.hooks.seen.clear();
        case.plan(PlanKind::Restart, steps.clone());
        assert!(
            matches!(case.may_begin(&steps[0]), Verdict::NotYet(_)),
            "nothing is known of {kind}"
        );
        case.hear_all();
        assert_eq!(case.may_begin(&steps[0]), Verdict::Yes);
        let intent = Intent { task: None, launches: 1 };
        let begun = Step { state: StepState::Begun(intent), ..steps[0].clone() };
        case.plan(PlanKind::Restart, vec![begun, steps[1].clone()]);
        waits(&case.may_begin(&steps[1]), "restart is under way");
        case.plan(PlanKind::Restart, steps.clone());
        case.member(kind, 1).run = None;
        waits(&case.may_begin(&steps[0]), "-1 is not ready");
        assert_eq!(case.may_begin(&steps[1]), Verdict::Yes, "it is down as it is");
        case.place(kind, 1);
    }
    case.hear(Kind::Name, 0, name_look("active", 4));
    let step = Step::new(id(Kind::Data, 0), Act::Update);
    waits(&case.may_begin(&step), "4 blocks have fewer copies");
    let behind =
        Look::Journal(JournalLook { is_formatted: true, lag: 2, ..JournalLook::default() });
    case.hear(Kind::Journal, 1, behind);
    waits(&case.may_begin(&Step::new(id(Kind::Journal, 0), Act::Update)), "journal-1 has not said");
    case.hear_all();
    let Look::Name(look) = name_look("active", 0) else { panic!() };
    case.hear(Kind::Name, 0, Look::Name(NameLook { behind: 1, ..look }));
    let step = Step::new(id(Kind::Journal, 0), Act::Update);
    waits(&case.may_begin(&step), "1 journal nodes have missed edits");
}

#[test]
fn the_claim_of_a_replaced_data_node_goes_once_every_block_has_its_copies_elsewhere() {
    let mut case = Case::new();
    let claim = KeptClaim {
        agent: AgentId::parse("a").unwrap(),
        hostname: "h".to_owned(),
        volumes: Vec::new(),
        released: None,
    };
    let may = |case: &Case, kind| {
        let member = &case.ledger.members[&id(kind, 0)];
        case.hooks.may_release(&case.view(), member, &claim)
    };
    waits(&may(&case, Kind::Data), "no name node");
    case.hear_all();
    waits(&may(&case, Kind::Data), "once more");
    case.hear(Kind::Name, 0, name_look("active", 0));
    assert_eq!(may(&case, Kind::Data), Verdict::Yes);
    let Look::Name(look) = name_look("active", 0) else { panic!() };
    case.hear(Kind::Name, 0, Look::Name(NameLook { live: 4, ..look }));
    waits(&may(&case, Kind::Data), "counts 4 live");
    asks(&may(&case, Kind::Name), "nobody has said");
    case.hear_all();
    case.member(Kind::Data, 0).note = Vec::new();
    asks(&may(&case, Kind::Data), "nobody has said");
}

#[test]
fn what_is_not_done_is_refused_with_what_to_do() {
    let mut case = Case::new();
    case.hear_all();
    let leave = |kind| Step::new(id(kind, 1), Act::Hook("leave".to_owned()));
    case.plan(PlanKind::Decommission, vec![leave(Kind::Data)]);
    asks(&case.may_begin(&leave(Kind::Data)), "dfsadmin");
    asks(&case.may_begin(&leave(Kind::Name)), "no fewer");
    case.ledger.plans.clear();
    let stop = |kind| Step::new(id(kind, 1), Act::Stop);
    case.plan(PlanKind::Replace, vec![stop(Kind::Journal)]);
    asks(&case.may_begin(&stop(Kind::Journal)), "copied from another one");
    assert_eq!(case.may_begin(&stop(Kind::Name)), Verdict::Yes);
    case.ledger.plans.clear();
    case.plan(PlanKind::Uninstall, vec![stop(Kind::Journal)]);
    assert_eq!(case.may_begin(&stop(Kind::Journal)), Verdict::Yes);
}
