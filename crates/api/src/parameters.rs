//! The parameters of a request: names and values, decoded already.

use crate::Refusal;

/// The parameters that a request came with.
#[derive(Clone, Copy)]
pub struct Parameters<'a>(pub &'a dyn Fn(&str) -> Option<&'a str>);

impl<'a> Parameters<'a> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        (self.0)(name)
    }

    /// The value of a name, as text of its own.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// The value of a name that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<&'a str, Refusal> {
        self.get(name)
            .ok_or_else(|| Refusal::Invalid(format!("query parameter `{name}` is missing")))
    }

    /// A number of 0 or more.
    pub(crate) fn number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| {
                Refusal::Invalid(format!("{name}: `{text}` is no number; give 0 or more"))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_no_number_is_named() {
        let parameters = Parameters(&|name| match name {
            "limit" => Some("3"),
            "offset" => Some("-1"),
            _ => None,
        });
        assert_eq!(parameters.number("limit", 100), Ok(3));
        assert_eq!(parameters.number("other", 100), Ok(100));
        let refused = |why: &str| Refusal::Invalid(why.to_owned());
        assert_eq!(
            parameters.number("offset", 0),
            Err(refused("offset: `-1` is no number; give 0 or more"))
        );
        assert_eq!(parameters.needed("about"), Err(refused("query parameter `about` is missing")));
    }
}
