//! Commands: how to start a process.
//!
//! What would have to be fetched, and variables that are secrets, stay in the rest; everything else is typed.
//! Relies on nothing else. Never drops a variable silently.

use holdfast_proto::mesos::v1;
use v1::environment::variable::Type;
use v1::environment::Variable;

use super::field::{each, Place};
use crate::task::CommandInfo;
use crate::validate::Invalid;

/// Takes the typed fields of a command; what is left of it is the second part.
///
/// # Errors
/// [`Invalid`] naming the field: a variable without name or value, or something with a zero byte in it.
pub fn from_proto(
    mut wire: v1::CommandInfo,
) -> Result<(CommandInfo, Option<v1::CommandInfo>), Invalid> {
    let variables = wire.environment.take().map(|it| it.variables).unwrap_or_default();
    let variables =
        each("environment.variables", variables, |it| check_variable(&it).map(|()| it))?;
    let (secret, plain): (Vec<Variable>, Vec<Variable>) =
        variables.into_iter().partition(|it| it.secret.is_some());
    let command = CommandInfo {
        shell: wire.shell.take().unwrap_or(true),
        value: wire.value.take(),
        arguments: std::mem::take(&mut wire.arguments),
        environment: plain.into_iter().map(|it| (it.name, it.value.unwrap_or_default())).collect(),
        user: wire.user.take(),
        uris: wire.uris.len(),
    };
    check_text(&command)?;
    if !secret.is_empty() {
        wire.environment = Some(v1::Environment { variables: secret });
    }
    let rest = Some(wire).filter(|it| *it != v1::CommandInfo::default());
    Ok((command, rest))
}

/// Writes a command into what was left of it, or into the whole that it came from.
pub fn to_proto(command: &CommandInfo, rest: Option<v1::CommandInfo>) -> v1::CommandInfo {
    let mut wire = rest.unwrap_or_default();
    let secret = wire
        .environment
        .take()
        .map(|it| it.variables)
        .unwrap_or_default()
        .into_iter()
        .filter(|it| it.secret.is_some());
    let plain = command.environment.iter().map(|(name, value)| Variable {
        name: name.clone(),
        value: Some(value.clone()),
        r#type: Some(Type::Value.into()),
        secret: None,
    });
    let variables: Vec<Variable> = plain.chain(secret).collect();
    wire.environment = Some(v1::Environment { variables }).filter(|it| !it.variables.is_empty());
    wire.shell = Some(command.shell);
    wire.value.clone_from(&command.value);
    wire.arguments.clone_from(&command.arguments);
    wire.user.clone_from(&command.user);
    wire
}

fn check_variable(variable: &Variable) -> Result<(), Invalid> {
    if variable.name.is_empty() || variable.name.contains(['=', '\0']) {
        return Err(Invalid::new(
            "name",
            format!("`{}` cannot name a variable", variable.name.escape_debug()),
        ));
    }
    match (
        Type::try_from(variable.r#type.unwrap_or(Type::Value.into())),
        &variable.value,
        &variable.secret,
    ) {
        (Ok(Type::Value), Some(value), None) if value.contains('\0') => {
            Err(Invalid::new("value", "contains a zero byte"))
        }
        (Ok(Type::Value), Some(_), None) | (Ok(Type::Secret), None, Some(_)) => Ok(()),
        (Ok(Type::Value), None, _) => {
            Err(Invalid::new("value", "is missing; a variable of type VALUE needs it"))
        }
        (Ok(Type::Secret), _, None) => {
            Err(Invalid::new("secret", "is missing; a variable of type SECRET needs it"))
        }
        (Ok(Type::Value), ..) => {
            Err(Invalid::new("secret", "must be absent from a variable of type VALUE"))
        }
        (Ok(Type::Secret), ..) => {
            Err(Invalid::new("value", "must be absent from a variable of type SECRET"))
        }
        _ => Err(Invalid::new("type", "a variable is a VALUE or a SECRET")),
    }
}

fn check_text(command: &CommandInfo) -> Result<(), Invalid> {
    let refuse = |field: String| {
        Err(Invalid::new(field, "contains a zero byte, which no process can be given"))
    };
    if command.value.as_ref().is_some_and(|it| it.contains('\0')) {
        return refuse("value".to_owned());
    }
    if command.user.as_ref().is_some_and(|it| it.contains('\0')) {
        return refuse("user".to_owned());
    }
    match command.arguments.iter().position(|it| it.contains('\0')) {
        Some(index) => refuse(format!("arguments[{index}]")),
        None => Ok(()),
    }
}

/// Reads a command that may be absent; `rest` gets what is left of it.
pub(crate) fn take(wire: &mut Option<v1::CommandInfo>) -> Result<Option<CommandInfo>, Invalid> {
    let Some(given) = wire.take() else { return Ok(None) };
    let (command, rest) = from_proto(given).under("command")?;
    *wire = rest;
    Ok(Some(command))
}

/// Puts a command back; the counterpart of [`take`].
pub(crate) fn put(command: Option<&CommandInfo>, wire: &mut Option<v1::CommandInfo>) {
    let rest = wire.take();
    *wire = command.map(|it| to_proto(it, rest));
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_proto::mesos::v1::{command_info::Uri, secret, Secret};

    fn variable(name: &str, kind: Option<Type>, value: Option<&str>, secret: bool) -> Variable {
        let secret = secret
            .then(|| Secret { r#type: Some(secret::Type::Reference.into()), ..Secret::default() });
        Variable {
            name: name.to_owned(),
            r#type: kind.map(Into::into),
            value: value.map(str::to_owned),
            secret,
        }
    }

    fn with(variable: Variable) -> v1::CommandInfo {
        v1::CommandInfo {
            environment: Some(v1::Environment { variables: vec![variable] }),
            ..v1::CommandInfo::default()
        }
    }

    #[test]
    fn a_line_is_for_the_shell_unless_it_says_otherwise() {
        let (command, rest) =
            from_proto(v1::CommandInfo { value: Some("ls".to_owned()), ..Default::default() })
                .unwrap();
        assert!(command.shell && command.value.as_deref() == Some("ls"));
        assert_eq!(rest, None);
    }

    #[test]
    fn wrong_variables_are_named() {
        for (bad, field) in [
            (variable("", None, Some("x"), false), "name"),
            (variable("A=B", None, Some("x"), false), "name"),
            (variable("A", None, None, false), "value"),
            (variable("A", None, Some("a\0b"), false), "value"),
            (variable("A", Some(Type::Secret), None, false), "secret"),
            (variable("A", Some(Type::Secret), Some("x"), true), "value"),
            (variable("A", Some(Type::Value), Some("x"), true), "secret"),
            (variable("A", Some(Type::Unknown), Some("x"), false), "type"),
        ] {
            let refused = from_proto(with(bad.clone())).unwrap_err();
            assert_eq!(refused.path, format!("environment.variables[0].{field}"), "{bad:?}");
        }
        let bad = v1::CommandInfo {
            arguments: vec!["a".to_owned(), "\0".to_owned()],
            ..Default::default()
        };
        assert_eq!(from_proto(bad).unwrap_err().path, "arguments[1]");
    }

    #[test]
    fn secrets_and_uris_are_kept_in_the_rest() {
        let mut wire = with(variable("KEY", Some(Type::Secret), None, true));
        wire.uris = vec![Uri { value: "http://x/y".to_owned(), ..Uri::default() }];
        wire.shell = Some(false);
        let (command, rest) = from_proto(wire.clone()).unwrap();
        assert_eq!((command.uris, command.environment.len()), (1, 0));
        assert_eq!(to_proto(&command, rest), wire);
    }
}
