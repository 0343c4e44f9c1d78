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

/// The active name node, which has found all blocks with all of their copies twice.
fn settled() -> Look {
    let Look::Name(look) = name_look("active", 0) else { panic!() };
    Look::Name(NameLook { is_settled: true, ..look })
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
            target: Target::Up,
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
        let told = told(&self.view());
        let said = serde_json::to_vec(&Said { note, look, told }).unwrap();
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
    case.hear(Kind::Name, 0, settled());
    assert_eq!(may(&case, Kind::Data), Verdict::Yes);
    let Look::Name(look) = name_look("active", 0) else { panic!() };
    case.hear(Kind::Name, 0, Look::Name(NameLook { live: 4, ..look }));
    waits(&may(&case, Kind::Data), "counts 4 live");
    asks(&may(&case, Kind::Name), "nobody has said");
    case.hear_all();
    case.member(Kind::Data, 0).note = Vec::new();
    asks(&may(&case, Kind::Data), "nobody has said");
}

fn journal_look(from: Option<u64>, lag: u64) -> Look {
    let edits =
        Some(Edits { version: "clusterID=c\nnamespaceID=7\n".to_owned(), promised: 3, from });
    Look::Journal(JournalLook { is_formatted: true, lag, edits, ..JournalLook::default() })
}

fn of_plan(case: &mut Case, kind: PlanKind, member: MemberId, act: Act) -> Step {
    case.ledger.plans.clear();
    let step = Step::new(member, act);
    case.plan(kind, vec![step.clone()]);
    step
}

#[test]
fn a_journal_node_is_replaced_while_the_others_have_all_edits_and_its_claim_goes_once_it_has() {
    let mut case = Case::new();
    case.hear_all();
    for it in 0..3 {
        case.hear(Kind::Journal, it, journal_look(Some(1), 0));
    }
    let lost = id(Kind::Journal, 1);
    let stop = of_plan(&mut case, PlanKind::Replace, lost.clone(), Act::Stop);
    assert_eq!(case.may_begin(&stop), Verdict::Yes);
    case.member(Kind::Journal, 1).run = None;
    case.hear(Kind::Journal, 2, journal_look(Some(1), 2));
    waits(&case.may_begin(&stop), "journal-2 has not said that it has all edits");
    // Its volume is new.
    case.member(Kind::Journal, 1).volumes =
        vec![PersistenceId::parse("files-journal-1-0-2").unwrap()];
    waits(&case.may_start(Kind::Journal, 1), "copies the edits of the other journal nodes");
    assert_eq!(case.order(Kind::Journal, 1).known.fill, None);
    case.hear(Kind::Journal, 2, journal_look(Some(1), 0));
    assert_eq!(case.may_start(Kind::Journal, 1), Verdict::Yes);
    assert_eq!(case.order(Kind::Journal, 1).known.fill.unwrap().promised, 3);
    assert_eq!(case.order(Kind::Journal, 0).known.fill, None, "it has its own");
    // It runs there, and has copied nothing yet.
    let volume = "files-journal-1-0-2";
    case.member(Kind::Journal, 1).note = note(Kind::Journal, 1, volume);
    let run = case.ledger.members[&id(Kind::Journal, 0)].run.clone();
    case.member(Kind::Journal, 1).run = run;
    let claim = KeptClaim {
        agent: AgentId::parse("a").unwrap(),
        hostname: "h".to_owned(),
        volumes: vec![PersistenceId::parse("files-journal-1-0-1").unwrap()],
        released: None,
    };
    let may = |case: &Case| {
        case.hooks.may_release(&case.view(), &case.ledger.members[&id(Kind::Journal, 1)], &claim)
    };
    case.hear(Kind::Journal, 1, journal_look(None, 0));
    waits(&may(&case), "has no edits yet");
    case.hear(Kind::Journal, 1, journal_look(Some(40), 0));
    waits(&may(&case), "has the edits from 40 on, and the others from 1 on");
    case.hear(Kind::Journal, 1, journal_look(Some(1), 3));
    waits(&may(&case), "has not said that it has all edits");
    case.hear(Kind::Journal, 1, journal_look(Some(1), 0));
    assert_eq!(may(&case), Verdict::Yes);
}

