//! Fairness of [`crate::drf`] against an exact solver: progressive filling, with fractions of whole
//! numbers.
//!
//! Only tests: one machine, frameworks that take one task of each offer and give the rest back.

use proptest::prelude::*;

use crate::drf::Drf;
use crate::policy::Policy;
use crate::testing::{agent, cpus, framework, framework_id, mem, quantities, sum, Scene};
use holdfast_model::{FrameworkId, Resources, Role, Scalar};

/// A framework with endlessly many equal tasks.
#[derive(Clone, Copy, Debug)]
struct Demand {
    cpus: i64,
    mem: i64,
    weight: i64,
}

/// A machine, and the frameworks that want it.
#[derive(Clone, Debug)]
struct Market {
    cpus: i64,
    mem: i64,
    demands: Vec<Demand>,
}

/// How the frameworks' roles stand in the tree.
#[derive(Clone, Copy, Debug)]
enum Roles {
    /// Each framework has a role of its own, weighted.
    Siblings,
    /// Each framework has a role of its own below one parent, weighted.
    Nested,
    /// All frameworks have the same role; nothing is weighted.
    Common,
}

impl Market {
    fn demand(&self, at: usize, roles: Roles) -> Demand {
        match roles {
            Roles::Common => Demand { weight: 1, ..self.demands[at] },
            _ => self.demands[at],
        }
    }

    /// A task's dominant share of the machine, times `cpus * mem`.
    fn task_share(&self, at: usize) -> i128 {
        let Demand { cpus, mem, .. } = self.demands[at];
        i128::from((cpus * self.mem).max(mem * self.cpus))
    }

    /// The tasks that progressive filling gives: always one more to whoever has least for its
    /// weight, until nobody's fits. The second list is what each had when somebody had to stop for
    /// the first time.
    fn solve(&self, roles: Roles) -> (Vec<i64>, Vec<i64>) {
        let n = self.demands.len();
        let (mut tasks, mut served, mut stopped) = (vec![0i64; n], vec![0i64; n], vec![false; n]);
        let (mut cpus, mut mem, mut first_stop) = (self.cpus, self.mem, None);
        while let Some(next) = (0..n).filter(|at| !stopped[*at]).min_by(|a, b| {
            let over = |it: usize, other: usize| {
                i128::from(tasks[it])
                    * self.task_share(it)
                    * i128::from(self.demand(other, roles).weight)
            };
            over(*a, *b).cmp(&over(*b, *a)).then(served[*a].cmp(&served[*b])).then(a.cmp(b))
        }) {
            served[next] += 1;
            let demand = self.demands[next];
            if demand.cpus <= cpus && demand.mem <= mem {
                (cpus, mem) = (cpus - demand.cpus, mem - demand.mem);
                tasks[next] += 1;
            } else {
                first_stop.get_or_insert_with(|| tasks.clone());
                stopped[next] = true;
            }
        }
        let first_stop = first_stop.unwrap_or_else(|| tasks.clone());
        (tasks, first_stop)
    }

    /// The tasks that the policy gives, offer by offer.
    fn run(&self, roles: Roles) -> (Vec<i64>, Vec<i64>) {
        let (mut scene, mut policy) = (self.scene(roles), Drf::new());
        let (mut tasks, mut first_stop) = (vec![0i64; self.demands.len()], None);
        loop {
            let given = policy.allocate(&scene.input(), &scene.all());
            assert!(given.len() <= 1, "all of a machine goes to one");
            let Some(offer) = given.into_iter().next() else { break };
            let at = (0..self.demands.len()).find(|at| id(*at) == offer.framework).unwrap();
            let demand = self.demands[at];
            let task = sum([cpus(demand.cpus), mem(demand.mem)]);
            if offer.resources.contains(&task) {
                scene.agents.values_mut().for_each(|it| it.free.subtract_all(&task));
                tasks[at] += 1;
                let held = quantities(&[
                    ("cpus", demand.cpus * tasks[at]),
                    ("mem", demand.mem * tasks[at]),
                ]);
                scene.frameworks.get_mut(&offer.framework).unwrap().roles[0].allocated = held;
            } else {
                first_stop.get_or_insert_with(|| tasks.clone());
                let free: Resources = offer.resources;
                scene.filters.insert(
                    &offer.framework,
                    &offer.role,
                    &offer.agent,
                    free,
                    Scene::UNTIL,
                );
            }
        }
        let first_stop = first_stop.unwrap_or_else(|| tasks.clone());
        (tasks, first_stop)
    }

