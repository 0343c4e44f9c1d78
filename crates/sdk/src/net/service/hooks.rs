//! What a service of a spec file alone does beside its spec: its tasks are told where the members of
//! all pods can be reached.
//!
//! The variable `ENDPOINTS_POD_PORT` holds `host:port` of each member of that pod, separated by
//! commas. It never starts a task with half of the addresses of another pod that it asks for.

use std::collections::BTreeSet;

use crate::pods::{Hooks, PodMember, ServiceView, Verdict};
use crate::spec::{PodSpec, PortSpec, ServiceSpec, TaskSpec};

/// The hooks of a spec without code.
#[derive(Clone, Copy, Debug, Default)]
pub struct SpecHooks;

impl Hooks for SpecHooks {
    fn task(&self, service: &ServiceView<'_>, _member: &PodMember, task: TaskSpec) -> TaskSpec {
        let mut told = Vec::new();
        for (pod, port) in published(service.spec) {
            let each = service.placed(&pod.name).filter(|it| it.id.index < pod.count);
            let addresses: Vec<String> = each
                .filter_map(|it| Some(format!("{}:{}", it.hostname, it.ports.get(&port.name)?)))
                .collect();
            told.push((variable(pod, port), addresses.join(",")));
        }
        // Those of the spec come after, so that they may name these.
        let environment = told.into_iter().chain(task.environment).collect();
        TaskSpec { environment, ..task }
    }

    fn may_start(&self, service: &ServiceView<'_>, member: &PodMember, task: &TaskSpec) -> Verdict {
        for (pod, port) in published(service.spec) {
            let is_asked = pod.name != member.id.pod && names(task, &variable(pod, port));
            let known = service.placed(&pod.name).filter(|it| it.id.index < pod.count).count();
            if is_asked && known < pod.count as usize {
                return Verdict::NotYet(format!(
                    "it is told where the {} members of pod `{}` are, and {known} have a place so far",
                    pod.count, pod.name
                ));
            }
        }
        Verdict::Yes
    }
}

/// The variables that a task of this service may name beside its own.
pub fn endpoint_variables(spec: &ServiceSpec) -> BTreeSet<String> {
    published(spec).map(|(pod, port)| variable(pod, port)).collect()
}

fn published(spec: &ServiceSpec) -> impl Iterator<Item = (&PodSpec, &PortSpec)> {
    let of = |pod| move |port| (pod, port);
    spec.pods.iter().flat_map(move |pod| pod.ports.iter().filter(|it| it.publish).map(of(pod)))
}

fn variable(pod: &PodSpec, port: &PortSpec) -> String {
    let plain = |name: &str| name.to_ascii_uppercase().replace('-', "_");
    format!("ENDPOINTS_{}_{}", plain(&pod.name), plain(&port.name))
}

/// Whether a task's texts name a variable, as a template does or as a shell.
fn names(task: &TaskSpec, variable: &str) -> bool {
    let values = task.environment.iter().map(|(_, value)| value.as_str());
    let files = task.files.iter().map(|it| it.template.as_str());
    let whole =
        |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_');
    let mut texts = values.chain(files).chain([task.command.as_str()]);
    texts.any(|text| text.match_indices(variable).any(|(at, it)| whole(&text[at + it.len()..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pods::{MemberId, ServiceLedger};
    use crate::spec::testbed::two_pods;
    use holdfast_model::AgentId;

    fn placed(index: u32) -> PodMember {
        PodMember {
            agent: Some(AgentId::made("a".to_owned())),
            hostname: format!("h{index}"),
            ports: [("cql".to_owned(), 9_042)].into(),
            ..PodMember::new(MemberId::new("node", index))
        }
    }

    #[test]
    fn a_task_is_told_of_others_and_waits_until_all_have_a_place() {
        let (spec, mut ledger) = (two_pods(), ServiceLedger::default());
        let told = endpoint_variables(&spec);
        assert!(told.contains("ENDPOINTS_NODE_CQL"), "{told:?}");
        let proxy = PodMember::new(MemberId::new("proxy", 0));
        let mut task = spec.pods[1].tasks[0].clone();
        let own = spec.pods[0].tasks[1].clone();
        for index in 0..2 {
            ledger.members.insert(placed(index).id.clone(), placed(index));
        }
        fn view<'a>(spec: &'a ServiceSpec, ledger: &'a ServiceLedger) -> ServiceView<'a> {
            ServiceView { spec, ledger }
        }
        assert_eq!(SpecHooks.may_start(&view(&spec, &ledger), &proxy, &task), Verdict::Yes);
        task.command = "proxy $ENDPOINTS_NODE_CQLX".to_owned();
        assert_eq!(SpecHooks.may_start(&view(&spec, &ledger), &proxy, &task), Verdict::Yes);
        task.command = "proxy $ENDPOINTS_NODE_CQL".to_owned();
        let waits = SpecHooks.may_start(&view(&spec, &ledger), &proxy, &task);
        assert!(matches!(waits, Verdict::NotYet(_)), "{waits:?}");
        // A member of the pod itself cannot wait for the others: they wait for it.
        assert_eq!(SpecHooks.may_start(&view(&spec, &ledger), &placed(0), &own), Verdict::Yes);
        ledger.members.insert(placed(2).id.clone(), placed(2));
        assert_eq!(SpecHooks.may_start(&view(&spec, &ledger), &proxy, &task), Verdict::Yes);
        let made = SpecHooks.task(&view(&spec, &ledger), &proxy, task);
        let value = made.environment.iter().find(|it| it.0 == "ENDPOINTS_NODE_CQL");
        assert_eq!(value.map(|it| it.1.as_str()), Some("h0:9042,h1:9042,h2:9042"));
    }
}
