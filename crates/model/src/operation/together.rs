//! Changes of claims that are made together or not at all, and only while the claims are as whoever asks has seen them.
//!
//! Each step finds what the earlier ones left. Relies on the rules of the single steps. Never holds steps of a framework: those of an ACCEPT
//! are tried one by one, as Mesos does it.

use super::{Asker, ClaimAction, Conversion};
use crate::adopted_volume::Filling;
use crate::claim::Claim;
use crate::id::ClaimId;
use crate::resource::Resource;
use crate::resources::Resources;
use crate::validate::Invalid;

/// How many steps may be made together.
pub const STEPS_MAX: usize = 100;

/// The generation that a claim must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedClaim {
    /// The claim.
    pub claim: ClaimId,
    /// Its generation.
    pub generation: u64,
}

/// How the claims of an agent have to be for a change to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The generation of the agent's claims as a whole; `None` when it does not matter.
    pub agent: Option<u64>,
    /// Claims that have to be there, unchanged.
    pub claims: Vec<ExpectedClaim>,
}

impl Expected {
    /// What has moved on: one sentence for each claim that is not as expected, and one for the claims of the agent as a whole.
    pub fn moved<'a>(
        &self,
        agent_generation: u64,
        claim: impl Fn(ClaimId) -> Option<&'a Claim>,
    ) -> Vec<String> {
        let mut moved = Vec::new();
        for ExpectedClaim { claim: id, generation } in &self.claims {
            match claim(*id) {
                None => moved.push(format!(
                    "claim {id} was at generation {generation} and is there no more"
                )),
                Some(it) if it.generation == *generation => {}
                Some(it) => moved.push(format!(
                    "claim {id} ({}) is at generation {}, not {generation}{}",
                    it.resource,
                    it.generation,
                    events_since(it, *generation)
                )),
            }
        }
        if let Some(generation) = self.agent.filter(|it| *it != agent_generation) {
            moved.push(format!(
                "the agent's claims are at generation {agent_generation}, not {generation}"
            ));
        }
        moved
    }
}

/// What happened to a claim after a generation, newest last.
fn events_since(claim: &Claim, generation: u64) -> String {
    let events = claim.history.iter().filter(|it| generation < it.generation);
    let events: Vec<String> = events.map(|it| format!("{} by {}", it.what, it.by)).collect();
    match events.is_empty() {
        true => String::new(),
        false => format!(": {}", events.join(", ")),
    }
}

/// See the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// Who asks, for the history of claims.
    pub by: String,
    /// What to do, in order; no step holds steps itself.
    pub steps: Vec<ClaimAction>,
    /// How the claims have to be.
    pub expected: Expected,
    /// What its one volume is made of, when it is not made empty.
    pub filling: Option<Box<Filling>>,
}

impl Together {
    /// Its name: that of its step if there is only one.
    pub fn name(&self) -> &'static str {
        match self.steps.as_slice() {
            _ if self.filling.is_some() => "ADOPT",
            [one] => one.name(),
            _ => "APPLY",
        }
    }

    /// Says which step an error is about, if there are several.
    pub fn at_step(&self, index: usize, invalid: Invalid) -> Invalid {
        match self.steps.get(index) {
            Some(step) if 1 < self.steps.len() => Invalid {
                why: format!("step {} ({}): {}", index + 1, step.name(), invalid.why),
                ..invalid
            }
            .within(format!("operations[{index}]")),
            _ => invalid,
        }
    }

    /// As [`ClaimAction::check`], of each step.
    pub(super) fn check(&self, asker: Asker<'_>) -> Result<(), Invalid> {
        if self.steps.is_empty() {
            return Err(Invalid::new("operations", "is empty; name at least one operation"));
        }
        let creates = self.steps.iter().filter(|it| matches!(it, ClaimAction::Create(_)));
        if self.filling.is_some() && creates.flat_map(ClaimAction::resources).count() != 1 {
            let why = "what is adopted becomes one volume; create one, and no other";
            return Err(Invalid::new("operations", why));
        }
        if STEPS_MAX < self.steps.len() {
            let why =
                format!("holds {}, and at most {STEPS_MAX} can be made together", self.steps.len());
            return Err(Invalid::new("operations", why));
        }
        for (index, step) in self.steps.iter().enumerate() {
            if let ClaimAction::Together(_) = step {
                let field = format!("operations[{index}]");
                return Err(Invalid::new(field, "holds operations itself; name them one by one"));
            }
            step.check(asker).map_err(|it| self.at_step(index, it))?;
        }
        Ok(())
    }

    /// What all steps take and give in all, if each finds what the earlier ones left.
    pub(super) fn check_on(&self, resources: &Resources) -> Result<Conversion, Invalid> {
        let mut now = resources.clone();
        let mut conversions = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            conversions.push(step.apply(&mut now).map_err(|it| self.at_step(index, it))?);
        }
        Ok(Conversion::net(conversions))
    }

    pub(super) fn conversion(&self) -> Conversion {
        Conversion::net(self.steps.iter().map(ClaimAction::conversion))
    }
}

