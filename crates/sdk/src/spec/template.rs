//! Text with variables: `{{NAME}}` stands for the value of `NAME`, `{{{{` for `{{`.

use std::collections::BTreeMap;

/// Puts the values in.
///
/// # Errors
/// A sentence that says what is wrong: a name that is not known, or no end of one.
pub fn render(text: &str, values: &BTreeMap<String, String>) -> Result<String, String> {
    parse(text, |name| match values.get(name) {
        Some(value) => Ok(value.clone()),
        None => Err(format!("`{{{{{name}}}}}` names no variable of the task")),
    })
}

/// Whether the text can be rendered once its variables are known.
///
/// # Errors
/// As [`render`], but for names that are not known.
pub(crate) fn check(text: &str) -> Result<(), String> {
    parse(text, |_| Ok(String::new())).map(drop)
}

fn parse(text: &str, value: impl Fn(&str) -> Result<String, String>) -> Result<String, String> {
    let (mut made, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once("{{") {
        made.push_str(before);
        if let Some(after) = after.strip_prefix("{{") {
            made.push_str("{{");
            rest = after;
            continue;
        }
        let Some((name, after)) = after.split_once("}}") else {
            return Err("has `{{` without `}}`; write `{{{{` for `{{` itself".to_owned());
        };
        let name = name.trim();
        if !super::check::is_variable(name) {
            return Err(format!(
                "`{{{{{}}}}}` is no name of a variable; write `{{{{{{{{` for `{{{{` itself",
                name.escape_debug()
            ));
        }
        made.push_str(&value(name)?);
        rest = after;
    }
    made.push_str(rest);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_unknown_ones_are_named() {
        let values = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        assert_eq!(render("a {{A}}, {{ A }}; {{{{A}} }", &values), Ok("a 1, 1; {{A}} }".into()));
        assert!(render("{{B}}", &values).unwrap_err().contains("`{{B}}`"));
        assert!(render("x {{A", &values).unwrap_err().contains("without"));
        assert!(check("{{B}}").is_ok());
        assert!(check("{{B-C}}").is_err());
    }
}
