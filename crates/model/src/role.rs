//! Roles: the groups that resources are reserved for and offered to. They form a tree, by `/`.

use std::fmt;
use std::sync::Arc;

use crate::validate::Invalid;

/// A role such as `eng/storage`, or `*` for everybody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(Arc<str>);

impl Role {
    /// The role that everybody has.
    pub fn any() -> Role {
        Role(Arc::from("*"))
    }

    /// Takes a role from outside.
    ///
    /// # Errors
    /// [`Invalid`] when a component is empty, `.`, `..` or `*`, begins with `-`, or holds white space or DEL.
    pub fn parse(text: &str) -> Result<Role, Invalid> {
        if text == "*" {
            return Ok(Role::any());
        }
        let refuse = |why: String| {
            Err(Invalid::new("role", format!("{why}; a role is one or more names joined by `/`")))
        };
        if crate::id::ID_BYTES_MAX < text.len() {
            return refuse(format!(
                "a role of {} bytes is too long; at most {} are kept",
                text.len(),
                crate::id::ID_BYTES_MAX
            ));
        }
        for part in text.split('/') {
            if part.is_empty() {
                return refuse(format!("`{text}` has an empty component"));
            }
            if matches!(part, "." | ".." | "*") || part.starts_with('-') {
                return refuse(format!("`{part}` cannot be a component of a role"));
            }
            if part
                .chars()
                .any(|c| matches!(c, '\t' | '\n' | '\u{b}' | '\u{c}' | '\r' | ' ' | '\u{7f}'))
            {
                return refuse(format!("`{}` contains white space or DEL", part.escape_debug()));
            }
        }
        Ok(Role(Arc::from(text)))
    }

    /// The role as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `*`, the role of everybody.
    pub fn is_any(&self) -> bool {
        &*self.0 == "*"
    }

    /// The top-level role that this one is, or is below.
    pub fn top(&self) -> Role {
        match self.0.split_once('/') {
            Some((top, _)) => Role(Arc::from(top)),
            None => self.clone(),
        }
    }

    /// Whether `self` lies strictly below `ancestor` in the tree.
    pub fn is_below(&self, ancestor: &Role) -> bool {
        self.0.strip_prefix(ancestor.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree() {
        let role = |text| Role::parse(text).unwrap();
        assert!(role("a/b").is_below(&role("a")));
        assert!(!role("ab").is_below(&role("a")));
        assert!(!role("a").is_below(&role("a")));
        assert_eq!(
            [role("a").top(), role("a/b/c").top(), Role::any().top()],
            [role("a"), role("a"), role("*")]
        );
        for bad in
            ["", "/a", "a/", "a//b", "a/../b", "a/*", "-a", "a b", "a\tb", "a/.", &"x".repeat(256)]
        {
            assert!(Role::parse(bad).is_err(), "{bad:?}");
        }
    }
}
