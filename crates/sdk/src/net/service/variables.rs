//! Which variables the texts of a spec without code may name: a name that is not known would keep a member from starting.
//!
//! It relies on the tasks' own list of variables and on [`super::hooks`] for those of other pods.

use std::collections::{BTreeMap, BTreeSet};

use super::hooks::endpoint_variables;
use crate::pods::MEMBER_VARIABLES;
use crate::spec::{render, PodSpec, ServiceSpec, SpecError, TaskSpec};

/// Names in templates that no task of this spec will know.
pub(crate) fn unknown_variables(spec: &ServiceSpec) -> Vec<SpecError> {
    let endpoints = endpoint_variables(spec);
    let mut errors = Vec::new();
    for pod in &spec.pods {
        for (index, task) in pod.tasks.iter().enumerate() {
            let at = format!("pods.{}.tasks[{index}]", pod.name);
            of_task(&mut errors, &at, known(pod, &endpoints), task);
        }
    }
    errors
}

fn known(pod: &PodSpec, endpoints: &BTreeSet<String>) -> BTreeMap<String, String> {
    let own = MEMBER_VARIABLES.iter().map(|it| (*it).to_owned());
    let ports = pod.ports.iter().map(crate::spec::PortSpec::variable);
    let names = own.chain(ports).chain(endpoints.iter().cloned());
    names.map(|it| (it, String::new())).collect()
}

/// A variable may name those before it; files may name them all.
fn of_task(
    errors: &mut Vec<SpecError>,
    at: &str,
    mut known: BTreeMap<String, String>,
    task: &TaskSpec,
) {
    let mut look = |path: String, text: &str, known: &BTreeMap<String, String>| {
        if let Err(why) = render(text, known) {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            let why = format!("names what is not known: {why}; known are {}", names.join(", "));
            errors.push(SpecError { path, why });
        }
    };
    for (name, value) in &task.environment {
        look(format!("{at}.environment.{name}"), value, &known);
        known.insert(name.clone(), String::new());
    }
    for (index, file) in task.files.iter().enumerate() {
        look(format!("{at}.files[{index}].template"), &file.template, &known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::testbed::two_pods;

    #[test]
    fn a_name_that_nobody_will_know_is_told_with_those_that_are_known() {
        let mut spec = two_pods();
        assert_eq!(unknown_variables(&spec), []);
        let task = &mut spec.pods[0].tasks[1];
        task.environment.push(("LATE".into(), "{{POD_NAEM}} {{HOST}}".into()));
        task.environment.push(("WELL".into(), "{{LATE}} {{ENDPOINTS_NODE_CQL}}".into()));
        task.files[0].template = "{{WELL}} {{PORT_NOBODY}}".into();
        let found = unknown_variables(&spec);
        let paths: Vec<&str> = found.iter().map(|it| it.path.as_str()).collect();
        assert_eq!(
            paths,
            ["pods.node.tasks[1].environment.LATE", "pods.node.tasks[1].files[0].template"]
        );
        assert!(found[0].why.contains("`{{POD_NAEM}}`") && found[0].why.contains("POD_NAME"));
    }
}