#[test]
fn whoever_knows_where_all_are_is_not_started_anew_and_the_standby_is_before_the_active_one() {
    let mut case = Case::new();
    case.hear_all();
    let known = case.hooks.dependents(&case.view(), &id(Kind::Journal, 1));
    let all = [(Kind::Name, 0), (Kind::Name, 1), (Kind::Journal, 0), (Kind::Journal, 2)];
    assert_eq!(known, all.map(|it| id(it.0, it.1)));
    assert_eq!(case.hooks.dependents(&case.view(), &id(Kind::Name, 1)).len(), 4);
    assert!(case.hooks.dependents(&case.view(), &id(Kind::Data, 1)).is_empty());
    let step = of_plan(&mut case, PlanKind::Replace, id(Kind::Name, 0), Act::Restart);
    assert!(matches!(case.may_begin(&step), Verdict::Needless(_)), "nobody has moved");
    case.member(Kind::Journal, 1).hostname = "elsewhere".to_owned();
    assert_eq!(case.may_begin(&step), Verdict::Yes);
    let first = |case: &Case, member| {
        case.hooks.before(&case.view(), &Step::new(id(Kind::Name, member), Act::Restart))
    };
    assert_eq!((first(&case, 0), first(&case, 1)), (Some(id(Kind::Name, 1)), None));
    case.member(Kind::Name, 1).run = None;
    assert_eq!(first(&case, 0), None, "nobody is there to take over");
    assert_eq!(case.hooks.before(&case.view(), &Step::new(id(Kind::Data, 0), Act::Restart)), None);
}

#[test]
fn a_data_node_leaves_once_the_active_name_node_says_that_it_is_empty() {
    let mut case = Case::new();
    case.place(Kind::Data, 3);
    case.hear_all();
    case.hear(Kind::Data, 3, Look::Data(DataLook { is_registered: true }));
    case.member(Kind::Data, 3).ports = [("transfer".to_owned(), 9_000)].into();
    case.hear(Kind::Data, 3, Look::Data(DataLook { is_registered: true }));
    let leave =
        of_plan(&mut case, PlanKind::Decommission, id(Kind::Data, 3), Act::Hook("leave".into()));
    waits(&case.may_begin(&leave), "3 live data nodes of 4");
    let look = |leaving: &[(&str, &str)], low| {
        let leaving = leaving.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        Look::Name(NameLook {
            state: "active".to_owned(),
            low,
            live: 4,
            leaving,
            ..NameLook::default()
        })
    };
    case.hear(Kind::Name, 0, look(&[], 0));
    assert_eq!(case.may_begin(&leave), Verdict::Yes);
    let seen = |case: &Case| case.hooks.observe(&case.view(), &leave);
    assert_eq!(seen(&case), Observation::NotBegun);
    case.hooks.begin(&leave);
    let words: Vec<Words> =
        case.hooks.say().iter().map(|it| serde_json::from_slice(&it.1).unwrap()).collect();
    assert_eq!((words.len(), words[0].leaving.clone()), (2, vec!["h3:9000".to_owned()]));
    case.hear(Kind::Name, 0, look(&[("h3:9000", "Decommission In Progress")], 7));
    assert_eq!(seen(&case), Observation::NotBegun, "the standby does not know yet");
    let Look::Name(standby) = look(&[("h3:9000", "Decommission In Progress")], 0) else { panic!() };
    case.hear(Kind::Name, 1, Look::Name(NameLook { state: "standby".to_owned(), ..standby }));
    assert!(matches!(seen(&case), Observation::Running(why) if why.contains("7 blocks")));
    case.hear(Kind::Name, 0, look(&[("h3:9000", "Decommissioned")], 1));
    assert!(matches!(seen(&case), Observation::Running(_)), "a block has too few copies");
    case.hear(Kind::Name, 0, look(&[("h3:9000", "Decommissioned")], 0));
    assert_eq!(seen(&case), Observation::Done);
    let done = Step { state: StepState::Done, ..leave.clone() };
    let stop = Step::new(id(Kind::Data, 3), Act::Stop);
    case.plan(PlanKind::Decommission, vec![done, stop.clone()]);
    assert_eq!(case.order(Kind::Name, 1).known.leaving, ["h3:9000"]);
    assert_eq!(case.may_begin(&stop), Verdict::Yes);
    let claim = KeptClaim {
        agent: AgentId::parse("a").unwrap(),
        hostname: "h3".to_owned(),
        volumes: std::mem::take(&mut case.member(Kind::Data, 3).volumes),
        released: None,
    };
    let may = |case: &Case| {
        case.hooks.may_release(&case.view(), &case.ledger.members[&id(Kind::Data, 3)], &claim)
    };
    asks(&may(&case), "nobody has said");
    case.member(Kind::Data, 3).target = Target::Stopped;
    waits(&may(&case), "once more");
    case.hear(Kind::Name, 0, settled());
    assert_eq!(may(&case), Verdict::Yes);
}