    fn scene(&self, roles: Roles) -> Scene {
        let mut scene = Scene::default();
        for (at, demand) in self.demands.iter().enumerate() {
            let name = match roles {
                Roles::Siblings => format!("r{at}"),
                Roles::Nested => format!("top/r{at}"),
                Roles::Common => "common".to_owned(),
            };
            scene.framework(framework(at as u8 + 1, &[&name]));
            if !matches!(roles, Roles::Common) {
                scene.weights.insert(Role::parse(&name).unwrap(), Scalar::whole(demand.weight));
            }
        }
        scene.agent(agent(1, &sum([cpus(self.cpus), mem(self.mem)])));
        scene
    }

    /// The level that everybody's weighted share reaches when tasks can be cut into any pieces,
    /// until something runs out.
    fn level(&self, roles: Roles) -> f64 {
        let whole = (self.cpus * self.mem) as f64;
        let use_of = |amount: fn(&Demand) -> i64| {
            let each = (0..self.demands.len()).map(|at| {
                let demand = self.demand(at, roles);
                demand.weight as f64 * amount(&demand) as f64 / (self.task_share(at) as f64 / whole)
            });
            each.sum::<f64>()
        };
        (self.cpus as f64 / use_of(|it| it.cpus)).min(self.mem as f64 / use_of(|it| it.mem))
    }
}

fn id(at: usize) -> FrameworkId {
    framework_id(at as u8 + 1)
}

fn market() -> impl Strategy<Value = Market> {
    let demand =
        (1i64..5, 1i64..5, 1i64..5).prop_map(|(cpus, mem, weight)| Demand { cpus, mem, weight });
    (20i64..70, 20i64..70, prop::collection::vec(demand, 2..5))
        .prop_map(|(cpus, mem, demands)| Market { cpus, mem, demands })
}

fn roles() -> impl Strategy<Value = Roles> {
    prop::sample::select(vec![Roles::Siblings, Roles::Nested, Roles::Common])
}

#[test]
fn the_example_of_the_paper() {
    let demand = |cpus, mem| Demand { cpus, mem, weight: 1 };
    let market = Market { cpus: 9, mem: 18, demands: vec![demand(1, 4), demand(3, 1)] };
    assert_eq!(market.run(Roles::Siblings).0, [3, 2]);
}

#[test]
fn equal_weights_are_equal_shares_and_double_is_double() {
    let demand = |weight| Demand { cpus: 1, mem: 1, weight };
    let run = |weights: [i64; 3]| {
        Market { cpus: 40, mem: 40, demands: weights.map(demand).to_vec() }.run(Roles::Siblings).0
    };
    assert_eq!(run([1, 1, 2]), [10, 10, 20]);
    assert_eq!(run([4, 3, 1]), [20, 15, 5]);
    let equal = run([1, 1, 1]);
    assert!(
        equal.iter().all(|it| (13..=14).contains(it)) && equal.iter().sum::<i64>() == 40,
        "{equal:?}"
    );
}

proptest! {
    #[test]
    fn drf_fills_as_the_exact_solver_does(market in market(), roles in roles()) {
        prop_assert_eq!(market.run(roles), market.solve(roles));
    }

    /// Until something runs out, nobody is further than one task from the level of ideal sharing.
    #[test]
    fn nobody_is_further_than_one_task_from_the_ideal(market in market(), roles in roles()) {
        let (_, tasks) = market.run(roles);
        let whole = (market.cpus * market.mem) as f64;
        let quantum = |at: usize| market.task_share(at) as f64 / whole / market.demand(at, roles).weight as f64;
        let all = 0..tasks.len();
        let (greatest, level) = (all.clone().map(quantum).fold(0.0, f64::max), market.level(roles));
        for at in all {
            let share = tasks[at] as f64 * quantum(at);
            prop_assert!((share - level).abs() <= greatest + 1e-9, "{} is {share}, ideal is {level}: {tasks:?}", id(at));
        }
    }

    /// With equal tasks, nobody's last task was given while another had less for its weight.
    #[test]
    fn equal_tasks_are_shared_by_weight_within_one(market in market(), roles in roles()) {
        let first = market.demands[0];
        let demands = market.demands.iter().map(|it| Demand { weight: it.weight, ..first }).collect();
        let market = Market { demands, ..market };
        let (tasks, _) = market.run(roles);
        for (a, b) in (0..tasks.len()).flat_map(|a| (0..tasks.len()).map(move |b| (a, b))) {
            let weight = |at| market.demand(at, roles).weight;
            prop_assert!((tasks[a] - 1) * weight(b) <= tasks[b] * weight(a), "{tasks:?}");
        }
    }
}
