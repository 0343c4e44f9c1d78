//! What a drill does, in which order, and to how many at once.
//!
//! Pure: the order follows from the seed alone, and who is struck from the draw of a step and from who is there then. Relies on nobody to keep
//! the blast radius: a plan that goes beyond it is none.

use std::fmt;

/// What is done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT after a while: it hangs, and does not know it afterwards.
    Pause,
    /// Nothing reaches it any more.
    CutOff,
    /// Its disk is full.
    FullDisk,
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Target {
    /// The master that leads.
    Leader,
    /// A master that stands by.
    Standby,
    /// An agent.
    Agent,
    /// The executor of a member of the workload.
    Executor,
    /// The scheduler of the workload.
    Framework,
    /// A server of the ensemble.
    Zookeeper,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Kill => "kill",
            Fault::Pause => "pause",
            Fault::CutOff => "cut-off",
            Fault::FullDisk => "full-disk",
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::Leader => "leader",
            Target::Standby => "standby",
            Target::Agent => "agent",
            Target::Executor => "executor",
            Target::Framework => "framework",
            Target::Zookeeper => "zookeeper",
        })
    }
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Any of these faults.
    pub faults: Vec<Fault>,
    /// To any of these.
    pub targets: Vec<Target>,
    /// What the order follows from.
    pub seed: u64,
    /// How many of a kind at once.
    pub blast_radius: usize,
}

/// What there is to be struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Masters.
    pub masters: usize,
    /// Agents.
    pub agents: usize,
    /// Members of the workload.
    pub members: usize,
}

/// Why a wish cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody can do that here.
    NotDone {
        /// What is the matter.
        cause: String,
        /// What to try.
        hint: String,
    },
    /// It would strike more than it may.
    TooMuch {
        /// What is the matter.
        cause: String,
        /// What to try.
        hint: String,
    },
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub number: usize,
    /// What is done.
    pub fault: Fault,
    /// To whom.
    pub target: Target,
    /// To how many at once.
    pub victims: usize,
    /// Which of them.
    draw: u64,
}

impl Step {
    /// Which of so many are struck, by their numbers.
    pub fn choose(&self, candidates: usize) -> Vec<usize> {
        let Some(first) = u64::try_from(candidates).ok().and_then(|it| self.draw.checked_rem(it))
        else {
            return Vec::new();
        };
        let first = usize::try_from(first).unwrap_or(0);
        (0..self.victims.min(candidates)).map(|it| (first + it) % candidates).collect()
    }

    /// Who will be struck, as far as that is known before.
    pub fn whom(&self, size: Size) -> String {
        let named = |candidates: usize, name: &str| {
            let names: Vec<String> =
                self.choose(candidates).iter().map(|it| format!("{name}{it}")).collect();
            names.join(" and ")
        };
        match self.target {
            Target::Leader if self.victims == 1 => "the master that leads then".to_owned(),
            Target::Leader => {
                format!("the master that leads then, and {} that stand by", self.victims - 1)
            }
            Target::Standby if self.victims == 1 => "a master that stands by then".to_owned(),
            Target::Standby => format!("{} masters that stand by then", self.victims),
            Target::Agent => named(size.agents, "agent-"),
            Target::Executor => named(size.members, "the executor of member "),
            Target::Framework => "the workload's scheduler".to_owned(),
            Target::Zookeeper => "a server of the ensemble".to_owned(),
        }
    }
}

/// All steps, one after the other, without an end: each fault of each kind of target comes once before any comes again.
#[derive(Clone, Debug)]
pub struct Schedule {
    wish: Wish,
    round: Vec<(Fault, Target)>,
    random: u64,
    number: usize,
}

impl Schedule {
    /// The steps that follow from a wish.
    ///
    /// # Errors
    /// When they cannot be done here, or go beyond the blast radius.
    pub fn new(wish: Wish, size: Size) -> Result<Schedule, Refused> {
        for fault in &wish.faults {
            is_done(*fault)?;
        }
        for target in &wish.targets {
            is_within(*target, wish.blast_radius, size)?;
        }
        let random = wish.seed;
        Ok(Schedule { wish, round: Vec::new(), random, number: 0 })
    }

    /// SplitMix64: every seed gives another order, and the same one everywhere.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.random;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        it ^ (it >> 31)
    }

    fn shuffle(&mut self) {
        let mut round = Vec::new();
        for fault in &self.wish.faults {
            round.extend(self.wish.targets.iter().map(|target| (*fault, *target)));
        }
        for last in (1..round.len()).rev() {
            let among = u64::try_from(last).unwrap_or(0) + 1;
            let other = usize::try_from(self.draw() % among).unwrap_or(0);
            round.swap(last, other);
        }
        self.round = round;
    }
}

impl Iterator for Schedule {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.round.is_empty() {
            self.shuffle();
        }
        let (fault, target) = self.round.pop()?;
        self.number += 1;
        let victims = at_once(target, self.wish.blast_radius);
        Some(Step { number: self.number, fault, target, victims, draw: self.draw() })
    }
}

/// How many of a kind are struck at once.
fn at_once(target: Target, blast_radius: usize) -> usize {
    // There is one workload.
    if target == Target::Framework {
        1
    } else {
        blast_radius
    }
}

fn is_done(fault: Fault) -> Result<(), Refused> {
    let hint = match fault {
        Fault::Kill | Fault::Pause => return Ok(()),
        Fault::CutOff => "--fault pause: whoever is stopped is as silent as whoever is cut off",
        Fault::FullDisk => "--fault kill or --fault pause",
    };
    let cause = format!("--fault {fault}: a drill cannot do that yet");
    Err(Refused::NotDone { cause, hint: hint.to_owned() })
}