impl Conversion {
    /// What several take and give in all: what one gives and a later one takes again is neither.
    pub fn net(conversions: impl IntoIterator<Item = Conversion>) -> Conversion {
        let (mut consumed, mut given) = (Resources::new(), Resources::new());
        for conversion in conversions {
            for taken in conversion.consumed.iter() {
                let own = given.one(&taken.identity).map(|it| it.value.common(&taken.value));
                let own = own.filter(|it| !it.is_empty());
                let rest = own.as_ref();
                let rest = rest.map_or_else(|| taken.value.clone(), |it| taken.value.minus(it));
                if let Some(value) = own {
                    given.subtract(&Resource { value, ..taken.clone() });
                }
                if !rest.is_empty() {
                    consumed.add(&Resource { value: rest, ..taken });
                }
            }
            given.add_all(&conversion.converted);
        }
        Conversion { consumed, converted: given }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dynamic, volume};
    use super::*;
    use crate::value::Scalar;

    fn disk(mb: i64) -> Resource {
        Resource::scalar("disk", Scalar::whole(mb))
    }

    fn reserve(mb: i64) -> ClaimAction {
        ClaimAction::Reserve { resources: vec![disk(mb).reserved(dynamic("db"))], source: vec![] }
    }

    fn together(steps: Vec<ClaimAction>) -> ClaimAction {
        ClaimAction::Together(Together {
            by: "ops".to_owned(),
            steps,
            expected: Expected::default(),
            filling: None,
        })
    }

    const OPERATOR: Asker<'static> = Asker::Operator { principal: None };

    #[test]
    fn each_step_finds_what_the_earlier_ones_left_and_the_sum_is_what_it_takes_and_gives() {
        let start: Resources = [disk(100)].iter().collect();
        let action = together(vec![reserve(60), ClaimAction::Create(vec![volume(50, "a")])]);
        action.check(OPERATOR).unwrap();
        let mut now = start.clone();
        let conversion = action.apply(&mut now).unwrap();
        assert_eq!(conversion.consumed, [disk(60)].iter().collect());
        let given: Resources = [disk(10).reserved(dynamic("db")), volume(50, "a")].iter().collect();
        assert_eq!(conversion, action.conversion());
        assert_eq!(conversion.converted, given);
        assert_eq!(
            now,
            [disk(40), disk(10).reserved(dynamic("db")), volume(50, "a")].iter().collect()
        );
        let back = together(vec![
            ClaimAction::Destroy(vec![volume(50, "a")]),
            ClaimAction::Unreserve(vec![disk(60).reserved(dynamic("db"))]),
        ]);
        back.apply(&mut now).unwrap();
        assert_eq!(now, start);
    }

    #[test]
    fn one_step_that_cannot_be_done_is_named_and_nothing_is_done() {
        let mut now: Resources = [disk(100)].iter().collect();
        let before = now.clone();
        let action = together(vec![reserve(60), reserve(50)]);
        let refused = action.apply(&mut now).unwrap_err();
        assert!(refused.why.starts_with("step 2 (RESERVE):"), "{refused}");
        assert_eq!((refused.path.as_str(), &now), ("operations[1].resources", &before));
        let wrong = together(vec![reserve(60), ClaimAction::Create(vec![disk(1)])]);
        let refused = wrong.check(OPERATOR).unwrap_err();
        assert!(refused.path.starts_with("operations[1]"), "{refused}");
        assert!(together(vec![]).check(OPERATOR).is_err());
        assert!(together(vec![together(vec![reserve(1)])]).check(OPERATOR).is_err());
        assert!(together(vec![reserve(1); STEPS_MAX + 1]).check(OPERATOR).is_err());
    }
}