#[test]
fn who_has_left_may_come_again() {
    let mut case = Case::new();
    case.hear_all();
    case.spec.pods.iter_mut().filter(|it| it.name == "data").for_each(|it| it.count = 2);
    let own = case.hooks.afterwards(&case.view(), PlanKind::Decommission, &[]);
    assert_eq!(own, [0, 1].map(|it| (id(Kind::Name, it), INCLUDE.to_owned())));
    assert!(case.hooks.afterwards(&case.view(), PlanKind::Scale, &[]).is_empty());
    let step = Step::new(id(Kind::Name, 0), Act::Hook(INCLUDE.to_owned()));
    let leaving = [("h:1".to_owned(), "not heard of".to_owned())].into();
    let look = NameLook { state: "active".to_owned(), leaving, ..NameLook::default() };
    case.hear(Kind::Name, 0, Look::Name(look));
    assert_eq!(case.hooks.observe(&case.view(), &step), Observation::NotBegun);
    case.hooks.begin(&step);
    let words: Words = serde_json::from_slice(&case.hooks.say()[0].1).unwrap();
    assert!(words.leaving.is_empty());
    case.hear(Kind::Name, 0, name_look("active", 0));
    assert_eq!(case.hooks.observe(&case.view(), &step), Observation::Done);
}

#[test]
fn what_is_not_done_is_refused_with_what_to_do() {
    let case = Case::new();
    let refused = |kind: Kind, count| {
        let mut new = case.spec.clone();
        new.pods.iter_mut().filter(|it| it.name == kind.name()).for_each(|it| it.count = count);
        case.hooks.refuses(&case.view(), &new)
    };
    for (kind, count) in [(Kind::Journal, 2), (Kind::Journal, 5), (Kind::Name, 1)] {
        let all = refused(kind, count);
        assert_eq!(all[0].path, format!("pods.{kind}.count"));
        assert!(all[0].why.contains("3 journal nodes and 2 name nodes"), "{all:?}");
        assert!(all[0].instead.contains("is replaced"), "{all:?}");
    }
    let all = refused(Kind::Data, 2);
    assert!(all[0].why.contains("files have 3 copies") && all[0].instead.contains("-setrep"));
    assert!(refused(Kind::Data, 3).is_empty() && refused(Kind::Data, 4).is_empty());
    let mut case = Case::new();
    case.hear_all();
    let stop = of_plan(&mut case, PlanKind::Uninstall, id(Kind::Journal, 1), Act::Stop);
    assert_eq!(case.may_begin(&stop), Verdict::Yes);
}