fn is_within(target: Target, blast_radius: usize, size: Size) -> Result<(), Refused> {
    let too_much =
        |cause: String, hint: &str| Err(Refused::TooMuch { cause, hint: hint.to_owned() });
    if blast_radius == 0 {
        return too_much("--blast-radius 0: nobody would be struck".to_owned(), "--blast-radius 1");
    }
    let struck = at_once(target, blast_radius);
    match target {
        Target::Leader | Target::Standby if size.masters <= 2 * struck => {
            let cause = format!(
                "--target {target}: {struck} of {} masters are no minority, and those that are left could not tell a loss from a split",
                size.masters
            );
            too_much(cause, &format!("--masters {}, or another --target", 2 * struck + 1))
        }
        Target::Agent if size.agents < struck => {
            let cause = format!("--blast-radius {struck}: there are {} agents", size.agents);
            too_much(cause, "a smaller --blast-radius, or more --agents")
        }
        Target::Executor if size.members < struck => {
            let cause =
                format!("--blast-radius {struck}: the workload has {} members", size.members);
            too_much(cause, "a smaller --blast-radius, or more --agents")
        }
        Target::Zookeeper => Err(Refused::NotDone {
            cause: "--target zookeeper: a drill does not know the processes of the ensemble yet"
                .to_owned(),
            hint: "--target leader, standby, agent, executor or framework".to_owned(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SIZE: Size = Size { masters: 3, agents: 3, members: 3 };

    fn wish(targets: &[Target], blast_radius: usize) -> Wish {
        Wish {
            faults: vec![Fault::Kill, Fault::Pause],
            targets: targets.to_vec(),
            seed: 7,
            blast_radius,
        }
    }

    #[test]
    fn each_fault_of_each_target_comes_before_any_comes_again() {
        let targets = [Target::Leader, Target::Agent, Target::Framework];
        let steps: Vec<Step> = Schedule::new(wish(&targets, 1), SIZE).unwrap().take(12).collect();
        for round in steps.chunks(6) {
            let pairs: BTreeSet<_> = round.iter().map(|it| (it.fault, it.target)).collect();
            assert_eq!(pairs.len(), 6, "{round:?}");
        }
        assert_eq!(
            steps.iter().map(|it| it.number).collect::<Vec<_>>(),
            (1..=12).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_order_follows_from_the_seed() {
        let steps = |seed| {
            let wish = Wish { seed, ..wish(&[Target::Leader, Target::Agent, Target::Executor], 1) };
            Schedule::new(wish, SIZE).unwrap().take(24).collect::<Vec<_>>()
        };
        assert_eq!(steps(7), steps(7));
        assert_ne!(steps(7), steps(8));
    }

    #[test]
    fn as_many_are_chosen_as_were_said_and_each_once() {
        for step in Schedule::new(wish(&[Target::Agent], 2), SIZE).unwrap().take(50) {
            let chosen: BTreeSet<usize> = step.choose(3).into_iter().collect();
            assert_eq!(chosen.len(), 2);
            assert!(chosen.iter().all(|it| *it < 3));
            assert_eq!(step.choose(0), Vec::<usize>::new());
            assert_eq!(step.choose(1), [0], "no more than there are");
        }
        let step = Schedule::new(wish(&[Target::Framework], 2), SIZE).unwrap().next().unwrap();
        assert_eq!(step.victims, 1, "there is one scheduler");
    }

    #[test]
    fn a_majority_of_the_masters_is_never_struck() {
        for (target, masters, radius, fits) in [
            (Target::Leader, 1, 1, false),
            (Target::Leader, 2, 1, false),
            (Target::Standby, 2, 1, false),
            (Target::Leader, 3, 1, true),
            (Target::Standby, 3, 1, true),
            (Target::Leader, 3, 2, false),
            (Target::Leader, 4, 2, false),
            (Target::Leader, 5, 2, true),
        ] {
            let made = Schedule::new(wish(&[target], radius), Size { masters, ..SIZE });
            assert_eq!(made.is_ok(), fits, "{target} of {masters}, {radius} at once");
        }
        let Err(Refused::TooMuch { cause, hint }) =
            Schedule::new(wish(&[Target::Leader], 1), Size { masters: 1, ..SIZE })
        else {
            panic!("it was not refused")
        };
        assert!(cause.contains("1 of 1 masters are no minority"), "{cause}");
        assert!(hint.starts_with("--masters 3"), "{hint}");
    }

    #[test]
    fn what_goes_beyond_what_there_is_is_refused() {
        for (target, radius) in [(Target::Agent, 4), (Target::Executor, 4), (Target::Agent, 0)] {
            let made = Schedule::new(wish(&[target], radius), SIZE);
            assert!(matches!(made, Err(Refused::TooMuch { .. })), "{made:?}");
        }
        for fault in [Fault::CutOff, Fault::FullDisk] {
            let made =
                Schedule::new(Wish { faults: vec![fault], ..wish(&[Target::Agent], 1) }, SIZE);
            assert!(matches!(made, Err(Refused::NotDone { .. })), "{made:?}");
        }
        let made = Schedule::new(wish(&[Target::Zookeeper], 1), SIZE);
        assert!(matches!(made, Err(Refused::NotDone { .. })), "{made:?}");
    }

    #[test]
    fn a_plan_names_whom_it_can() {
        let whom =
            |target| Schedule::new(wish(&[target], 1), SIZE).unwrap().next().unwrap().whom(SIZE);
        assert_eq!(whom(Target::Leader), "the master that leads then");
        assert!(whom(Target::Agent).starts_with("agent-"));
        assert!(whom(Target::Executor).starts_with("the executor of member "));
    }
}
